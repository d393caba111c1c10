//! A look at one metrics page.

use std::time::Instant;

use futures::StreamExt as _;
use futures::stream::{self, Stream};
use hyper::StatusCode;
use metrics_client::{Client, Endpoint, Fault, Page, explain, one_line};
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval};

use crate::arguments::Plan;
use crate::measures::Measures;

/// Of a thousand robots, not all at once: each is a connection, and through the API server.
pub(crate) const LOOKS_AT_ONCE: usize = 16;

const DETAIL_CHARACTERS_MAX: usize = 200;

/// What a look brought: or why nothing.
pub(crate) struct Look {
    pub(crate) at: Instant,
    pub(crate) result: Result<Measures, String>,
}

/// Looks over and over, on one connection as long as it lasts; it waits for nobody else but where too many look.
pub(crate) fn looks<'a>(
    endpoint: &'a Endpoint,
    plan: &'a Plan,
    turns: &'a Semaphore,
) -> impl Stream<Item = Look> + use<'a> {
    let client = Client::new(&endpoint.place, &plan.access, plan.timeout);
    let mut times = interval(plan.interval);
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    stream::unfold((client, times), move |(mut client, mut times)| async move {
        times.tick().await;
        let turn = turns.acquire().await;
        let look = look(&mut client, &endpoint.path).await;
        drop(turn);
        Some((look, (client, times)))
    })
}

/// Looks at all of them once; in their order.
pub(crate) async fn look_at_all(clients: &mut [(Client<'_>, &str)]) -> Vec<Look> {
    let all = clients.iter_mut().map(|(client, path)| look(client, path));
    stream::iter(all).buffered(LOOKS_AT_ONCE).collect().await
}

async fn look(client: &mut Client<'_>, path: &str) -> Look {
    let result = ask(client, path).await.map_err(|why| one_line(&why, DETAIL_CHARACTERS_MAX));
    Look { at: Instant::now(), result }
}

async fn ask(client: &mut Client<'_>, path: &str) -> Result<Measures, String> {
    let answer = client.get(path).await.map_err(|fault| match fault {
        Fault::Cluster(error) => format!("{} (needs get and create of pods/portforward)", explain(&error)),
        fault => fault.to_string(),
    })?;
    match answer.status {
        StatusCode::OK => Page::parse(&answer.body).map(|page| Measures::of(&page)).map_err(|error| error.to_string()),
        StatusCode::UNAUTHORIZED => Err("it asks for a user: --username and --password-file".to_owned()),
        status => Err(format!("{path} is {status}: {}", answer.body)),
    }
}
