//! One step of the hub among very many rows, through what the controller sees of it.

use std::sync::Arc;
use std::time::Duration;

use external_cloud_secrets::clock::Clock;
use external_cloud_secrets::credential::{
    AccessKey, CredentialCache, Credentials, Exchanger, Identity, Source,
};
use external_cloud_secrets::digest::DigestKey;
use external_cloud_secrets::provider::{
    Address, Answer, CallError, Capabilities, Class, Fetched, Provider, Quota, RemoteKey,
};
use external_cloud_secrets::refresh::{
    CallObserver, Caller, Hub, Join, Joined, Limits, Need, ObjectKey, Origin, StoreLimits,
};
use external_cloud_secrets::secret_bytes::SecretBytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use ring::rand::SystemRandom;

use crate::failure::{Failure, Result};

const OBJECTS: usize = 10_000;
const ENTRIES: usize = 4;
/// So long that nothing falls due by itself while steps are made.
const INTERVAL: Duration = Duration::from_hours(365 * 24);

type Called<T> = std::result::Result<T, CallError>;

/// A cloud that answers at once.
struct Cloud(Address);

/// A wall clock that stands still, so that every process chooses the same rows.
struct Still;

/// Exchanges nothing and hears nothing: the identity is an access key.
struct Nobody;

// === impl Cloud ===

impl Provider for Cloud {
    fn name(&self) -> &'static str {
        "kms"
    }

    fn address(&self) -> &Address {
        &self.0
    }

    fn host(&self) -> &'static str {
        "cloud.example"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { batch: 20 }
    }

    fn quota(&self) -> Quota {
        Quota {
            name: "kms-reads",
            scope: "here".to_owned(),
            per_second: None,
        }
    }

    fn batchable(&self, _: &RemoteKey) -> bool {
        true
    }

    fn action(&self, _: &[RemoteKey], _: bool) -> &'static str {
        "BatchGetSecretValue"
    }

    fn fetch<'a>(
        &'a self,
        _: &'a Credentials,
        keys: &'a [RemoteKey],
    ) -> BoxFuture<'a, Called<Vec<Answer>>> {
        let value = |key: &RemoteKey| SecretBytes::from(format!("canary-of-{}", key.key));
        let fetched = move |key| Ok(Fetched::new(value(key), Some("v1".to_owned())));
        async move { Ok(keys.iter().map(fetched).collect()) }.boxed()
    }

    fn check<'a>(&'a self, _: &'a Credentials) -> BoxFuture<'a, Called<()>> {
        async { Ok(()) }.boxed()
    }
}

// === impl Still ===

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

// === impl Nobody ===

impl Exchanger for Nobody {
    fn exchange<'a>(
        &'a self,
        _: &'a Identity,
        _: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Called<Credentials>> {
        async { Err(CallError::new(Class::Protocol, "Exchanged")) }.boxed()
    }
}

impl CallObserver for Nobody {
    fn called(&self, _: &str, _: &str, _: Option<Class>, _: Duration) {}
}

/// Has so many objects, one after the other, read their rows anew.
pub async fn schedule(times: u32) -> Result<()> {
    let key = DigestKey::new(&[7; 32]);
    let credentials = CredentialCache::new(
        Arc::new(Nobody),
        Arc::new(Still),
        Arc::new(SystemRandom::new()),
        Arc::new(|_, _| ()),
    );
    let deadline = Duration::from_mins(1);
    let caller = Caller::new(Arc::new(credentials), Arc::new(Nobody), deadline);
    let (hub, mut woken) = Hub::new(caller, Arc::new(Still), key.clone(), Limits::default());
    let source = Source::AccessKey(AccessKey {
        id: "canary-id".into(),
        secret: "canary-secret".into(),
        token: None,
    });
    let origin = Arc::new(Origin {
        provider: Arc::new(Cloud(Address::new("kms", &[]))),
        identity: Arc::new(Identity::new(source, &key)),
    });
    let objects: Vec<ObjectKey> = (0..OBJECTS)
        .map(|number| subscribed(&hub, &origin, number))
        .collect();
    let running = tokio::spawn(Arc::clone(&hub).run(std::future::pending()));
    for step in 1..=u64::from(times) {
        // A stride, so that neighbours in the table are not neighbours in time.
        let at = usize::try_from(step * 7).unwrap_or_default() % OBJECTS;
        let object = &objects[at];
        let asked = Join {
            anew: Some(step),
            retry: false,
        };
        // Others are woken too, and an object for rows that topped up an earlier batch.
        let answers = loop {
            match hub.join(object, asked) {
                Joined::Ready(answers) => break answers,
                Joined::Pending => while woken.recv().await.as_ref() != Some(object) {},
            }
        };
        if answers.iter().filter(|answer| answer.is_ok()).count() != ENTRIES {
            return Err(Failure(format!("not all was read: {answers:?}")));
        }
    }
    running.abort();
    Ok(())
}

/// An object with four rows of its own.
fn subscribed(hub: &Hub, origin: &Arc<Origin>, number: usize) -> ObjectKey {
    let name = format!("x-{number:05}");
    let need = |entry: usize| Need {
        store: "tenant-0/store".into(),
        limits: StoreLimits::default(),
        origin: Arc::clone(origin),
        key: RemoteKey::named(format!("bench/{name}/{entry}")),
        interval: INTERVAL,
        applied: None,
    };
    let object = ObjectKey::new("tenant-0", &name);
    hub.subscribe(&object, (0..ENTRIES).map(need).collect());
    object
}
