//! Service clients, driven by the spinner.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use r2r::WrappedServiceTypeSupport;
use r2r_rcl::*;

use crate::announced::{Announced, Arrivals};
use crate::context::c_string;
use crate::message_form::{MessageForm, NativeMessage};
use crate::node::NodeHandle;
use crate::service_type::{CompiledService, ServiceForm, ServiceType};
use crate::{Error, GuardCondition, Node, error::check};

type Request<F> = <<F as ServiceForm>::Request as MessageForm>::Filling;
type Response<F> = <<F as ServiceForm>::Response as MessageForm>::Value;
type Handler<F> = Box<dyn FnMut(ResponseInfo, Response<F>) + Send>;

/// Which request a response belongs to, and when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseInfo {
    /// The number of the request.
    pub number: i64,
    /// When the middleware received the response: nanoseconds of the system clock; 0 where unknown.
    pub received_timestamp_ns: i64,
}

/// Asks one service of a type that is compiled in. Dropped, it ends with the spinner's turn.
pub struct Client<S: WrappedServiceTypeSupport + 'static> {
    shared: Arc<Shared<CompiledService<S>>>,
}

/// Asks one service of any installed type with serialized messages: 4 bytes of encapsulation, then CDR. Dropped, it ends
/// with the spinner's turn.
pub struct SerializedClient {
    shared: Arc<Shared<ServiceType>>,
}

struct Shared<F: ServiceForm> {
    form: F,
    endpoint: Endpoint,
    handler: Mutex<Handler<F>>,
}

struct Endpoint {
    rcl: Box<UnsafeCell<rcl_client_t>>,
    node: Arc<NodeHandle>,
    announced: OnceLock<Arc<Announced>>,
    /// Held while rcl is called with the client: taking is not thread-safe, and sending not beside it.
    calls: Mutex<()>,
}

// SAFETY: rcl binds a client to no thread.
unsafe impl Send for Endpoint {}
// SAFETY: every use of the client is under `calls`; init and fini happen when no other reference exists.
unsafe impl Sync for Endpoint {}

/// Most responses that one turn of the spinner takes.
const BATCH_MAX: usize = 64;

impl<S: WrappedServiceTypeSupport + 'static> Client<S> {
    /// A client of the service `name`. `handler` gets each response on the spinner's thread.
    ///
    /// # Errors
    /// When the name is not legal, or the middleware refuses.
    pub fn new(
        node: &Node,
        name: &str,
        handler: impl FnMut(ResponseInfo, S::Response) + Send + 'static,
    ) -> Result<Self, Error> {
        Ok(Self { shared: Shared::new(CompiledService::default(), node, name, Box::new(handler))? })
    }

    /// Whether somebody offers the service, as far as discovery knows.
    pub fn is_offered(&self) -> Result<bool, Error> {
        self.shared.endpoint.is_offered()
    }

    /// Sends a request; returns its number.
    pub fn send(&self, request: &S::Request) -> Result<i64, Error> {
        self.shared.send(request)
    }

    /// What the spinner has to take from, for as long as it is there.
    pub(crate) fn for_spinner(&self) -> Arc<dyn Arrivals> {
        Arc::<Shared<_>>::clone(&self.shared)
    }
}

impl SerializedClient {
    /// A client of the service `name`. `handler` gets each response on the spinner's thread.
    ///
    /// # Errors
    /// When the name is not legal, or the middleware refuses.
    pub fn new(
        service_type: ServiceType,
        node: &Node,
        name: &str,
        handler: impl FnMut(ResponseInfo, Vec<u8>) + Send + 'static,
    ) -> Result<Self, Error> {
        Ok(Self { shared: Shared::new(service_type, node, name, Box::new(handler))? })
    }

    /// Whether somebody offers the service, as far as discovery knows.
    ///
    /// # Errors
    /// When the middleware does not say.
    pub fn is_offered(&self) -> Result<bool, Error> {
        self.shared.endpoint.is_offered()
    }

    /// Sends a request; returns its number.
    ///
    /// # Errors
    /// When it is no request of the type, or the middleware does not take it.
    pub fn send(&self, request: &[u8]) -> Result<i64, Error> {
        self.shared.send(request)
    }

    /// The type of the service.
    pub fn service_type(&self) -> &ServiceType {
        &self.shared.form
    }

