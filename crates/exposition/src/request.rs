//! From a request to its response: what may be asked, by whom, how often; then the endpoint's answer.

use std::sync::Arc;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{AUTHORIZATION, HOST};
use hyper::http::uri::Authority;
use hyper::{HeaderMap, Method, Request};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::accept_encoding::wants_gzip;
use crate::endpoint::{Endpoint, TelemetryPath};
use crate::events::{Events, held_until_sent};
use crate::exporter::{Exporter, Health};
use crate::landing::LandingPage;
use crate::limits::Limits;
use crate::live::LivePages;
use crate::metrics::{Metrics, Rejection};
use crate::reply::{self, Answer, Reply};
use crate::scraper::Scraper;
use crate::web_config::{Login, Users, WebConfig, WebConfigFile};

/// Answers requests. One for all connections.
pub(crate) struct Responder {
    telemetry_path: TelemetryPath,
    scraper: Scraper,
    health: Arc<dyn Health>,
    landing: LandingPage,
    live: Option<LivePages>,
    pub(crate) limits: Limits,
    pub(crate) web_config: WebConfigFile,
    pub(crate) metrics: Arc<Metrics>,
    /// Absent: no limit.
    requests: Option<Arc<Semaphore>>,
    logins: Semaphore,
}

impl Responder {
    pub(crate) fn new(
        exporter: Exporter,
        telemetry_path: TelemetryPath,
        limits: Limits,
        web_config: WebConfigFile,
        metrics: Arc<Metrics>,
        live: Option<LivePages>,
    ) -> Self {
        let permits = |limit: usize| limit.min(Semaphore::MAX_PERMITS);
        Self {
            scraper: Scraper::new(exporter.scrape, Arc::clone(&metrics)),
            health: exporter.health,
            landing: LandingPage::new(exporter.landing, &telemetry_path, exporter.live.as_ref()),
            live,
            telemetry_path,
            requests: (limits.max_requests > 0).then(|| Arc::new(Semaphore::new(permits(limits.max_requests)))),
            logins: Semaphore::new(permits(limits.max_pending_logins)),
            limits,
            web_config,
            metrics,
        }
    }

    /// The events of the live page, if there is one.
    pub(crate) fn events(&self) -> Option<Arc<Events>> {
        self.live.as_ref().map(|live| Arc::clone(&live.events))
    }

    pub(crate) async fn respond(&self, request: Request<Incoming>) -> Answer {
        let endpoint = self.endpoint(request.uri().path());
        let web_config = self.web_config.current(self.limits.web_config_check_interval, &self.metrics).await;
        let admitted = self.admit(endpoint, request, &web_config).await;
        let answered = admitted.and_then(|admitted| self.answer(endpoint, &admitted));
        let mut reply = answered.unwrap_or_else(|rejection| {
            self.metrics.count_rejection(rejection);
            reply::rejected(rejection).map(Either::Left)
        });
        reply.headers_mut().extend(web_config.headers.clone());
        self.metrics.count_request(endpoint, reply.status());
        reply
    }

    fn endpoint(&self, path: &str) -> Endpoint {
        let of_live = self.live.as_ref().and_then(|live| live.endpoint(path));
        of_live.unwrap_or_else(|| Endpoint::of_path(path, &self.telemetry_path))
    }

    /// What is checked before the endpoint has its turn, cheapest first.
    async fn admit(
        &self,
        endpoint: Endpoint,
        request: Request<Incoming>,
        web_config: &WebConfig,
    ) -> Result<Request<()>, Rejection> {
        // A probe neither takes a token nor needs one, but nobody may guess passwords faster by way of the probes.
        let is_known = |users: &Arc<Users>| read_login(request.headers()).is_some_and(|login| users.remembers(&login));
        let exempt = endpoint.is_probe() && web_config.users.as_ref().is_none_or(is_known);
        let rate_limit = web_config.rate_limit.as_ref().filter(|_| !exempt);
        if rate_limit.is_some_and(|limit| !limit.admit(Instant::now())) {
            return Err(Rejection::RateLimit);
        }
        let (parts, body) = request.into_parts();
        self.check_login(&parts.headers, web_config).await?;
        self.discard(body).await?;
        Ok(Request::from_parts(parts, ()))
    }

