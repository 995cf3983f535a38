//! A cloud whose reads take several calls, each counted by itself, as those of SSM do.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::*;
use crate::credential::Credentials;
use crate::provider::{
    Address, Answer, CallError, Capabilities, Class, Detour, Fetched, Quota, RemoteKey,
};
use crate::secret_bytes::SecretBytes;

/// The actions, and how many calls of each are allowed a second.
pub const DESCRIBE: (&str, u32) = ("describe", 40);
pub const NEWEST: (&str, u32) = ("newest", 40);
pub const READ: (&str, u32) = ("read", 300);
pub const PAIR: (&str, u32) = ("pair", 20);

/// A provider whose keys are what their names begin with: `c-` has versions of which the newest is
/// looked for, `p-` is read by a call of its own, all else is plain.
pub struct Stepwise {
    address: Address,
    start: Instant,
    pub latency: Mutex<Duration>,
    known: Mutex<HashSet<String>>,
    newest: Mutex<HashMap<String, u32>>,
    /// The version that is the newest of every key.
    pub version: Mutex<u32>,
    /// An error that every call of this action meets.
    pub fails: Mutex<Option<(&'static str, Class)>>,
    calls: Mutex<Vec<(Duration, &'static str)>>,
    pub in_flight: Mutex<(usize, usize)>,
}

impl Stepwise {
    pub fn new(start: Instant) -> Arc<Self> {
        Arc::new(Self {
            address: Address::new("stepwise", &[]),
            start,
            latency: Mutex::new(Duration::from_millis(20)),
            known: Mutex::default(),
            newest: Mutex::default(),
            version: Mutex::new(1),
            fails: Mutex::default(),
            calls: Mutex::default(),
            in_flight: Mutex::default(),
        })
    }

    /// What was called since this was asked last, and when.
    pub fn take_calls(&self) -> Vec<(Duration, &'static str)> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    fn next(&self, key: &RemoteKey) -> (&'static str, u32) {
        let name = &key.key;
        if key.version.is_some() {
            READ
        } else if !self.known.lock().unwrap().contains(name) {
            DESCRIBE
        } else if name.starts_with("p-") {
            PAIR
        } else if name.starts_with("c-") && !self.newest.lock().unwrap().contains_key(name) {
            NEWEST
        } else {
            READ
        }
    }

    async fn call(&self, action: &'static str) -> Result<(), CallError> {
        self.calls
            .lock()
            .unwrap()
            .push((self.start.elapsed(), action));
        {
            let mut in_flight = self.in_flight.lock().unwrap();
            in_flight.0 += 1;
            in_flight.1 = in_flight.1.max(in_flight.0);
        }
        let latency = *self.latency.lock().unwrap();
        tokio::time::sleep(latency).await;
        self.in_flight.lock().unwrap().0 -= 1;
        match *self.fails.lock().unwrap() {
            Some((failing, class)) if failing == action => Err(CallError::new(class, "Scripted")),
            _ => Ok(()),
        }
    }
}

impl Provider for Stepwise {
    fn name(&self) -> &'static str {
        "stepwise"
    }

    fn address(&self) -> &Address {
        &self.address
    }

    fn host(&self) -> &'static str {
        "stepwise.example"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { batch: 1 }
    }

    fn quota(&self) -> Quota {
        quota(READ)
    }

    fn detour(&self, key: &RemoteKey) -> Option<Detour> {
        let next = self.next(key);
        (next != READ).then(|| Detour {
            quota: quota(next),
            learns: next != PAIR,
        })
    }

    fn learn<'a>(
        &'a self,
        _: &'a Credentials,
        key: &'a RemoteKey,
    ) -> BoxFuture<'a, Result<(), CallError>> {
        async move {
            let next = self.next(key);
            self.call(next.0).await?;
            if next == DESCRIBE {
                self.known.lock().unwrap().insert(key.key.clone());
            } else {
                let version = *self.version.lock().unwrap();
                self.newest.lock().unwrap().insert(key.key.clone(), version);
            }
            Ok(())
        }
        .boxed()
    }

    fn batchable(&self, _: &RemoteKey) -> bool {
        false
    }

    fn action(&self, keys: &[RemoteKey]) -> &'static str {
        self.next(&keys[0]).0
    }

    fn fetch<'a>(
        &'a self,
        _: &'a Credentials,
        keys: &'a [RemoteKey],
    ) -> BoxFuture<'a, Result<Vec<Answer>, CallError>> {
        let next = self.next(&keys[0]);
        assert!(next == READ || next == PAIR, "{} before it is read", next.0);
        async move {
            self.call(next.0).await?;
            let version = self.newest.lock().unwrap().remove(&keys[0].key);
            let text = format!("{} {version:?}", keys[0].key);
            Ok(vec![Ok(Fetched::new(SecretBytes::from(text), None))])
        }
        .boxed()
    }

    fn check<'a>(&'a self, _: &'a Credentials) -> BoxFuture<'a, Result<(), CallError>> {
        async { Ok(()) }.boxed()
    }
}

fn quota((name, per_second): (&'static str, u32)) -> Quota {
    Quota {
        name,
        scope: "here".to_owned(),
        per_second: Some(per_second),
    }
}
