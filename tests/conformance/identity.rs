//! Identities against STS: real tokens, exchanged, cached and used, and every way to fail.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloudsim::{Fault, Issuer, OidcProvider, Options, Role, Simulator};
use external_cloud_secrets::clock::SystemClock;
use external_cloud_secrets::credential::{
    Alibaba, Audience, CredentialCache, DiskFiles, Exchange, Identity, Metadata, ServiceAccount,
    Source, Subject, Surroundings, TokenMinter, TokenService, WebIdentity,
};
use external_cloud_secrets::digest::DigestKey;
use external_cloud_secrets::http::DirectClient;
use external_cloud_secrets::provider::alibaba::{Network, endpoint};
use external_cloud_secrets::provider::endpoint::EndpointPolicy;
use external_cloud_secrets::provider::{CallError, Class, Provider, RemoteKey};
use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::SignedDuration;
use secrecy::SecretString;

use crate::oos::{edge, provider};

const ISSUER: &str = "https://issuer.example/c1";
const AUDIENCE: &str = "sts.aliyuncs.com";
const SEED: &str = r"
accounts:
- id: '1000000000000001'
  parameters: [{name: /shop/db, versions: [canary-value]}]
  roles:
  - name: shop
    trust: [{provider: c1, subjects: ['system:serviceaccount:shop:db']}]
    rules: [{actions: ['*'], resources: ['/shop/*']}]
";

/// A cluster's token service, by the simulator's issuer.
pub struct Cluster(pub Issuer);

impl TokenMinter for Cluster {
    fn mint<'a>(
        &'a self,
        account: &'a ServiceAccount,
        audience: &'a Audience,
    ) -> BoxFuture<'a, Result<SecretString, CallError>> {
        let subject = format!(
            "system:serviceaccount:{}:{}",
            account.namespace, account.name
        );
        let token = self.0.token(&subject, audience.as_str());
        async move { Ok(SecretString::from(token)) }.boxed()
    }
}

pub struct Fixture {
    pub simulator: Simulator,
    pub cache: CredentialCache,
    renewals: Arc<Mutex<Vec<Result<(), Class>>>>,
}

impl Fixture {
    pub async fn new() -> Self {
        Self::of(SEED).await
    }

    /// A simulator of `seed`, which is also the instance's metadata service.
    pub async fn of(seed: &str) -> Self {
        Self::of_cluster(seed, "c1", ISSUER, &[AUDIENCE]).await
    }

    /// The same with another cluster, which the first account knows by `name`.
    pub async fn of_cluster(seed: &str, name: &str, url: &str, audiences: &[&str]) -> Self {
        let simulator = Simulator::start(seed, Options::default()).await.unwrap();
        let issuer = Issuer::throw_away(url).unwrap();
        let trusted = OidcProvider {
            name: name.to_owned(),
            issuer: url.to_owned(),
            client_ids: audiences.iter().map(|&one| one.to_owned()).collect(),
            jwks: Some(issuer.jwks()),
        };
        simulator.put_oidc_provider(trusted).unwrap();
        let renewals = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&renewals);
        let metadata = Metadata {
            url: Some(simulator.url()),
            allow_v1: false,
        };
        let clock = Arc::new(SystemClock);
        let around = Surroundings::new(DirectClient::new().unwrap(), clock, Some(metadata));
        let exchange = Exchange::new(edge(), Arc::new(Cluster(issuer)), Arc::new(DiskFiles))
            .with_surroundings(around);
        let cache = CredentialCache::new(
            Arc::new(exchange),
            Arc::new(SystemClock),
            edge().random,
            Arc::new(move |_, outcome| seen.lock().unwrap().push(outcome)),
        );
        Self {
            simulator,
            cache,
            renewals,
        }
    }

    /// The identity that works, changed by `change`.
    pub fn identity(&self, change: impl FnOnce(&mut WebIdentity)) -> Arc<Identity> {
        let policy = EndpointPolicy::new([], true).unwrap();
        let url = self.simulator.url();
        let mut rrsa = WebIdentity {
            role_arn: "acs:ram::1000000000000001:role/shop".to_owned(),
            provider: "acs:ram::1000000000000001:oidc-provider/c1".to_owned(),
            subject: account("shop", "db", AUDIENCE),
            sts: TokenService::new(
                &Alibaba,
                endpoint::sts(&policy, Some(&url), "", Network::Public).unwrap(),
            ),
            session_name: "c.shop.db".to_owned(),
            duration_seconds: Some(900),
            policy: None,
        };
        change(&mut rrsa);
        named(Source::WebIdentity(rrsa))
    }

    async fn failure(&self, change: impl FnOnce(&mut WebIdentity)) -> (Class, String) {
        let error = self.cache.get(&self.identity(change)).await.unwrap_err();
        (error.class, error.code().to_owned())
    }

    pub fn exchanges(&self) -> usize {
        self.renewals.lock().unwrap().len()
    }
}

