//! What the process uses, by the names that all of Prometheus's client libraries have for it
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>).
//!
//! The collector of the crate prometheus counts the CPU in whole seconds, in which a node that uses 1 % of one shows nothing
//! for minutes.

use procfs::ProcResult;
use procfs::process::{LimitValue, Process};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge, Result};

/// Reads `/proc` when a scrape asks.
pub(crate) struct ProcessCollector {
    cpu_seconds: Counter,
    open_fds: Gauge,
    max_fds: Gauge,
    virtual_bytes: Gauge,
    resident_bytes: Gauge,
    start_time: Gauge,
    threads: Gauge,
}

impl ProcessCollector {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            cpu_seconds: Counter::new("process_cpu_seconds_total", "User and system CPU time.")?,
            open_fds: Gauge::new("process_open_fds", "Open file descriptors.")?,
            max_fds: Gauge::new("process_max_fds", "Most file descriptors that may be open.")?,
            virtual_bytes: Gauge::new("process_virtual_memory_bytes", "Size of the virtual memory.")?,
            resident_bytes: Gauge::new("process_resident_memory_bytes", "Size of the resident memory.")?,
            start_time: Gauge::new(
                "process_start_time_seconds",
                "When the process started, in seconds since the Unix epoch.",
            )?,
            threads: Gauge::new("process_threads", "Threads of the process.")?,
        })
    }

    fn families(&self) -> [&dyn Collector; 7] {
        let Self { cpu_seconds, open_fds, max_fds, virtual_bytes, resident_bytes, start_time, threads } = self;
        [cpu_seconds, open_fds, max_fds, virtual_bytes, resident_bytes, start_time, threads]
    }

    fn read(&self) -> ProcResult<()> {
        let process = Process::myself()?;
        let stat = process.stat()?;
        let ticks_per_second = procfs::ticks_per_second() as f64;
        let cpu_seconds = (stat.utime + stat.stime) as f64 / ticks_per_second;
        // Another scrape may have told more meanwhile.
        self.cpu_seconds.inc_by((cpu_seconds - self.cpu_seconds.get()).max(0.0));
        self.virtual_bytes.set(stat.vsize as f64);
        self.resident_bytes.set((stat.rss * procfs::page_size()) as f64);
        self.threads.set(stat.num_threads as f64);
        self.start_time.set(procfs::boot_time_secs()? as f64 + stat.starttime as f64 / ticks_per_second);
        self.open_fds.set(process.fd_count()? as f64);
        let max_fds = process.limits()?.max_open_files.soft_limit;
        self.max_fds.set(match max_fds {
            LimitValue::Value(max) => max as f64,
            LimitValue::Unlimited => f64::INFINITY,
        });
        Ok(())
    }
}

impl Collector for ProcessCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.families().into_iter().flat_map(Collector::desc).collect()
    }

    /// Nothing where `/proc` cannot be read: what is not known has no series.
    fn collect(&self) -> Vec<MetricFamily> {
        match self.read() {
            Ok(()) => self.families().into_iter().flat_map(Collector::collect).collect(),
            Err(_) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn cpu_time_is_told_in_less_than_seconds() {
        let collector = ProcessCollector::new().expect("legal names");
        let told = || {
            collector.collect();
            collector.cpu_seconds.get()
        };
        let (before, began) = (told(), Instant::now());
        while told() == before {
            assert!(began.elapsed().as_secs() < 60, "it works and nothing is told of it");
        }
        assert!(told() - before < 1.0);
        assert!(collector.resident_bytes.get() > 0.0 && collector.threads.get() >= 1.0);
    }
}
