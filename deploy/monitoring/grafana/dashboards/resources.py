"""What all this costs: processes, hosts, GPUs, the exporters themselves, and the bridge to Unity."""

from . import processes
from .frame import Frame, Section, Variable
from .panels import Query, lines, number
from .promql import BRIDGE, MONITOR, NODES, greatest, per_second, quantile, select, total

OF_NODE = 'job=~"$node"'
NODE = "{{robot}} {{job}}"
ROBOT = "{{robot}}"
HOST = "{{robot}} {{instance}}"
GPU = "{{robot}} {{instance}} {{gpu}} {{name}}"
TOPIC = "{{robot}} {{topic_name}}"
ERRORS = 'code=~"[45].."'


def of_node(metric: str, where: str = OF_NODE) -> str:
    return select(metric, *NODES, where=where)


def of_host(metric: str) -> str:
    return select(metric, MONITOR)


def of_bridge(metric: str) -> str:
    return select(metric, BRIDGE)


CPU = per_second(of_host("host_cpu_seconds_total"))
MEMORY, AVAILABLE = of_host("host_memory_total_bytes"), of_host("host_memory_available_bytes")
STARTED = of_node("process_start_time_seconds")

PROCESSES = Section(
    "Nodes",
    [
        processes.processor(where=OF_NODE),
        processes.memory(where=OF_NODE),
        lines(
            "File descriptors",
            "percentunit",
            "Share of those that the process may have open.",
            Query(greatest(f"{of_node('process_open_fds')} / {of_node('process_max_fds')}", "job"), NODE),
            width=8,
            minimum=0,
        ),
        lines(
            "Threads",
            "none",
            "Threads of each node.",
            Query(greatest(of_node("process_threads"), "job"), NODE),
            width=8,
            minimum=0,
        ),
        lines(
            "Running since",
            "s",
            "Age of each node's process.",
            Query(greatest(f"time() - {STARTED}", "job"), NODE),
            width=8,
            minimum=0,
        ),
        lines(
            "Processor of other ROS nodes",
            "percentunit",
            "Share of one processor that the process of a node uses, on the host of monitoring_node; several may share a process.",
            Query(total(per_second(of_host("ros_node_process_cpu_seconds_total")), "node_name"), "{{robot}} {{node_name}}"),
            legend_beside=True,
            minimum=0,
        ),
        lines(
            "Memory of other ROS nodes",
            "bytes",
            "Resident memory of those processes.",
            Query(greatest(of_host("ros_node_process_resident_memory_bytes"), "node_name"), "{{robot}} {{node_name}}"),
            legend_beside=True,
            minimum=0,
        ),
    ],
)

HOSTS = Section(
    "Hosts, where monitoring_node runs",
    [
        lines(
            "Processors",
            "percentunit",
            "Share of all processors, by what they do.",
            Query(
                f"{total(CPU, 'instance', 'mode')} / ignoring (mode) group_left {total(CPU, 'instance')}",
                f"{HOST} {{{{mode}}}}",
            ),
            width=8,
            minimum=0,
        ),
        lines(
            "Memory",
            "percentunit",
            "Share of the memory that programs cannot have any more.",
            Query(greatest(f"1 - {AVAILABLE} / {MEMORY}", "instance"), HOST),
            width=8,
            minimum=0,
            threshold="host_memory_used_ratio",
        ),
        lines(
            "Load",
            "none",
            "Threads that ran or waited to run, over the last minute.",
            Query(greatest(of_host("host_load1"), "instance"), HOST),
            width=8,
            minimum=0,
        ),
    ],
)

GPUS = Section(
    "GPUs, where monitoring_node finds NVIDIA's driver",
    [
        lines(
            "Use",
            "percentunit",
            "Share of time in which the GPU ran something.",
            Query(of_host("gpu_utilization_ratio"), GPU),
            width=6,
            minimum=0,
        ),
        lines(
            "Memory of GPUs",
            "percentunit",
            "Share of the GPU's memory that is in use.",
            Query(f"{of_host('gpu_memory_used_bytes')} / {of_host('gpu_memory_total_bytes')}", GPU),
            width=6,
            minimum=0,
            threshold="gpu_memory_used_ratio",
        ),
        lines(
            "Temperature",
            "celsius",
            "Temperature of the GPU.",
            Query(of_host("gpu_temperature_celsius"), GPU),
            width=6,
            threshold="gpu_temperature_celsius",
        ),
        lines("Power", "watt", "What the GPU and its board draw.", Query(of_host("gpu_power_watts"), GPU), width=6, minimum=0),
    ],
)