/// The identity of `source`.
pub fn named(source: Source) -> Arc<Identity> {
    Arc::new(Identity::new(source, &DigestKey::new(&[5; 32])))
}

pub fn account(namespace: &str, name: &str, audience: &str) -> Subject {
    Subject::ServiceAccount {
        account: ServiceAccount {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: "u1".to_owned(),
        },
        audience: Audience::new(audience).unwrap(),
    }
}

fn expected(class: Class, code: &str) -> (Class, String) {
    (class, code.to_owned())
}

#[tokio::test]
async fn a_token_becomes_credentials_that_read_a_value() {
    let fixture = Fixture::new().await;
    let identity = fixture.identity(|_| ());
    let credentials = fixture.cache.get(&identity).await.unwrap();
    let oos = provider(&fixture.simulator.url());
    oos.check(&credentials).await.unwrap();
    let keys = [RemoteKey::named("/shop/db")];
    let answers = oos.fetch(&credentials, &keys).await.unwrap();
    assert_eq!(answers[0].as_ref().unwrap().value.expose(), b"canary-value");
    assert!(!format!("{credentials:?} {answers:?}").contains("canary"));
}

#[tokio::test]
async fn a_token_file_becomes_credentials() {
    let fixture = Fixture::new().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    let identity =
        fixture.identity(|rrsa| rrsa.subject = Subject::TokenFile { path: path.clone() });
    let error = fixture.cache.get(&identity).await.unwrap_err();
    assert!(
        error.to_string().contains(path.to_str().unwrap()),
        "{error}"
    );
    std::fs::write(&path, "not a token").unwrap();
    let error = fixture.cache.get(&identity).await.unwrap_err();
    assert_eq!(error.class, Class::Unauthenticated, "{error}");
    let issuer = Issuer::throw_away(ISSUER).unwrap();
    let token = issuer.token("system:serviceaccount:shop:db", AUDIENCE);
    std::fs::write(&path, format!("{token}\n")).unwrap();
    fixture.cache.get(&identity).await.unwrap();
}

#[tokio::test]
async fn every_refused_exchange_has_its_class_and_code() {
    use Class::{Denied, Invalid, Unauthenticated};
    let fixture = Fixture::new().await;
    let failure = fixture
        .failure(|r| r.subject = account("shop", "db", "other"))
        .await;
    let code = "AuthenticationFail.OIDCToken.AudienceNotMatch";
    assert_eq!(failure, expected(Unauthenticated, code));
    let failure = fixture
        .failure(|r| r.subject = account("else", "db", AUDIENCE))
        .await;
    assert_eq!(failure, expected(Denied, "AuthenticationFail.NoPermission"));
    let failure = fixture.failure(|r| r.provider.push('2')).await;
    assert_eq!(failure, expected(Denied, "AuthenticationFail.NoPermission"));
    let failure = fixture.failure(|r| r.role_arn.push('2')).await;
    assert_eq!(failure, expected(Unauthenticated, "EntityNotExist.Role"));
    let missing = fixture.identity(|r| r.role_arn.push('2'));
    let error = fixture.cache.get(&missing).await.unwrap_err().to_string();
    assert!(
        error.contains("there is no role acs:ram::1000000000000001:role/shop2"),
        "{error}"
    );
    let failure = fixture.failure(|r| r.session_name = "a b".to_owned()).await;
    assert_eq!(
        failure,
        expected(Invalid, "InvalidParameter.RoleSessionName")
    );
    let failure = fixture.failure(|r| r.duration_seconds = Some(1)).await;
    assert_eq!(
        failure,
        expected(Invalid, "InvalidParameter.DurationSeconds")
    );
}

