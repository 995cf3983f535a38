//! The credential cache: one exchange per identity however many ask, renewed early, kept while
//! still valid when a renewal fails.
//!
//! It never remembers a failure beyond the calls that met it, and never lends one identity's
//! credentials to another.

mod lifetime;

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use jiff::Timestamp;

use self::lifetime::Lifetime;
use super::{Credentials, Exchanger, Identity, IdentityId};
use crate::clock::Clock;
use crate::provider::{CallError, Class, Random};

/// How long one exchange may take, the token it needs included.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// Is told of every exchange: the kind of source, and how it ended.
pub type OnRenewal = Arc<dyn Fn(&'static str, Result<(), Class>) + Send + Sync>;

/// Credentials by identity. Cloning shares the cache.
#[derive(Clone)]
pub struct CredentialCache(Arc<Inner>);

struct Inner {
    exchanger: Arc<dyn Exchanger>,
    clock: Arc<dyn Clock>,
    random: Random,
    on_renewal: OnRenewal,
    entries: Mutex<HashMap<IdentityId, Entry>>,
}

#[derive(Default)]
struct Entry {
    base: Option<IdentityId>,
    held: Option<Held>,
    flight: Option<Flight>,
}

struct Held {
    credentials: Arc<Credentials>,
    lifetime: Option<Lifetime>,
}

type Outcome = Result<Arc<Credentials>, CallError>;
type Flight = Shared<BoxFuture<'static, Outcome>>;

// === impl CredentialCache ===

impl CredentialCache {
    /// An empty cache in front of `exchanger`. `random` spreads renewals.
    pub fn new(
        exchanger: Arc<dyn Exchanger>,
        clock: Arc<dyn Clock>,
        random: Random,
        on_renewal: OnRenewal,
    ) -> Self {
        Self(Arc::new(Inner {
            exchanger,
            clock,
            random,
            on_renewal,
            entries: Mutex::default(),
        }))
    }

    /// Usable credentials of `identity`. Callers at the same time share one exchange, and dropping
    /// one caller does not stop it. Where the held credentials are due for renewal but still
    /// usable, they are returned at once and renewed behind the caller's back.
    ///
    /// # Errors
    /// Why the exchange failed, when nothing usable is held. The next call tries again: whoever
    /// calls has to space its attempts.
    pub async fn get(&self, identity: &Arc<Identity>) -> Result<Arc<Credentials>, CallError> {
        let flight = {
            let now = self.0.clock.now();
            let mut entries = self.0.entries();
            let entry = entries.entry(identity.id()).or_default();
            entry.base = identity.base().map(|base| base.id());
            if entry.held.is_none() {
                entry.held = identity.fixed().map(Held::forever);
            }
            if let Some(held) = entry.usable(now) {
                let credentials = Arc::clone(&held.credentials);
                if held.renewal_is_due(now) && entry.flight.is_none() {
                    entry.flight = Some(self.depart(identity));
                }
                return Ok(credentials);
            }
            let flight = entry.flight.get_or_insert_with(|| self.depart(identity));
            flight.clone()
        };
        flight.await
    }

    /// Drops `failed`, credentials that the cloud refused, if they are still the held ones.
    pub fn discard(&self, identity: &IdentityId, failed: &Arc<Credentials>) {
        if let Some(entry) = self.0.entries().get_mut(identity) {
            entry
                .held
                .take_if(|held| Arc::ptr_eq(&held.credentials, failed));
        }
    }

    /// Drops everything held for identities that are not `live`, nor entered by ones that are; an
    /// exchange under way is let finish, and goes the next time.
    pub fn retain(&self, live: &HashSet<IdentityId>) {
        let mut entries = self.0.entries();
        let mut kept = live.clone();
        for id in live {
            let mut next = Some(*id);
            while let Some(id) = next.take() {
                next = entries.get(&id).and_then(|entry| entry.base);
                kept.extend(next);
            }
        }
        let keep = |id: &IdentityId, entry: &Entry| kept.contains(id) || entry.flight.is_some();
        entries.retain(|id, entry| keep(id, entry));
    }

    /// How many identities are held.
    pub fn len(&self) -> usize {
        self.0.entries().len()
    }

    /// Whether no identity is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Starts an exchange as a task of its own, which no caller can cancel.
    fn depart(&self, identity: &Arc<Identity>) -> Flight {
        let inner = Arc::clone(&self.0);
        let identity = Arc::clone(identity);
        let task = tokio::spawn(async move {
            let outcome = inner.exchange(&identity).await;
            inner.land(&identity, outcome)
        });
        let landed = async move {
            let aborted = |_| Err(CallError::new(Class::Unavailable, "ExchangeAborted"));
            task.await.unwrap_or_else(aborted)
        };
        landed.boxed().shared()
    }
}

// === impl Inner ===

impl Inner {
    fn entries(&self) -> MutexGuard<'_, HashMap<IdentityId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn exchange(self: &Arc<Self>, identity: &Identity) -> Result<Credentials, CallError> {
        let exchange = async {
            match identity.base() {
                None => self.exchanger.exchange(identity, None).await,
                Some(base) => self.exchange_with(identity, base).await,
            }
        };
        let exchange = AssertUnwindSafe(exchange).catch_unwind();
        match tokio::time::timeout(EXCHANGE_TIMEOUT, exchange).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(CallError::new(Class::Unavailable, "ExchangeCrashed")),
            Err(_) => Err(CallError::new(Class::Unavailable, "ExchangeTimeout")),
        }
    }

    /// Exchanges the credentials of `base`, which are cached like any others, for those of
    /// `identity`. Where the cloud refuses them, they are dropped and the exchange is tried once more.
    async fn exchange_with(
        self: &Arc<Self>,
        identity: &Identity,
        base: &Arc<Identity>,
    ) -> Result<Credentials, CallError> {
        let cache = CredentialCache(Arc::clone(self));
        let held = cache.get(base).await?;
        let outcome = self.exchanger.exchange(identity, Some(&held)).await;
        match outcome {
            Err(error)
                if base.fixed().is_none() && self.exchanger.refuses_the_base(identity, &error) =>
            {
                cache.discard(&base.id(), &held);
                let renewed = cache.get(base).await?;
                self.exchanger.exchange(identity, Some(&renewed)).await
            }
            outcome => outcome,
        }
    }

    /// Takes in what an exchange brought, if anybody still wants it.
    fn land(&self, identity: &Identity, outcome: Result<Credentials, CallError>) -> Outcome {
        let now = self.clock.now();
        let outcome = outcome.map(Arc::new);
        if let Some(entry) = self.entries().get_mut(&identity.id()) {
            entry.flight = None;
            match &outcome {
                Ok(credentials) => entry.held = Some(self.hold(credentials, now)),
                Err(error) => {
                    if let Some(held) = &mut entry.held {
                        held.renewal_failed(now, error.retry_after);
                    }
                }
            }
        }
        // Last, so that a hook that panics leaves no exchange behind that never ends.
        let told = outcome.as_ref().map(drop).map_err(|error| error.class);
        (self.on_renewal)(identity.kind(), told);
        outcome
    }

    fn hold(&self, credentials: &Arc<Credentials>, now: Timestamp) -> Held {
        let spread = self.spread();
        let lifetime = |end| Lifetime::new(now, end, spread);
        Held {
            credentials: Arc::clone(credentials),
            lifetime: credentials.expires_at.map(lifetime),
        }
    }

    /// A number from 0 to 1; 0 when there is no randomness, which only costs the spreading.
    fn spread(&self) -> f64 {
        let mut bytes = [0; 2];
        match self.random.fill(&mut bytes) {
            Ok(()) => f64::from(u16::from_be_bytes(bytes)) / f64::from(u16::MAX),
            Err(_) => 0.0,
        }
    }
}

// === impl Entry ===

impl Entry {
    fn usable(&self, now: Timestamp) -> Option<&Held> {
        let usable = |held: &&Held| held.lifetime.as_ref().is_none_or(|l| l.is_usable(now));
        self.held.as_ref().filter(usable)
    }
}

// === impl Held ===

impl Held {
    fn forever(credentials: Credentials) -> Self {
        Self {
            credentials: Arc::new(credentials),
            lifetime: None,
        }
    }

    fn renewal_failed(&mut self, now: Timestamp, hint: Option<Duration>) {
        if let Some(lifetime) = &mut self.lifetime {
            lifetime.renewal_failed(now, hint.unwrap_or_default());
        }
    }

    fn renewal_is_due(&self, now: Timestamp) -> bool {
        self.lifetime
            .as_ref()
            .is_some_and(|l| l.renewal_is_due(now))
    }
}

#[cfg(test)]
mod chain_tests;
#[cfg(test)]
mod tests;
