"""What every dashboard has around its panels: variables, links, and marks where alerts fired."""

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders.dashboard import (
    AnnotationQuery,
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
    Row,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import Dataquery

from .alerts import firing, runbooks
from .panels import DATA_SOURCE, PanelBuilder
from .promql import NODES

# Whose dashboards these are: by it they link to each other.
TAG = "digital-twin"
# What "All" stands for: also series without the label, as of one host that is in no region.
ANYTHING = ".*"

# Grafana 11's: a Grafana brings dashboards of older schemas to its own, and knows nothing of newer ones.
SCHEMA_VERSION = 39
# Of the questions that Grafana's editor knows.
LABEL_VALUES = 1

JOBS = f'job=~"{"|".join(NODES)}"'


@dataclass(frozen=True)
class Variable:
    """A choice among the values that a label has in these series."""

    name: str
    title: str
    series: str
    label: str


REGION = Variable("region", "Region", f"up{{{JOBS}}}", "region")
# Where monitoring_node tells robots apart, they are no labels of what is scraped as one.
ROBOT = Variable("robot", "Robot", f'{{__name__=~"up|ros_topic_publishers", {JOBS}, region=~"$region"}}', "robot")


@dataclass(frozen=True)
class Section:
    """Panels under a title, from left to right and down."""

    title: str
    panels: Sequence[PanelBuilder]


@dataclass(frozen=True)
class Frame:
    """A dashboard. By its uid people have links to it."""

    uid: str
    title: str
    description: str
    sections: Sequence[Section]
    variables: Sequence[Variable] = ()
    tags: Sequence[str] = ()

    def json(self) -> str:
        return JSONEncoder(indent=2).encode(self.build()) + "\n"

    def build(self) -> model.Dashboard:
        dashboard = (
            Dashboard(self.title)
            .uid(self.uid)
            .description(self.description)
            .tags([TAG, *self.tags])
            .timezone("browser")
            .time("now-15m", "now")
            .refresh("10s")
            .tooltip(DashboardCursorSync.CROSSHAIR)
            .link(link_to_the_others())
            .annotation(marks_of_alerts())
            .with_variable(DatasourceVariable("datasource").label("Data source").type("prometheus"))
        )
        for variable in (REGION, ROBOT, *self.variables):
            dashboard.with_variable(choice_of(variable))
        for section in self.sections:
            dashboard.with_row(Row(section.title))
            for panel in section.panels:
                dashboard.with_panel(panel)
        return completed(dashboard.build())


def choice_of(variable: Variable) -> QueryVariable:
    """Of any number of values, or of all that there are."""
    question = f"label_values({variable.series}, {variable.label})"
    return (
        QueryVariable(variable.name)
        .label(variable.title)
        .datasource(DATA_SOURCE)
        .query({"qryType": LABEL_VALUES, "query": question, "refId": variable.name})
        .definition(question)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.NATURAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(ANYTHING)
        .current(VariableOption(text="All", value="$__all"))
    )


def link_to_the_others() -> DashboardLink:
    return (
        DashboardLink("Digital twin")
        .type(DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(False)
        .include_vars(True)
        .keep_time(True)
    )


def marks_of_alerts() -> AnnotationQuery:
    return (
        AnnotationQuery()
        .name("Alerts")
        .datasource(DATA_SOURCE)
        .enable(True)
        .icon_color("red")
        .expr(firing())
        .title_format("{{alertname}}")
        .text_format("{{robot}} {{topic_name}}")
    )


def completed(dashboard: model.Dashboard) -> model.Dashboard:
    """With what the builder leaves open. Panels have links to the pages that tell what to do about what they show."""
    dashboard.schema_version = SCHEMA_VERSION
    for number, panel in enumerate(dashboard.panels or (), start=1):
        panel.id_val = number
        if isinstance(panel, model.Panel):
            expressions = [target.expr for target in panel.targets or () if isinstance(target, Dataquery)]
            panel.links = [runbook_link(*found).build() for found in runbooks(expressions)] or None
    return dashboard


def runbook_link(alert: str, address: str) -> DashboardLink:
    return DashboardLink(f"What to do: {alert}").type(DashboardLinkType.LINK).url(address).target_blank(True)
