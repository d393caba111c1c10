//! The screen, kept up to date until somebody ends it.

use std::io;
use std::time::Duration;

use crossterm::event::{Event, EventStream};
use futures::StreamExt as _;
use futures::stream::{self, LocalBoxStream};
use metrics_client::Endpoint;
use ratatui::DefaultTerminal;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Semaphore;

use crate::arguments::Plan;
use crate::model::Model;
use crate::scrape::{LOOKS_AT_ONCE, Look, looks};
use crate::screen::{Outcome, Screen};
use crate::view::{Palette, draw};
use crate::whereabouts::Whereabouts;

/// After so many looks it is asked whether other pods run: they are replaced now and then.
const LOOKS_PER_SEARCH: u32 = 10;

/// Runs until a key or a signal ends it.
///
/// # Errors
/// The terminal's.
pub(crate) async fn watch(plan: &Plan, whereabouts: &Whereabouts<'_>, endpoints: Vec<Endpoint>) -> io::Result<()> {
    let signals = Signals::new()?;
    let terminal = ratatui::try_init()?;
    // From here on the terminal is given back, whatever happens: after a panic by ratatui's hook.
    let _restored = Restored;
    let palette = Palette { is_coloured: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) };
    let session = Session {
        plan,
        whereabouts,
        terminal,
        keys: EventStream::new(),
        signals,
        model: Model::of(&endpoints),
        screen: Screen::new(plan.view),
        palette,
    };
    session.run(endpoints).await
}

/// Gives the terminal back.
struct Restored;

impl Drop for Restored {
    fn drop(&mut self) {
        // One that has gone needs nothing.
        let _ = ratatui::try_restore();
    }
}

struct Session<'a> {
    plan: &'a Plan,
    whereabouts: &'a Whereabouts<'a>,
    terminal: DefaultTerminal,
    keys: EventStream,
    signals: Signals,
    model: Model,
    screen: Screen,
    palette: Palette,
}

impl Session<'_> {
    /// With the endpoints that there are, until there are others.
    async fn run(mut self, mut endpoints: Vec<Endpoint>) -> io::Result<()> {
        while let Some(others) = self.follow(&endpoints).await? {
            self.model.follow(&others);
            endpoints = others;
        }
        Ok(())
    }

    /// The endpoints that there are instead of these, or none at the end.
    async fn follow(&mut self, endpoints: &[Endpoint]) -> io::Result<Option<Vec<Endpoint>>> {
        let turns = Semaphore::new(LOOKS_AT_ONCE);
        let mut looks = all_looks(endpoints, self.plan, &turns);
        let mut others =
            std::pin::pin!(other_endpoints(self.whereabouts, endpoints, LOOKS_PER_SEARCH * self.plan.interval));
        loop {
            self.terminal.draw(|frame| draw(frame, &self.model, &mut self.screen, self.palette))?;
            tokio::select! {
                Some(looks) = looks.next() => self.take(looks),
                event = self.keys.next() => match event {
                    Some(Ok(Event::Key(key))) if self.screen.press(key) == Outcome::Quit => return Ok(None),
                    // A change of size is drawn as everything else is.
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(error),
                    // The terminal has gone.
                    None => return Ok(None),
                },
                () = self.signals.any() => return Ok(None),
                others = &mut others => return Ok(Some(others)),
            }
        }
    }

    fn take(&mut self, looks: Vec<(usize, Look)>) {
        if !self.screen.is_paused {
            for (index, look) in looks {
                self.model.take(index, look);
            }
        }
    }
}

/// Each with the number of its endpoint; those at a time that are there, so that of many not each is drawn.
fn all_looks<'a>(
    endpoints: &'a [Endpoint],
    plan: &'a Plan,
    turns: &'a Semaphore,
) -> LocalBoxStream<'a, Vec<(usize, Look)>> {
    let each = endpoints
        .iter()
        .enumerate()
        .map(|(index, endpoint)| looks(endpoint, plan, turns).map(move |look| (index, look)).boxed_local());
    stream::select_all(each).ready_chunks(endpoints.len()).boxed_local()
}

/// Waits until there are others. Where that cannot be told, those that are known go on.
async fn other_endpoints(whereabouts: &Whereabouts<'_>, known: &[Endpoint], every: Duration) -> Vec<Endpoint> {
    if !whereabouts.may_change() {
        return std::future::pending().await;
    }
    let places = |endpoints: &[Endpoint]| endpoints.iter().map(|one| one.place.to_string()).collect::<Vec<_>>();
    loop {
        tokio::time::sleep(every).await;
        if let Ok(found) = whereabouts.endpoints().await
            && places(&found) != places(known)
        {
            return found;
        }
    }
}

/// Those that end it. Ctrl-C is a key.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
