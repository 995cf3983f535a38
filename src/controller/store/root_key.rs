//! Whose the identities are that do not tell, and a warning for stores that read with the key of an
//! account itself, which may do anything.
//!
//! It is asked beside the reconcile: whoever cannot be asked blocks nothing.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;

use super::view::AnyStore;
use crate::controller::event::Events;
use crate::credential::{Callers, Identity, IdentityId, Source, TokenService};
use crate::provider::Class;
use crate::refresh::Hub;

/// Looks that are remembered; beyond, all are forgotten, and a warning may come again.
const MOST: usize = 1024;
/// How often a question is repeated that nobody answered, and how long after.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(20);

/// The reason of the event.
const REASON: &str = "RootAccessKey";
const MESSAGE: &str = "the access key is that of the cloud account itself: it may do anything, no \
                       policy restrains it, and it can enter no role; use a role, or the key of \
                       a user that may read what this store names";

/// Knows which keys of which stores were looked at.
pub struct RootKeys {
    callers: Callers,
    events: Events,
    hub: Arc<Hub>,
    seen: Mutex<HashSet<Look>>,
}

/// The UID of a store, and a key that it reads with.
type Look = (String, IdentityId);

// === impl RootKeys ===

impl RootKeys {
    /// No store was looked at yet.
    pub fn new(callers: Callers, events: Events, hub: Arc<Hub>) -> Self {
        Self {
            callers,
            events,
            hub,
            seen: Mutex::default(),
        }
    }

    /// Asks whose an identity is that does not tell, so that it shares the budgets of its account, and
    /// warns if what `identity` begins with is a root key, once for each key of `store`. The
    /// warning is an event of `about`: of the store itself, or where the key is that of the
    /// consumer's namespace, of the first object that reads with it, for only there it can be mended.
    pub fn look(
        self: &Arc<Self>,
        store: &AnyStore,
        about: ObjectReference,
        identity: &Arc<Identity>,
        sts: TokenService,
    ) {
        let first = Arc::clone(identity.first());
        if first.account().is_some() {
            return;
        }
        let look = (store.meta().uid.clone().unwrap_or_default(), first.id());
        if !self.is_first(look.clone()) {
            return;
        }
        let this = Arc::clone(self);
        tokio::spawn(async move {
            match this.is_root(&first, &sts).await {
                Some(true) => {
                    tracing::warn!(
                        kind = about.kind,
                        namespace = about.namespace,
                        name = about.name,
                        "reads with a root key"
                    );
                    this.events.transition(about, false, REASON, MESSAGE);
                }
                Some(false) => {}
                None => {
                    this.seen().remove(&look);
                }
            }
        });
    }

    fn is_first(&self, look: Look) -> bool {
        let mut seen = self.seen();
        if seen.len() >= MOST && !seen.contains(&look) {
            seen.clear();
        }
        seen.insert(look)
    }

    async fn is_root(&self, identity: &Arc<Identity>, sts: &TokenService) -> Option<bool> {
        for _ in 0..TRIES {
            match self.callers.caller(identity, sts).await {
                Ok(caller) => {
                    // What another STS says could put a store into the budgets of a stranger.
                    if sts.cloud().is_vendors(&sts.endpoint) {
                        self.hub.learn_account(identity.id(), &caller.account_id);
                    }
                    let key = matches!(identity.source(), Source::AccessKey(_));
                    return Some(key && caller.is_root);
                }
                Err(error) if matches!(error.class, Class::Throttled | Class::Unavailable) => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => {
                    tracing::debug!(%error, "nobody said whose key it is");
                    return None;
                }
            }
        }
        None
    }

    fn seen(&self) -> MutexGuard<'_, HashSet<Look>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
