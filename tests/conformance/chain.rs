//! Roles that other identities enter, against STS: two hops, what they share, and every way to fail.

use std::sync::Arc;
use std::time::Duration;

use cloudsim::{Fault, RoleTrust};
use external_cloud_secrets::credential::{
    AccessKey, Alibaba, AssumedRole, Identity, Source, TokenService,
};
use external_cloud_secrets::provider::alibaba::{Network, endpoint};
use external_cloud_secrets::provider::endpoint::EndpointPolicy;
use external_cloud_secrets::provider::{Class, Provider, RemoteKey};
use jiff::SignedDuration;
use secrecy::SecretString;

use crate::identity::{Fixture, named};
use crate::oos::provider;

/// A role that a token and a user's key stand for, and what it may enter in another account.
const SEED: &str = r"
accounts:
- id: '1000000000000001'
  access_keys: [{id: LTAIroot, secret: canary-root}]
  users:
  - name: shop
    access_keys: [{id: LTAIshop, secret: canary-key}]
    rules: [{actions: ['sts:AssumeRole'], resources: ['*']}]
  roles:
  - name: shop
    trust: [{provider: c1, subjects: ['system:serviceaccount:shop:db']}]
    rules: [{actions: ['sts:AssumeRole'], resources: ['*']}]
  - name: idle
    trust: [{provider: c1, subjects: ['system:serviceaccount:shop:db']}]
- id: '2000000000000002'
  parameters: [{name: /shop/db, versions: [canary-value]}]
  roles:
  - name: readers
    rules: [{actions: ['oos:*', 'kms:*', 'sts:*'], resources: ['*']}]
  - name: second
    rules: [{actions: ['oos:*', 'kms:*'], resources: ['*']}]
  trusts:
  - role: readers
    statements:
    - principals: ['acs:ram::1000000000000001:root']
      external_ids: ['canary-ext']
  - role: second
    statements: [{principals: ['acs:ram::2000000000000002:role/readers']}]
";
const ROLE: &str = "acs:ram::2000000000000002:role/readers";
const KEY: &str = "/shop/db";

/// The role, entered by `base`, changed by `change`.
fn hop(
    fixture: &Fixture,
    base: Arc<Identity>,
    change: impl FnOnce(&mut AssumedRole),
) -> Arc<Identity> {
    let policy = EndpointPolicy::new([], true).unwrap();
    let url = fixture.simulator.url();
    let mut role = AssumedRole {
        base,
        role_arn: ROLE.to_owned(),
        external_id: Some("canary-ext".to_owned()),
        session_name: "c.shop.db".to_owned(),
        duration_seconds: Some(900),
        policy: None,
        sts: TokenService::new(
            &Alibaba,
            endpoint::sts(&policy, Some(&url), "", Network::Public).unwrap(),
        ),
    };
    change(&mut role);
    named(Source::AssumedRole(role))
}

fn key(id: &str, secret: &str) -> Arc<Identity> {
    named(Source::AccessKey(AccessKey {
        id: id.to_owned(),
        secret: SecretString::from(secret),
        token: None,
    }))
}

/// What reading as `identity` comes to: nothing, or a class and a code.
async fn read(fixture: &Fixture, identity: &Arc<Identity>) -> Result<(), (Class, String)> {
    let told = |error: external_cloud_secrets::provider::CallError| {
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("canary"), "{shown}");
        (error.class, error.code().to_owned())
    };
    let credentials = fixture.cache.get(identity).await.map_err(told)?;
    assert!(!format!("{credentials:?}").contains("canary"));
    let oos = provider(&fixture.simulator.url());
    let keys = [RemoteKey::named(KEY)];
    let answers = oos.fetch(&credentials, &keys).await.map_err(told)?;
    let answer = answers.into_iter().next().unwrap().map_err(told)?;
    assert_eq!(answer.value.expose(), b"canary-value");
    Ok(())
}

fn refused(class: Class, code: &str) -> Result<(), (Class, String)> {
    Err((class, code.to_owned()))
}

#[tokio::test]
async fn a_token_a_role_and_another_accounts_role_read_a_value() {
    let fixture = Fixture::of(SEED).await;
    let first = fixture.identity(|_| ());
    let second = hop(&fixture, Arc::clone(&first), |_| ());
    assert_eq!(read(&fixture, &second).await, Ok(()));
    assert_eq!(fixture.exchanges(), 2);
    assert!(
        read(&fixture, &first).await.is_err(),
        "the first hop may not read"
    );
    let third = hop(&fixture, second, |role| {
        role.role_arn = "acs:ram::2000000000000002:role/second".to_owned();
        role.external_id = None;
    });
    assert_eq!(read(&fixture, &third).await, Ok(()));
    assert_eq!(fixture.exchanges(), 3, "the two hops before it are shared");
    let by_key = hop(&fixture, key("LTAIshop", "canary-key"), |_| ());
    assert_eq!(read(&fixture, &by_key).await, Ok(()));
}

#[tokio::test]
async fn equal_chains_share_one_exchange_and_a_wrong_external_id_shares_nothing() {
    let fixture = Fixture::of(SEED).await;
    let chain = |id: &str| {
        let id = id.to_owned();
        hop(&fixture, fixture.identity(|_| ()), |role| {
            role.external_id = Some(id);
        })
    };
    let (one, same, wrong) = (chain("canary-ext"), chain("canary-ext"), chain("wrong"));
    for _ in 0..3 {
        let calls = [read(&fixture, &one), read(&fixture, &same)];
        let both = futures::future::join_all(calls).await;
        assert_eq!(both, [Ok(()), Ok(())]);
        let refusal = read(&fixture, &wrong).await;
        assert_eq!(refusal, refused(Class::Denied, "NoPermission"));
    }
    assert_eq!(
        fixture.exchanges(),
        2 + 3,
        "a token, a role, and three refusals"
    );
}

