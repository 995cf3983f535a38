//! Whose the identities are that do not tell, and a warning for stores that read with the key of an
//! account itself, which may do anything.
//!
//! It is asked beside the reconcile: whoever cannot be asked blocks nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use tokio::time::Instant;

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
/// How long nobody is asked again who gave no answer.
const UNANSWERED: Duration = Duration::from_mins(10);

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
    looks: Mutex<Looks>,
}

/// The UID of a store, and a key that it reads with.
type Look = (String, IdentityId);

/// What was looked at, and until when that counts, if it brought no answer.
#[derive(Default)]
struct Looks(HashMap<Look, Option<Instant>>);

// === impl RootKeys ===

impl RootKeys {
    /// No store was looked at yet.
    pub fn new(callers: Callers, events: Events, hub: Arc<Hub>) -> Self {
        Self {
            callers,
            events,
            hub,
            looks: Mutex::default(),
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
        if !self.looks().begin(look.clone(), Instant::now()) {
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
                    this.looks().failed(look, Instant::now());
                }
            }
        });
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

    fn looks(&self) -> MutexGuard<'_, Looks> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Looks ===

impl Looks {
    /// Whether it is to be looked at now; from here on it has been.
    fn begin(&mut self, look: Look, now: Instant) -> bool {
        let counts = |until: &Option<Instant>| until.is_none_or(|until| until > now);
        if self.0.get(&look).is_some_and(counts) {
            return false;
        }
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert(look, None);
        true
    }

    /// Notes that nobody answered: it is looked at again later.
    fn failed(&mut self, look: Look, now: Instant) {
        self.0.insert(look, Some(now + UNANSWERED));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{DigestKey, Domain};

    #[test]
    fn a_key_that_nobody_knows_is_asked_about_once_in_ten_minutes() {
        let id = DigestKey::new(&[1; 32]).digest(Domain::Identity, &[]);
        let look = || ("uid".to_owned(), IdentityId(id));
        let (mut looks, start) = (Looks::default(), Instant::now());
        let mut asked = 0;
        for minute in 0..60 {
            let now = start + Duration::from_mins(minute);
            if looks.begin(look(), now) {
                asked += 1;
                looks.failed(look(), now);
            }
        }
        assert_eq!(asked, 6);
    }

    #[test]
    fn a_key_that_is_known_is_not_asked_about_again() {
        let id = DigestKey::new(&[1; 32]).digest(Domain::Identity, &[]);
        let look = || ("uid".to_owned(), IdentityId(id));
        let (mut looks, start) = (Looks::default(), Instant::now());
        assert!(looks.begin(look(), start));
        assert!(!looks.begin(look(), start + Duration::from_hours(99)));
    }
}
