//! The operator's own sources against the simulator: environment keys, profiles, the instance's role
//! and a credentials URI, each failing in its ways.

use std::sync::Arc;

use cloudsim::{CredentialsState, CredentialsUri, Filter, Metadata};
use external_cloud_secrets::credential::{
    Alibaba, Cloud, Environment, Identity, OwnSession, TokenService,
};
use external_cloud_secrets::provider::alibaba::{Network, endpoint};
use external_cloud_secrets::provider::endpoint::EndpointPolicy;
use external_cloud_secrets::provider::{Class, Provider, RemoteKey};

use crate::identity::{Fixture, named};
use crate::oos::provider;

const SEED: &str = r"
accounts:
- id: '1000000000000001'
  parameters: [{name: /shop/db, versions: [canary-value]}]
  users:
  - name: operator
    access_keys: [{id: LTAIop, secret: canary-key}]
    rules: [{actions: ['*'], resources: ['*']}]
  roles:
  - name: worker
    rules: [{actions: ['*'], resources: ['*']}]
metadata: {role: worker}
credentials_uri: {role: worker}
";

/// The operator's own identity in an environment of these variables.
fn operator(fixture: &Fixture, variables: &[(&str, &str)], instance: bool) -> Arc<Identity> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let environment = Environment::new(variables.iter().map(own));
    let url = fixture.simulator.url();
    let policy = EndpointPolicy::new([], true).unwrap();
    let sts = endpoint::sts(&policy, Some(&url), "", Network::Public).unwrap();
    let session = OwnSession {
        sts: &TokenService::new(&Alibaba, sts),
        named: true,
        name: "c.ns.operator",
        policy: &policy,
    };
    let source = Alibaba.operator(&environment, &session, instance);
    named(source.unwrap())
}

/// What reading as `identity` comes to: nothing, or a class and a code.
async fn read(fixture: &Fixture, identity: &Arc<Identity>) -> Result<(), (Class, String)> {
    let credentials = fixture.cache.get(identity).await.map_err(|error| {
        let shown = format!("{error} {error:?} {identity:?}");
        assert!(!shown.contains("canary"), "{shown}");
        (error.class, error.code().to_owned())
    })?;
    let oos = provider(&fixture.simulator.url());
    let keys = [RemoteKey::named("/shop/db")];
    let answers = oos.fetch(&credentials, &keys).await;
    let answers = answers.map_err(|error| (error.class, error.code().to_owned()))?;
    assert_eq!(answers[0].as_ref().unwrap().value.expose(), b"canary-value");
    Ok(())
}

fn refused(class: Class, code: &str) -> Result<(), (Class, String)> {
    Err((class, code.to_owned()))
}

/// The instance with the role `worker`, changed by `change`.
fn metadata(fixture: &Fixture, change: impl FnOnce(&mut Metadata)) {
    let mut metadata = Metadata {
        role: Some("worker".to_owned()),
        ..Metadata::default()
    };
    change(&mut metadata);
    fixture.simulator.set_metadata(Some(metadata));
}

#[tokio::test]
async fn each_of_the_operators_own_sources_reads() {
    let fixture = Fixture::of(SEED).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = "[default]\ntype=access_key\naccess_key_id=LTAIop\naccess_key_secret=canary-key\n";
    std::fs::write(file.path(), text).unwrap();
    let key = [
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", "LTAIop"),
        ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "canary-key"),
    ];
    let profile = [(
        "ALIBABA_CLOUD_CREDENTIALS_FILE",
        file.path().to_str().unwrap(),
    )];
    let uri = fixture.simulator.credentials_uri();
    let uri = [("ALIBABA_CLOUD_CREDENTIALS_URI", uri.as_str())];
    let table = [
        (&key[..], true, "accessKey"),
        (&profile, true, "profile"),
        (&[], true, "instanceRole"),
        (&uri, false, "credentialsUri"),
    ];
    for (variables, instance, kind) in table {
        let identity = operator(&fixture, variables, instance);
        assert_eq!(identity.kind(), kind);
        assert_eq!(read(&fixture, &identity).await, Ok(()), "{kind}");
    }
}

#[tokio::test]
async fn an_instance_role_fails_by_name_and_heals_alone() {
    use Class::{Protocol, Unauthenticated};
    let fixture = Fixture::of(SEED).await;
    let identity = operator(&fixture, &[], true);
    fixture.simulator.set_metadata(None);
    let failure = refused(Unauthenticated, "InstanceRole.Token");
    assert_eq!(read(&fixture, &identity).await, failure);
    metadata(&fixture, |metadata| metadata.v2 = false);
    assert_eq!(
        read(&fixture, &identity).await,
        failure,
        "version 1 is disabled"
    );
    metadata(&fixture, |metadata| metadata.role = None);
    let failure = refused(Unauthenticated, "InstanceRole.Http404");
    assert_eq!(read(&fixture, &identity).await, failure);
    metadata(&fixture, |metadata| {
        metadata.state = CredentialsState::Failed;
    });
    let failure = refused(Unauthenticated, "InstanceRole.Refused");
    assert_eq!(read(&fixture, &identity).await, failure);
    metadata(&fixture, |metadata| {
        metadata.state = CredentialsState::Expired;
    });
    let failure = refused(Protocol, "InstanceRole.Unusable");
    assert_eq!(read(&fixture, &identity).await, failure);
    metadata(&fixture, |_| ());
    assert_eq!(read(&fixture, &identity).await, Ok(()));
}

#[tokio::test]
async fn a_credentials_uri_fails_by_name_and_heals_alone() {
    let fixture = Fixture::of(SEED).await;
    let url = fixture.simulator.credentials_uri();
    let identity = operator(&fixture, &[("ALIBABA_CLOUD_CREDENTIALS_URI", &url)], false);
    let put = |state| {
        let role = "worker".to_owned();
        fixture
            .simulator
            .set_credentials_uri(Some(CredentialsUri { role, state }));
    };
    fixture.simulator.set_credentials_uri(None);
    let failure = refused(Class::Unauthenticated, "CredentialsUri.Http404");
    assert_eq!(read(&fixture, &identity).await, failure);
    put(CredentialsState::Failed);
    let failure = refused(Class::Unauthenticated, "CredentialsUri.Refused");
    assert_eq!(read(&fixture, &identity).await, failure);
    put(CredentialsState::Expired);
    let failure = refused(Class::Protocol, "CredentialsUri.Unusable");
    assert_eq!(read(&fixture, &identity).await, failure);
    put(CredentialsState::Ok);
    assert_eq!(read(&fixture, &identity).await, Ok(()));
}

#[tokio::test]
async fn a_broken_source_is_not_replaced_by_the_next() {
    let fixture = Fixture::of(SEED).await;
    let wrong = [
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", "LTAIop"),
        ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "canary-wrong"),
    ];
    let identity = operator(&fixture, &wrong, true);
    let failure = refused(Class::Unauthenticated, "SignatureDoesNotMatch");
    assert_eq!(read(&fixture, &identity).await, failure);
    let gone = [("ALIBABA_CLOUD_CREDENTIALS_FILE", "/nowhere/credentials")];
    let identity = operator(&fixture, &gone, true);
    let failure = refused(Class::Unauthenticated, "CredentialsFile");
    assert_eq!(read(&fixture, &identity).await, failure);
    let asked = Filter::service("metadata");
    assert_eq!(fixture.simulator.ledger_of(&asked).total, 0);
}
