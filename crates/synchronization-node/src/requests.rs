//! What others ask of the node through its services: asked on the ROS thread, done and answered by the ticking thread.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use r2r::std_srvs::srv::{SetBool, Trigger};
use ros_observer::{Error, Node, Reply, Service, Spinner};

/// Requests that may wait for the ticking thread, which looks for them at once.
pub(crate) const WAITING_MAX: usize = 64;

/// What may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Resync,
    ResetStatistics,
    SafetyStop,
    ClearFault,
    Enable(bool),
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) success: bool,
    pub(crate) message: String,
}

impl Answer {
    pub(crate) fn done(message: &str) -> Self {
        Self { success: true, message: message.to_owned() }
    }

    pub(crate) fn refused(message: &str) -> Self {
        Self { success: false, message: message.to_owned() }
    }
}

/// A wish, and where its answer goes.
pub(crate) struct Request {
    pub(crate) wish: Wish,
    pub(crate) answer: SyncSender<Answer>,
}

/// Offers the services; `wake` is called when there is a request.
pub(crate) fn offer(
    node: &Node,
    spinner: &mut Spinner,
    wake: impl Fn() + Clone + Send + 'static,
) -> Result<Receiver<Request>, Error> {
    let (sender, receiver) = sync_channel(WAITING_MAX);
    let desk = Desk { sender, wake };
    for (name, wish) in [
        ("~/resync", Wish::Resync),
        ("~/reset_statistics", Wish::ResetStatistics),
        ("~/safety_stop", Wish::SafetyStop),
        ("~/clear_fault", Wish::ClearFault),
    ] {
        let desk = desk.clone();
        let service = Service::<Trigger::Service>::replying(node, name, move |_| {
            desk.ask(wish, |answer| Trigger::Response { success: answer.success, message: answer.message })
        })?;
        spinner.add_service(service)?;
    }
    let service = Service::<SetBool::Service>::replying(node, "~/enable", move |request: SetBool::Request| {
        let wish = Wish::Enable(request.data);
        desk.ask(wish, |answer| SetBool::Response { success: answer.success, message: answer.message })
    })?;
    spinner.add_service(service)?;
    Ok(receiver)
}

/// Hands requests on.
#[derive(Clone)]
struct Desk<W> {
    sender: SyncSender<Request>,
    wake: W,
}

impl<W: Fn()> Desk<W> {
    fn ask<R>(&self, wish: Wish, response: impl Fn(Answer) -> R + Send + 'static) -> Reply<R> {
        // Room for the one answer: who gives it never waits.
        let (answer, answered) = sync_channel(1);
        match self.sender.try_send(Request { wish, answer }) {
            Ok(()) => {
                (self.wake)();
                Reply::Later(Box::new(move || answered.try_recv().ok().map(&response)))
            }
            Err(TrySendError::Full(_)) => Reply::Now(response(Answer::refused("too many requests wait"))),
            Err(TrySendError::Disconnected(_)) => Reply::Now(response(Answer::refused("the node is stopping"))),
        }
    }
}
