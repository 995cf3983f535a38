//! Clients that trust one private authority and nothing else.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use jiff::Timestamp;
use reqwest::{Certificate, Client};

use super::{Authority, HttpClient, HttpClientError};
use crate::metrics::{Census, Counts};

/// How many private authorities' clients are kept for whoever asks next. Those in use stay anyhow.
pub(super) const MOST_PRIVATE: usize = 64;

/// A private authority's client.
#[derive(Debug)]
pub(super) struct Known {
    client: Client,
    name: String,
    expiry: Option<Timestamp>,
}

// === impl HttpClient ===

impl HttpClient {
    /// A client that trusts `authority` and nothing else: none of the system's roots. Host names are
    /// verified as ever. Equal authorities share one client.
    ///
    /// # Errors
    /// When the TLS library does not take the certificates.
    pub fn trusting(&self, authority: &Authority) -> Result<Self, HttpClientError> {
        let mut private = self.known();
        let client = if let Some(client) = private.get(&authority.digest()) {
            client.client.clone()
        } else {
            let roots = authority
                .certificates()
                .iter()
                .map(|der| Certificate::from_der(der))
                .collect::<Result<Vec<_>, _>>()
                .map_err(HttpClientError)?;
            let client = self.shared.builder().tls_certs_only(roots).build();
            let client = client.map_err(HttpClientError)?;
            if private.len() >= MOST_PRIVATE {
                private.clear();
            }
            let entry = Known {
                client: client.clone(),
                name: authority.name().to_owned(),
                expiry: authority.expiry(),
            };
            private.insert(authority.digest(), entry);
            client
        };
        Ok(Self {
            client,
            shared: Arc::clone(&self.shared),
            leadership: self.leadership.clone(),
        })
    }

    /// The private authorities that clients were made for, and when the first certificate of each
    /// expires.
    pub fn authorities(&self) -> Vec<(String, Timestamp)> {
        let expiring = |known: &Known| Some((known.name.clone(), known.expiry?));
        self.known().values().filter_map(expiring).collect()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<[u8; 32], Known>> {
        let known = self.shared.private.lock();
        known.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Census for HttpClient {
    fn count(&self, counts: &mut Counts<'_>) {
        for (name, expiry) in self.authorities() {
            counts.authority(&name, expiry);
        }
    }
}