#[tokio::test]
async fn a_failing_sts_heals_alone() {
    let fixture = Fixture::new().await;
    let identity = fixture.identity(|_| ());
    let faults = [
        (Fault::error(500, "InternalError"), Class::Unavailable),
        (Fault::throttle(700), Class::Throttled),
        (Fault::new(cloudsim::Effect::MalformedJson), Class::Protocol),
        (Fault::new(cloudsim::Effect::Truncate), Class::Unavailable),
    ];
    for (fault, class) in faults {
        fixture.simulator.add_fault(fault.service("sts").times(1));
        let error = fixture.cache.get(&identity).await.unwrap_err();
        assert_eq!(error.class, class);
        assert!(!format!("{error:?}").contains("canary"));
    }
    fixture.cache.get(&identity).await.unwrap();
}

#[tokio::test]
async fn revoked_credentials_are_unauthenticated_and_replaced() {
    let fixture = Fixture::new().await;
    let identity = fixture.identity(|_| ());
    let oos = provider(&fixture.simulator.url());
    let keys = [RemoteKey::named("/shop/db")];
    let revoked = fixture.cache.get(&identity).await.unwrap();
    fixture.simulator.revoke_sessions("shop").unwrap();
    let error = oos.fetch(&revoked, &keys).await.unwrap_err();
    assert_eq!(error.class, Class::Unauthenticated);
    fixture.cache.discard(&identity.id(), &revoked);
    let renewed = fixture.cache.get(&identity).await.unwrap();
    oos.fetch(&renewed, &keys).await.unwrap();
    assert_eq!(fixture.exchanges(), 2);
}

#[tokio::test]
async fn expired_credentials_are_unauthenticated_and_never_lent() {
    let fixture = Fixture::new().await;
    let identity = fixture.identity(|_| ());
    let lifetime = SignedDuration::from_secs(2);
    fixture.simulator.set_credential_lifetime(Some(lifetime));
    let first = fixture.cache.get(&identity).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let oos = provider(&fixture.simulator.url());
    let keys = [RemoteKey::named("/shop/db")];
    let error = oos.fetch(&first, &keys).await.unwrap_err();
    assert_eq!(error.class, Class::Unauthenticated);
    let second = fixture.cache.get(&identity).await.unwrap();
    assert!(!Arc::ptr_eq(&first, &second));
    oos.fetch(&second, &keys).await.unwrap();
}

#[tokio::test]
async fn one_identity_never_reads_what_another_may() {
    let fixture = Fixture::new().await;
    let trust = cloudsim::Trust {
        provider: "c1".to_owned(),
        subjects: vec!["system:serviceaccount:shop:db".to_owned()],
        audiences: vec![AUDIENCE.to_owned()],
    };
    let powerless = Role {
        name: "powerless".to_owned(),
        max_session_duration: SignedDuration::from_hours(1),
        trust: vec![trust],
        rules: Vec::new(),
    };
    let role_arn = fixture.simulator.put_role(powerless).unwrap();
    let able = fixture.cache.get(&fixture.identity(|_| ())).await.unwrap();
    let other = fixture.identity(|rrsa| rrsa.role_arn = role_arn);
    let unable = fixture.cache.get(&other).await.unwrap();
    let oos = provider(&fixture.simulator.url());
    let keys = [RemoteKey::named("/shop/db")];
    oos.fetch(&able, &keys).await.unwrap();
    let error = oos.fetch(&unable, &keys).await.unwrap_err();
    assert_eq!(error.class, Class::Denied);
    assert_eq!(fixture.exchanges(), 2);
}
