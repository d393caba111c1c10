"""Grafana's dashboards, as far as nothing has to run."""

import fnmatch
import re
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest

from documented import table
from grafana import Dashboard, dashboards
from program import REPOSITORY
from rules import alerts, documented_rows, families, metrics_of, recorded

DASHBOARDS = dashboards()
PAGE = REPOSITORY / "docs" / "dashboards.md"
DATA_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS = 24

# What Prometheus has of itself.
OF_PROMETHEUS = {"up", "ALERTS", "scrape_duration_seconds", "scrape_samples_scraped"}
# What Grafana has of itself.
OF_GRAFANA = {"__all", "__rate_interval", "__url_time_range", "__value"}

each_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.path.stem)


def objects_in(content: Any) -> Iterator[dict[str, Any]]:
    """Every object of the JSON, at any depth."""
    if isinstance(content, dict):
        yield content
        content = list(content.values())
    if isinstance(content, list):
        for one in content:
            yield from objects_in(one)


def test_each_has_an_address_and_a_title_of_its_own() -> None:
    contents = [dashboard.content for dashboard in DASHBOARDS]
    assert [content["uid"] for content in contents] == [dashboard.path.stem for dashboard in DASHBOARDS]
    assert len({content["title"] for content in contents}) == len(contents) >= 5


def test_what_people_know_of_the_first_dashboard_is_still_there() -> None:
    known = next(dashboard for dashboard in DASHBOARDS if dashboard.path.stem == "digital-twin-simulation")
    assert known.content["title"] == "Digital Twin Simulation"
    assert {"Joint positions", "Joint velocities", "Message throughput"} <= {panel["title"] for panel in known.panels}
    assert {"robotics", "ros2", "simulation"} <= set(known.content["tags"])


def test_they_link_to_each_other_with_what_is_chosen() -> None:
    for dashboard in DASHBOARDS:
        (link,) = dashboard.content["links"]
        assert link["includeVars"] and link["keepTime"] and link["type"] == "dashboards"
        assert all(set(link["tags"]) <= set(other.content["tags"]) for other in DASHBOARDS)


@each_dashboard
def test_a_panel_says_what_it_shows_and_in_which_unit(dashboard: Dashboard) -> None:
    for panel in dashboard.panels:
        assert panel["title"] and len(panel["description"]) > 10, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        letters = [target["refId"] for target in panel["targets"]]
        assert letters and len(set(letters)) == len(letters), panel["title"]


@each_dashboard
def test_panels_have_numbers_and_places_of_their_own(dashboard: Dashboard) -> None:
    panels = dashboard.content["panels"]
    assert [number for number, count in Counter(panel["id"] for panel in panels).items() if count > 1] == []
    places = [(panel["title"], panel["gridPos"]) for panel in panels]
    assert all(place["x"] + place["w"] <= COLUMNS for _, place in places)
    assert [(one, other) for (one, a), (other, b) in combinations(places, 2) if overlap(a, b)] == []


def overlap(a: Any, b: Any) -> bool:
    def meet(axis: str, length: str) -> bool:
        return bool(a[axis] < b[axis] + b[length] and b[axis] < a[axis] + a[length])

    return meet("x", "w") and meet("y", "h")


@each_dashboard
def test_the_prometheus_that_is_chosen_is_asked_and_no_other(dashboard: Dashboard) -> None:
    (source,) = (one for one in dashboard.content["templating"]["list"] if one["type"] == "datasource")
    assert (source["name"], source["query"]) == ("datasource", "prometheus")
    assert all(one["datasource"] == DATA_SOURCE for one in objects_in(dashboard.content) if "datasource" in one)
    asking = [*dashboard.panels, *dashboard.variables, *dashboard.content["annotations"]["list"]]
    asking += [target for panel in dashboard.panels for target in panel["targets"]]
    assert all("datasource" in one for one in asking)


@each_dashboard
def test_what_is_chosen_is_a_variable_and_each_goes_by_those_before_it(dashboard: Dashboard) -> None:
    known = {"datasource"}
    for variable in dashboard.variables:
        assert set(re.findall(r"\$(\w+)", variable["definition"])) <= known
        assert variable["multi"] and variable["includeAll"] and variable["allValue"] == ".*"
        known.add(variable["name"])
    assert known >= {"region", "robot"}
    texts = [value for one in objects_in(dashboard.content) for value in one.values() if isinstance(value, str)]
    asked = {name for text in texts for name in re.findall(r"\$\{?(\w+)", text)}
    assert asked - known <= OF_GRAFANA
    # Whoever chooses a robot sees no other.
    for expression in dashboard.expressions():
        selectors = re.findall(r"\{[^}]*\}", expression.text)
        assert all('region=~"$region"' in one and 'robot=~"$robot"' in one for one in selectors), expression


@each_dashboard
def test_every_metric_is_one_that_there_is(dashboard: Dashboard) -> None:
    known = {*documented_rows(), *OF_PROMETHEUS, *recorded()}
    for expression in dashboard.expressions():
        names = families(metrics_of(expression.text))
        assert names and all(any(fnmatch.fnmatch(name, one) for one in known) for name in names), expression


def test_every_recorded_series_is_asked_for() -> None:
    asked = {name for dashboard in DASHBOARDS for one in dashboard.expressions() for name in metrics_of(one.text)}
    asked |= {name for rule in alerts().values() for name in metrics_of(rule["expr"])}
    assert recorded().keys() <= asked


def test_panels_that_take_buckets_are_those_that_the_page_names() -> None:
    (row,) = (row for row in table(PAGE, "data source", "what works") if "remote_write" in row[0])
    taking = {one.panel for dashboard in DASHBOARDS for one in dashboard.expressions() if "_bucket" in one.text}
    assert set(re.findall(r'"([^"]*)"', row[1])) == taking


@each_dashboard
def test_counters_are_drawn_as_rates(dashboard: Dashboard) -> None:
    for panel in dashboard.panels:
        for target in panel["targets"] if panel["type"] in ("timeseries", "heatmap") else ():
            counters = re.findall(r"\w+_(?:total|bucket)\{", target["expr"])
            rates = re.findall(r"\b(?:rate|increase)\(\w+_(?:total|bucket)\{", target["expr"])
            assert len(counters) == len(rates), target["expr"]
            assert all(one == "$__rate_interval" for one in re.findall(r"rate\([^[]*\[([^\]]*)\]", target["expr"]))


@each_dashboard
def test_panels_lead_to_the_pages_of_alerts_that_there_are(dashboard: Dashboard) -> None:
    pages = {f"/public/docs/runbooks/{name}.md" for name in alerts()}
    links = [link["url"] for panel in dashboard.panels for link in panel.get("links", ())]
    assert links and set(links) <= pages


def test_a_panel_leads_to_the_alerts_of_its_metrics() -> None:
    topics = next(dashboard for dashboard in DASHBOARDS if dashboard.path.stem == "digital-twin-topics")
    (panel,) = (panel for panel in topics.panels if panel["title"] == "ROS nodes")
    of_nodes = {name for name, rule in alerts().items() if "ros_node_up" in metrics_of(rule["expr"])}
    assert {link["url"].rpartition("/")[2].removesuffix(".md") for link in panel["links"]} == of_nodes != set()
