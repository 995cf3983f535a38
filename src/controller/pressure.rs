//! How many writes the API server takes: as many at once as it can, and fewer as soon as it says that
//! it has too many (429, with a Retry-After), as its Priority and Fairness does.
//!
//! Reads are not held up: watches are few, and whoever reads once asks for one object.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::RETRY_AFTER;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use tokio::sync::Notify;
use tokio::time::Instant;
use tower::{BoxError, Layer, Service};

use crate::metrics::Metrics;

/// The most writes at once. More than the API server's CPU can answer brings nothing.
const WIDEST: f64 = 64.0;
/// What a refusal leaves of the writes at once.
const CUT: f64 = 0.5;
/// The pause after a refusal that names none.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest pause that is believed.
const LONGEST: Duration = Duration::from_mins(1);
/// The longest that a request for a token waits for the end of a pause; then it leaves all the same,
/// before whoever wants the token takes the silence for the cloud's.
const PATIENCE: Duration = Duration::from_secs(5);

/// How the API server bears our writes. Cloning shares it.
#[derive(Clone)]
pub struct Pressure(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    freed: Notify,
    metrics: Arc<Metrics>,
}

/// Pure; the time is passed in.
#[derive(Debug)]
struct State {
    width: f64,
    in_flight: u32,
    paused_until: Option<Instant>,
    cut: Option<Instant>,
}

/// Puts [`Pressure`] in front of the API server.
#[derive(Clone)]
pub struct GiveWay(pub Pressure);

/// A service behind [`GiveWay`].
#[derive(Clone)]
pub struct GivingWay<S> {
    inner: S,
    pressure: Pressure,
}

/// The API server asked for a pause, which is not over: nothing was sent.
#[derive(Debug, thiserror::Error)]
#[error("the API server has too many requests")]
pub struct Busy;

/// What is written, where that makes a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A request for a `ServiceAccount`'s token. Those who want it would take a refusal for the cloud's.
    Token,
    /// An event. Servers often count them by themselves, and a refusal says nothing of other writes.
    Event,
    /// Anything else.
    Change,
}

/// One write that is under way.
struct Permit {
    shared: Arc<Shared>,
    sent: Instant,
}

// === impl Pressure ===

impl Pressure {
    /// Nothing is known of the API server yet.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State::new()),
            freed: Notify::new(),
            metrics,
        }))
    }

    /// How long the API server wants no more writes.
    pub fn wait(&self) -> Option<Duration> {
        self.0.state().wait(Instant::now())
    }

    /// Waits until one more write may leave; during a pause only for a token, and not for ever.
    async fn enter(&self, kind: Kind) -> Result<Permit, Busy> {
        let patient = kind == Kind::Token;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let freed = self.0.freed.notified();
            let now = Instant::now();
            let wait = {
                let mut state = self.0.state();
                let wait = state.wait(now).filter(|_| !patient || now < deadline);
                if wait.is_none() && state.enter() {
                    let shared = Arc::clone(&self.0);
                    return Ok(Permit { shared, sent: now });
                }
                wait
            };
            match wait {
                Some(wait) if patient => tokio::time::sleep_until(deadline.min(now + wait)).await,
                Some(_) => return Err(Busy),
                None => freed.await,
            }
        }
    }
}

// === impl Shared ===

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    fn new() -> Self {
        Self {
            width: WIDEST,
            in_flight: 0,
            paused_until: None,
            cut: None,
        }
    }

    fn wait(&self, now: Instant) -> Option<Duration> {
        let wait = self.paused_until?.saturating_duration_since(now);
        (!wait.is_zero()).then_some(wait)
    }

    fn enter(&mut self) -> bool {
        let free = f64::from(self.in_flight) + 1.0 <= self.width;
        self.in_flight += u32::from(free);
        free
    }

    /// A write was answered: as many answers as there are writes at once make that one more.
    fn taken(&mut self) {
        self.width = (self.width + 1.0 / self.width).min(WIDEST);
    }

    /// A write that was sent at `sent` was refused. Refusals of writes that were sent together count
    /// once.
    fn refused(&mut self, pause: Duration, sent: Instant, now: Instant) {
        let until = now + pause.clamp(SHORTEST, LONGEST);
        self.paused_until = Some(self.paused_until.map_or(until, |known| known.max(until)));
        if self.cut.is_none_or(|cut| cut < sent) {
            self.width = (self.width * CUT).max(1.0);
            self.cut = Some(now);
        }
    }
}

// === impl Kind ===

impl Kind {
    /// What is written at `path`.
    fn of(path: &str) -> Self {
        let mut parts = path
            .split('/')
            .skip_while(|part| *part != "namespaces")
            .skip(2);
        match (parts.next(), parts.next(), parts.next()) {
            (Some("serviceaccounts"), Some(_), Some("token")) => Self::Token,
            (Some("events"), ..) => Self::Event,
            _ => Self::Change,
        }
    }
}

// === impl Permit ===

impl Permit {
    fn answered(&self, status: StatusCode, headers: &HeaderMap) {
        let mut state = self.shared.state();
        if status == StatusCode::TOO_MANY_REQUESTS {
            state.refused(pause(headers), self.sent, Instant::now());
            drop(state);
            self.shared.metrics.pressed();
        } else {
            state.taken();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.shared.state().in_flight -= 1;
        self.shared.freed.notify_waiters();
    }
}

/// What the server says of when to come again. A date, which no API server sends, says nothing.
fn pause(headers: &HeaderMap) -> Duration {
    let text = headers.get(RETRY_AFTER).and_then(|v| v.to_str().ok());
    let seconds = text.and_then(|text| text.trim().parse().ok());
    seconds.map_or(SHORTEST, Duration::from_secs)
}

// === impl GiveWay ===

impl<S> Layer<S> for GiveWay {
    type Service = GivingWay<S>;

    fn layer(&self, inner: S) -> GivingWay<S> {
        let pressure = self.0.clone();
        GivingWay { inner, pressure }
    }
}

impl<S, B, R> Service<Request<B>> for GivingWay<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    R: 'static,
{
    type Response = Response<R>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<R>, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let kind = Kind::of(request.uri().path());
        // Nothing leaves before this is polled.
        let answer = self.inner.call(request);
        if reads {
            return answer.map(|answer| answer.map_err(Into::into)).boxed();
        }
        let pressure = self.pressure.clone();
        async move {
            let permit = pressure.enter(kind).await?;
            let answer = answer.await.map_err(Into::into)?;
            if kind != Kind::Event {
                permit.answered(answer.status(), answer.headers());
            }
            Ok(answer)
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests;
