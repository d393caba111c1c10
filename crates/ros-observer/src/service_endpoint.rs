//! The endpoint of a service server, whatever the form of its messages.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use r2r_rcl::*;

use crate::announced::Announced;
use crate::context::c_string;
use crate::message_form::{MessageForm, NativeMessage};
use crate::node::NodeHandle;
use crate::service_type::ServiceForm;
use crate::{Error, GuardCondition, Node, error::check};

/// Most requests that one turn of the spinner takes.
const BATCH_MAX: usize = 64;

/// Whom a response goes to, and which of their requests it answers.
#[derive(Clone, Copy)]
pub struct RequestId(rmw_request_id_t);

pub(crate) struct ServiceEndpoint<F> {
    form: F,
    rcl: Box<UnsafeCell<rcl_service_t>>,
    node: Arc<NodeHandle>,
    announced: OnceLock<Arc<Announced>>,
    /// Held while rcl is called with the service: taking is not thread-safe, and sending not beside it.
    calls: Mutex<()>,
}

// SAFETY: rcl binds a service to no thread.
unsafe impl<F: Send> Send for ServiceEndpoint<F> {}
// SAFETY: every use of the service is under `calls`; init and fini happen when no other reference exists.
unsafe impl<F: Sync> Sync for ServiceEndpoint<F> {}

/// What a request is read as.
type Request<F> = <<F as ServiceForm>::Request as MessageForm>::Value;

/// What a response is made of.
type Response<F> = <<F as ServiceForm>::Response as MessageForm>::Filling;

impl<F: ServiceForm> ServiceEndpoint<F> {
    pub(crate) fn new(form: F, node: &Node, name: &str) -> Result<Self, Error> {
        let operation = "make a service";
        let name = c_string(name, operation)?;
        // SAFETY: the service is zero-initialised, the node initialised and kept alive by the endpoint, the type
        // support static, the name outlives the call.
        unsafe {
            let endpoint = Self {
                form,
                rcl: Box::new(UnsafeCell::new(rcl_get_zero_initialized_service())),
                node: Arc::clone(node.handle()),
                announced: OnceLock::new(),
                calls: Mutex::new(()),
            };
            let options = rcl_service_get_default_options();
            let guard = node.handle().adding();
            let (node, support) = (node.handle().as_ptr(), endpoint.form.support());
            let code = rcl_service_init(endpoint.rcl.get(), node, support, name.as_ptr(), &options);
            // Before a service that was refused is dropped, which takes the lock again.
            drop(guard);
            check(code, operation)?;
            Ok(endpoint)
        }
    }

    /// From now on `wake` is triggered when requests have come, also before this call.
    ///
    /// # Errors
    /// When some spinner has it already, or the middleware cannot tell of requests.
    pub(crate) fn announce_to(&self, wake: GuardCondition) -> Result<(), Error> {
        let _calling = self.calling();
        if self.announced.get().is_some() {
            let message = "the service is some spinner's already".to_owned();
            return Err(Error::new("add a service", RCL_RET_ALREADY_INIT as rcl_ret_t, message));
        }
        // SAFETY: the service is initialised; what the callback gets is set once, under the lock, and kept until `drop` has
        // cleared the callback.
        let announced = Announced::listen(wake, |callback, user_data| unsafe {
            rcl_service_set_on_new_request_callback(self.rcl.get(), callback, user_data)
        })?;
        self.announced.get_or_init(|| announced).begin();
        Ok(())
    }

    /// How many requests are to be taken now: a flood of them must not keep the spinner from the rest.
    pub(crate) fn pending(&self) -> usize {
        self.announced.get().map_or(0, |announced| announced.take(BATCH_MAX))
    }

    pub(crate) fn take_request(&self) -> Result<Option<(RequestId, Request<F>)>, Error> {
        let native = NativeMessage::new(self.form.request());
        let mut id = MaybeUninit::<rmw_request_id_t>::zeroed();
        let calling = self.calling();
        // SAFETY: the service is initialised; `native` is an initialised message of the request's C type.
        let code = unsafe { rcl_take_request(self.rcl.get(), id.as_mut_ptr(), native.as_ptr()) };
        drop(calling);
        if code == RCL_RET_SERVICE_TAKE_FAILED as rcl_ret_t {
            return Ok(None);
        }
        check(code, "take a request")?;
        // SAFETY: the take succeeded, so the id is filled in; all-zero is a valid one.
        Ok(Some((RequestId(unsafe { id.assume_init() }), native.read()?)))
    }

    pub(crate) fn send_response(&self, id: RequestId, response: &Response<F>) -> Result<(), Error> {
        let native = NativeMessage::filled(self.form.response(), response)?;
        let RequestId(mut id) = id;
        let _calling = self.calling();
        // SAFETY: the service is initialised, `native` a message of the response's C type, which rcl copies.
        let code = unsafe { rcl_send_response(self.rcl.get(), &mut id, native.as_ptr()) };
        check(code, "send a response")
    }

    fn calling(&self) -> MutexGuard<'_, ()> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F> Drop for ServiceEndpoint<F> {
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