EXPORTERS = Section(
    "What watching costs",
    [
        lines(
            "Length of scrapes",
            "s",
            "As Prometheus sees it.",
            Query(greatest(of_node("scrape_duration_seconds"), "job"), NODE),
            width=8,
            minimum=0,
        ),
        lines(
            "Series",
            "none",
            "Samples of a scrape.",
            Query(greatest(of_node("scrape_samples_scraped"), "job"), NODE),
            width=8,
            minimum=0,
        ),
        lines(
            "Size of scrapes",
            "bytes",
            "Before compression.",
            Query(greatest(of_node("digital_twin_last_scrape_size_bytes"), "job"), NODE),
            width=8,
            minimum=0,
        ),
        lines(
            "Time to write a scrape",
            "s",
            "99 of 100 take the node no longer.",
            Query(quantile(0.99, of_node("digital_twin_scrape_duration_seconds_bucket"), "job"), NODE),
            width=8,
            minimum=0,
        ),
        lines(
            "Time for a message",
            "s",
            "99 of 100 messages take the node no longer.",
            Query(quantile(0.99, of_node("ros_processing_time_seconds_bucket"), "job"), NODE),
            width=8,
            minimum=0,
        ),
        lines(
            "Requests turned away",
            "reqps",
            "Requests that were refused and connections that were closed, by reason: limits that were met.",
            Query(
                total(per_second(of_node("digital_twin_http_requests_rejected_total")), "job", "reason"),
                f"{NODE} {{{{reason}}}}",
            ),
            Query(
                total(per_second(of_node("digital_twin_http_connections_closed_total")), "job", "reason"),
                f"{NODE} {{{{reason}}}}",
            ),
            width=8,
            minimum=0,
        ),
    ],
)

UNITY = Section(
    "Bridge to Unity",
    [
        number("Clients", "none", "Clients that are connected.", Query(f"sum({of_bridge('unity_bridge_clients')})"), width=8),
        number(
            "Dropped",
            "mps",
            "Messages for clients that did not read them in time.",
            Query(f"sum({per_second(of_bridge('unity_bridge_messages_dropped_total'))})"),
            width=8,
            bad_from=0.001,
        ),
        number(
            "Refused connections",
            "none",
            "Connections since the start that were closed at once, since max_clients were there.",
            Query(f"sum({of_bridge('unity_bridge_refused_connections_total')})"),
            width=8,
            bad_from=1,
        ),
        lines(
            "Throughput",
            "Bps",
            "Bytes to and from clients.",
            Query(total(per_second(of_bridge("unity_bridge_sent_bytes_total"))), f"{ROBOT} to clients"),
            Query(total(per_second(of_bridge("unity_bridge_received_bytes_total"))), f"{ROBOT} from clients"),
            minimum=0,
        ),
        lines(
            "Messages",
            "mps",
            "To clients, and of clients to ROS.",
            Query(total(per_second(of_bridge("unity_bridge_messages_sent_total")), "topic_name"), f"{TOPIC} to clients"),
            Query(total(per_second(of_bridge("unity_bridge_messages_published_total")), "topic_name"), f"{TOPIC} to ROS"),
            minimum=0,
        ),
        lines(
            "Messages dropped and lost",
            "mps",
            "Dropped for clients that are too slow, by reason; lost before they came to the bridge.",
            Query(
                total(per_second(of_bridge("unity_bridge_messages_dropped_total")), "topic_name", "reason"),
                f"{TOPIC} {{{{reason}}}}",
            ),
            Query(total(per_second(of_bridge("unity_bridge_messages_lost_total")), "topic_name"), f"{TOPIC} lost"),
            minimum=0,
        ),
        lines(
            "Time that messages wait",
            "s",
            "99 of 100 messages wait no longer for their client.",
            Query(quantile(0.99, of_bridge("unity_bridge_queue_age_seconds_bucket"), "topic_name"), TOPIC),
            minimum=0,
        ),
        lines(
            "Services",
            "s",
            "99 of 100 requests, between clients and ROS, take no longer to be answered.",
            Query(
                quantile(0.99, of_bridge("unity_bridge_service_duration_seconds_bucket"), "service_name", "direction"),
                "{{robot}} {{service_name}} {{direction}}",
            ),
            minimum=0,
        ),
        lines(
            "Refusals and errors",
            "cps",
            "What clients wanted and did not get, frames that were not understood, and clients that are gone, by reason.",
            Query(
                total(per_second(of_bridge("unity_bridge_refusals_total")), "operation", "reason"),
                f"{ROBOT} {{{{operation}}}}: {{{{reason}}}}",
            ),
            Query(total(per_second(of_bridge("unity_bridge_protocol_errors_total")), "kind"), f"{ROBOT} {{{{kind}}}}"),
            Query(total(per_second(of_bridge("unity_bridge_disconnections_total")), "reason"), f"{ROBOT} gone: {{{{reason}}}}"),
            minimum=0,
        ),
    ],
)

FRAME = Frame(
    uid="digital-twin-resources",
    title="Digital Twin Resources",
    description="Processors, memory and GPUs of nodes and hosts, what scrapes cost, and the bridge to Unity.",
    sections=[PROCESSES, HOSTS, GPUS, EXPORTERS, UNITY],
    variables=[Variable("node", "Node", select("digital_twin_build_info", *NODES), "job")],
)
