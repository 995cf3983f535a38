//! The operator's own sources on Tencent Cloud against the simulator: a token file, keys of the
//! environment, the node's role, and a clock that is off, each failing in its ways.

use cloudsim::tencent::Metadata;
use cloudsim::{CredentialsState, Fault, Issuer};
use external_cloud_secrets::credential::{AccessKey, Cloud, Source, Tencent};
use external_cloud_secrets::provider::Class;
use jiff::SignedDuration;
use secrecy::SecretString;

use crate::identity::named;
use crate::oos::edge;
use crate::tencent_identity::{AUDIENCE, CLUSTER, Fixture, ISSUER, REGION};

#[tokio::test]
async fn a_token_file_becomes_credentials() {
    let fixture = Fixture::new().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    let variables = [
        ("TKE_REGION", REGION),
        ("TKE_PROVIDER_ID", CLUSTER),
        ("TKE_ROLE_ARN", "qcs::cam::uin/100000000001:roleName/shop"),
        ("TKE_WEB_IDENTITY_TOKEN_FILE", path.to_str().unwrap()),
    ];
    let identity = fixture.operator(&variables);
    let (class, code, text) = fixture.read(&identity, "db").await.unwrap_err();
    assert_eq!((class, &*code), (Class::Unauthenticated, "TokenFile"));
    assert!(text.contains(path.to_str().unwrap()), "{text}");
    std::fs::write(&path, "not a token").unwrap();
    let (class, code, _) = fixture.read(&identity, "db").await.unwrap_err();
    let refused = "InvalidParameter.WebIdentityTokenError";
    assert_eq!((class, &*code), (Class::Unauthenticated, refused));
    let issuer = Issuer::throw_away(ISSUER).unwrap();
    let token = issuer.token("system:serviceaccount:shop:db", AUDIENCE);
    std::fs::write(&path, format!("{token}\n")).unwrap();
    assert_eq!(fixture.read(&identity, "db").await, Ok(()));
    assert_eq!(
        fixture.asked("tencent-metadata"),
        0,
        "the node is not asked"
    );
}

pub fn put_instance(fixture: &Fixture, role: Option<&str>, state: CredentialsState) {
    let role = role.map(str::to_owned);
    let metadata = Metadata { role, state };
    fixture.simulator.tencent().set_metadata(Some(metadata));
}

#[tokio::test]
async fn an_instance_role_fails_by_name_and_heals_alone() {
    use Class::{Protocol, Unauthenticated};
    let fixture = Fixture::new().await;
    let identity = fixture.operator(&[]);
    assert_eq!(identity.kind(), "instanceRole");
    let failed = async |class: Class, code: &str| {
        let (found, said, _) = fixture.read(&identity, "db").await.unwrap_err();
        assert_eq!((found, &*said), (class, code));
    };
    failed(Unauthenticated, "InstanceRole.Http404").await;
    put_instance(&fixture, None, CredentialsState::Ok);
    failed(Unauthenticated, "InstanceRole.Http404").await;
    put_instance(&fixture, Some("worker"), CredentialsState::Failed);
    failed(Unauthenticated, "InstanceRole.Refused").await;
    put_instance(&fixture, Some("worker"), CredentialsState::Expired);
    failed(Protocol, "InstanceRole.Unusable").await;
    let junk = Fault::new(cloudsim::Effect::MalformedJson).action("GetCredentials");
    fixture.simulator.add_fault(junk.times(1));
    let (class, ..) = fixture.read(&identity, "db").await.unwrap_err();
    assert_eq!(class, Protocol);
    put_instance(&fixture, Some("worker"), CredentialsState::Ok);
    assert_eq!(fixture.read(&identity, "db").await, Ok(()));
}

#[tokio::test]
async fn a_broken_source_is_not_replaced_by_the_node() {
    let fixture = Fixture::new().await;
    put_instance(&fixture, Some("worker"), CredentialsState::Ok);
    let wrong = [
        ("TENCENTCLOUD_SECRET_ID", "AKIDop"),
        ("TENCENTCLOUD_SECRET_KEY", "canary-wrong"),
    ];
    let identity = fixture.operator(&wrong);
    let (class, code, _) = fixture.read(&identity, "db").await.unwrap_err();
    assert_eq!(
        (class, &*code),
        (Class::Denied, "AuthFailure.SignatureFailure")
    );
    let gone = [
        ("TKE_PROVIDER_ID", CLUSTER),
        ("TKE_ROLE_ARN", "qcs::cam::uin/100000000001:roleName/shop"),
        ("TKE_WEB_IDENTITY_TOKEN_FILE", "/nowhere/token"),
    ];
    let identity = fixture.operator(&gone);
    let (class, code, text) = fixture.read(&identity, "db").await.unwrap_err();
    assert_eq!((class, &*code), (Class::Unauthenticated, "TokenFile"));
    assert!(text.contains("/nowhere/token"), "{text}");
    assert_eq!(fixture.asked("tencent-metadata"), 0);
}

#[tokio::test]
async fn a_clock_that_is_off_is_corrected_by_the_gateways() {
    let fixture = Fixture::new().await;
    let ahead = SignedDuration::from_mins(20);
    fixture.simulator.tencent().set_clock_offset(ahead);
    let entered = fixture.hop(fixture.identity(|_| ()), |_| ());
    assert_eq!(fixture.read(&entered, "db").await, Ok(()));
}

#[tokio::test]
async fn the_cloud_says_whose_a_key_is_and_whether_it_is_the_accounts_own() {
    let fixture = Fixture::new().await;
    let sts = fixture.sts();
    let role = fixture.cache.get(&fixture.identity(|_| ())).await.unwrap();
    let key = |id: &str, secret: &str| {
        let key = AccessKey {
            id: id.to_owned(),
            secret: SecretString::from(secret),
            token: None,
        };
        named(Source::AccessKey(key))
    };
    let root = fixture.cache.get(&key("AKIDroot", "canary-root")).await;
    let user = fixture.cache.get(&key("AKIDop", "canary-key")).await;
    for (credentials, is_root) in [(role, false), (root.unwrap(), true), (user.unwrap(), false)] {
        let caller = Tencent.caller(&edge(), &sts, &credentials).await.unwrap();
        assert_eq!(
            (&*caller.account_id, caller.is_root),
            ("100000000001", is_root)
        );
    }
}
