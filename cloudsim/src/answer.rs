//! Answers, and what faults make of them.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use futures::{FutureExt, StreamExt, future, stream};
use serde_json::{Value, json};

use crate::connection::Peer;
use crate::fault::Effect;
use crate::random;
use crate::refusal::Refusal;
use crate::request::Request;
use crate::service::Service;

const JSON: &str = "application/json;charset=utf-8";
const HTML: &str = "<!DOCTYPE html><html><head><title>Welcome</title></head><body><h1>It works!</h1></body></html>";

/// An answer ready to be sent, or spoilt.
pub(crate) struct Answer {
    status: u16,
    content_type: &'static str,
    body: Vec<u8>,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    /// The time that the answer says, if not the system's.
    date: Option<String>,
}

/// Sends an answer, or what a fault makes of it.
pub(crate) async fn send(answer: Answer, effect: Option<&Effect>, peer: &Peer) -> Response {
    match effect {
        Some(Effect::Hang) => future::pending().await,
        Some(Effect::Reset) => {
            peer.breaker.reset();
            future::pending().await
        }
        Some(Effect::Close) => {
            peer.breaker.close();
            future::pending().await
        }
        Some(Effect::Truncate) => answer.truncated(peer),
        Some(Effect::MalformedJson) => answer.malformed(),
        Some(Effect::Html { status }) => respond(*status, "text/html", Body::from(HTML)),
        Some(Effect::Redirect { location }) => {
            let mut response = respond(302, "text/html", Body::empty());
            if let Ok(location) = HeaderValue::from_str(location) {
                response.headers_mut().insert(header::LOCATION, location);
            }
            response
        }
        _ => answer.whole(),
    }
}

// === impl Answer ===

impl Answer {
    /// The answer of the POP gateway.
    pub(crate) fn new(
        result: Result<Value, Refusal>,
        request: &Request,
        service: Option<Service>,
    ) -> Self {
        let request_id = random::request_id();
        let (status, body, retry_after) = match result {
            Ok(mut body) => {
                if let Some(body) = body.as_object_mut() {
                    body.insert("RequestId".to_owned(), json!(request_id));
                }
                (200, body, None)
            }
            Err(refusal) => {
                let host = request.header("host").unwrap_or_default();
                let mut body = refusal.body(&request_id, host);
                if service == Some(Service::Kms) {
                    body["HttpStatus"] = json!(refusal.status);
                }
                (refusal.status, body, refusal.retry_after)
            }
        };
        Self {
            status,
            content_type: JSON,
            body: body.to_string().into_bytes(),
            request_id: Some(request_id),
            retry_after,
            date: None,
        }
    }

    /// A plain text, or JSON that is sent as plain text, as the metadata service does.
    pub(crate) fn text(status: u16, body: String) -> Self {
        Self {
            status,
            content_type: "text/plain",
            body: body.into_bytes(),
            request_id: None,
            retry_after: None,
            date: None,
        }
    }

    /// JSON as another cloud than this gateway's sends it, with the time of that cloud's clock.
    pub(crate) fn json(status: u16, body: &Value, date: String) -> Self {
        Self {
            status,
            content_type: "application/json",
            body: body.to_string().into_bytes(),
            request_id: None,
            retry_after: None,
            date: Some(date),
        }
    }

    fn whole(self) -> Response {
        let mut response = respond(self.status, self.content_type, Body::from(self.body));
        let id = self.request_id.as_deref().map(HeaderValue::from_str);
        if let Some(Ok(id)) = id {
            response.headers_mut().insert("x-acs-request-id", id);
        }
        let date = self.date.as_deref().map(HeaderValue::from_str);
        if let Some(Ok(date)) = date {
            response.headers_mut().insert(header::DATE, date);
        }
        if let Some(wait) = self
            .retry_after
            .and_then(|wait| u64::try_from(wait.as_millis()).ok())
        {
            response
                .headers_mut()
                .insert("x-acs-retry-after", HeaderValue::from(wait));
        }
        response
    }

    /// The whole answer but for its end, so that everything in it but the end could be read.
    fn malformed(mut self) -> Response {
        self.body.truncate(self.body.len().saturating_sub(2));
        self.whole()
    }

    fn truncated(self, peer: &Peer) -> Response {
        let length = self.body.len();
        let half = Bytes::copy_from_slice(&self.body[..length / 2]);
        let breaker = peer.breaker.clone();
        // The pause lets the first half reach the wire before the connection goes.
        let end = async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            breaker.close();
            future::pending::<Result<Bytes, Infallible>>().await
        };
        let body = stream::iter([Ok(half)]).chain(end.into_stream());
        let mut response = respond(self.status, self.content_type, Body::from_stream(body));
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        response
    }
}

fn respond(status: u16, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
