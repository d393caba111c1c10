//! The web configuration in use, and its exchange for a newer one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, watch};

use super::client_auth::ClientAuth;
use super::fault::Faults;
use super::{Sources, WebConfig, WebConfigError, load};
use crate::metrics::Metrics;

/// A web configuration file that was read without a fault; the server re-reads it, with all the files that it names, when one changes.
///
/// A change takes hold of the requests and connections after it. While a newer configuration has a fault, the last good one stays in use.
/// Three things need a restart, because a half-written file would look just like them: TLS is neither turned on nor off, what is asked
/// of clients' certificates does not become less (it may become more; the last allowed name is not removed), and the last user is not
/// removed.
#[derive(Debug)]
pub struct WebConfigFile {
    current: watch::Sender<Arc<WebConfig>>,
    /// Absent where there is no file.
    watched: Option<Arc<Mutex<Watched>>>,
}

#[derive(Debug)]
struct Watched {
    path: PathBuf,
    sources: Sources,
    checked: Instant,
}

impl WebConfigFile {
    /// No file: plain HTTP for everyone.
    pub fn none() -> Self {
        Self { current: watch::Sender::new(Arc::default()), watched: None }
    }

    /// Reads the file, and all that it names; relative paths in it start at its directory.
    ///
    /// # Errors
    /// Every fault, each with the file and the key.
    pub fn load(path: &Path) -> Result<Self, WebConfigError> {
        let mut sources = Sources::default();
        let config = load(path, &mut sources)?;
        let watched = Watched { path: path.to_owned(), sources, checked: Instant::now() };
        Ok(Self { current: watch::Sender::new(Arc::new(config)), watched: Some(Arc::new(Mutex::new(watched))) })
    }

    /// Whether the server will speak TLS, for the scheme of a URL to show.
    pub fn is_tls(&self) -> bool {
        self.current.borrow().tls.is_some()
    }

    /// The configuration in use, after a look at the files where the last look is `interval` ago.
    pub(crate) async fn current(&self, interval: Duration, metrics: &Arc<Metrics>) -> Arc<WebConfig> {
        self.reload_if_changed(interval, metrics).await;
        Arc::clone(&self.current.borrow())
    }

    /// Does nothing where another request is looking already.
    async fn reload_if_changed(&self, interval: Duration, metrics: &Arc<Metrics>) {
        let Some(watched) = &self.watched else { return };
        let Ok(mut watched) = Arc::clone(watched).try_lock_owned() else { return };
        if watched.checked.elapsed() < interval {
            return;
        }
        let (current, metrics) = (self.current.clone(), Arc::clone(metrics));
        // Files can be on a network: not on the server's thread. The change takes hold there as well: this future ends early where
        // its client hangs up, and the next look finds no change any more.
        let look = move || {
            let in_use = Arc::clone(&current.borrow());
            if let Some(result) = watched.reload_if_changed(&in_use) {
                take_hold(result, &current, &metrics);
            }
        };
        if let Err(error) = tokio::task::spawn_blocking(look).await {
            tracing::error!(%error, "the look at the web configuration failed");
        }
    }
}

fn take_hold(result: Result<WebConfig, WebConfigError>, current: &watch::Sender<Arc<WebConfig>>, metrics: &Metrics) {
    metrics.count_reload(result.is_ok());
    match result {
        Ok(config) => {
            tracing::info!("the web configuration was re-read");
            current.send_replace(Arc::new(config));
        }
        Err(error) => {
            // One event each: a log has a line for an event.
            for fault in error.faults() {
                tracing::error!(%fault, "the web configuration changed and is faulty; the one before it stays in use");
            }
        }
    }
}

impl Default for WebConfigFile {
    fn default() -> Self {
        Self::none()
    }
}

impl Watched {
    fn reload_if_changed(&mut self, current: &WebConfig) -> Option<Result<WebConfig, WebConfigError>> {
        self.checked = Instant::now();
        if !self.sources.changed() {
            return None;
        }
        // Also after a fault: what was read then is not looked at again until it changes, so each change is told once.
        self.sources = Sources::default();
        Some(load(&self.path, &mut self.sources).and_then(|new| self.refuse_what_needs_a_restart(current, new)))
    }

