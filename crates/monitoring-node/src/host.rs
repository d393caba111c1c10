//! What this machine has and uses, read when a scrape asks for it.

use procfs::{Current, CurrentSI, KernelStats, LoadAverage, Meminfo, ticks_per_second};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, Gauge, Opts, Result};

use crate::metrics::raise_to;

/// Reads the machine anew for every scrape. What the system does not tell has no series.
pub(crate) struct Host {
    cpu: CounterVec,
    memory_total: Gauge,
    memory_available: Gauge,
    load: Gauge,
}

impl Host {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            cpu: CounterVec::new(
                Opts::new("host_cpu_seconds_total", "Time that all processors of this machine spent, by what on."),
                &["mode"],
            )?,
            memory_total: Gauge::new("host_memory_total_bytes", "Memory of this machine.")?,
            memory_available: Gauge::new(
                "host_memory_available_bytes",
                "Memory that programs can have without any other being swapped out.",
            )?,
            load: Gauge::new("host_load1", "Threads that ran or waited to run, over the last minute.")?,
        })
    }

    fn read_cpu(&self) -> Vec<MetricFamily> {
        let Ok(KernelStats { total, .. }) = KernelStats::current() else { return Vec::new() };
        let modes = [
            ("user", total.user + total.nice),
            ("system", total.system + total.irq.unwrap_or(0) + total.softirq.unwrap_or(0)),
            ("idle", total.idle),
            ("iowait", total.iowait.unwrap_or(0)),
            ("steal", total.steal.unwrap_or(0)),
        ];
        for (mode, ticks) in modes {
            let counter = self.cpu.with_label_values(&[mode]);
            // The kernel's own counts can go back by a tick; ours do not.
            raise_to(&counter, ticks as f64 / ticks_per_second() as f64);
        }
        self.cpu.collect()
    }

    fn read_memory(&self) -> Vec<MetricFamily> {
        let Ok(Meminfo { mem_total, mem_available: Some(mem_available), .. }) = Meminfo::current() else {
            return Vec::new();
        };
        self.memory_total.set(mem_total as f64);
        self.memory_available.set(mem_available as f64);
        [self.memory_total.collect(), self.memory_available.collect()].concat()
    }

    fn read_load(&self) -> Vec<MetricFamily> {
        let Ok(LoadAverage { one, .. }) = LoadAverage::current() else { return Vec::new() };
        self.load.set(f64::from(one));
        self.load.collect()
    }
}

impl Collector for Host {
    fn desc(&self) -> Vec<&Desc> {
        [self.cpu.desc(), self.memory_total.desc(), self.memory_available.desc(), self.load.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        [self.read_cpu(), self.read_memory(), self.read_load()].concat()
    }
}
