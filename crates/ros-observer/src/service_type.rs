//! The type of a service: one that is compiled in, or any that is installed, found by its name.

use r2r::WrappedServiceTypeSupport;
use r2r_rcl::*;

use crate::Error;
use crate::message_form::{CompiledForm, MessageForm, NativeMessage, SerializedForm};
use crate::message_type::service_support;

/// The forms of a service's messages.
///
/// # Safety
/// `support` supports a service whose messages are those that the forms make.
pub(crate) unsafe trait ServiceForm: Send + Sync + 'static {
    type Request: MessageForm;
    type Response: MessageForm;

    fn support(&self) -> *const rosidl_service_type_support_t;
    fn request(&self) -> &Self::Request;
    fn response(&self) -> &Self::Response;
}

/// A service that is compiled in.
pub(crate) struct CompiledService<S: WrappedServiceTypeSupport> {
    request: CompiledForm<S::Request>,
    response: CompiledForm<S::Response>,
}

impl<S: WrappedServiceTypeSupport> Default for CompiledService<S> {
    fn default() -> Self {
        Self { request: CompiledForm::default(), response: CompiledForm::default() }
    }
}

// SAFETY: r2r generates these three for one service.
unsafe impl<S: WrappedServiceTypeSupport + 'static> ServiceForm for CompiledService<S> {
    type Request = CompiledForm<S::Request>;
    type Response = CompiledForm<S::Response>;

    fn support(&self) -> *const rosidl_service_type_support_t {
        S::get_ts()
    }

    fn request(&self) -> &Self::Request {
        &self.request
    }

    fn response(&self) -> &Self::Response {
        &self.response
    }
}

/// The type of a service whose package is installed; its requests and responses are serialized messages.
pub struct ServiceType {
    support: *const rosidl_service_type_support_t,
    request: SerializedForm,
    response: SerializedForm,
}

// SAFETY: a type support is a constant of a library that is never unloaded; nothing writes to it.
unsafe impl Send for ServiceType {}
// SAFETY: as above.
unsafe impl Sync for ServiceType {}

impl ServiceType {
    /// A type by its name, for example `std_srvs/srv/SetBool`.
    ///
    /// # Errors
    /// When the name is none, or no prefix of `AMENT_PREFIX_PATH` has the package or the package has not the type.
    pub fn find(name: &str) -> Result<Self, Error> {
        let form = |part| SerializedForm::find(&format!("{name}_{part}"));
        Ok(Self { support: service_support(name)?, request: form("Request")?, response: form("Response")? })
    }

    /// A response whose fields have their default values.
    ///
    /// # Errors
    /// When the middleware cannot serialize it.
    pub fn default_response(&self) -> Result<Vec<u8>, Error> {
        NativeMessage::new(&self.response).read()
    }
}

// SAFETY: rosidl generates a service's support and those of its two messages, which have its name and these endings.
unsafe impl ServiceForm for ServiceType {
    type Request = SerializedForm;
    type Response = SerializedForm;

    fn support(&self) -> *const rosidl_service_type_support_t {
        self.support
    }

    fn request(&self) -> &SerializedForm {
        &self.request
    }

    fn response(&self) -> &SerializedForm {
        &self.response
    }
}
