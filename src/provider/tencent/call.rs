//! One call to a Tencent Cloud service: signed or not, sent, and decoded or classified.
//!
//! It never passes on the `Message` of an error. It makes a call again in one case only: where the
//! gateway says that our clock is off, once, by the gateway's own time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::code::{self, Table};
use super::sign::{Call, Headers};
use crate::credential::Credentials;
use crate::http::{Post, Response};
use crate::provider::decode::undecodable;
use crate::provider::endpoint::Endpoint;
use crate::provider::{CallError, Class, Detail, Edge};

/// The furthest that a clock may be off for the gateway's time to be taken in its place.
const FURTHEST: Duration = Duration::from_hours(24);
/// Room for a body, so that no copy of a token is left behind by growing.
const ROOM: usize = 16 << 10;

/// One service of one region at one endpoint.
#[derive(Clone)]
pub struct Gateway {
    edge: Edge,
    endpoint: Endpoint,
    service: Api,
    region: String,
    skew: Arc<Skew>,
}

/// A service's API.
#[derive(Debug, Clone, Copy)]
pub struct Api {
    /// Its short name, which is signed.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Its own error codes.
    pub table: Table,
}

/// How far our clock is off the gateway's.
#[derive(Debug, Default)]
struct Skew {
    /// Seconds to add to ours.
    seconds: AtomicI64,
    /// Nobody was told yet.
    news: AtomicBool,
    /// Calls that were made again for it.
    again: AtomicU32,
}

#[derive(Deserialize)]
struct Envelope<T> {
    #[serde(rename = "Response")]
    response: T,
}

/// The part of an answer that says whether it is one.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Outcome {
    error: Option<Refusal>,
    request_id: Option<String>,
}

/// A refusal. Its `Message` is never read.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Refusal {
    code: String,
}

// === impl Gateway ===

impl Gateway {
    /// The service `service` of `region` at `endpoint`.
    pub fn new(edge: Edge, endpoint: Endpoint, service: Api, region: &str) -> Self {
        Self {
            edge,
            endpoint,
            service,
            region: region.to_owned(),
            skew: Arc::default(),
        }
    }

    /// Where it is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Calls `action` with `request`, signed with `credentials`.
    ///
    /// # Errors
    /// What the HTTP client says, the class of the cloud's code, or [`Class::Protocol`] with code
    /// `UndecodableAnswer` for an answer that is not a `T`.
    pub async fn signed<T: DeserializeOwned>(
        &self,
        credentials: &Credentials,
        action: &str,
        request: &impl Serialize,
    ) -> Result<T, CallError> {
        let body = encode(request)?;
        let sign = |call: Call<'_>| call.sign(credentials);
        self.call(action, &body, sign).await
    }

    /// Calls `action` with `request`, not signed, for exchanges whose proof is in the request.
    ///
    /// # Errors
    /// As [`signed`](Self::signed).
    pub async fn unsigned<T: DeserializeOwned>(
        &self,
        action: &str,
        request: &impl Serialize,
    ) -> Result<T, CallError> {
        let body = encode(request)?;
        let headers = |call: Call<'_>| Ok(call.unsigned());
        self.call(action, &body, headers).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        action: &str,
        body: &[u8],
        headers: impl Fn(Call<'_>) -> Result<Headers, CallError>,
    ) -> Result<T, CallError> {
        let response = self.send(action, body, &headers).await?;
        match read(&response, self.service.table) {
            Err(error) if error.code() == code::CLOCK && self.learn_time(&response) => {
                let response = self.send(action, body, &headers).await?;
                read(&response, self.service.table)
            }
            answer => answer,
        }
    }

    /// Whether the gateway's time was taken since this was asked last.
    pub fn take_news(&self) -> bool {
        self.skew.news.swap(false, Ordering::Relaxed)
    }

    /// How many calls were made again since this was asked last.
    pub fn take_again(&self) -> u32 {
        self.skew.again.swap(0, Ordering::Relaxed)
    }

    async fn send(
        &self,
        action: &str,
        body: &[u8],
        headers: impl Fn(Call<'_>) -> Result<Headers, CallError>,
    ) -> Result<Response, CallError> {
        let off = self.skew.seconds.load(Ordering::Relaxed);
        let headers = headers(Call {
            service: self.service.name,
            host: self.endpoint.host(),
            action,
            version: self.service.version,
            region: &self.region,
            body,
            timestamp: self.edge.clock.now().as_second().saturating_add(off),
        })?;
        let headers: Vec<(&'static str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let url = format!("{}/", self.endpoint.as_str());
        let post = Post::new(&url, &headers, Zeroizing::new(body.to_vec()))?;
        self.edge.post(&self.endpoint, post).await
    }

    /// Takes the gateway's time in the place of ours, if the reply tells one that is not too far off.
    fn learn_time(&self, response: &Response) -> bool {
        let date = response.header("date");
        let Some(told) = date.and_then(|date| DateTimeParser::new().parse_timestamp(date).ok())
        else {
            return false;
        };
        let off = told.as_second() - self.edge.clock.now().as_second();
        if off.unsigned_abs() > FURTHEST.as_secs() {
            return false;
        }
        self.skew.seconds.store(off, Ordering::Relaxed);
        self.skew.news.store(true, Ordering::Relaxed);
        self.skew.again.fetch_add(1, Ordering::Relaxed);
        true
    }
}

fn encode(request: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, CallError> {
    let mut body = Zeroizing::new(Vec::with_capacity(ROOM));
    serde_json::to_writer(&mut *body, request)
        .map_err(|_| CallError::new(Class::Invalid, "UnsendableRequest"))?;
    Ok(body)
}

/// What a response comes to. Refusals have status 200; any other is no answer of the service's.
fn read<T: DeserializeOwned>(response: &Response, table: Table) -> Result<T, CallError> {
    if response.status != 200 {
        let class = code::by_bare_status(response.status);
        return Err(CallError::new(class, &format!("Http{}", response.status)));
    }
    let broken = |error: &serde_json::Error| {
        CallError::new(Class::Protocol, "UndecodableAnswer").with_detail(undecodable(error))
    };
    let outcome: Envelope<Outcome> =
        serde_json::from_slice(&response.body).map_err(|error| broken(&error))?;
    let Outcome { error, request_id } = outcome.response;
    let request_id = request_id.as_deref();
    if let Some(Refusal { code }) = error {
        let error = CallError::new(code::classify(table, &code), &code)
            .with_request_id(request_id)
            .with_of_the_key(code::is_of_the_key(&code));
        return Err(match code::advice(&code) {
            Some(advice) => error.with_detail(Detail::Fixed(advice)),
            None => error,
        });
    }
    let answer: Result<Envelope<T>, _> = serde_json::from_slice(&response.body);
    let answer = answer.map_err(|error| broken(&error).with_request_id(request_id))?;
    Ok(answer.response)
}

#[cfg(test)]
mod tests;
