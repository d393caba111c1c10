//! What the landing page lists.

use std::sync::Arc;

use exposition::Table;
use node_runtime::MonotonicClock;
use topic_watch::TopicView;

use crate::report::{Report, SharedReport};

/// Makes the tables when they are asked for.
pub(crate) fn tables(
    report: SharedReport,
    views: [Arc<TopicView>; 2],
    clock: MonotonicClock,
    stale_after_ns: u64,
) -> Arc<dyn Fn() -> Vec<Table> + Send + Sync> {
    Arc::new(move || {
        let report = report.read();
        vec![synchronization(&report), inputs(&views, clock.now_ns(), stale_after_ns), joints(&report)]
    })
}

fn synchronization(report: &Report) -> Table {
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.4}"));
    let row = vec![
        report.state.name().to_owned(),
        report.cause.text().to_owned(),
        number(report.quality),
        number(report.mean_error),
        number(report.lag_seconds),
        report.alignment.map_or("", |alignment| alignment.name()).to_owned(),
    ];
    table("Synchronization", &["State", "Cause", "Quality", "Mean error", "Lag (s)", "Time alignment"], vec![row])
}

fn inputs(views: &[Arc<TopicView>; 2], now_ns: u64, stale_after_ns: u64) -> Table {
    let row = |view: &Arc<TopicView>| {
        let status = view.status(now_ns, stale_after_ns).name().to_owned();
        vec![view.name.clone(), status, view.publishers().matched.to_string(), view.metrics.messages.get().to_string()]
    };
    table("Inputs", &["Topic", "Status", "Publishers", "Messages"], views.iter().map(row).collect())
}

fn joints(report: &Report) -> Table {
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.4}"));
    let rows = report.names.iter().zip(&report.joints).map(|(name, joint)| {
        let lag = joint.analysis.and_then(|analysis| analysis.lag);
        vec![
            name.to_string(),
            number(joint.error.map(|error| error.raw)),
            number(joint.error.and_then(|error| error.compensated)),
            number(joint.analysis.map(|analysis| analysis.raw.rmse)),
            number(lag.map(|lag| lag.seconds)),
        ]
    });
    table("Joints", &["Joint", "Error", "Error without lag", "RMS error", "Lag (s)"], rows.collect())
}

fn table(heading: &str, columns: &[&str], rows: Vec<Vec<String>>) -> Table {
    Table { heading: heading.to_owned(), columns: columns.iter().map(|name| (*name).to_owned()).collect(), rows }
}
