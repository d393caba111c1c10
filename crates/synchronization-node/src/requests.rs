//! What others ask of the node through its services: asked on the ROS thread, done and answered by the ticking thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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

/// Stops that are asked for. They wait in no queue: however many other requests do, none is refused.
#[derive(Clone, Default)]
pub(crate) struct Stops(Arc<StopCounts>);

#[derive(Default)]
struct StopCounts {
    asked: AtomicU64,
    done: AtomicU64,
}

impl Stops {
    /// Asks for one, and tells its number.
    pub(crate) fn ask(&self) -> u64 {
        self.0.asked.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// The number of the last one, where it is not done.
    pub(crate) fn pending(&self) -> Option<u64> {
        let asked = self.0.asked.load(Ordering::Acquire);
        (!self.is_done(asked)).then_some(asked)
    }

    /// All up to this one are done.
    pub(crate) fn finish(&self, number: u64) {
        self.0.done.store(number, Ordering::Release);
    }

    fn is_done(&self, number: u64) -> bool {
        self.0.done.load(Ordering::Acquire) >= number
    }
}

/// Offers the services; `wake` is called when there is a request.
pub(crate) fn offer(
    node: &Node,
    spinner: &mut Spinner,
    wake: impl Fn() + Clone + Send + 'static,
) -> Result<(Receiver<Request>, Stops), Error> {
    let (sender, receiver) = sync_channel(WAITING_MAX);
    let desk = Desk { sender, stops: Stops::default(), wake };
    let stops = desk.stops.clone();
    for (name, wish) in
        [("~/resync", Wish::Resync), ("~/reset_statistics", Wish::ResetStatistics), ("~/clear_fault", Wish::ClearFault)]
    {
        let desk = desk.clone();
        let service = Service::<Trigger::Service>::replying(node, name, move |_| {
            desk.ask(wish, |answer| Trigger::Response { success: answer.success, message: answer.message })
        })?;
        spinner.add_service(service)?;
    }
    let stop_desk = desk.clone();
    let service = Service::<Trigger::Service>::replying(node, "~/safety_stop", move |_| {
        stop_desk.stop(|answer| Trigger::Response { success: answer.success, message: answer.message })
    })?;
    spinner.add_service(service)?;
    let service = Service::<SetBool::Service>::replying(node, "~/enable", move |request: SetBool::Request| {
        let wish = Wish::Enable(request.data);
        desk.ask(wish, |answer| SetBool::Response { success: answer.success, message: answer.message })
    })?;
    spinner.add_service(service)?;
    Ok((receiver, stops))
}

/// Hands requests on.
#[derive(Clone)]
struct Desk<W> {
    sender: SyncSender<Request>,
    stops: Stops,
    wake: W,
}

impl<W: Fn()> Desk<W> {
    fn stop<R>(&self, response: impl Fn(Answer) -> R + Send + 'static) -> Reply<R> {
        let (stops, number) = (self.stops.clone(), self.stops.ask());
        (self.wake)();
        Reply::Later(Box::new(move || stops.is_done(number).then(|| response(Answer::done("stopped")))))
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_is_taken_however_many_requests_wait() {
        let (sender, _receiver) = sync_channel(1);
        let desk = Desk { sender, stops: Stops::default(), wake: || () };
        assert!(matches!(desk.ask(Wish::Resync, |answer| answer), Reply::Later(_)));
        assert!(matches!(desk.ask(Wish::Resync, |answer| answer), Reply::Now(Answer { success: false, .. })));
        let mut stops = [(); 2].map(|()| desk.stop(|answer| answer));
        let mut answers = || {
            stops.each_mut().map(|reply| match reply {
                Reply::Later(later) => later().map(|answer| answer.success),
                Reply::Now(answer) => Some(answer.success),
            })
        };
        assert_eq!((answers(), desk.stops.pending()), ([None; 2], Some(2)));
        desk.stops.finish(1);
        assert_eq!((answers(), desk.stops.pending()), ([Some(true), None], Some(2)));
        desk.stops.finish(2);
        assert_eq!((answers()[1], desk.stops.pending()), (Some(true), None));
    }
}
