"""What the nodes' processes use, which two dashboards show."""

from .panels import PanelBuilder, Query, lines
from .promql import NODES, greatest, per_second, select


def processor(*, where: str = "") -> PanelBuilder:
    return lines(
        "Processor",
        "percentunit",
        "Share of one processor that each node uses: 200 % are two processors.",
        Query(greatest(per_second(select("process_cpu_seconds_total", *NODES, where=where)), "job"), "{{robot}} {{job}}"),
        minimum=0,
    )


def memory(*, where: str = "") -> PanelBuilder:
    return lines(
        "Memory",
        "bytes",
        "Resident memory of each node.",
        Query(greatest(select("process_resident_memory_bytes", *NODES, where=where), "job"), "{{robot}} {{job}}"),
        minimum=0,
    )
