"""Panels as all dashboards have them. A unit is one of Grafana's, or `suffix:` and one of ours; widths are of 24 columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from grafana_foundation_sdk.builders import bargauge, heatmap, stat, statetimeline, statushistory, table, timeseries
from grafana_foundation_sdk.builders.common import (
    ReduceDataOptions,
    TableSortByFieldState,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.builders.dashboard import FieldColor, ThresholdsConfig
from grafana_foundation_sdk.builders.heatmap import HeatmapColorOptions
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BigValueColorMode,
    BigValueGraphMode,
    DataSourceRef,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    Panel,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from .states import FAULT, GRAVE, WARNING, WELL, by_name, by_number

# The variable of every dashboard that says which Prometheus is asked.
DATA_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")

PanelBuilder = Builder[Panel]


@dataclass(frozen=True)
class Query:
    """What is asked, and how its series are called, with labels in double braces."""

    expression: str
    legend: str = ""


@dataclass(frozen=True)
class Column:
    """Of a table: a query whose values are the column, or, without a title, whose labels alone are shown."""

    title: str
    expression: str
    unit: str = "none"
    # From where on a value is a fault.
    fault: float | None = None


class AnyPanel(Protocol):
    """What the builders of all kinds of panels have."""

    def title(self, title: str) -> Any: ...
    def description(self, description: str) -> Any: ...
    def datasource(self, datasource: DataSourceRef) -> Any: ...
    def unit(self, unit: str) -> Any: ...
    def span(self, w: int) -> Any: ...
    def height(self, h: int) -> Any: ...
    def with_target(self, target: Builder[Any]) -> Any: ...


LIMIT_LINE = [
    DynamicConfigValue("color", {"mode": "fixed", "fixedColor": GRAVE}),
    DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [10, 10]}),
]

P = TypeVar("P", bound=AnyPanel)


def begun(panel: P, title: str, description: str, unit: str, width: int, height: int) -> P:
    panel.title(title).description(description).datasource(DATA_SOURCE).unit(unit).span(width).height(height)
    return panel


def with_queries(panel: P, queries: Sequence[Query], *, instant: bool = False) -> P:
    for number, query in enumerate(queries):
        target = Dataquery().expr(query.expression).ref_id(letter(number)).datasource(DATA_SOURCE)
        if query.legend:
            target.legend_format(query.legend)
        panel.with_target(target.instant() if instant else target.range())
    return panel


def letter(place: int) -> str:
    """By which Grafana knows a query of a panel."""
    return chr(ord("A") + place)


def thresholds(*steps: tuple[float, str], first: str = WELL) -> ThresholdsConfig:
    """`first` below the first step."""
    return (
        ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps([Threshold(None, first), *(Threshold(value, color) for value, color in steps)])
    )


def lines(
    title: str,
    unit: str,
    description: str,
    *queries: Query,
    width: int = 12,
    height: int = 8,
    minimum: float | None = None,
    threshold: str = "",
    legend_beside: bool = False,
) -> PanelBuilder:
    """Values over time. A gap is a gap: what was not told is not drawn.

    `threshold` is what alerts compare with, of the names in docs/monitoring.md; `legend_beside` is for many series.
    """
    placement = LegendPlacement.RIGHT if legend_beside else LegendPlacement.BOTTOM
    legend = VizLegendOptions().show_legend(True).display_mode(LegendDisplayMode.TABLE).placement(placement)
    panel = (
        begun(timeseries.Panel(), title, description, unit, width, height)
        .legend(legend.calcs(["lastNotNull", "max"]))
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .fill_opacity(0)
        .line_width(1)
        .show_points(VisibilityMode.AUTO)
        .span_nulls(False)
    )
    if minimum is not None:
        panel.min(minimum)
    if not threshold:
        return with_queries(panel, queries)
    limit = Query(f"max by (namespace) (digital_twin:{threshold}:threshold)", "alert {{namespace}}")
    panel.override_by_query(letter(len(queries)), LIMIT_LINE)
    return with_queries(panel, [*queries, limit])


def number(
    title: str,
    unit: str,
    description: str,
    query: Query,
    *,
    width: int = 4,
    bad_from: float | None = None,
    bad_below: float | None = None,
) -> PanelBuilder:
    """What holds now, large."""
    panel = (
        begun(stat.Panel(), title, description, unit, width, 4)
        .graph_mode(BigValueGraphMode.NONE)
        .color_mode(BigValueColorMode.VALUE)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
    )
    if bad_from is not None:
        panel.thresholds(thresholds((bad_from, FAULT)))
    elif bad_below is not None:
        panel.thresholds(thresholds((bad_below, WELL), first=FAULT))
    else:
        panel.thresholds(thresholds(first="text"))
    return with_queries(panel, [query], instant=True)


def timeline(
    title: str, description: str, query: Query, states: Mapping[str, str], *, width: int = 24, height: int = 8
) -> PanelBuilder:
    """Which state held when: the query gives the place of it among `states`."""
    return with_queries(
        begun(statetimeline.Panel(), title, description, "none", width, height)
        .mappings([by_number(states)])
        .color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .thresholds(thresholds(first="text"))
        .show_value(VisibilityMode.AUTO)
        .legend(VizLegendOptions().show_legend(False))
        .merge_values(True)
        .span_nulls(False)
        .per_page(25),
        [query],
    )


def history(title: str, unit: str, description: str, query: Query) -> PanelBuilder:
    """A row of cells for each series, the warmer the greater."""
    return with_queries(
        begun(statushistory.Panel(), title, description, unit, 24, 10)
        .color_scheme(FieldColor().mode(FieldColorModeId.CONTINUOUS_BL_YL_RD))
        .show_value(VisibilityMode.NEVER)
        .legend(VizLegendOptions().show_legend(False))
        .per_page(30)
        .min(0),
        [query],
    )


def distribution(title: str, unit: str, description: str, buckets: str) -> PanelBuilder:
    """How often which values were, over time: `buckets` are the buckets of a histogram, summed up by `le`."""
    target = Dataquery().expr(buckets).ref_id("A").datasource(DATA_SOURCE).legend_format("{{le}}")
    panel = begun(heatmap.Panel(), title, description, unit, 12, 8)
    panel.y_axis(heatmap.YAxisConfig().unit(unit))
    panel.color(HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Viridis").steps(64))
    return panel.with_target(target.format(PromQueryFormat.HEATMAP).range())


def bars(title: str, unit: str, description: str, query: Query, *, fault_below: float, warn_below: float) -> PanelBuilder:
    """What holds now of each series, side by side."""
    return with_queries(
        begun(bargauge.Panel(), title, description, unit, 12, 10)
        .display_mode(BarGaugeDisplayMode.BASIC)
        .orientation(VizOrientation.HORIZONTAL)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
        .min(0)
        .max(1)
        .thresholds(thresholds((fault_below, WARNING), (warn_below, WELL), first=FAULT)),
        [query],
        instant=True,
    )


def rows(
    title: str,
    description: str,
    columns: Sequence[Column],
    *,
    labels: Mapping[str, str],
    states: Mapping[str, Mapping[str, str]] | None = None,
    numbers: Mapping[str, Mapping[str, str]] | None = None,
    links: Mapping[str, tuple[str, str]] | None = None,
    hidden: Sequence[str] = (),
    sort_by: str = "",
    height: int = 10,
) -> PanelBuilder:
    """A row for each set of labels, which come first, under the titles that `labels` gives them.

    By title, `states` has the colours of a label's values, `numbers` what the values of a column stand for, and `links` the
    text and the address that cells lead to. `hidden` are other labels that are not shown.
    """
    panel = begun(table.Panel(), title, description, "none", 24, height)
    for place, column in enumerate(columns):
        target = Dataquery().expr(column.expression).ref_id(letter(place)).datasource(DATA_SOURCE)
        panel.with_target(target.instant().format(PromQueryFormat.TABLE))
        if column.title:
            panel.override_by_name(column.title, properties_of(column))
    mappings = {name: by_name(one) for name, one in (states or {}).items()}
    mappings |= {name: by_number(one) for name, one in (numbers or {}).items()}
    for name, mapping in mappings.items():
        panel.override_by_name(name, [coloured(), DynamicConfigValue("mappings", [mapping])])
    for name, (text, address) in (links or {}).items():
        panel.override_by_name(name, [DynamicConfigValue("links", [{"title": text, "url": address}])])
    if sort_by:
        panel.sort_by([TableSortByFieldState().display_name(sort_by).desc(True)])
    panel.with_transformation(DataTransformerConfig("merge", options={}))
    return panel.with_transformation(DataTransformerConfig("organize", options=organized(columns, labels, hidden)))


def properties_of(column: Column) -> list[DynamicConfigValue]:
    properties = [DynamicConfigValue("unit", column.unit)]
    if column.fault is not None:
        properties += [coloured(), DynamicConfigValue("thresholds", thresholds((column.fault, FAULT)).build())]
    return properties


def coloured() -> DynamicConfigValue:
    return DynamicConfigValue("custom.cellOptions", {"type": "color-text"})


def organized(columns: Sequence[Column], labels: Mapping[str, str], hidden: Sequence[str]) -> dict[str, object]:
    """Grafana names a column after its query, and adds the time, which is the same for all."""
    # The only query has no letter there.
    suffixes = [f" #{letter(place)}" for place in range(len(columns))] if len(columns) > 1 else [""]
    values = {f"Value{suffix}": column.title for suffix, column in zip(suffixes, columns, strict=True)}
    left_out = ["Time", *hidden, *(name for name, title in values.items() if not title)]
    titles = {**labels, **{name: title for name, title in values.items() if title}}
    return {
        "excludeByName": dict.fromkeys(left_out, True),
        "indexByName": {name: place for place, name in enumerate(titles)},
        "renameByName": titles,
    }
