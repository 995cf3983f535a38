//! What calls to a cloud need from outside: HTTP, the time and randomness.

use std::sync::Arc;

use jiff::Timestamp;
use ring::rand::SecureRandom;

use super::hex::hex;
use super::{CallError, Class};
use crate::clock::Clock;
use crate::http::HttpClient;

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
}