    async fn check_login(&self, headers: &HeaderMap, web_config: &WebConfig) -> Result<(), Rejection> {
        let Some(users) = &web_config.users else { return Ok(()) };
        let login = read_login(headers).ok_or(Rejection::Unauthorized)?;
        if users.remembers(&login) {
            return Ok(());
        }
        let _pending = self.logins.try_acquire().map_err(|_| Rejection::MaxPendingLogins)?;
        if Arc::clone(users).verify(login).await { Ok(()) } else { Err(Rejection::Unauthorized) }
    }

    /// Reads a body to its end, so that the next request can follow; nothing here has a use for one.
    async fn discard(&self, body: Incoming) -> Result<(), Rejection> {
        let max = self.limits.max_body_bytes;
        if body.size_hint().lower() > max as u64 {
            // Known beforehand: not read at all.
            return Err(Rejection::MaxBodyBytes);
        }
        match timeout(self.limits.header_timeout, Limited::new(body, max).collect()).await {
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Rejection::MaxBodyBytes),
            // Another error is a client that went, or sent what is no body: hyper ends the connection by itself.
            Ok(_) => Ok(()),
            Err(_) => Err(Rejection::BodyTimeout),
        }
    }

    fn answer(&self, endpoint: Endpoint, request: &Request<()>) -> Result<Answer, Rejection> {
        if endpoint == Endpoint::LiveEvents && *request.method() == Method::GET {
            return self.follow_events();
        }
        self.reply(endpoint, request).map(|reply| reply.map(Either::Left))
    }

    /// An answer that is known as a whole.
    fn reply(&self, endpoint: Endpoint, request: &Request<()>) -> Result<Reply, Rejection> {
        if endpoint != Endpoint::Unknown && !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Ok(reply::method_not_allowed());
        }
        match endpoint {
            Endpoint::Unknown => Ok(reply::not_found()),
            Endpoint::LiveEvents => Ok(reply::events()),
            Endpoint::Live(file) => self.within_limit(|| self.live_file(file, request.headers())),
            // A probe is answered even while scrapes are turned away: load is no reason for a restart.
            Endpoint::Liveness => Ok(reply::health(self.health.liveness())),
            Endpoint::Readiness => Ok(reply::health(self.health.readiness())),
            Endpoint::Landing => self.within_limit(|| {
                let html = self.landing.render(self.origin(request.headers()).as_deref());
                reply::page(html, self.landing.content_security_policy())
            }),
            Endpoint::Metrics => self.within_limit(|| self.scraper.scrape(wants_gzip(request.headers()))),
        }
    }

    /// By what this host was asked: scheme and name, without a port.
    fn origin(&self, headers: &HeaderMap) -> Option<String> {
        let asked: Authority = headers.get(HOST)?.to_str().ok()?.parse().ok()?;
        let scheme = if self.web_config.is_tls() { "https" } else { "http" };
        Some(format!("{scheme}://{}", asked.host()))
    }

    fn live_file(&self, index: usize, headers: &HeaderMap) -> Reply {
        self.live.as_ref().map_or_else(reply::not_found, |live| live.file(index, headers))
    }

    fn follow_events(&self) -> Result<Answer, Rejection> {
        let body = self.live.as_ref().and_then(|live| live.events.follow()).ok_or(Rejection::MaxLiveClients)?;
        Ok(reply::events().map(|_| Either::Right(body)))
    }

    fn within_limit(&self, answer: impl FnOnce() -> Reply) -> Result<Reply, Rejection> {
        let Some(requests) = &self.requests else { return Ok(answer()) };
        let permit = Arc::clone(requests).try_acquire_owned().map_err(|_| Rejection::MaxRequests)?;
        Ok(hold_until_sent(answer(), permit))
    }
}

/// `Authorization: Basic …` (RFC 7617).
fn read_login(headers: &HeaderMap) -> Option<Login> {
    let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64.decode(encoded.trim()).ok()?;
    let colon = decoded.iter().position(|&byte| byte == b':')?;
    let user = String::from_utf8(decoded[..colon].to_vec()).ok()?;
    Some(Login { user, password: decoded[colon + 1..].to_vec() })
}

fn hold_until_sent(reply: Reply, permit: OwnedSemaphorePermit) -> Reply {
    reply.map(|body| Full::new(held_until_sent(body.into_inner().unwrap_or_default(), permit)))
}
