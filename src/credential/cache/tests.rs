//! The cache under a paused clock and a scripted exchange.

use std::sync::atomic::{AtomicUsize, Ordering};

use secrecy::{ExposeSecret, SecretString};

use super::super::{
    AccessKey, Alibaba, AssumedRole, Audience, ServiceAccount, Source, Subject, TokenService,
    WebIdentity,
};
use super::*;
use crate::clock::TokioClock;
use crate::digest::DigestKey;
use crate::provider::alibaba::endpoint::global_sts;
use crate::provider::endpoint::EndpointPolicy;

const REFUSED: &str = "InvalidSecurityToken.Expired";
const HOUR: Duration = Duration::from_hours(1);

/// Issues credentials named by their number; fails, hangs or panics when told to.
struct Scripted {
    clock: TokioClock,
    exchanges: AtomicUsize,
    mode: Mutex<Mode>,
    /// The ids of base credentials that came with exchanges.
    entered: Mutex<Vec<String>>,
    /// The id of the base credentials that are refused once.
    refused: Mutex<Option<String>>,
}

#[derive(Clone, Copy)]
pub(super) enum Mode {
    Issue,
    Fail,
    Throttle,
    Hang,
    Panic,
}

impl Exchanger for Scripted {
    fn exchange<'a>(
        &'a self,
        identity: &'a Identity,
        base: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Credentials, CallError>> {
        async move {
            let number = self.exchanges.fetch_add(1, Ordering::SeqCst) + 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
            let mode = *self.mode.lock().unwrap();
            if let Some(base) = base {
                let mut refused = self.refused.lock().unwrap();
                self.entered
                    .lock()
                    .unwrap()
                    .push(base.access_key_id.clone());
                if refused.take_if(|id| *id == base.access_key_id).is_some() {
                    return Err(CallError::new(Class::Unauthenticated, REFUSED));
                }
            }
            match mode {
                Mode::Issue => Ok(Credentials {
                    access_key_id: format!("{}-{number}", identity.id().0),
                    access_key_secret: SecretString::from("canary-secret"),
                    security_token: Some(SecretString::from("canary-token")),
                    expires_at: Some(self.clock.now().checked_add(HOUR).unwrap()),
                }),
                Mode::Fail => Err(CallError::new(Class::Unavailable, "ServiceUnavailable")),
                Mode::Throttle => Err(CallError::new(Class::Throttled, "Throttling.User")
                    .with_retry_after(Some(Duration::from_mins(3)))),
                Mode::Hang => std::future::pending().await,
                Mode::Panic => panic!("scripted"),
            }
        }
        .boxed()
    }

    fn refuses_the_base(&self, _: &Identity, error: &CallError) -> bool {
        error.code() == REFUSED
    }
}

pub(super) struct Fixture {
    pub(super) cache: CredentialCache,
    scripted: Arc<Scripted>,
    renewals: Arc<Mutex<Vec<Result<(), Class>>>>,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let clock = TokioClock::starting_at(Timestamp::UNIX_EPOCH);
        let scripted = Arc::new(Scripted {
            clock,
            exchanges: AtomicUsize::new(0),
            mode: Mutex::new(Mode::Issue),
            entered: Mutex::default(),
            refused: Mutex::default(),
        });
        let renewals = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&renewals);
        let cache = CredentialCache::new(
            Arc::clone(&scripted) as Arc<dyn Exchanger>,
            Arc::new(clock),
            Arc::new(ring::rand::SystemRandom::new()),
            Arc::new(move |_, outcome| seen.lock().unwrap().push(outcome)),
        );
        Self {
            cache,
            scripted,
            renewals,
        }
    }

    pub(super) fn mode(&self, mode: Mode) {
        *self.scripted.mode.lock().unwrap() = mode;
    }

    pub(super) fn entered(&self) -> Vec<String> {
        self.scripted.entered.lock().unwrap().clone()
    }

    /// Has these credentials refused once, as the base of an exchange.
    pub(super) fn refuse(&self, base: &Credentials) {
        *self.scripted.refused.lock().unwrap() = Some(base.access_key_id.clone());
    }

    pub(super) fn exchanges(&self) -> usize {
        self.scripted.exchanges.load(Ordering::SeqCst)
    }

    pub(super) async fn get(&self, identity: &Arc<Identity>) -> Arc<Credentials> {
        self.cache.get(identity).await.unwrap()
    }
}

