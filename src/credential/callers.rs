//! Who the cloud says that identities are, asked once each.
//!
//! It is asked for advice only: nobody's reading waits for the answer or depends on it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::cloud::Action;
use super::pace::{Asker, Pace};
use super::{Caller, CredentialCache, Identity, IdentityId, TokenService};
use crate::provider::{CallError, Edge};

/// Answers that are kept; beyond, all are forgotten and asked for again.
const MOST: usize = 1024;

/// The question. No vendor publishes a quota of its own for it: this is the lowest that one publishes for an
/// action of its token service.
const ASKING: Action = Action {
    name: "GetCallerIdentity",
    counted_as: "GetCallerIdentity",
    quota: 20.0,
};

/// Answers by identity and STS.
pub struct Callers {
    credentials: CredentialCache,
    edge: Edge,
    pace: Pace,
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
            pace: Pace::new(0.0),
            known: Mutex::default(),
        }
    }

    /// The same, which uses this part of each STS's quota for one account for all questions of whoever
    /// was not answered yet; 0, the default, is all that is wanted.
    #[must_use]
    pub fn paced(mut self, share: f64) -> Self {
        self.pace = Pace::new(share);
        self
    }

    /// Who `identity` is to the STS at `sts`. Callers at the same time share one question, and an
    /// answer is kept; a failure is not.
    ///
    /// # Errors
    /// Why there are no credentials, the class of STS's code, or [`Throttled`](crate::provider::Class::Throttled) when others ask too
    /// much.
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
            // Whose it is, is what is asked.
            let asker = Asker::new(identity.id(), "", sts, &ASKING);
            self.pace.turn(&asker).await?;
            let answer = sts.cloud().caller(&self.edge, sts, &credentials).await;
            self.pace.note(&asker, answer.as_ref().err());
            answer
        };
        cell.get_or_try_init(ask).await.cloned()
    }
}
