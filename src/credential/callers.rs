//! Who the cloud says that identities are, asked once each.
//!
//! It is asked for advice only: nobody's reading waits for the answer or depends on it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::{Caller, CredentialCache, Identity, IdentityId, TokenService};
use crate::provider::{CallError, Edge};

/// Answers that are kept; beyond, all are forgotten and asked for again.
const MOST: usize = 1024;

/// Answers by identity and STS.
pub struct Callers {
    credentials: CredentialCache,
    edge: Edge,
    known: Mutex<HashMap<Question, Arc<OnceCell<Caller>>>>,
}

/// Who is asked about, and where: one STS does not speak for another.
type Question = (IdentityId, String);

// === impl Callers ===

impl Callers {
    /// Nothing is known yet; `credentials` are what is asked with, through `edge`.
    pub fn new(credentials: CredentialCache, edge: Edge) -> Self {
        Self {
            credentials,
            edge,
            known: Mutex::default(),
        }
    }

    /// Who `identity` is to the STS at `sts`. Callers at the same time share one question, and an
    /// answer is kept; a failure is not.
    ///
    /// # Errors
    /// Why there are no credentials, or the class of STS's code.
    pub async fn caller(
        &self,
        identity: &Arc<Identity>,
        sts: &TokenService,
    ) -> Result<Caller, CallError> {
        let cell = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let question = (identity.id(), sts.endpoint.as_str().to_owned());
            if known.len() >= MOST && !known.contains_key(&question) {
                known.clear();
            }
            Arc::clone(known.entry(question).or_default())
        };
        let ask = async || {
            let credentials = self.credentials.get(identity).await?;
            sts.cloud().caller(&self.edge, sts, &credentials).await
        };
        cell.get_or_try_init(ask).await.cloned()
    }
}