    fn refuse_what_needs_a_restart(&self, current: &WebConfig, new: WebConfig) -> Result<WebConfig, WebConfigError> {
        let mut faults = Faults::new(&self.path);
        if current.tls.is_some() != new.tls.is_some() {
            faults.add("tls_server_config", "TLS is turned on or off only by a restart");
        }
        if let (Some(current), Some(new)) = (&current.tls, &new.tls) {
            refuse_weaker_client_auth(current.client_auth, new.client_auth, &mut faults);
        }
        if current.users.is_some() && new.users.is_none() {
            faults.add("basic_auth_users", "the last user is removed only by a restart");
        }
        faults.into_result(new)
    }
}

fn refuse_weaker_client_auth(current: ClientAuth, new: ClientAuth, faults: &mut Faults) {
    if new >= current {
        return;
    }
    let (key, message) = match new {
        ClientAuth::RequireAndVerify => ("client_allowed_sans", "the last allowed name is removed only by a restart"),
        _ => ("client_auth_type", "less is asked of clients' certificates only by a restart"),
    };
    faults.add(format!("tls_server_config.{key}"), message);
}

#[cfg(test)]
mod tests {
    use std::{fmt, fs};

    use prometheus::Registry;
    use tracing::field::Field;
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;

    #[tokio::test]
    async fn a_change_takes_hold_though_the_client_who_met_it_hangs_up() {
        let file = tempfile::NamedTempFile::new().expect("file");
        let web_config = WebConfigFile::load(file.path()).expect("no fault");
        let registry = Registry::new();
        let metrics = Arc::new(Metrics::register("x", &registry).expect("a name"));
        fs::write(file.path(), "rate_limit:\n  interval: 1s\n  burst: 1\n").expect("written");

        tokio::select! {
            biased;
            _ = web_config.current(Duration::ZERO, &metrics) => {}
            // Polled once and dropped, as hyper does with the request of a client that is gone.
            () = std::future::ready(()) => {}
        }
        // Locked until the look is over.
        drop(web_config.watched.as_ref().expect("a file").lock().await);

        assert!(web_config.current(Duration::MAX, &metrics).await.rate_limit.is_some());
        let mut text = Vec::new();
        crate::encode_registry(&registry, &mut text);
        let text = String::from_utf8(text).expect("UTF-8");
        assert!(text.contains("x_web_config_reloads_total{result=\"success\"} 1"), "{text}");
    }

    /// Takes the `fault` of every event.
    #[derive(Clone, Default)]
    struct Log(Arc<std::sync::Mutex<Vec<String>>>);

    impl Subscriber for Log {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            event.record(&mut |field: &Field, value: &dyn fmt::Debug| {
                if field.name() == "fault" {
                    self.0.lock().expect("not poisoned").push(format!("{value:?}"));
                }
            });
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn every_fault_is_an_event_of_one_line() {
        let file = tempfile::NamedTempFile::new().expect("file");
        fs::write(file.path(), "rate_limit: 1\n\"a\\nb\": 2\nhttp_server_config:\n  http2: true\n").expect("written");
        let error = load(file.path(), &mut Sources::default()).expect_err("three faults");
        let metrics = Metrics::register("x", &Registry::new()).expect("a name");
        let log = Log::default();
        tracing::subscriber::with_default(log.clone(), || {
            take_hold(Err(error), &watch::Sender::new(Arc::default()), &metrics);
        });
        let events = log.0.lock().expect("not poisoned");
        let keys = ["http_server_config.http2", "rate_limit", "a\\nb"];
        assert_eq!(events.len(), keys.len(), "{events:#?}");
        for (event, key) in events.iter().zip(keys) {
            assert!(event.contains(&format!(": {key}: ")) && !event.contains('\n'), "{event}");
        }
    }

    #[test]
    fn only_less_client_authentication_needs_a_restart() {
        use ClientAuth::{None, RequireAllowedSan, RequireAndVerify, VerifyIfGiven};
        let strictness = [None, VerifyIfGiven, RequireAndVerify, RequireAllowedSan];
        for (at, current) in strictness.into_iter().enumerate() {
            for (new_at, new) in strictness.into_iter().enumerate() {
                let mut faults = Faults::new("web.yml".as_ref());
                refuse_weaker_client_auth(current, new, &mut faults);
                assert_eq!(faults.count(), usize::from(new_at < at), "{current:?} to {new:?}");
            }
        }
    }
}
