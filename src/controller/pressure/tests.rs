//! How writes fare before a server that takes some, none or all of them.

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

#[tokio::test(start_paused = true)]
async fn a_token_waits_five_seconds_of_a_long_pause() {
    let pressure = pressure();
    let now = Instant::now();
    pressure.0.state().refused(SECOND * 32, now, now);
    let mut service = GiveWay(pressure).layer(Server::new(10));
    let token = "/api/v1/namespaces/n/serviceaccounts/s/token";
    let token = service.call(request(Method::POST, token)).await;
    assert!(token.is_ok());
    assert_eq!(now.elapsed(), 5 * SECOND + SECOND / 10);
}

#[tokio::test(start_paused = true)]
async fn events_that_are_refused_hold_up_no_other_write() {
    let pressure = pressure();
    let mut service = GiveWay(pressure.clone()).layer(Server::new(0));
    let event = "/apis/events.k8s.io/v1/namespaces/n/events";
    let refused = service.call(request(Method::POST, event)).await;
    assert_eq!(refused.unwrap().status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(pressure.wait(), None);
}

#[test]
fn what_is_written_is_told_by_its_whole_path() {
    let table = [
        ("/api/v1/namespaces/n/serviceaccounts/s/token", Kind::Token),
        ("/api/v1/namespaces/n/secrets/token", Kind::Change),
        (
            "/api/v1/namespaces/serviceaccounts/secrets/token",
            Kind::Change,
        ),
        ("/apis/events.k8s.io/v1/namespaces/n/events", Kind::Event),
        ("/apis/events.k8s.io/v1/namespaces/n/events/e", Kind::Event),
        ("/api/v1/namespaces/events/secrets", Kind::Change),
    ];
    for (path, kind) in table {
        assert_eq!(Kind::of(path), kind, "{path}");
    }
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
