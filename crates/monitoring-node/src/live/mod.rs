//! The live page: topics, joints and twins as they change, in a browser. Its files are in `page/`.
//!
//! It reads what the ROS threads have written down anyway. Only the values of joints are taken for it, and only while somebody looks.

mod audience;
mod event;
mod joint_values;
mod synchronizer;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use exposition::{EventSource, Live, LiveFile};
use joint_state::Snapshot;
use node_runtime::{Heartbeat, MonotonicClock};

pub(crate) use self::audience::Audience;
use self::event::Event;
pub(crate) use self::joint_values::JointValues;
pub(crate) use self::synchronizer::{Synchronizer, Synchronizers};
use crate::watch::Reports;

const PERIOD: Duration = Duration::from_millis(200);

const SCRIPT: &str = "text/javascript; charset=utf-8";

const FILES: [LiveFile; 9] = [
    LiveFile { name: "live.css", content_type: "text/css; charset=utf-8", body: include_str!("page/live.css") },
    LiveFile { name: "live.js", content_type: SCRIPT, body: include_str!("page/live.js") },
    LiveFile { name: "connection.js", content_type: SCRIPT, body: include_str!("page/connection.js") },
    LiveFile { name: "topics.js", content_type: SCRIPT, body: include_str!("page/topics.js") },
    LiveFile { name: "joints.js", content_type: SCRIPT, body: include_str!("page/joints.js") },
    LiveFile { name: "twins.js", content_type: SCRIPT, body: include_str!("page/twins.js") },
    LiveFile { name: "dom.js", content_type: SCRIPT, body: include_str!("page/dom.js") },
    LiveFile { name: "plot.js", content_type: SCRIPT, body: include_str!("page/plot.js") },
    LiveFile { name: "icon.svg", content_type: "image/svg+xml", body: include_str!("page/icon.svg") },
];

/// The page, and what it is told.
pub(crate) fn live(
    reports: Vec<Reports>,
    heartbeats: Vec<Heartbeat>,
    audience: Arc<Audience>,
    clock: MonotonicClock,
) -> Live {
    Live {
        description: "topics, joints and twins as they change".to_owned(),
        page: include_str!("page/live.html"),
        files: FILES.to_vec(),
        source: Arc::new(Source { reports, heartbeats, audience, clock, snapshot: Mutex::default() }),
        period: PERIOD,
    }
}

struct Source {
    reports: Vec<Reports>,
    heartbeats: Vec<Heartbeat>,
    audience: Arc<Audience>,
    clock: MonotonicClock,
    /// Kept for the next event. Nobody waits for it: one thread makes the events.
    snapshot: Mutex<Snapshot>,
}

impl EventSource for Source {
    fn write_event(&self, out: &mut Vec<u8>) {
        let now = Instant::now();
        let now_ns = self.clock.nanoseconds(now);
        self.audience.look(now_ns);
        let silent = self.heartbeats.iter().map(Heartbeat::silent_for).max().unwrap_or_default();
        let known: Vec<_> = self.reports.iter().map(Reports::read).collect();
        let mut snapshot = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.iter().map(|known| &**known);
        let event = Event::new(known, &mut snapshot, silent.as_secs_f64(), now, now_ns);
        if let Err(error) = serde_json::to_writer(out, &event) {
            tracing::error!(%error, "what the live page is told cannot be written");
        }
    }
}
