"""The programs that watch any topics, as running processes: monitoring_node, and what it is compared with."""

import sys

from processes import BENCHES, Node, ReportingReceiver


class MonitoringNode(Node):
    """monitoring_node; it finds the topics by itself."""

    name = "monitoring_node"
    program = "monitoring_node"

    def __init__(self, bench, domain_id, _topics):
        super().__init__(bench, domain_id)


class R2rLoop(ReportingReceiver):
    """r2r_loop, best effort as all watchers are."""

    name = "r2r"
    options = ()

    def __init__(self, bench, domain_id, topics):
        super().__init__(bench, domain_id, [bench.program("r2r_loop"), *self.options, *topics])


class OrdinarySubscriber(R2rLoop):
    """What a publisher has anyhow: a subscriber with the default QoS of ROS, which is reliable."""

    name = "a reliable subscriber"
    options = ("--qos", "reliable", "--depth", "10")


class PythonHz(ReportingReceiver):
    """benches/python_hz.py."""

    name = "Python hz"

    def __init__(self, bench, domain_id, topics):
        super().__init__(bench, domain_id, [sys.executable, str(BENCHES / "python_hz.py"), *topics])


WATCHERS = {
    "monitoring_node": MonitoringNode,
    "r2r": R2rLoop,
    "python_hz": PythonHz,
}
