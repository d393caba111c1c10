"""Pieces of what Prometheus is asked.

Series of several nodes have the same names, so that what is asked for goes by the job: the name of the node's container.
A label that is missing is no different from one that may be anything: `$region` and `$robot` are `.*` unless one is chosen.
"""

from collections.abc import Iterable

EXPORTER = "ros-metrics-exporter"
SYNCHRONIZER = "synchronization-node"
MONITOR = "monitoring-node"
BRIDGE = "unity-bridge-node"
NODES = (EXPORTER, SYNCHRONIZER, MONITOR, BRIDGE)

ROBOT = 'region=~"$region", robot=~"$robot"'
PLACE = "region, robot"


def matchers(*parts: str) -> str:
    """Those that are not empty, in a row."""
    return ", ".join(filter(None, parts))


def select(metric: str, *jobs: str, where: str = "") -> str:
    """The series of these jobs, of the regions and robots that are chosen; `where` has more matchers."""
    job = f'job="{jobs[0]}"' if len(jobs) == 1 else f'job=~"{"|".join(jobs)}"'
    return f"{metric}{{{matchers(job, ROBOT, where)}}}"


def recorded(series: str, where: str = "") -> str:
    """What a rule records of robots, whatever the job: so that a Prometheus which has nothing else can be asked too."""
    return f"{series}{{{matchers(ROBOT, where)}}}"


def per_second(series: str) -> str:
    return f"rate({series}[$__rate_interval])"


def total(series: str, *labels: str) -> str:
    """Summed up by robot, and by these labels of the series."""
    return f"sum by ({', '.join((PLACE, *labels))}) ({series})"


def counted(series: str, *labels: str) -> str:
    return f"count by ({', '.join((PLACE, *labels))}) ({series})"


def greatest(series: str, *labels: str) -> str:
    return f"max by ({', '.join((PLACE, *labels))}) ({series})"


def quantile(share: float, buckets: str, *labels: str) -> str:
    """Of a histogram, from the sums of its buckets: means of quantiles would be no quantiles."""
    return f"histogram_quantile({share}, {total(per_second(buckets), 'le', *labels)})"


def number_of_state(states: Iterable[str], metric: str, job: str, label: str, *labels: str, where: str = "") -> str:
    """Of a family of which the series of one state is 1: the place of that state, since a timeline draws numbers."""

    def is_state(state: str) -> str:
        return select(metric, job, where=matchers(f'{label}="{state}"', where)) + " == 1"

    return greatest(" or ".join(f"{place} * ({is_state(state)})" for place, state in enumerate(states)), *labels)


def topics_not_ok(where: str = "") -> str:
    """1 for each state that a topic should not be in and is in, else 0.

    Of a topic of which nothing is expected, nobody has to publish it, nor has its type to be installed.
    """
    faults = select("ros_topic_status", MONITOR, where=matchers('status!~"ok|graph_only|no_publisher"', where))
    unseen = select("ros_topic_status", MONITOR, where=matchers('status=~"graph_only|no_publisher"', where))
    expected = select("ros_topic_expected", MONITOR, where=where)
    return f"{faults} or {unseen} * ignoring (status) group_left () {expected}"


def placed(expression: str) -> str:
    """With both labels of a place, so that the rows of a table meet where some series have none of them."""
    for label in ("region", "robot"):
        expression = f'label_replace({expression}, "{label}", "-", "{label}", "")'
    return expression
