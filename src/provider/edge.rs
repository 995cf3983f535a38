//! What calls to a cloud need from outside: HTTP, the time and randomness.

use std::sync::Arc;

use jiff::Timestamp;
use ring::rand::SecureRandom;

use super::endpoint::Endpoint;
use super::hex::hex;
use super::{CallError, Class, Detail, Name};
use crate::clock::Clock;
use crate::http::{HttpClient, Post, Response};

/// A source of randomness, passed in.
pub type Random = Arc<dyn SecureRandom + Send + Sync>;

/// The outside world as a provider or a token exchange sees it. Cloning is cheap, and clones share
/// one connection pool.
#[derive(Clone)]
pub struct Edge {
    /// The client every cloud is called with.
    pub http: HttpClient,
    /// The wall clock that requests are dated by.
    pub clock: Arc<dyn Clock>,
    /// Where nonces come from.
    pub random: Random,
}

// === impl Edge ===

impl Edge {
    /// The time to the second as clouds write it, such as `2024-06-01T12:34:56Z`.
    pub(crate) fn date(&self) -> String {
        let now = self.clock.now();
        let second = Timestamp::from_second(now.as_second()).unwrap_or(now);
        second.to_string()
    }

    /// 32 hexadecimal digits that no request has carried before.
    ///
    /// # Errors
    /// [`Class::Unavailable`] when the system has no randomness to give.
    pub(crate) fn nonce(&self) -> Result<String, CallError> {
        let mut bytes = [0; 16];
        self.random
            .fill(&mut bytes)
            .map_err(|_| CallError::new(Class::Unavailable, "NoRandomness"))?;
        Ok(hex(&bytes))
    }

    /// Sends `post` to `endpoint`.
    ///
    /// # Errors
    /// What the HTTP client says.
    pub(crate) async fn post(
        &self,
        endpoint: &Endpoint,
        post: Post,
    ) -> Result<Response, CallError> {
        let response = self.http.post(post).await;
        response.map_err(|error| self.unanswered(endpoint, error))
    }

    /// The same error, which names the host: its store may have spelled it wrong, and there are several
    /// hosts to a store.
    pub(super) fn unanswered(&self, endpoint: &Endpoint, error: CallError) -> CallError {
        let text = match error.code() {
            "NameNotResolved" => " does not resolve; check region, network and endpoint",
            "TlsFailed" if self.http.is_private() => {
                " shows no certificate for this host that comes from the region's chain, or from \
                 caBundle or caBundleRef"
            }
            "TlsFailed" => " shows no certificate for this host that the system trusts",
            "RefusedAddress" => " resolves to an address that must not be called",
            "Timeout" | "ConnectionFailed" | "ConnectionBroken" | "TruncatedBody" => "",
            _ => return error,
        };
        error.with_detail(Detail::Host(Name::new(endpoint.host()), text))
    }
}