    pub(crate) fn for_spinner(&self) -> Arc<dyn Arrivals> {
        Arc::<Shared<_>>::clone(&self.shared)
    }
}

impl<F: ServiceForm> Shared<F> {
    fn new(form: F, node: &Node, name: &str, handler: Handler<F>) -> Result<Arc<Self>, Error> {
        let endpoint = Endpoint::new(form.support(), node, name)?;
        Ok(Arc::new(Self { form, endpoint, handler: Mutex::new(handler) }))
    }

    fn send(&self, request: &Request<F>) -> Result<i64, Error> {
        let native = NativeMessage::filled(self.form.request(), request)?;
        let mut number = 0;
        let _calling = self.endpoint.calling();
        // SAFETY: the client is initialised, `native` a message of the request's C type, which rcl copies.
        let code = unsafe { rcl_send_request(self.endpoint.rcl.get(), native.as_ptr(), &mut number) };
        check(code, "send a request").map(|()| number)
    }

    fn take_response(&self) -> Result<Option<(ResponseInfo, Response<F>)>, Error> {
        let native = NativeMessage::new(self.form.response());
        let mut info = MaybeUninit::<rmw_service_info_t>::zeroed();
        let calling = self.endpoint.calling();
        // SAFETY: the client is initialised; `native` is an initialised message of the response's C type.
        let code = unsafe { rcl_take_response_with_info(self.endpoint.rcl.get(), info.as_mut_ptr(), native.as_ptr()) };
        drop(calling);
        if code == RCL_RET_CLIENT_TAKE_FAILED as rcl_ret_t {
            return Ok(None);
        }
        check(code, "take a response")?;
        // SAFETY: the take succeeded, so the info is filled in; all-zero is valid info.
        let info = unsafe { info.assume_init() };
        let number = info.request_id.sequence_number;
        Ok(Some((ResponseInfo { number, received_timestamp_ns: info.received_timestamp }, native.read()?)))
    }
}

impl<F: ServiceForm> Arrivals for Shared<F> {
    fn announce_to(&self, wake: GuardCondition) -> Result<(), Error> {
        let _calling = self.endpoint.calling();
        if self.endpoint.announced.get().is_some() {
            let message = "the client is some spinner's already".to_owned();
            return Err(Error::new("add a client", RCL_RET_ALREADY_INIT as rcl_ret_t, message));
        }
        // SAFETY: the client is initialised; what the callback gets is set once, under the lock, and kept until
        // `Endpoint::drop` has cleared the callback.
        let announced = Announced::listen(wake, |callback, user_data| unsafe {
            rcl_client_set_on_new_response_callback(self.endpoint.rcl.get(), callback, user_data)
        })?;
        self.endpoint.announced.get_or_init(|| announced).begin();
        Ok(())
    }

    fn take(&self) -> Result<(), Error> {
        let pending = self.endpoint.announced.get().map_or(0, |announced| announced.take(BATCH_MAX));
        let mut taken = Ok(());
        for _ in 0..pending {
            match self.take_response() {
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
    fn new(support: *const rosidl_service_type_support_t, node: &Node, name: &str) -> Result<Self, Error> {
        let operation = "make a client";
        let name = c_string(name, operation)?;
        // SAFETY: the client is zero-initialised, the node initialised and kept alive by the endpoint, the type support
        // static, the name outlives the call.
        unsafe {
            let endpoint = Self {
                rcl: Box::new(UnsafeCell::new(rcl_get_zero_initialized_client())),
                node: Arc::clone(node.handle()),
                announced: OnceLock::new(),
                calls: Mutex::new(()),
            };
            let options = rcl_client_get_default_options();
            let guard = node.handle().adding();
            let code = rcl_client_init(endpoint.rcl.get(), node.handle().as_ptr(), support, name.as_ptr(), &options);
            // Before a client that was refused is dropped, which takes the lock again.
            drop(guard);
            check(code, operation)?;
            Ok(endpoint)
        }
    }

    fn is_offered(&self) -> Result<bool, Error> {
        let mut is_offered = false;
        let (_calling, _guard) = (self.calling(), self.node.changing());
        // SAFETY: node and client are initialised.
        let code = unsafe { rcl_service_server_is_available(self.node.as_ptr(), self.rcl.get(), &mut is_offered) };
        check(code, "look for a service").map(|()| is_offered)
    }

    fn calling(&self) -> MutexGuard<'_, ()> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if let Some(announced) = self.announced.take() {
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
