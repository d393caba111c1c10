//! Service servers, driven by the spinner.

use std::sync::{Arc, Mutex, PoisonError};

use r2r::WrappedServiceTypeSupport;

use crate::announced::Arrivals;
use crate::service_endpoint::{RequestId, ServiceEndpoint};
use crate::service_type::{CompiledService, ServiceType};
use crate::{Error, GuardCondition, Node};

type Response<S> = <S as WrappedServiceTypeSupport>::Response;

type Handler<S> = Box<dyn FnMut(<S as WrappedServiceTypeSupport>::Request) -> Reply<Response<S>> + Send>;

/// Tells whether the answer is there yet, and what it is.
type Later<R> = Box<dyn FnMut() -> Option<R> + Send>;

/// What a service makes of a request.
pub enum Reply<R> {
    /// The answer.
    Now(R),
    /// The answer comes later: asked at every turn of the spinner until it is there. Whoever makes it wakes the spinner, and
    /// whoever promises it sees to it that not too many wait.
    Later(Later<R>),
}

/// Answers requests of one service with a function that runs on the spinner's thread.
pub struct Service<S: WrappedServiceTypeSupport + 'static> {
    endpoint: ServiceEndpoint<CompiledService<S>>,
    handler: Handler<S>,
    waiting: Vec<(RequestId, Later<Response<S>>)>,
}

impl<S: WrappedServiceTypeSupport + 'static> Service<S> {
    /// Offers the service `name`, relative to the node's namespace unless it begins with `/`; `~/name` is private.
    pub fn new(
        node: &Node,
        name: &str,
        mut handler: impl FnMut(S::Request) -> S::Response + Send + 'static,
    ) -> Result<Self, Error> {
        Self::replying(node, name, move |request| Reply::Now(handler(request)))
    }

    /// As [`Service::new`], with a function that may answer later.
    ///
    /// # Errors
    /// As of [`Service::new`].
    pub fn replying(
        node: &Node,
        name: &str,
        handler: impl FnMut(S::Request) -> Reply<S::Response> + Send + 'static,
    ) -> Result<Self, Error> {
        let endpoint = ServiceEndpoint::new(CompiledService::default(), node, name)?;
        Ok(Self { endpoint, handler: Box::new(handler), waiting: Vec::new() })
    }
}

/// What the spinner needs of a service, whatever its type.
pub(crate) trait Answering: Send {
    /// From now on `wake` is triggered when requests have come, also before this call.
    fn announce_to(&mut self, wake: GuardCondition) -> Result<(), Error>;
    /// Answers the requests that wait, if any were announced, up to a batch: a flood of them must not keep the spinner from
    /// the rest. And those before whose answer has come by now.
    fn answer(&mut self) -> Result<(), Error>;
}

impl<S: WrappedServiceTypeSupport + 'static> Answering for Service<S> {
    fn announce_to(&mut self, wake: GuardCondition) -> Result<(), Error> {
        self.endpoint.announce_to(wake)
    }

    fn answer(&mut self) -> Result<(), Error> {
        let mut answered = Ok(());
        for _ in 0..self.endpoint.pending() {
            // One that fails does not keep the next ones from an answer.
            if let Err(error) = self.answer_one() {
                answered = Err(error);
            }
        }
        answered.and(self.answer_waiting())
    }
}

impl<S: WrappedServiceTypeSupport + 'static> Service<S> {
    fn answer_one(&mut self) -> Result<(), Error> {
        let Some((id, request)) = self.endpoint.take_request()? else { return Ok(()) };
        match (self.handler)(request) {
            Reply::Now(response) => self.endpoint.send_response(id, &response),
            Reply::Later(later) => {
                self.waiting.push((id, later));
                Ok(())
            }
        }
    }

    fn answer_waiting(&mut self) -> Result<(), Error> {
        let mut answered = Ok(());
        self.waiting.retain_mut(|(id, later)| {
            let Some(response) = later() else { return true };
            if let Err(error) = self.endpoint.send_response(*id, &response) {
                answered = Err(error);
            }
            false
        });
        answered
    }
}

/// Answers requests of one service of any installed type; both are serialized messages: 4 bytes of encapsulation, then CDR.
/// Dropped, it ends with the spinner's turn.
pub struct SerializedService {
    shared: Arc<Shared>,
}

struct Shared {
    endpoint: ServiceEndpoint<ServiceType>,
    handler: Mutex<SerializedHandler>,
}

type SerializedHandler = Box<dyn FnMut(RequestId, Vec<u8>) + Send>;

impl SerializedService {
    /// Offers the service `name`, relative to the node's namespace unless it begins with `/`. `handler` gets each request on
    /// the spinner's thread; whoever answers it does so by [`Self::respond`].
    ///
    /// # Errors
    /// When the name is not legal, or the middleware refuses.
    pub fn new(
        service_type: ServiceType,
        node: &Node,
        name: &str,
        handler: impl FnMut(RequestId, Vec<u8>) + Send + 'static,
    ) -> Result<Self, Error> {
        let endpoint = ServiceEndpoint::new(service_type, node, name)?;
        Ok(Self { shared: Arc::new(Shared { endpoint, handler: Mutex::new(Box::new(handler)) }) })
    }

    /// Answers a request of this service, once, from any thread.
    ///
    /// # Errors
    /// When it is no response of the type, or the middleware does not take it.
    pub fn respond(&self, id: RequestId, response: &[u8]) -> Result<(), Error> {
        self.shared.endpoint.send_response(id, response)
    }

    /// What the spinner has to take from, for as long as it is there.
    pub(crate) fn for_spinner(&self) -> Arc<dyn Arrivals> {
        Arc::<Shared>::clone(&self.shared)
    }
}

impl Arrivals for Shared {
    fn announce_to(&self, wake: GuardCondition) -> Result<(), Error> {
        self.endpoint.announce_to(wake)
    }

    fn take(&self) -> Result<(), Error> {
        let mut taken = Ok(());
        for _ in 0..self.endpoint.pending() {
            match self.endpoint.take_request() {
                Ok(Some((id, request))) => {
                    (self.handler.lock().unwrap_or_else(PoisonError::into_inner))(id, request);
                }
                Ok(None) => {}
                Err(error) => taken = Err(error),
            }
        }
        taken
    }
}
