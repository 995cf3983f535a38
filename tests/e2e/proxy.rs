//! A server between two others: it passes everything on, remembers it, and spoils or refuses answers.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// The longest body that is looked at.
const LONGEST: usize = 8 << 20;

/// What becomes of the body of an answer, if it is one to be spoilt.
pub type Spoil = fn(&str) -> Option<String>;

/// What becomes of an answer.
#[derive(Debug, Clone, Copy)]
pub enum Fate {
    /// Its body is another.
    Spoilt(Spoil),
    /// The request is refused with 429 and this Retry-After, and not passed on.
    TooMany(&'static str),
}

/// A stream was cut.
#[derive(Debug, thiserror::Error)]
#[error("cut")]
struct Cut;

/// Which answers are spoilt, and how often.
#[derive(Debug, Clone)]
pub struct Rule {
    pub method: Method,
    pub path: String,
    pub times: usize,
    pub fate: Fate,
}

/// One request, and what was answered to it, as far as that was not a stream.
#[derive(Debug, Clone)]
pub struct Exchange {
    pub at: Instant,
    pub method: Method,
    pub path: String,
    pub status: StatusCode,
    pub answered: String,
}

/// A proxy with a thread of its own. It ends with this value.
pub struct Proxy {
    pub url: String,
    shared: Arc<Shared>,
    runtime: Option<tokio::runtime::Runtime>,
}

struct Shared {
    target: String,
    client: reqwest::Client,
    rules: Mutex<Vec<(Rule, usize)>>,
    seen: Mutex<Vec<Exchange>>,
    /// How often all streams were cut.
    cuts: watch::Sender<usize>,
    closed: AtomicBool,
}

impl Proxy {
    /// A proxy in front of `target`, whose certificate `ca` has signed.
    pub fn start(target: &str, ca: Option<&[u8]>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none());
        if let Some(ca) = ca {
            client = client.tls_certs_only([reqwest::Certificate::from_pem(ca).unwrap()]);
        }
        let shared = Arc::new(Shared {
            target: target.to_owned(),
            client: client.build().unwrap(),
            rules: Mutex::default(),
            seen: Mutex::default(),
            cuts: watch::Sender::default(),
            closed: AtomicBool::default(),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = std::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass).with_state(Arc::clone(&shared));
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
        Self {
            url,
            shared,
            runtime: Some(runtime),
        }
    }

    /// Spoils so many answers to requests of this method whose path holds `path`.
    pub fn spoil(&self, method: Method, path: &str, times: usize, spoil: Spoil) {
        self.add(method, path, times, Fate::Spoilt(spoil));
    }

    /// Refuses so many requests of this method whose path holds `path` as too many.
    pub fn refuse(&self, method: Method, path: &str, times: usize, retry_after: &'static str) {
        self.add(method, path, times, Fate::TooMany(retry_after));
    }

    fn add(&self, method: Method, path: &str, times: usize, fate: Fate) {
        let path = path.to_owned();
        let rule = Rule {
            method,
            path,
            times,
            fate,
        };
        self.shared.rules.lock().unwrap().push((rule, 0));
    }

    /// Cuts every stream that is open, in the middle.
    pub fn cut_streams(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Cuts every stream and passes nothing on, or passes everything on again.
    pub fn close(&self, closed: bool) {
        self.shared.closed.store(closed, Ordering::SeqCst);
        self.cut_streams();
    }

    /// How many answers the rules have spoilt, one number for each rule.
    pub fn spoilt(&self) -> Vec<(String, usize)> {
        let rules = self.shared.rules.lock().unwrap();
        let count =
            |(rule, hits): &(Rule, usize)| (format!("{} {}", rule.method, rule.path), *hits);
        rules.iter().map(count).collect()
    }

    /// What has passed.
    pub fn seen(&self) -> Vec<Exchange> {
        self.shared.seen.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    /// What the first rule that fits makes of an answer.
    fn apply<T>(
        &self,
        (method, path): (&Method, &str),
        make: impl Fn(Fate) -> Option<T>,
    ) -> Option<T> {
        let mut rules = self.rules.lock().unwrap();
        rules.iter_mut().find_map(|(rule, hits)| {
            let fits = rule.method == method && path.contains(&rule.path) && *hits < rule.times;
            let made = make(rule.fate).filter(|_| fits)?;
            *hits += 1;
            Some(made)
        })
    }

    fn note(&self, asked: (Instant, Method, String), status: StatusCode, answered: &str) {
        let (at, method, path) = asked;
        let answered = answered.to_owned();
        let exchange = Exchange {
            at,
            method,
            path,
            status,
            answered,
        };
        self.seen.lock().unwrap().push(exchange);
    }
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    if shared.closed.load(Ordering::SeqCst) {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().unwrap().to_string();
    let asked = (Instant::now(), parts.method.clone(), path.clone());
    let too_many = |fate| match fate {
        Fate::TooMany(seconds) => Some(seconds),
        Fate::Spoilt(_) => None,
    };
    if let Some(seconds) = shared.apply((&parts.method, &path), too_many) {
        let refusal = StatusCode::TOO_MANY_REQUESTS;
        shared.note(asked, refusal, "");
        let text = "Too many requests, please try again later.";
        return (refusal, [(header::RETRY_AFTER, seconds)], text).into_response();
    }
    let body = to_bytes(body, LONGEST).await.unwrap();
    let mut headers = parts.headers;
    for name in [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::ACCEPT_ENCODING,
    ] {
        headers.remove(name);
    }
    let sent = shared
        .client
        .request(parts.method.clone(), format!("{}{path}", shared.target))
        .headers(headers)
        .body(body)
        .send()
        .await;
    let Ok(answer) = sent else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let (status, headers) = (answer.status(), kept(answer.headers()));
    if path.contains("watch=") {
        shared.note(asked, status, "");
        let both = (answer, shared.cuts.subscribe());
        let chunks = stream::unfold(both, |(mut answer, mut cuts)| async move {
            let chunk = tokio::select! {
                chunk = answer.chunk() => chunk.map_err(|_| Cut).transpose()?,
                _ = cuts.changed() => Err(Cut),
            };
            Some((chunk, (answer, cuts)))
        });
        return (status, headers, Body::from_stream(chunks)).into_response();
    }
    let Ok(mut text) = answer.text().await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let spoilt = |fate| match fate {
        Fate::Spoilt(spoil) => spoil(&text),
        Fate::TooMany(_) => None,
    };
    if let Some(spoilt) = shared.apply((&parts.method, &path), spoilt) {
        text = spoilt;
    }
    shared.note(asked, status, &text);
    (status, headers, text).into_response()
}

fn kept(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
    ] {
        headers.remove(name);
    }
    headers
}
