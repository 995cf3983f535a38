//! A server between two others: it passes everything on, remembers bodies, and spoils answers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use tokio::net::TcpListener;

/// The longest body that is looked at.
const LONGEST: usize = 8 << 20;

/// What becomes of the body of an answer, if it is one to be spoilt.
pub type Spoil = fn(&str) -> Option<String>;

/// Which answers are spoilt, and how often.
#[derive(Debug, Clone)]
pub struct Rule {
    pub method: Method,
    pub path: String,
    pub times: usize,
    pub spoil: Spoil,
}

/// What was answered to one request, as far as that was not a stream.
#[derive(Debug, Clone)]
pub struct Exchange {
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
        let path = path.to_owned();
        let rule = Rule {
            method,
            path,
            times,
            spoil,
        };
        self.shared.rules.lock().unwrap().push((rule, 0));
    }

    /// How many answers the rules have spoilt, one number for each rule.
    pub fn spoilt(&self) -> Vec<(String, usize)> {
        let rules = self.shared.rules.lock().unwrap();
        let count =
            |(rule, hits): &(Rule, usize)| (format!("{} {}", rule.method, rule.path), *hits);
        rules.iter().map(count).collect()
    }

    /// What has passed, apart from streams.
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
    fn spoil(&self, method: &Method, path: &str, text: &str) -> Option<String> {
        let mut rules = self.rules.lock().unwrap();
        let fits = |(rule, hits): &&mut (Rule, usize)| {
            rule.method == method && path.contains(&rule.path) && *hits < rule.times
        };
        let (rule, hits) = rules.iter_mut().find(fits)?;
        let spoilt = (rule.spoil)(text)?;
        *hits += 1;
        Some(spoilt)
    }
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().unwrap().to_string();
    let asked = to_bytes(body, LONGEST).await.unwrap();
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
        .body(asked.clone())
        .send()
        .await;
    let Ok(answer) = sent else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let (status, headers) = (answer.status(), kept(answer.headers()));
    if path.contains("watch=") {
        let chunks = stream::unfold(answer, |mut answer| async move {
            let chunk = answer.chunk().await.transpose()?;
            Some((chunk, answer))
        });
        return (status, headers, Body::from_stream(chunks)).into_response();
    }
    let Ok(mut text) = answer.text().await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    if let Some(spoilt) = shared.spoil(&parts.method, &path, &text) {
        text = spoilt;
    }
    shared.seen.lock().unwrap().push(Exchange {
        answered: text.clone(),
    });
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
