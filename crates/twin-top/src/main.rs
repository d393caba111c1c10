//! `ros2 topic hz` for all topics at once, and what our nodes know beside: topics with status and reason, rates, ages and
//! losses; joints; robots and their twins; Unity's clients. In a terminal, as a table or as JSON, by the nodes' metrics pages.
//!
//! It asks ROS nothing, and so neither adds a subscription nor takes part in discovery: whoever looks costs the robot nothing.

mod arguments;
mod measures;
mod model;
mod quantity;
mod rates;
mod report;
mod scrape;
mod screen;
mod table;
mod view;
mod watch;
mod whereabouts;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use metrics_client::flags::Refusal;
use metrics_client::{Client, Endpoint};

use arguments::{Output, Plan};
use model::{Model, State};
use whereabouts::Whereabouts;

fn main() -> ExitCode {
    let plan = match arguments::parse(std::env::args_os()) {
        Ok(plan) => plan,
        Err(refusal) => return refusal.tell(),
    };
    let has_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    if plan.output == Output::Screen && !has_terminal {
        return Refusal::Values(vec!["there is no terminal here: --once prints a table, --json JSON".to_owned()])
            .tell();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("no threads: {error}")),
    };
    let code = runtime.block_on(run(&plan)).unwrap_or_else(|fault| fail(&fault));
    // A program that hands out credentials may still run, and is not waited for.
    runtime.shutdown_background();
    code
}

async fn run(plan: &Plan) -> Result<ExitCode, String> {
    let whereabouts = Whereabouts::of(&plan.target, plan.timeout).await?;
    let endpoints = whereabouts.endpoints().await?;
    if plan.output == Output::Screen {
        let ended = watch::watch(plan, &whereabouts, endpoints).await;
        return ended.map(|()| ExitCode::SUCCESS).map_err(|error| format!("the terminal: {error}"));
    }
    let model = look_once(plan, &endpoints).await;
    let text = if plan.output == Output::Json { report::json(&model) } else { report::table(&model, plan.view) };
    print(&text).map_err(|error| format!("the report cannot be written: {error}"))?;
    tell_who_is_down(&model);
    if model.measures().next().is_none() {
        return Ok(ExitCode::FAILURE);
    }
    if plan.output == Output::Table && plan.view.rows(&model).is_empty() {
        eprintln!("warning: {}", plan.view.when_empty());
    }
    Ok(ExitCode::SUCCESS)
}

/// Once; twice, an interval apart, where a rate takes it.
async fn look_once(plan: &Plan, endpoints: &[Endpoint]) -> Model {
    let mut model = Model::of(endpoints);
    let mut clients = Vec::with_capacity(endpoints.len());
    for endpoint in endpoints {
        clients.push((Client::new(&endpoint.place, &plan.access, plan.timeout), endpoint.path.as_str()));
    }
    model.take_all(scrape::look_at_all(&mut clients).await);
    if model.lacks_rates() {
        tokio::time::sleep(plan.interval).await;
        model.take_all(scrape::look_at_all(&mut clients).await);
    }
    model
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Beside the table or the JSON, not in it: scripts that look for one topic need not know.
fn tell_who_is_down(model: &Model) {
    for observed in &model.endpoints {
        if let State::Down(why) = &observed.state {
            eprintln!("warning: {}: {why}", observed.name);
        }
    }
}

fn fail(text: &str) -> ExitCode {
    eprintln!("error: {text}");
    ExitCode::FAILURE
}
