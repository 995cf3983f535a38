//! Identities on Tencent Cloud against its STS and metadata service: exchanged, entered and used, and
//! every way to fail.

use std::sync::Arc;

use cloudsim::tencent::{OidcProvider, Role};
use cloudsim::{CredentialsState, Fault, Filter, Issuer, Options, Simulator};
use external_cloud_secrets::clock::SystemClock;
use external_cloud_secrets::credential::{
    AccessKey, AssumedRole, Cloud, CloudRef, CredentialCache, DiskFiles, Environment, Exchange,
    Identity, InstanceRole, Metadata, OwnSession, Source, Subject, Surroundings, Tencent,
    TokenService, WebIdentity,
};
use external_cloud_secrets::http::DirectClient;
use external_cloud_secrets::provider::endpoint::{EndpointPolicy, Network};
use external_cloud_secrets::provider::tencent::{Site, Ssm, SsmConfig, endpoint};
use external_cloud_secrets::provider::{Class, Provider, RemoteKey};
use secrecy::SecretString;

use crate::identity::{Cluster, account, named};
use crate::oos::edge;
use crate::tencent_machine::put_instance;

pub const REGION: &str = "ap-guangzhou";
pub const CLUSTER: &str = "cls-1a2b3c4d";
pub const ISSUER: &str = "https://ap-guangzhou-oidc.tke.tencentcs.com/id/0123abcd";
pub const AUDIENCE: &str = "sts.cloud.tencent.com";
const SEED: &str = r"
tencent:
  accounts:
  - uin: '100000000001'
    access_keys: [{id: AKIDroot, secret: canary-root}]
    users:
    - uin: '100000000002'
      access_keys: [{id: AKIDop, secret: canary-key}]
      rules: [{actions: ['*'], resources: ['*']}]
    roles:
    - name: shop
      trust: [{provider: cls-1a2b3c4d, subjects: ['system:serviceaccount:shop:db']}]
      rules: [{actions: ['*'], resources: ['*']}]
    - name: worker
      rules: [{actions: ['*'], resources: ['*']}]
    - name: readers
      assumed_by:
      - {principals: ['qcs::cam::uin/100000000001:roleName/shop'], external_ids: [shop-2024]}
      rules: [{actions: ['*'], resources: ['*']}]
    secrets: [{name: db, value: canary-value}, {name: other, value: canary-other}]
";

/// What makes an identity that works one that does not.
type Change = fn(&mut WebIdentity);
/// What something came to: nothing, or a class, a code and the whole text.
type Outcome = Result<(), (Class, String, String)>;

pub struct Fixture {
    pub simulator: Simulator,
    pub cache: CredentialCache,
    /// Metadata services are asked.
    instance: bool,
}

impl Fixture {
    pub async fn new() -> Self {
        Self::of(SEED, CLUSTER, ISSUER, &[AUDIENCE]).await
    }

    /// A simulator of `seed`, whose first account knows the cluster by `name`; it is also the instance's
    /// metadata service.
    pub async fn of(seed: &str, name: &str, issuer_url: &str, audiences: &[&str]) -> Self {
        let simulator = Simulator::start(seed, Options::default()).await.unwrap();
        let issuer = Issuer::throw_away(issuer_url).unwrap();
        let mut trusted = OidcProvider::new(name, issuer_url, issuer.jwks());
        trusted.client_ids = audiences.iter().map(|&one| one.to_owned()).collect();
        simulator.tencent().put_oidc_provider(trusted).unwrap();
        let metadata = Metadata {
            url: Some(simulator.url()),
            allow_v1: false,
        };
        let http = DirectClient::new().unwrap();
        let around = Surroundings::new(http, Arc::new(SystemClock), Some(metadata));
        let exchange = Exchange::new(edge(), Arc::new(Cluster(issuer)), Arc::new(DiskFiles))
            .with_surroundings(around);
        let cache = CredentialCache::new(
            Arc::new(exchange),
            Arc::new(SystemClock),
            edge().random,
            Arc::new(|_, _| ()),
        );
        Self {
            simulator,
            cache,
            instance: true,
        }
    }

    pub fn sts(&self) -> TokenService {
        let (policy, url) = (EndpointPolicy::new([], true).unwrap(), self.simulator.url());
        let place = (Site::China, Network::Public);
        let endpoint = endpoint::sts(&policy, Some(&url), REGION, place).unwrap();
        Tencent.sts(endpoint, REGION)
    }

    /// The identity that works, changed by `change`.
    pub fn identity(&self, change: impl FnOnce(&mut WebIdentity)) -> Arc<Identity> {
        let mut role = WebIdentity {
            role_arn: "qcs::cam::uin/100000000001:roleName/shop".to_owned(),
            provider: CLUSTER.to_owned(),
            subject: account("shop", "db", AUDIENCE),
            sts: self.sts(),
            session_name: "c.shop.db".to_owned(),
            duration_seconds: Some(900),
            policy: None,
        };
        change(&mut role);
        named(Source::WebIdentity(role))
    }

