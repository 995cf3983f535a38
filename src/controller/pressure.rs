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
/// How the paths of token requests end, which wait for the end of a pause: those who want a token
/// would take a refusal for the cloud's.
const PATIENT: &str = "/token";

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

    /// Waits until one more write may leave; during a pause only the patient wait.
    async fn enter(&self, patient: bool) -> Result<Permit, Busy> {
        loop {
            let freed = self.0.freed.notified();
            let now = Instant::now();
            let wait = {
                let mut state = self.0.state();
                let wait = state.wait(now);
                if wait.is_none() && state.enter() {
                    let shared = Arc::clone(&self.0);
                    return Ok(Permit { shared, sent: now });
                }
                wait
            };
            match wait {
                Some(wait) if patient => tokio::time::sleep(wait).await,
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
        let patient = request.uri().path().ends_with(PATIENT);
        // Nothing leaves before this is polled.
        let answer = self.inner.call(request);
        if reads {
            return answer.map(|answer| answer.map_err(Into::into)).boxed();
        }
        let pressure = self.pressure.clone();
        async move {
            let permit = pressure.enter(patient).await?;
            let answer = answer.await.map_err(Into::into)?;
            permit.answered(answer.status(), answer.headers());
            Ok(answer)
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Takes some writes at once, for a tenth of a second each, and refuses more.
    #[derive(Clone)]
    struct Server {
        takes: usize,
        at_once: Arc<AtomicUsize>,
        refused: Arc<AtomicUsize>,
        answered: Arc<AtomicUsize>,
    }

    impl Server {
        fn new(takes: usize) -> Self {
            Self {
                takes,
                at_once: Arc::default(),
                refused: Arc::default(),
                answered: Arc::default(),
            }
        }
    }

    impl Service<Request<()>> for Server {
        type Response = Response<()>;
        type Error = Infallible;
        type Future = BoxFuture<'static, Result<Response<()>, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            let server = self.clone();
            async move {
                let before = server.at_once.fetch_add(1, Ordering::Relaxed);
                let refused = before >= server.takes;
                if !refused {
                    tokio::time::sleep(SECOND / 10).await;
                }
                server.at_once.fetch_sub(1, Ordering::Relaxed);
                let mut answer = Response::new(());
                if refused {
                    server.refused.fetch_add(1, Ordering::Relaxed);
                    *answer.status_mut() = StatusCode::TOO_MANY_REQUESTS;
                    let two = http::HeaderValue::from_static("2");
                    answer.headers_mut().insert(RETRY_AFTER, two);
                } else {
                    server.answered.fetch_add(1, Ordering::Relaxed);
                }
                Ok(answer)
            }
            .boxed()
        }
    }

    fn pressure() -> Pressure {
        Pressure::new(Arc::new(Metrics::new().unwrap()))
    }

    fn request(method: Method, path: &'static str) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.uri_mut() = http::Uri::from_static(path);
        request
    }

    /// Writes until it was taken, as reconciles do.
    async fn insist(pressure: &Pressure, server: &Server) {
        loop {
            let mut service = GiveWay(pressure.clone()).layer(server.clone());
            match service.call(request(Method::POST, "/api/v1/secrets")).await {
                Ok(answer) if answer.status().is_success() => return,
                Ok(_) | Err(_) => tokio::time::sleep(pressure.wait().unwrap_or_default()).await,
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_takes_all_has_sixty_four_at_once() {
        let (pressure, server) = (pressure(), Server::new(1_000));
        let start = Instant::now();
        join_all((0..640).map(|_| insist(&pressure, &server))).await;
        assert_eq!(start.elapsed(), SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_takes_ten_is_soon_asked_for_no_more_than_it_takes() {
        let (pressure, server) = (pressure(), Server::new(10));
        join_all((0..1_000).map(|_| insist(&pressure, &server))).await;
        assert_eq!(server.answered.load(Ordering::Relaxed), 1_000);
        let refused = server.refused.load(Ordering::Relaxed);
        assert!(refused < 100, "{refused} refusals");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_written_before_the_server_wants_more_but_reads_pass_and_tokens_wait() {
        let (pressure, server) = (pressure(), Server::new(0));
        let mut service = GiveWay(pressure.clone()).layer(server.clone());
        let start = Instant::now();
        let refused = service.call(request(Method::POST, "/api/v1/secrets")).await;
        assert_eq!(refused.unwrap().status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(pressure.wait(), Some(2 * SECOND));
        for method in [Method::POST, Method::PATCH, Method::DELETE] {
            let held_up = service.call(request(method, "/api/v1/secrets")).await;
            assert!(held_up.unwrap_err().is::<Busy>());
        }
        assert_eq!(server.refused.load(Ordering::Relaxed), 1);
        let read = service.call(request(Method::GET, "/api/v1/secrets")).await;
        assert!(read.is_ok());
        assert_eq!(start.elapsed(), Duration::ZERO);
        let token = "/api/v1/namespaces/n/serviceaccounts/s/token";
        let token = service.call(request(Method::POST, token)).await;
        assert!(token.is_ok());
        assert_eq!(start.elapsed(), 2 * SECOND);
    }

    #[test]
    fn a_pause_is_at_least_a_second_and_at_most_a_minute() {
        let now = Instant::now();
        let table = [
            ("5", 5),
            ("0", 1),
            ("", 1),
            ("Wed, 21 Oct 2026", 1),
            ("86400", 60),
        ];
        for (text, seconds) in table {
            let value = http::HeaderValue::from_static(text);
            let mut state = State::new();
            state.refused(
                pause(&[(RETRY_AFTER, value)].into_iter().collect()),
                now,
                now,
            );
            assert_eq!(state.wait(now), Some(SECOND * seconds), "{text}");
        }
    }

    #[test]
    fn refusals_of_writes_that_left_together_count_once() {
        let (now, mut state) = (Instant::now(), State::new());
        let later = now + SECOND;
        for _ in 0..64 {
            state.refused(SECOND, now, later);
        }
        assert!((state.width - 32.0).abs() < 0.1);
        state.refused(SECOND, later + SECOND, later + SECOND);
        assert!((state.width - 16.0).abs() < 0.1);
        for _ in 0..10 {
            state.cut = None;
            state.refused(SECOND, now, now);
        }
        assert!(state.enter() && !state.enter(), "one always may");
    }
}
