//! The fixtures: a scripted cloud, a scripted token service, and a hub between them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

use super::super::*;
pub use super::cloud::{Cloud, Script};
use crate::clock::{Clock, TokioClock};
use crate::credential::{
    AccessKey, Alibaba, CredentialCache, Credentials, Exchanger, Source, Subject, TokenService,
    WebIdentity,
};
use crate::digest::DigestKey;
use crate::provider::Class;
use crate::provider::endpoint::EndpointPolicy;

pub const SECOND: Duration = Duration::from_secs(1);
pub const MINUTE: Duration = Duration::from_mins(1);
pub const HOUR: Duration = Duration::from_hours(1);
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A token service that fails for the roles it is told to.
#[derive(Default)]
pub struct Tokens {
    pub broken: Mutex<HashMap<String, CallError>>,
    pub exchanges: Mutex<Vec<(Duration, String)>>,
}

pub struct World {
    pub hub: Arc<Hub>,
    pub woken: UnboundedReceiver<ObjectKey>,
    pub tokens: Arc<Tokens>,
    pub key: DigestKey,
    pub start: Instant,
    clock: TokioClock,
}

struct Deaf;

// === impl Tokens ===

struct Exchange(Arc<Tokens>, Instant);

impl Exchanger for Exchange {
    fn exchange<'a>(
        &'a self,
        identity: &'a Identity,
        _base: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Credentials, CallError>> {
        async move {
            let Source::WebIdentity(rrsa) = identity.source() else {
                unreachable!()
            };
            let role = rrsa.role_arn.clone();
            let at = self.1.elapsed();
            self.0.exchanges.lock().unwrap().push((at, role.clone()));
            tokio::time::sleep(Duration::from_millis(5)).await;
            match self.0.broken.lock().unwrap().get(&role) {
                Some(error) => Err(error.clone()),
                None => Ok(Credentials {
                    access_key_id: role,
                    access_key_secret: SecretString::from("canary-secret"),
                    security_token: None,
                    expires_at: None,
                }),
            }
        }
        .boxed()
    }
}

impl CallObserver for Deaf {
    fn called(&self, _: &str, _: &str, _: Option<Class>, _: Duration) {}
}

// === impl World ===

impl World {
    pub fn new() -> Self {
        Self::with(Limits::default())
    }

    pub fn with(limits: Limits) -> Self {
        let start = Instant::now();
        let clock = TokioClock::starting_at(Timestamp::from_second(1_700_000_000).unwrap());
        let key = DigestKey::new(&[7; 32]);
        let tokens = Arc::new(Tokens::default());
        let credentials = CredentialCache::new(
            Arc::new(Exchange(Arc::clone(&tokens), start)),
            Arc::new(clock),
            Arc::new(ring::rand::SystemRandom::new()),
            Arc::new(|_, _| ()),
        );
        let caller = Caller::new(Arc::new(credentials), Arc::new(Deaf), DEADLINE);
        let (hub, woken) = Hub::new(caller, Arc::new(clock), key.clone(), limits);
        tokio::spawn(Arc::clone(&hub).run(std::future::pending()));
        Self {
            hub,
            woken,
            tokens,
            key,
            start,
            clock,
        }
    }

    pub fn wall(&self) -> Timestamp {
        self.clock.now()
    }

    /// A cloud at an address of its own, with batches of ten and 20 ms of latency.
    pub fn cloud(&self, name: &str) -> Arc<Cloud> {
        Arc::new(Cloud::new(name, self.start))
    }

    /// `cloud` read with a key that needs no exchange.
    pub fn origin(&self, cloud: &Arc<Cloud>) -> Arc<Origin> {
        self.origin_as(cloud, "id")
    }

    pub fn origin_as(&self, cloud: &Arc<Cloud>, id: &str) -> Arc<Origin> {
        self.origin_at(Arc::clone(cloud) as Arc<dyn Provider>, id)
    }

    /// Any provider, read with a key that needs no exchange.
    pub fn origin_at(&self, provider: Arc<dyn Provider>, id: &str) -> Arc<Origin> {
        let source = Source::AccessKey(AccessKey {
            id: id.to_owned(),
            secret: SecretString::from("canary-secret"),
            token: None,
        });
        self.origin_of(provider, source)
    }

    /// `cloud` read by a role, whose credentials come from the token service.
    pub fn origin_by(&self, cloud: &Arc<Cloud>, role: &str) -> Arc<Origin> {
        let policy = EndpointPolicy::default();
        let sts = crate::provider::alibaba::endpoint::global_sts(&policy);
        self.origin_of(
            Arc::clone(cloud) as Arc<dyn Provider>,
            Source::WebIdentity(WebIdentity {
                role_arn: role.to_owned(),
                provider: "provider".to_owned(),
                subject: Subject::TokenFile {
                    path: "/token".into(),
                },
                sts: TokenService::new(&Alibaba, sts.unwrap()),
                session_name: "session".to_owned(),
                duration_seconds: None,
                policy: None,
            }),
        )
    }

    fn origin_of(&self, provider: Arc<dyn Provider>, source: Source) -> Arc<Origin> {
        Arc::new(Origin {
            provider,
            identity: Arc::new(Identity::new(source, &self.key)),
        })
    }

    pub async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Who was woken since the last call, in order and with repetitions.
    pub fn wakes(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.woken.try_recv().ok())
            .map(|object| object.name.to_string())
            .collect()
    }

    /// Joins and waits until the answers are there; fails after a minute.
    pub async fn collect(
        &self,
        object: &ObjectKey,
        request: Join,
    ) -> Vec<Result<Arc<Held>, Arc<CallError>>> {
        for _ in 0..6_000 {
            if let Joined::Ready(answers) = self.hub.join(object, request) {
                return answers;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{object} waits for ever");
    }

    /// Joins, collects, and applies everything, as an object's reconcile would.
    pub async fn settle(&self, object: &ObjectKey) -> Vec<Option<Digest>> {
        let answers = self.collect(object, Join::default()).await;
        let digests: Vec<_> = answers
            .iter()
            .map(|answer| answer.as_ref().ok().map(|held| held.digest))
            .collect();
        self.hub.applied(object, &digests);
        self.hub.look(object);
        digests
    }
}

pub fn object(name: &str) -> ObjectKey {
    ObjectKey::new("shop", name)
}

pub fn need(origin: &Arc<Origin>, key: &str, interval: Duration) -> Need {
    Need {
        store: "shop/store".into(),
        limits: StoreLimits::default(),
        origin: Arc::clone(origin),
        key: RemoteKey::named(key),
        interval,
        applied: None,
    }
}

/// The text of the values that arrived; the code of the errors.
pub fn texts(answers: &[Result<Arc<Held>, Arc<CallError>>]) -> Vec<String> {
    let text = |held: &Arc<Held>| String::from_utf8_lossy(held.fetched.value.expose()).into_owned();
    answers
        .iter()
        .map(|answer| match answer {
            Ok(held) => text(held),
            Err(error) => error.code().to_owned(),
        })
        .collect()
}