pub(super) fn rrsa(role: &str) -> Arc<Identity> {
    let source = Source::WebIdentity(WebIdentity {
        role_arn: format!("acs:ram::1:role/{role}"),
        provider: "acs:ram::1:oidc-provider/c1".to_owned(),
        subject: Subject::ServiceAccount {
            account: ServiceAccount {
                namespace: "shop".to_owned(),
                name: "db".to_owned(),
                uid: "u1".to_owned(),
            },
            audience: Audience::new("sts.aliyuncs.com").unwrap(),
        },
        sts: TokenService::new(&Alibaba, global_sts(&EndpointPolicy::default()).unwrap()),
        session_name: "c.shop.db".to_owned(),
        duration_seconds: None,
        policy: None,
    });
    Arc::new(Identity::new(source, &DigestKey::new(&[1; 32])))
}

pub(super) fn hop(base: &Arc<Identity>, external_id: &str) -> Arc<Identity> {
    let source = Source::AssumedRole(AssumedRole {
        base: Arc::clone(base),
        role_arn: "acs:ram::2:role/readers".to_owned(),
        external_id: Some(external_id.to_owned()),
        session_name: "c.shop.db".to_owned(),
        duration_seconds: None,
        policy: None,
        sts: TokenService::new(&Alibaba, global_sts(&EndpointPolicy::default()).unwrap()),
    });
    Arc::new(Identity::new(source, &DigestKey::new(&[1; 32])))
}

pub(super) fn access_key(secret: &str) -> Arc<Identity> {
    let source = Source::AccessKey(AccessKey {
        id: "id".to_owned(),
        secret: SecretString::from(secret),
        token: None,
    });
    Arc::new(Identity::new(source, &DigestKey::new(&[1; 32])))
}

/// Lets tasks that were started behind the caller's back finish.
pub(super) async fn settle() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_hundred_callers_share_one_exchange() {
    let fixture = Fixture::new();
    let identity = rrsa("a");
    let calls = (0..100).map(|_| fixture.cache.get(&identity));
    let all = futures::future::try_join_all(calls).await.unwrap();
    assert_eq!(fixture.exchanges(), 1);
    assert!(all.iter().all(|one| Arc::ptr_eq(one, &all[0])));
}

