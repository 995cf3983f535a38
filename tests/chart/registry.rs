//! A registry in memory, as far as a chart needs one: <https://github.com/opencontainers/distribution-spec>.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, Method, StatusCode, Uri};
use tokio::net::TcpListener;

/// What was pushed, by its path, with its type.
type Content = Arc<Mutex<HashMap<String, (String, Bytes)>>>;

/// A running registry; it ends with the test.
pub struct Registry {
    /// Its host and port. It speaks plain HTTP.
    pub address: String,
    content: Content,
}

impl Registry {
    pub async fn start() -> Self {
        let content = Content::default();
        let kept = Arc::clone(&content);
        let answer = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let answer = answer(&kept, &method, &uri, &headers, body);
            async move { answer }
        };
        let router = Router::new().fallback(any(answer));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, content }
    }

    /// Whether something of this name and tag was pushed.
    pub fn has(&self, name: &str, tag: &str) -> bool {
        let path = format!("/v2/{name}/manifests/{tag}");
        self.content.lock().unwrap().contains_key(&path)
    }
}

fn answer(
    content: &Content,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path();
    let mut content = content.lock().unwrap();
    if path == "/v2/" {
        return StatusCode::OK.into_response();
    }
    if let Some((name, _)) = path.split_once("/blobs/uploads/") {
        if method == Method::POST {
            let place = format!("{name}/blobs/uploads/one");
            return (StatusCode::ACCEPTED, [(LOCATION, place)]).into_response();
        }
        // Whole, with the digest in the query.
        let blob = format!("{name}/blobs/{}", digest(&body));
        content.insert(blob.clone(), ("application/octet-stream".into(), body));
        return (StatusCode::CREATED, [(LOCATION, blob)]).into_response();
    }
    if method == Method::PUT {
        let kind = headers[CONTENT_TYPE].to_str().unwrap().to_owned();
        let (name, _) = path.rsplit_once('/').unwrap();
        let digest = digest(&body);
        content.insert(format!("{name}/{digest}"), (kind.clone(), body.clone()));
        content.insert(path.to_owned(), (kind, body));
        let headers = [(LOCATION.as_str(), path), (DIGEST, &*digest)];
        return (StatusCode::CREATED, headers).into_response();
    }
    let Some((kind, body)) = content.get(path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [(CONTENT_TYPE.as_str(), &**kind), (DIGEST, &digest(body))];
    (headers, body.clone()).into_response()
}

const DIGEST: &str = "docker-content-digest";

fn digest(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    let mut text = "sha256:".to_owned();
    for byte in digest.as_ref() {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}