#[tokio::test]
async fn every_refused_hop_has_its_class_and_code() {
    use Class::{Denied, Invalid, Unauthenticated};
    let fixture = Fixture::of(SEED).await;
    let base = || fixture.identity(|_| ());
    let powerless = fixture.identity(|r| r.role_arn.replace_range(r.role_arn.len() - 4.., "idle"));
    let table = [
        (
            hop(&fixture, base(), |r| r.external_id = None),
            Denied,
            "NoPermission",
        ),
        (hop(&fixture, powerless, |_| ()), Denied, "NoPermission"),
        (
            hop(&fixture, key("LTAIroot", "canary-root"), |_| ()),
            Denied,
            "NoPermission",
        ),
        (
            hop(&fixture, base(), |r| r.role_arn.push('2')),
            Unauthenticated,
            "EntityNotExist.Role",
        ),
        (
            hop(&fixture, base(), |r| r.duration_seconds = Some(7200)),
            Invalid,
            "InvalidParameter.DurationSeconds",
        ),
        (
            hop(&fixture, base(), |r| r.policy = Some("{".to_owned())),
            Invalid,
            "InvalidParameter.PolicyGrammar",
        ),
        (
            hop(&fixture, key("LTAIshop", "canary-wrong"), |_| ()),
            Unauthenticated,
            "SignatureDoesNotMatch",
        ),
        (
            hop(&fixture, key("LTAInobody", "canary-wrong"), |_| ()),
            Unauthenticated,
            "InvalidAccessKeyId.NotFound",
        ),
        (
            hop(&fixture, fixture.identity(|r| r.provider.push('2')), |_| ()),
            Denied,
            "AuthenticationFail.NoPermission",
        ),
    ];
    for (identity, class, code) in table {
        assert_eq!(read(&fixture, &identity).await, refused(class, code));
    }
    assert_eq!(read(&fixture, &hop(&fixture, base(), |_| ())).await, Ok(()));
    let missing = hop(&fixture, base(), |r| r.role_arn.push('2'));
    let error = fixture.cache.get(&missing).await.unwrap_err().to_string();
    let named = format!("assumeRole: there is no role {ROLE}2");
    assert!(error.contains(&named), "{error}");
}

#[tokio::test]
async fn a_policy_narrows_what_the_role_may() {
    let fixture = Fixture::of(SEED).await;
    let statement = r#"{"Effect":"Allow","Action":"kms:*","Resource":"*"}"#;
    let policy = format!(r#"{{"Version":"1","Statement":[{statement}]}}"#);
    let narrow = hop(&fixture, fixture.identity(|_| ()), |role| {
        role.policy = Some(policy);
    });
    let refusal = read(&fixture, &narrow).await.unwrap_err();
    assert_eq!(refusal.0, Class::Denied);
}

#[tokio::test]
async fn a_revoked_first_hop_is_replaced_within_the_exchange() {
    let fixture = Fixture::of(SEED).await;
    let base = fixture.identity(|_| ());
    fixture.cache.get(&base).await.unwrap();
    fixture.simulator.revoke_sessions("shop").unwrap();
    let chain = hop(&fixture, base, |_| ());
    assert_eq!(read(&fixture, &chain).await, Ok(()));
}

#[tokio::test]
async fn a_key_that_is_revoked_in_use_fails_the_next_exchange_and_heals_alone() {
    let fixture = Fixture::of(SEED).await;
    let chain = hop(&fixture, key("LTAIshop", "canary-key"), |_| ());
    assert_eq!(read(&fixture, &chain).await, Ok(()));
    fixture.simulator.revoke_key("LTAIshop").unwrap();
    assert_eq!(read(&fixture, &chain).await, Ok(()), "the session goes on");
    let held = fixture.cache.get(&chain).await.unwrap();
    fixture.cache.discard(&chain.id(), &held);
    let failure = refused(Class::Unauthenticated, "InvalidAccessKeyId.NotFound");
    assert_eq!(read(&fixture, &chain).await, failure);
    fixture.simulator.restore_key("LTAIshop").unwrap();
    assert_eq!(read(&fixture, &chain).await, Ok(()));
}

#[tokio::test]
async fn trust_that_is_withdrawn_ends_the_chain_with_its_last_hop() {
    let fixture = Fixture::of(SEED).await;
    let chain = hop(&fixture, fixture.identity(|_| ()), |_| ());
    let lifetime = SignedDuration::from_secs(3);
    fixture.simulator.set_credential_lifetime(Some(lifetime));
    assert_eq!(read(&fixture, &chain).await, Ok(()));
    let nobody = RoleTrust {
        role: "readers".to_owned(),
        ..RoleTrust::default()
    };
    let account = "2000000000000002";
    fixture.simulator.put_trust_in(account, &nobody).unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(
        read(&fixture, &chain).await,
        refused(Class::Denied, "NoPermission")
    );
}

#[tokio::test]
async fn a_throttled_sts_fails_new_chains_only() {
    let fixture = Fixture::of(SEED).await;
    let held = hop(&fixture, fixture.identity(|_| ()), |_| ());
    assert_eq!(read(&fixture, &held).await, Ok(()));
    fixture
        .simulator
        .add_fault(Fault::throttle(700).service("sts"));
    let new = hop(&fixture, fixture.identity(|_| ()), |role| {
        role.session_name.push('2');
    });
    let failure = read(&fixture, &new).await.unwrap_err();
    assert_eq!(failure.0, Class::Throttled);
    assert_eq!(read(&fixture, &held).await, Ok(()));
    fixture.simulator.clear_faults();
    assert_eq!(read(&fixture, &new).await, Ok(()));
}
