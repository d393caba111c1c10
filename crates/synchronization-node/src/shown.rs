//! What other threads see of the ticks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rtrb::Producer;
use twin_sync::{Synchronizer, Transition};

use crate::known::Known;
use crate::report::SharedReport;

/// How often the report is made anew.
const REPORT_EVERY_NS: u64 = 50_000_000;

/// Written by the ticking thread, which waits for nobody who reads.
pub(crate) struct Shown {
    report: SharedReport,
    report_at_ns: u64,
    transitions: Producer<Transition>,
    last_transition: Option<Transition>,
    last_tick_ns: Arc<AtomicU64>,
}

impl Shown {
    /// `last_tick_ns` is when the last tick ended, in nanoseconds of the node's monotonic clock.
    pub(crate) fn new(report: SharedReport, transitions: Producer<Transition>, last_tick_ns: Arc<AtomicU64>) -> Self {
        Self { report, report_at_ns: 0, transitions, last_transition: None, last_tick_ns }
    }

    pub(crate) fn tell_transition(&mut self, transition: Transition) {
        self.last_transition = Some(transition);
        // Whoever logs it has long gone when there is no room.
        self.transitions.push(transition).ok();
        // Soon, so that nobody reads the state of before for long.
        self.report_at_ns = 0;
    }

    /// Shows how things are, unless that was done lately or somebody reads.
    pub(crate) fn make_report(&mut self, synchronizer: &Synchronizer, known: &Known, now_ns: u64) {
        if now_ns < self.report_at_ns {
            return;
        }
        let Some(mut report) = self.report.try_write() else { return };
        report.take(synchronizer, known, now_ns as i64);
        if let Some(transition) = self.last_transition {
            (report.state, report.cause) = (transition.to, transition.cause);
        }
        self.report_at_ns = now_ns + REPORT_EVERY_NS;
    }

    pub(crate) fn end_tick(&self, now_ns: u64) {
        self.last_tick_ns.store(now_ns, Ordering::Relaxed);
    }
}
