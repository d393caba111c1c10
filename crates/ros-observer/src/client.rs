//! A typed service client, driven by the spinner.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use r2r::{WrappedServiceTypeSupport, WrappedTypesupport};
use r2r_rcl::*;

use crate::announced::Announced;
use crate::context::c_string;
use crate::node::NodeHandle;
use crate::{Error, GuardCondition, Node, error::check};

type Handler<S> = Box<dyn FnMut(ResponseInfo, <S as WrappedServiceTypeSupport>::Response) + Send>;

/// Which request a response belongs to, and when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseInfo {
    /// The number of the request.
    pub number: i64,
    /// When the middleware received the response: nanoseconds of the system clock; 0 where unknown.
    pub received_timestamp_ns: i64,
}

/// Asks one service. Dropped, it ends with the spinner's turn.
pub struct Client<S: WrappedServiceTypeSupport> {
    shared: Arc<Shared<S>>,
}

struct Shared<S: WrappedServiceTypeSupport> {
    endpoint: Endpoint,
    handler: Mutex<Handler<S>>,
}

struct Endpoint {
    rcl: Box<UnsafeCell<rcl_client_t>>,
    node: Arc<NodeHandle>,
    announced: Mutex<Option<Arc<Announced>>>,
    /// Held while rcl is called with the client: taking is not thread-safe, and sending not beside it.
    calls: Mutex<()>,
}

// SAFETY: rcl binds a client to no thread.
unsafe impl Send for Endpoint {}
// SAFETY: every use of the client is under `calls`; init and fini happen when no other reference exists.
unsafe impl Sync for Endpoint {}

/// Most responses that one turn of the spinner takes.
const BATCH_MAX: usize = 64;

impl<S: WrappedServiceTypeSupport> Client<S> {
    /// A client of the service `name`. `handler` gets each response on the spinner's thread.
    ///
    /// # Errors
    /// When the name is not legal, or the middleware refuses.
    pub fn new(
        node: &Node,
        name: &str,
        handler: impl FnMut(ResponseInfo, S::Response) + Send + 'static,
    ) -> Result<Self, Error> {
        let operation = "make a client";
        let name = c_string(name, operation)?;
        // SAFETY: the client is zero-initialised, the node initialised and kept alive by the endpoint, the type support
        // static, the name outlives the call.
        unsafe {
            let endpoint = Endpoint {
                rcl: Box::new(UnsafeCell::new(rcl_get_zero_initialized_client())),
                node: Arc::clone(node.handle()),
                announced: Mutex::new(None),
                calls: Mutex::new(()),
            };
            let options = rcl_client_get_default_options();
            let guard = node.handle().adding();
            let code =
                rcl_client_init(endpoint.rcl.get(), node.handle().as_ptr(), S::get_ts(), name.as_ptr(), &options);
            // Before a client that was refused is dropped, which takes the lock again.
            drop(guard);
            check(code, operation)?;
            Ok(Self { shared: Arc::new(Shared { endpoint, handler: Mutex::new(Box::new(handler)) }) })
        }
    }

    /// Whether somebody offers the service, as far as discovery knows.
    pub fn is_offered(&self) -> Result<bool, Error> {
        let endpoint = &self.shared.endpoint;
        let mut is_offered = false;
        let (_calling, _guard) = (endpoint.calling(), endpoint.node.changing());
        // SAFETY: node and client are initialised.
        let code =
            unsafe { rcl_service_server_is_available(endpoint.node.as_ptr(), endpoint.rcl.get(), &mut is_offered) };
        check(code, "look for a service").map(|()| is_offered)
    }

    /// Sends a request; returns its number.
    pub fn send(&self, request: &S::Request) -> Result<i64, Error> {
        let native = S::Request::create_msg();
        let mut number = 0;
        let calling = self.shared.endpoint.calling();
        // SAFETY: `native` is an initialised message of the request's C type, filled, sent (rcl copies it) and destroyed.
        let code = unsafe {
            request.copy_to_native(&mut *native);
            rcl_send_request(self.shared.endpoint.rcl.get(), native.cast(), &mut number)
        };
        drop(calling);
        S::Request::destroy_msg(native);
        check(code, "send a request").map(|()| number)
    }
}