    /// The role `readers`, entered by `base`.
    pub fn hop(&self, base: Arc<Identity>, change: impl FnOnce(&mut AssumedRole)) -> Arc<Identity> {
        let mut role = AssumedRole {
            base,
            role_arn: "qcs::cam::uin/100000000001:roleName/readers".to_owned(),
            external_id: Some("shop-2024".to_owned()),
            session_name: "c.shop.db".to_owned(),
            duration_seconds: None,
            policy: None,
            sts: self.sts(),
        };
        change(&mut role);
        named(Source::AssumedRole(role))
    }

    /// The operator's own identity in an environment of these variables.
    pub fn operator(&self, variables: &[(&str, &str)]) -> Arc<Identity> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment = Environment::new(variables.iter().map(own));
        let policy = EndpointPolicy::new([], true).unwrap();
        let session = OwnSession {
            sts: &self.sts(),
            named: true,
            name: "c.ns.operator",
            policy: &policy,
        };
        named(
            Tencent
                .operator(&environment, &session, self.instance)
                .unwrap(),
        )
    }

    /// What reading `key` as `identity` comes to.
    pub async fn read(&self, identity: &Arc<Identity>, key: &str) -> Outcome {
        let told = |error: external_cloud_secrets::provider::CallError| {
            let shown = format!("{error} {error:?} {identity:?}");
            assert!(!shown.contains("canary"), "{shown}");
            (error.class, error.code().to_owned(), error.to_string())
        };
        let credentials = self.cache.get(identity).await.map_err(told)?;
        let policy = EndpointPolicy::new([], true).unwrap();
        let config = SsmConfig {
            region: REGION.to_owned(),
            place: (Site::China, Network::Public),
            endpoint: Some(self.simulator.url()),
        };
        let ssm = Ssm::new(config, self.sts().endpoint, &policy, edge()).unwrap();
        let mut key = RemoteKey::named(key);
        key.version = Some("SSM_Current".to_owned());
        let answers = ssm.fetch(&credentials, &[key]).await.map_err(told)?;
        let value = answers.into_iter().next().unwrap().map_err(told)?;
        assert!(value.value.expose().starts_with(b"canary"));
        Ok(())
    }

    async fn failure(&self, change: impl FnOnce(&mut WebIdentity)) -> (Class, String, String) {
        self.read(&self.identity(change), "db").await.unwrap_err()
    }

    pub fn asked(&self, service: &str) -> u64 {
        self.simulator.ledger_of(&Filter::service(service)).total
    }
}

#[tokio::test]
async fn a_token_becomes_credentials_that_read_a_value() {
    let fixture = Fixture::new().await;
    let identity = fixture.identity(|_| ());
    assert_eq!(fixture.read(&identity, "db").await, Ok(()));
    assert_eq!(identity.account(), Some("100000000001"));
    let credentials = fixture.cache.get(&identity).await.unwrap();
    assert!(credentials.expires_at.is_some());
    assert!(!format!("{credentials:?}").contains("canary"));
    assert_eq!(fixture.asked("tencent-sts"), 1, "one exchange for both");
}

