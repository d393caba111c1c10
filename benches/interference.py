"""What else used the processors while something was measured: a number to judge the other numbers by."""

import os
import resource
import time
from pathlib import Path

# /proc/stat, first line, after its name (proc_stat(5)).
USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, STEAL = range(8)


class Interference:
    """Measures from its making on; the measured processes have to be ended before it is read."""

    def __init__(self):
        self.began = time.monotonic()
        self.machine_before = machine_seconds()
        self.ours_before = our_seconds()

    def processors(self):
        """Processors kept busy by others, and processors that the hypervisor gave to other machines."""
        elapsed = time.monotonic() - self.began
        spent = [after - before for before, after in zip(self.machine_before, machine_seconds())]
        busy = spent[USER] + spent[NICE] + spent[SYSTEM] + spent[IRQ] + spent[SOFTIRQ]
        others = max(0.0, busy - (our_seconds() - self.ours_before))
        return {"others": others / elapsed, "stolen": spent[STEAL] / elapsed}


def machine_seconds():
    ticks_per_second = os.sysconf("SC_CLK_TCK")
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    return [int(field) / ticks_per_second for field in fields]


def our_seconds():
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
