//! A typed service server, driven by the spinner.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Arc;

use r2r::{WrappedServiceTypeSupport, WrappedTypesupport};
use r2r_rcl::*;

use crate::announced::Announced;
use crate::context::c_string;
use crate::node::NodeHandle;
use crate::{Error, GuardCondition, Node, error::check};

/// Most requests that one turn of the spinner answers.
const BATCH_MAX: usize = 64;

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
pub struct Service<S: WrappedServiceTypeSupport> {
    endpoint: ServiceEndpoint,
    handler: Handler<S>,
    waiting: Vec<(rmw_request_id_t, Later<Response<S>>)>,
}

struct ServiceEndpoint {
    rcl: Box<UnsafeCell<rcl_service_t>>,
    node: Arc<NodeHandle>,
    announced: Option<Arc<Announced>>,
}

// SAFETY: the endpoint is used by one thread at a time (`answer` takes `&mut self`), and rcl binds it to none.
unsafe impl Send for ServiceEndpoint {}

impl<S: WrappedServiceTypeSupport> Service<S> {
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
        let operation = "make a service";
        let name = c_string(name, operation)?;
        // SAFETY: the service is zero-initialised, the node initialised and kept alive by the endpoint, the type
        // support static, the name outlives the call.
        unsafe {
            let endpoint = ServiceEndpoint {
                rcl: Box::new(UnsafeCell::new(rcl_get_zero_initialized_service())),
                node: Arc::clone(node.handle()),
                announced: None,
            };
            let options = rcl_service_get_default_options();
            let guard = node.handle().adding();
            let code =
                rcl_service_init(endpoint.rcl.get(), node.handle().as_ptr(), S::get_ts(), name.as_ptr(), &options);
            // Before a service that was refused is dropped, which takes the lock again.
            drop(guard);
            check(code, operation)?;
            Ok(Self { endpoint, handler: Box::new(handler), waiting: Vec::new() })
        }
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

impl<S: WrappedServiceTypeSupport> Answering for Service<S> {
    fn announce_to(&mut self, wake: GuardCondition) -> Result<(), Error> {
        // SAFETY: the service is initialised; what the callback gets is kept until `ServiceEndpoint::drop` has cleared it.
        self.endpoint.announced = Some(Announced::listen(wake, |callback, user_data| unsafe {
            rcl_service_set_on_new_request_callback(self.endpoint.rcl.get(), callback, user_data)
        })?);
        Ok(())
    }

    fn answer(&mut self) -> Result<(), Error> {
        let pending = self.endpoint.announced.as_ref().map_or(0, |announced| announced.take(BATCH_MAX));
        let mut answered = Ok(());
        for _ in 0..pending {
            // One that fails does not keep the next ones from an answer.
            if let Err(error) = self.answer_one() {
                answered = Err(error);
            }
        }
        answered.and(self.answer_waiting())
    }
}

impl<S: WrappedServiceTypeSupport> Service<S> {
    fn answer_one(&mut self) -> Result<(), Error> {
        let Some((mut id, request)) = take_request::<S>(&self.endpoint)? else { return Ok(()) };
        match (self.handler)(request) {
            Reply::Now(response) => send_response::<S>(&self.endpoint, &mut id, &response),
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
            if let Err(error) = send_response::<S>(&self.endpoint, id, &response) {
                answered = Err(error);
            }
            false
        });
        answered
    }
}

fn take_request<S: WrappedServiceTypeSupport>(
    endpoint: &ServiceEndpoint,
) -> Result<Option<(rmw_request_id_t, S::Request)>, Error> {
    let native = S::Request::create_msg();
    let mut id = MaybeUninit::<rmw_request_id_t>::zeroed();
    // SAFETY: the service is initialised; `native` is an initialised message of the request's C type.
    let code = unsafe { rcl_take_request(endpoint.rcl.get(), id.as_mut_ptr(), native.cast()) };
    let taken = if code == RCL_RET_SERVICE_TAKE_FAILED as rcl_ret_t {
        Ok(None)
    } else {
        // SAFETY: the take succeeded where this is evaluated, so id and message are filled in; all-zero is a valid id.
        check(code, "take a request").map(|()| Some(unsafe { (id.assume_init(), S::Request::from_native(&*native)) }))
    };
    S::Request::destroy_msg(native);
    taken
}

fn send_response<S: WrappedServiceTypeSupport>(
    endpoint: &ServiceEndpoint,
    id: &mut rmw_request_id_t,
    response: &S::Response,
) -> Result<(), Error> {
    let native = S::Response::create_msg();
    // SAFETY: `native` is an initialised message of the response's C type, filled, sent (rcl copies it) and destroyed.
    let code = unsafe {
        response.copy_to_native(&mut *native);
        rcl_send_response(endpoint.rcl.get(), id, native.cast())
    };
    S::Response::destroy_msg(native);
    check(code, "send a response")
}

impl Drop for ServiceEndpoint {
    fn drop(&mut self) {
        if let Some(announced) = self.announced.take() {
            // SAFETY: the service is initialised, since a callback was set.
            let code = unsafe { rcl_service_set_on_new_request_callback(self.rcl.get(), None, ptr::null()) };
            if check(code, "clear the request callback").is_err() {
                // It may still be called, so what it is called with has to stay.
                std::mem::forget(announced);
            }
        }
        let node = Arc::clone(&self.node);
        let _guard = node.changing();
        // SAFETY: the node is alive, nothing else refers to this service; a zero-initialised one is accepted.
        let _ = check(unsafe { rcl_service_fini(self.rcl.get_mut(), node.as_ptr()) }, "end a service");
    }
}
