//! Looks at a digital twin as a whole, once, and says of each part what is wrong and what to do: the cluster's nodes,
//! the release's pods, the ROS nodes behind their metrics pages, the synchronization of the twin, Prometheus and its
//! alerts.
//!
//! Not for watching: that is Prometheus's part. Every check is bounded in time and every answer in size, and what could
//! not be told counts as much as what is wrong.

mod alerts;
mod arguments;
mod checks;
mod cluster;
mod cluster_nodes;
mod endpoint;
mod graph;
mod pods;
mod prometheus;
mod report;
mod targets;
mod twin;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Instant;

use arguments::Plan;
use report::Report;

fn main() -> ExitCode {
    let plan = match arguments::parse(std::env::args_os()) {
        Ok(plan) => plan,
        Err(refusal) => return refusal.tell(),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("no threads: {error}")),
    };
    let report = runtime.block_on(check_until_healthy(&plan));
    // A program that hands out credentials may still run, and is not waited for.
    runtime.shutdown_background();
    if let Err(error) = print(&report, &plan) {
        return fail(&format!("the report cannot be written: {error}"));
    }
    if report.is_healthy() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The first report in which all is well, or the one that begins last within the time of `--wait`.
async fn check_until_healthy(plan: &Plan) -> Report {
    let give_up = Instant::now() + plan.wait;
    loop {
        let report = Report::new(checks::run(plan).await);
        if report.is_healthy() || Instant::now() + checks::INTERVAL > give_up {
            return report;
        }
        tokio::time::sleep(checks::INTERVAL).await;
    }
}

fn print(report: &Report, plan: &Plan) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let text = if plan.json { report.json() } else { report.table(is_coloured()) };
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// On a terminal, unless <https://no-color.org> says otherwise.
fn is_coloured() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn fail(text: &str) -> ExitCode {
    eprintln!("error: {text}");
    ExitCode::FAILURE
}