#[tokio::test]
async fn every_refused_exchange_has_its_class_and_code_and_names_the_role() {
    use Class::{Denied, Invalid, Unauthenticated};
    let fixture = Fixture::new().await;
    let role = "qcs::cam::uin/100000000001:roleName/shop";
    let table: [(Change, Class, &str, &str); 7] = [
        (
            |r| r.subject = account("shop", "db", "other"),
            Unauthenticated,
            "InvalidParameter.WebIdentityTokenError",
            role,
        ),
        (
            |r| r.subject = account("else", "db", AUDIENCE),
            Denied,
            "UnauthorizedOperation",
            "oidc:sub",
        ),
        (
            |r| r.provider.push('2'),
            Invalid,
            "InvalidParameter.ParamError",
            role,
        ),
        (
            |r| r.role_arn.push('2'),
            Unauthenticated,
            "ResourceNotFound.RoleNotFound",
            "there is no role qcs::cam::uin/100000000001:roleName/shop2",
        ),
        (
            |r| r.session_name = "a b".to_owned(),
            Invalid,
            "InvalidParameter.ParamError",
            "sessionName",
        ),
        (
            |r| r.duration_seconds = Some(43_201),
            Invalid,
            "InvalidParameter.OverTimeError",
            "durationSeconds",
        ),
        (
            |r| r.role_arn = "qcs::cam::uin/x:roleName/shop".to_owned(),
            Invalid,
            "InvalidParameter.ParamError",
            "the ARN",
        ),
    ];
    for (change, class, code, part) in table {
        let (found, said, text) = fixture.failure(change).await;
        assert_eq!((found, &*said), (class, code), "{text}");
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn a_failing_sts_heals_alone() {
    let fixture = Fixture::new().await;
    let identity = fixture.identity(|_| ());
    let faults = [
        (
            Fault::error(200, "InternalError.SystemError"),
            Class::Unavailable,
        ),
        (
            Fault::error(200, "InvalidParameter.OverLimit"),
            Class::Throttled,
        ),
        (Fault::error(200, "RequestLimitExceeded"), Class::Throttled),
        (Fault::new(cloudsim::Effect::MalformedJson), Class::Protocol),
        (Fault::new(cloudsim::Effect::Truncate), Class::Unavailable),
    ];
    for (fault, class) in faults {
        let fault = fault.service("tencent-sts").times(1);
        fixture.simulator.add_fault(fault);
        let (found, _, text) = fixture.read(&identity, "db").await.unwrap_err();
        assert_eq!(found, class, "{text}");
    }
    assert_eq!(fixture.read(&identity, "db").await, Ok(()));
}

#[tokio::test]
async fn a_role_is_entered_from_every_source_with_what_it_asks_for() {
    let fixture = Fixture::new().await;
    let base = || fixture.identity(|_| ());
    let entered = fixture.hop(base(), |_| ());
    assert_eq!(fixture.read(&entered, "db").await, Ok(()));
    assert_eq!(fixture.read(&entered, "other").await, Ok(()));
    let (class, code, text) = {
        let wrong = fixture.hop(base(), |r| r.external_id = Some("other".to_owned()));
        fixture.read(&wrong, "db").await.unwrap_err()
    };
    assert_eq!((class, &*code), (Class::Denied, "UnauthorizedOperation"));
    assert!(
        text.contains("externalId") && text.contains("roleName/readers"),
        "{text}"
    );
    // A policy only narrows.
    let policy = r#"{"version": "2.0", "statement": [{"effect": "allow",
        "action": ["name/ssm:GetSecretValue"],
        "resource": ["qcs::ssm:ap-guangzhou:uin/100000000001:secret/creatorUin/*/db"]}]}"#;
    let narrow = fixture.hop(base(), |r| r.policy = Some(policy.to_owned()));
    assert_eq!(fixture.read(&narrow, "db").await, Ok(()));
    let (class, code, _) = fixture.read(&narrow, "other").await.unwrap_err();
    assert_eq!((class, &*code), (Class::Denied, "UnauthorizedOperation"));
    let broken = fixture.hop(base(), |r| r.policy = Some("{".to_owned()));
    let (class, _, text) = fixture.read(&broken, "db").await.unwrap_err();
    assert_eq!(class, Class::Invalid);
    assert!(text.contains("spec.auth"), "{text}");
    // A user's key and an instance enter roles too.
    let user = "qcs::cam::uin/100000000001:uin/100000000002";
    let worker = "qcs::cam::uin/100000000001:roleName/worker";
    let open = Role::new("readers")
        .assumed_by(user, &["shop-2024"])
        .assumed_by(worker, &["shop-2024"])
        .may(&["*"], &["*"]);
    fixture.simulator.tencent().put_role(&open).unwrap();
    let key = named(Source::AccessKey(AccessKey {
        id: "AKIDop".to_owned(),
        secret: SecretString::from("canary-key"),
        token: None,
    }));
    put_instance(&fixture, Some("worker"), CredentialsState::Ok);
    let instance = named(Source::InstanceRole(InstanceRole {
        cloud: CloudRef(&Tencent),
        role_name: None,
    }));
    for base in [key, instance] {
        let entered = fixture.hop(base, |_| ());
        assert_eq!(fixture.read(&entered, "db").await, Ok(()), "{entered:?}");
    }
}

#[tokio::test]
async fn a_revoked_base_is_renewed_and_the_role_entered_again() {
    let fixture = Fixture::new().await;
    let base = fixture.identity(|_| ());
    let entered = fixture.hop(Arc::clone(&base), |_| ());
    assert_eq!(fixture.read(&entered, "db").await, Ok(()));
    for role in ["shop", "readers"] {
        fixture.simulator.tencent().revoke_sessions(role).unwrap();
    }
    let revoked = fixture.cache.get(&entered).await.unwrap();
    let (class, ..) = fixture.read(&entered, "db").await.unwrap_err();
    assert_eq!(class, Class::Unauthenticated);
    fixture.cache.discard(&entered.id(), &revoked);
    assert_eq!(fixture.read(&entered, "db").await, Ok(()));
}

#[tokio::test]
async fn one_identity_never_reads_what_another_may() {
    let fixture = Fixture::new().await;
    let powerless = Role::new("powerless").trusting(CLUSTER, "system:serviceaccount:shop:db");
    let role_arn = fixture.simulator.tencent().put_role(&powerless).unwrap();
    let able = fixture.identity(|_| ());
    let unable = fixture.identity(|role| role.role_arn = role_arn);
    assert_eq!(fixture.read(&able, "db").await, Ok(()));
    let (class, ..) = fixture.read(&unable, "db").await.unwrap_err();
    assert_eq!(class, Class::Denied);
    let (one, other) = (
        fixture.identity(|_| ()),
        fixture.identity(|role| role.subject = Subject::TokenFile { path: "/x".into() }),
    );
    assert_ne!(one.id(), other.id());
}