impl<S: WrappedServiceTypeSupport + 'static> Client<S> {
    /// What the spinner has to take from, for as long as it is there.
    pub(crate) fn for_spinner(&self) -> Arc<dyn Asking> {
        Arc::<Shared<S>>::clone(&self.shared)
    }
}

/// What the spinner needs of a client, whatever its type.
pub(crate) trait Asking: Send + Sync {
    /// From now on `wake` is triggered when responses have come.
    fn announce_to(&self, wake: GuardCondition) -> Result<(), Error>;
    /// Takes the responses that have come.
    fn take(&self) -> Result<(), Error>;
}

impl<S: WrappedServiceTypeSupport> Asking for Shared<S> {
    fn announce_to(&self, wake: GuardCondition) -> Result<(), Error> {
        let mut announced = self.endpoint.announced.lock().unwrap_or_else(PoisonError::into_inner);
        if announced.is_some() {
            let message = "the client is some spinner's already".to_owned();
            return Err(Error::new("add a client", RCL_RET_ALREADY_INIT as rcl_ret_t, message));
        }
        let _calling = self.endpoint.calling();
        // SAFETY: the client is initialised; what the callback gets is set once, under the lock, and kept until
        // `Endpoint::drop` has cleared the callback.
        *announced = Some(Announced::listen(wake, |callback, user_data| unsafe {
            rcl_client_set_on_new_response_callback(self.endpoint.rcl.get(), callback, user_data)
        })?);
        Ok(())
    }

    fn take(&self) -> Result<(), Error> {
        let announced = self.endpoint.announced.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let pending = announced.map_or(0, |announced| announced.take(BATCH_MAX));
        let mut taken = Ok(());
        for _ in 0..pending {
            match take_response::<S>(&self.endpoint) {
                Ok(Some((info, response))) => {
                    (self.handler.lock().unwrap_or_else(PoisonError::into_inner))(info, response);
                }
                // That one was for another client: the next may be for us.
                Ok(None) => {}
                Err(error) => taken = Err(error),
            }
        }
        taken
    }
}

impl Endpoint {
    fn calling(&self) -> MutexGuard<'_, ()> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take_response<S: WrappedServiceTypeSupport>(
    endpoint: &Endpoint,
) -> Result<Option<(ResponseInfo, S::Response)>, Error> {
    let native = S::Response::create_msg();
    let mut info = MaybeUninit::<rmw_service_info_t>::zeroed();
    let _calling = endpoint.calling();
    // SAFETY: the client is initialised; `native` is an initialised message of the response's C type.
    let code = unsafe { rcl_take_response_with_info(endpoint.rcl.get(), info.as_mut_ptr(), native.cast()) };
    let taken = if code == RCL_RET_CLIENT_TAKE_FAILED as rcl_ret_t {
        Ok(None)
    } else {
        // SAFETY: the take succeeded where this is evaluated, so info and message are filled in; all-zero is valid info.
        check(code, "take a response").map(|()| unsafe {
            let info = info.assume_init();
            let number = info.request_id.sequence_number;
            let info = ResponseInfo { number, received_timestamp_ns: info.received_timestamp };
            Some((info, S::Response::from_native(&*native)))
        })
    };
    S::Response::destroy_msg(native);
    taken
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if let Some(announced) = self.announced.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            // SAFETY: the client is initialised, since a callback was set.
            let code = unsafe { rcl_client_set_on_new_response_callback(self.rcl.get(), None, ptr::null()) };
            if check(code, "clear the response callback").is_err() {
                // It may still be called, so what it is called with has to stay.
                std::mem::forget(announced);
            }
        }
        let node = Arc::clone(&self.node);
        let _guard = node.changing();
        // SAFETY: the node is alive, nothing else refers to this client; a zero-initialised one is accepted.
        let _ = check(unsafe { rcl_client_fini(self.rcl.get_mut(), node.as_ptr()) }, "end a client");
    }
}
