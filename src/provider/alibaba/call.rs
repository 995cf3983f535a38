//! One call to an Alibaba Cloud gateway: signed or anonymous, sent, and decoded or classified.
//!
//! It never retries, and it never passes on the `Message` of an error: that may hold the string to
//! sign, and with it the session token.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::code::{self, Table};
use super::sign::{Call, encode_query};
use crate::credential::Credentials;
use crate::http::{Post, Response};
use crate::provider::decode::undecodable;
use crate::provider::endpoint::Endpoint;
use crate::provider::{CallError, Class, Detail, Edge};

/// The longest wait that the cloud may ask for; what its SDKs allow too.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(2);

/// One service at one endpoint.
#[derive(Clone)]
pub struct Gateway {
    edge: Edge,
    endpoint: Endpoint,
    version: &'static str,
    table: Table,
}

/// The body of a refusal. Some services write its keys in lower case.
#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "Code", alias = "code")]
    code: String,
    #[serde(rename = "RequestId", alias = "requestId", alias = "requestid")]
    request_id: Option<String>,
}

// === impl Gateway ===

impl Gateway {
    /// The service of API `version` at `endpoint`, whose own error codes are in `table`.
    pub fn new(edge: Edge, endpoint: Endpoint, version: &'static str, table: Table) -> Self {
        Self {
            edge,
            endpoint,
            version,
            table,
        }
    }

    /// Where it is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Calls `action` with `parameters`, signed with `credentials`.
    ///
    /// # Errors
    /// What the HTTP client says, the class of the cloud's code, or [`Class::Protocol`] with code
    /// `UndecodableAnswer` for an answer that is not a `T`.
    pub async fn signed<T: DeserializeOwned>(
        &self,
        credentials: &Credentials,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<T, CallError> {
        let call = Call {
            host: self.endpoint.host(),
            action,
            version: self.version,
            query: parameters,
            form: None,
            date: &self.edge.date(),
            nonce: &self.edge.nonce()?,
        };
        let signed = call.sign(credentials);
        let mut headers: Vec<(&'static str, &str)> = vec![("accept", "application/json")];
        headers.extend(signed.iter().map(|(name, value)| (*name, value.as_str())));
        let query = encode_query(parameters);
        let post = Post::new(&self.url(&query), &headers, Zeroizing::default())?;
        self.send(post).await
    }

    /// Calls `action` unsigned, with `parameters` in the body, where neither URLs nor the logs of
    /// proxies show them.
    ///
    /// # Errors
    /// As [`signed`](Self::signed).
    pub async fn anonymous<T: DeserializeOwned>(
        &self,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<T, CallError> {
        let query = encode_query(&[
            ("Action", action),
            ("Format", "JSON"),
            ("SignatureNonce", &self.edge.nonce()?),
            ("Timestamp", &self.edge.date()),
            ("Version", self.version),
        ]);
        let headers = [
            ("accept", "application/json"),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let mut body = encode_query(parameters);
        let body = Zeroizing::new(std::mem::take(&mut *body).into_bytes());
        self.send(Post::new(&self.url(&query), &headers, body)?)
            .await
    }

    fn url(&self, query: &str) -> String {
        match query {
            "" => format!("{}/", self.endpoint.as_str()),
            _ => format!("{}/?{query}", self.endpoint.as_str()),
        }
    }

    async fn send<T: DeserializeOwned>(&self, post: Post) -> Result<T, CallError> {
        let response = self.edge.post(&self.endpoint, post).await?;
        if response.status / 100 == 2 {
            serde_json::from_slice(&response.body).map_err(|error| {
                CallError::new(Class::Protocol, "UndecodableAnswer")
                    .with_detail(undecodable(&error))
                    .with_request_id(response.header("x-acs-request-id"))
            })
        } else {
            Err(refusal(&response, self.table))
        }
    }
}

/// The error that a refused call comes to.
fn refusal(response: &Response, table: Table) -> CallError {
    let retry_after = retry_after(response);
    let header_id = response.header("x-acs-request-id");
    let error = match serde_json::from_slice::<Refusal>(&response.body) {
        Ok(Refusal { code, request_id }) if !code.is_empty() => {
            let unknown = || match retry_after {
                // The vendor's SDKs take the hint itself for throttling.
                Some(_) => Class::Throttled,
                None => code::by_status(response.status),
            };
            let class = code::classify(table, &code).unwrap_or_else(unknown);
            let error =
                CallError::new(class, &code).with_request_id(request_id.as_deref().or(header_id));
            match code::advice(&code) {
                Some(advice) => error.with_detail(Detail::Fixed(advice)),
                None => error,
            }
        }
        _ => {
            let class = code::by_bare_status(response.status);
            CallError::new(class, &format!("Http{}", response.status)).with_request_id(header_id)
        }
    };
    error.with_retry_after(retry_after)
}

/// The cloud's hint in milliseconds, cut to two minutes.
fn retry_after(response: &Response) -> Option<Duration> {
    let millis = response.header("x-acs-retry-after")?.trim().parse().ok()?;
    Some(Duration::from_millis(millis).min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests;
