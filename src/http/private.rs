//! Clients that trust one private authority and nothing else.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use jiff::Timestamp;
use reqwest::{Certificate, Client};

use super::{Authority, HttpClient, HttpClientError};
use crate::metrics::{Census, Counts};

/// How many private authorities' clients are kept for whoever asks next, beside those in use.
pub(super) const MOST_PRIVATE: usize = 64;

/// A private authority's client.
#[derive(Debug)]
pub(super) struct Known {
    client: Client,
    name: String,
    expiry: Option<Timestamp>,
    /// Held by every client that trusts this authority.
    uses: Arc<()>,
}

// === impl Known ===

impl Known {
    fn is_used(&self) -> bool {
        Arc::strong_count(&self.uses) > 1
    }
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
        let (client, uses) = if let Some(known) = private.get(&authority.digest()) {
            (known.client.clone(), Arc::clone(&known.uses))
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
                private.retain(|_, known| known.is_used());
            }
            let uses = Arc::default();
            let entry = Known {
                client: client.clone(),
                name: authority.name().to_owned(),
                expiry: authority.expiry(),
                uses: Arc::clone(&uses),
            };
            private.insert(authority.digest(), entry);
            (client, uses)
        };
        Ok(Self {
            client,
            shared: Arc::clone(&self.shared),
            authority: Some(uses),
            leadership: self.leadership.clone(),
        })
    }

    /// The private authorities that clients in use trust, and when the first certificate of each expires.
    pub fn authorities(&self) -> Vec<(String, Timestamp)> {
        let expiring = |known: &Known| Some((known.name.clone(), known.expiry?));
        let known = self.known();
        let used = known.values().filter(|known| known.is_used());
        used.filter_map(expiring).collect()
    }

    /// The private authorities whose clients are kept, by their digests.
    pub(super) fn known(&self) -> MutexGuard<'_, HashMap<[u8; 32], Known>> {
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