#[tokio::test(start_paused = true)]
async fn concurrent_callers_share_one_failure_and_the_next_tries_again() {
    let fixture = Fixture::new();
    let identity = rrsa("a");
    fixture.mode(Mode::Fail);
    let calls = (0..100).map(|_| fixture.cache.get(&identity));
    let all = futures::future::join_all(calls).await;
    assert!(all.iter().all(Result::is_err));
    assert_eq!(fixture.exchanges(), 1);
    fixture.mode(Mode::Issue);
    fixture.get(&identity).await;
    assert_eq!(fixture.exchanges(), 2);
    let expected = [Err(Class::Unavailable), Ok(())];
    assert_eq!(*fixture.renewals.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_does_not_stop_the_exchange() {
    let fixture = Fixture::new();
    let identity = rrsa("a");
    let hurried = tokio::time::timeout(Duration::from_millis(1), fixture.cache.get(&identity));
    assert!(hurried.await.is_err());
    settle().await;
    fixture.get(&identity).await;
    assert_eq!(fixture.exchanges(), 1);
}

#[tokio::test(start_paused = true)]
async fn credentials_are_renewed_early_and_behind_the_caller() {
    let fixture = Fixture::new();
    let identity = rrsa("a");
    let first = fixture.get(&identity).await;
    tokio::time::advance(Duration::from_secs(2300)).await;
    assert!(Arc::ptr_eq(&first, &fixture.get(&identity).await));
    settle().await;
    assert_eq!(fixture.exchanges(), 1);
    tokio::time::advance(Duration::from_secs(400)).await;
    let calls = (0..100).map(|_| fixture.cache.get(&identity));
    let all = futures::future::try_join_all(calls).await.unwrap();
    assert!(all.iter().all(|one| Arc::ptr_eq(one, &first)));
    settle().await;
    assert_eq!(fixture.exchanges(), 2);
    assert!(!Arc::ptr_eq(&first, &fixture.get(&identity).await));
}

#[tokio::test(start_paused = true)]
async fn a_failed_renewal_keeps_what_is_still_valid() {
    let fixture = Fixture::new();
    let identity = rrsa("a");
    let first = fixture.get(&identity).await;
    fixture.mode(Mode::Fail);
    tokio::time::advance(Duration::from_secs(2800)).await;
    for _ in 0..50 {
        assert!(Arc::ptr_eq(&first, &fixture.get(&identity).await));
        settle().await;
    }
    // One attempt at once, and one after each minute.
    assert_eq!(fixture.exchanges(), 2);
    tokio::time::advance(Duration::from_secs(685)).await;
    assert!(Arc::ptr_eq(&first, &fixture.get(&identity).await));
    tokio::time::advance(Duration::from_secs(30)).await;
    assert!(fixture.cache.get(&identity).await.is_err());
    fixture.mode(Mode::Issue);
    fixture.get(&identity).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_credential_is_dropped_only_if_it_is_the_held_one() {
    let fixture = Fixture::new();
    let identity = rrsa("a");
    let first = fixture.get(&identity).await;
    fixture.cache.discard(&identity.id(), &first);
    let second = fixture.get(&identity).await;
    assert_eq!(fixture.exchanges(), 2);
    fixture.cache.discard(&identity.id(), &first);
    assert!(Arc::ptr_eq(&second, &fixture.get(&identity).await));
    assert_eq!(fixture.exchanges(), 2);
}

#[tokio::test(start_paused = true)]
async fn two_identities_share_nothing() {
    let fixture = Fixture::new();
    let one = fixture.get(&rrsa("a")).await;
    let other = fixture.get(&rrsa("b")).await;
    assert_ne!(one.access_key_id, other.access_key_id);
    assert_eq!(fixture.exchanges(), 2);
    let one = fixture.get(&access_key("canary-1")).await;
    let other = fixture.get(&access_key("canary-2")).await;
    assert_eq!(one.access_key_id, other.access_key_id);
    assert_eq!(one.access_key_secret.expose_secret(), "canary-1");
    assert_eq!(other.access_key_secret.expose_secret(), "canary-2");
}

#[tokio::test(start_paused = true)]
async fn access_keys_are_never_exchanged_and_never_end() {
    let fixture = Fixture::new();
    let identity = access_key("canary-1");
    let first = fixture.get(&identity).await;
    tokio::time::advance(HOUR * 1000).await;
    assert!(Arc::ptr_eq(&first, &fixture.get(&identity).await));
    fixture.cache.discard(&identity.id(), &first);
    fixture.get(&identity).await;
    assert_eq!(fixture.exchanges(), 0);
    assert!(fixture.renewals.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_exchange_that_hangs_ends_in_ten_seconds() {
    let fixture = Fixture::new();
    let identity = rrsa("a");
    fixture.mode(Mode::Hang);
    let start = tokio::time::Instant::now();
    let error = fixture.cache.get(&identity).await.unwrap_err();
    assert_eq!(error.to_string(), "ExchangeTimeout");
    assert_eq!(start.elapsed().as_secs(), 10);
    fixture.mode(Mode::Issue);
    fixture.get(&identity).await;
}

#[tokio::test(start_paused = true)]
async fn an_exchange_that_panics_is_an_error_like_others() {
    let fixture = Fixture::new();
    let identity = rrsa("a");
    fixture.mode(Mode::Panic);
    let error = fixture.cache.get(&identity).await.unwrap_err();
    assert_eq!(error.to_string(), "ExchangeCrashed");
    fixture.mode(Mode::Issue);
    fixture.get(&identity).await;
}

#[tokio::test(start_paused = true)]
async fn identities_that_nobody_uses_are_dropped() {
    let fixture = Fixture::new();
    let (kept, dropped) = (rrsa("a"), rrsa("b"));
    fixture.get(&kept).await;
    fixture.get(&dropped).await;
    fixture.cache.retain(&HashSet::from([kept.id()]));
    assert_eq!(fixture.cache.len(), 1);
    fixture.get(&kept).await;
    assert_eq!(fixture.exchanges(), 2);
}
