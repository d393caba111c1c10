"""The endpoints of ROS-TCP as running processes, and the client that measures what comes through them."""

import sys

from processes import BENCHES, Counts, Node, Reporting, ReportingReceiver, free_port
from scrape_client import sample_sum


class UnityBridge(Node):
    """unity_bridge_node."""

    name = "unity_bridge_node"
    program = "unity_bridge_node"

    def __init__(self, bench, domain_id):
        self.tcp_port = free_port()
        super().__init__(bench, domain_id, "--ros-args", "-p", f"tcp_port:={self.tcp_port}")

    def missing_counts(self):
        """By its own count, of all topics: messages lost before they came to it, and dropped by the queues of its clients."""
        text = self.client.scrape()
        names = ("unity_bridge_messages_lost_total", "unity_bridge_messages_dropped_total")
        return [int(sample_sum(text, name) or 0) for name in names]


class PythonBridge(Reporting):
    """benches/python_bridge.py."""

    name = "Python"

    def __init__(self, bench, domain_id):
        self.tcp_port = free_port()
        command = [sys.executable, str(BENCHES / "python_bridge.py"), "--port", str(self.tcp_port)]
        super().__init__(bench, domain_id, command)

    def missing_counts(self):
        """It counts nothing."""
        return [None, None]


class UnityClient(ReportingReceiver):
    """unity_client, of some topics with their types; its reports tell latencies since the one before."""

    name = "client"

    def __init__(self, bench, domain_id, bridge, topics, *options):
        topics = [f"{topic}={type_name}" for topic, type_name in topics.items()]
        address = f"127.0.0.1:{bridge.tcp_port}"
        super().__init__(bench, domain_id, [bench.program("unity_client"), *topics, "--address", address, *options])

    def counts(self):
        return Counts(self.report()["messages"], None)


BRIDGES = {
    "unity_bridge_node": UnityBridge,
    "python_bridge": PythonBridge,
}
