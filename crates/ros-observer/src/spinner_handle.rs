//! How other threads add what a spinner serves while it turns.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::announced::Arrivals;
use crate::client::SerializedClient;
use crate::service::SerializedService;
use crate::subscription::{Shared, Subscription};
use crate::{Error, GuardCondition};

/// What a spinner is yet to serve, as others bring it.
#[derive(Default)]
pub(crate) struct Additions(Mutex<Added>);

/// What has been brought.
#[derive(Default)]
pub(crate) struct Added {
    pub(crate) arrivals: Vec<Weak<dyn Arrivals>>,
    pub(crate) subscriptions: Vec<Weak<Shared>>,
}

impl Additions {
    pub(crate) fn take(&self) -> Added {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Added> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds endpoints to a spinner from any thread. Cheap to clone. What is dropped leaves the spinner by itself.
#[derive(Clone)]
pub struct SpinnerHandle {
    wake: GuardCondition,
    additions: Arc<Additions>,
}

impl SpinnerHandle {
    pub(crate) fn new(wake: GuardCondition, additions: Arc<Additions>) -> Self {
        Self { wake, additions }
    }

    /// Messages of this subscription are taken from the spinner's next turn on, unless it is served by callback.
    ///
    /// # Errors
    /// When the spinner cannot be woken.
    pub fn add_subscription(&self, subscription: &Subscription) -> Result<(), Error> {
        let Some(shared) = subscription.for_wait_set() else { return Ok(()) };
        self.additions.lock().subscriptions.push(shared);
        self.wake.trigger()
    }

    /// Responses to this client are taken from the spinner's next turn on.
    ///
    /// # Errors
    /// When it is some spinner's already, or the middleware cannot tell of responses.
    pub fn add_client(&self, client: &SerializedClient) -> Result<(), Error> {
        self.add(&client.for_spinner())
    }

    /// Requests of this service are taken from the spinner's next turn on.
    ///
    /// # Errors
    /// When it is some spinner's already, or the middleware cannot tell of requests.
    pub fn add_service(&self, service: &SerializedService) -> Result<(), Error> {
        self.add(&service.for_spinner())
    }

    fn add(&self, arrivals: &Arc<dyn Arrivals>) -> Result<(), Error> {
        // Before it is announced, which wakes the spinner: its next turn finds it here.
        self.additions.lock().arrivals.push(Arc::downgrade(arrivals));
        arrivals.announce_to(self.wake.clone())
    }
}
