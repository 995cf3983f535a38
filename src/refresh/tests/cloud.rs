//! A cloud that does as it is told, and remembers what it was asked.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::time::Instant;

use super::*;
use crate::credential::Credentials;
use crate::provider::{Address, Answer, Capabilities, Fetched, Quota, Rotation};
use crate::secret_bytes::SecretBytes;

/// The code of a failure that is a key's own.
pub const KEY_DISABLED: &str = "KeyDisabled";

/// How the cloud treats one key.
#[derive(Debug, Clone, PartialEq)]
pub enum Script {
    Value(String),
    /// A value that the cloud rotates at this time.
    Rotates(Timestamp),
    /// This key alone gets an error, also in a batch.
    Fails(Class, &'static str),
    /// The whole call fails, with every key in it.
    Spoils(Class, &'static str),
    Hangs,
    Panics,
    /// This key is refused in a batch and read alone.
    NotTogether,
}

/// One call as the cloud saw it.
#[derive(Debug, Clone)]
pub struct Call {
    pub at: Duration,
    pub keys: Vec<String>,
}

/// A provider whose every key follows its script; a key without one holds `value of KEY`.
pub struct Cloud {
    address: Address,
    host: String,
    pub batch: usize,
    start: Instant,
    /// The documented quota, if there is one.
    pub per_second: Mutex<Option<u32>>,
    pub latency: Mutex<Duration>,
    pub scripts: Mutex<HashMap<String, Script>>,
    /// What every call meets, whatever its keys.
    pub everything: Mutex<Option<Script>>,
    calls: Mutex<Vec<Call>>,
    in_flight: AtomicUsize,
    pub most_in_flight: AtomicUsize,
}

// === impl Cloud ===

impl Cloud {
    pub fn new(name: &str, start: Instant) -> Self {
        Self {
            address: Address::new("cloud", &[("name", name)]),
            host: format!("{name}.example"),
            batch: 10,
            start,
            per_second: Mutex::default(),
            latency: Mutex::new(Duration::from_millis(20)),
            scripts: Mutex::default(),
            everything: Mutex::default(),
            calls: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
        }
    }

    pub fn set(&self, key: &str, script: Script) {
        self.scripts.lock().unwrap().insert(key.to_owned(), script);
    }

    pub fn value(&self, key: &str, value: &str) {
        self.set(key, Script::Value(value.to_owned()));
    }

    pub fn heal(&self) {
        self.scripts.lock().unwrap().clear();
        *self.everything.lock().unwrap() = None;
    }

    pub fn all(&self, script: Script) {
        *self.everything.lock().unwrap() = Some(script);
    }

    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    /// How often each key was asked for since the calls were taken last.
    pub fn take_reads(&self) -> BTreeMap<String, usize> {
        let mut reads = BTreeMap::new();
        for call in self.take_calls() {
            for key in call.keys {
                *reads.entry(key).or_default() += 1;
            }
        }
        reads
    }

    fn script(&self, key: &RemoteKey) -> Script {
        let value = || Script::Value(format!("value of {}", key.key));
        let scripts = self.scripts.lock().unwrap();
        scripts.get(&key.key).cloned().unwrap_or_else(value)
    }

    async fn answer(&self, keys: &[RemoteKey]) -> Result<Vec<Answer>, CallError> {
        let latency = *self.latency.lock().unwrap();
        tokio::time::sleep(latency).await;
        let scripts: Vec<Script> = match &*self.everything.lock().unwrap() {
            Some(script) => vec![script.clone()],
            None => keys.iter().map(|key| self.script(key)).collect(),
        };
        assert!(!scripts.contains(&Script::Panics), "scripted");
        if scripts.contains(&Script::Hangs) {
            std::future::pending::<()>().await;
        }
        if keys.len() > 1 && scripts.contains(&Script::NotTogether) {
            return Err(CallError::new(Class::Denied, "NotTogether"));
        }
        for script in &scripts {
            if let Script::Spoils(class, code) = script {
                let error = CallError::new(*class, code);
                return Err(error.with_of_the_key(*code == KEY_DISABLED));
            }
        }
        Ok(scripts
            .into_iter()
            .map(|script| match script {
                Script::Fails(class, code) => Err(CallError::new(class, code)),
                Script::Rotates(next) => Ok(Fetched {
                    rotation: Some(Rotation {
                        automatic: true,
                        next: Some(next),
                        interval: None,
                    }),
                    ..Fetched::new(SecretBytes::from("rotating".to_owned()), None)
                }),
                Script::Value(value) => {
                    Ok(Fetched::new(SecretBytes::from(value), Some("1".to_owned())))
                }
                _ => Ok(Fetched::new(SecretBytes::from("alone".to_owned()), None)),
            })
            .collect())
    }
}

impl Provider for Cloud {
    fn name(&self) -> &'static str {
        "cloud"
    }

    fn address(&self) -> &Address {
        &self.address
    }

    fn host(&self) -> &str {
        &self.host
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { batch: self.batch }
    }

    fn quota(&self) -> Quota {
        Quota {
            name: "reads",
            scope: "here".to_owned(),
            per_second: *self.per_second.lock().unwrap(),
        }
    }

    fn batchable(&self, key: &RemoteKey) -> bool {
        key.version.is_none()
    }

    fn action(&self, _: &[RemoteKey], _: bool) -> &'static str {
        "Get"
    }

    fn fetch<'a>(
        &'a self,
        _: &'a Credentials,
        keys: &'a [RemoteKey],
    ) -> BoxFuture<'a, Result<Vec<Answer>, CallError>> {
        assert!(keys.len() <= self.batch && !keys.is_empty());
        assert!(keys.len() == 1 || keys.iter().all(|key| self.batchable(key)));
        let call = Call {
            at: self.start.elapsed(),
            keys: keys.iter().map(|key| key.key.clone()).collect(),
        };
        self.calls.lock().unwrap().push(call);
        let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_in_flight.fetch_max(now, Ordering::SeqCst);
        let left = Left(&self.in_flight);
        async move {
            let _left = left;
            self.answer(keys).await
        }
        .boxed()
    }

    fn check<'a>(&'a self, _: &'a Credentials) -> BoxFuture<'a, Result<(), CallError>> {
        async { Ok(()) }.boxed()
    }
}

/// Counts a call out, also when it is dropped or panics.
struct Left<'a>(&'a AtomicUsize);

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
