//! Who may enter a role.

use std::sync::Arc;

use cloudsim::RoleTrust;
use external_cloud_secrets::credential::{
    Alibaba, AssumedRole, CloudRef, Identity, InstanceRole, Source, TokenService,
};
use external_cloud_secrets::provider::Class;
use external_cloud_secrets::provider::alibaba::{Network, endpoint};
use external_cloud_secrets::provider::endpoint::EndpointPolicy;
use serde_json::Value;

use super::printed::{changed, documents, unconditional, weakened};
use super::{
    ACCOUNT, AUDIENCE, CLUSTER, ISSUER, Outcome, PARTNER, SEED, assert_denied, attach, cloud,
    entering, fetch, told,
};
use crate::identity::{Fixture, named};
use crate::oos::provider;

/// Another audience that the OIDC provider of a cluster may know.
const OTHER_AUDIENCE: &str = "sts.cloud.tencent.com";

/// Enters a role anew.
async fn enter(fixture: &Fixture, identity: &Arc<Identity>) -> Outcome {
    let credentials = fixture.cache.get(identity).await.map_err(told)?;
    fixture.cache.discard(&identity.id(), &credentials);
    Ok(())
}

fn trust(fixture: &Fixture, account: &str, role: &str, document: &Value) {
    let trust = RoleTrust {
        role: role.to_owned(),
        document: Some(document.clone()),
        ..RoleTrust::default()
    };
    fixture.simulator.put_trust_in(account, &trust).unwrap();
}

/// Tries a trust policy for tokens of these ServiceAccounts.
async fn try_tokens(document: &Value, accounts: &[(&str, &str)]) {
    let audiences = [AUDIENCE, OTHER_AUDIENCE];
    let fixture = Fixture::of_cluster(SEED, CLUSTER, ISSUER, &audiences).await;
    let enter_all = async || {
        for account in accounts {
            let identity = entering(&fixture, "printed", *account, AUDIENCE);
            enter(&fixture, &identity).await?;
        }
        Ok(())
    };
    assert_denied(enter_all().await, "no trust");
    trust(&fixture, ACCOUNT, "printed", document);
    assert_eq!(enter_all().await, Ok(()));
    for (part, other) in changed(document) {
        trust(&fixture, ACCOUNT, "printed", &other);
        assert_denied(enter_all().await, &part);
    }
    let lists = weakened(document).into_iter();
    for without in lists.filter(|without| without.document.is_some()) {
        trust(&fixture, ACCOUNT, "printed", &without.document.unwrap());
        assert_denied(enter_all().await, &without.part);
    }
    // Each condition keeps somebody out: a cluster, an audience, a ServiceAccount.
    let elsewhere = "https://issuer.example/another-cluster";
    let another = Fixture::of_cluster(SEED, CLUSTER, elsewhere, &audiences).await;
    let intruder = |key: &str| match key {
        "oidc:iss" => (&another, accounts[0], AUDIENCE),
        "oidc:aud" => (&fixture, accounts[0], OTHER_AUDIENCE),
        "oidc:sub" => (&fixture, ("elsewhere", accounts[0].1), AUDIENCE),
        other => panic!("nobody tries {other}"),
    };
    let conditions = unconditional(document);
    assert_eq!(conditions.len(), 3);
    for (key, open) in conditions {
        let (place, account, audience) = intruder(&key);
        let identity = entering(place, "printed", account, audience);
        trust(place, ACCOUNT, "printed", document);
        assert_denied(enter(place, &identity).await, &key);
        trust(place, ACCOUNT, "printed", &open);
        assert_eq!(enter(place, &identity).await, Ok(()), "{key}");
    }
}

#[tokio::test]
async fn the_role_of_the_first_secret_admits_its_service_account_and_nobody_else() {
    let [trust, _permissions] = documents("README.md");
    try_tokens(&trust, &[("shop", "shop")]).await;
}

#[tokio::test]
async fn the_role_of_two_teams_admits_both_and_nobody_else() {
    let [trust] = documents("docs/identities.md");
    try_tokens(
        &trust,
        &[("team-a", "secrets-reader"), ("team-b", "secrets-reader")],
    )
    .await;
}

/// The partner's role, entered by the role `shop`.
fn hop(fixture: &Fixture, role: &str, external_id: Option<&str>) -> Arc<Identity> {
    let policy = EndpointPolicy::new([], true).unwrap();
    let url = fixture.simulator.url();
    named(Source::AssumedRole(AssumedRole {
        base: entering(fixture, "shop", ("any", "reader"), AUDIENCE),
        role_arn: format!("acs:ram::{PARTNER}:role/{role}"),
        external_id: external_id.map(str::to_owned),
        session_name: "c.any.reader".to_owned(),
        duration_seconds: None,
        policy: None,
        sts: TokenService::new(
            &Alibaba,
            endpoint::sts(&policy, Some(&url), "", Network::Public).unwrap(),
        ),
    }))
}

#[tokio::test]
async fn a_role_is_entered_by_the_role_it_trusts_with_every_part_of_both_policies() {
    let [permission, partner, _instance] = documents("docs/identities-alibaba.md");
    let fixture = cloud().await;
    let entered = hop(&fixture, "readers", Some("shop-2024"));
    assert_denied(enter(&fixture, &entered).await, "neither");
    trust(&fixture, PARTNER, "readers", &partner);
    assert_denied(enter(&fixture, &entered).await, "no permission");
    attach(&fixture, "role/shop", Some(&permission));
    assert_eq!(enter(&fixture, &entered).await, Ok(()));
    let credentials = fixture.cache.get(&entered).await.unwrap();
    let oos = provider(&fixture.simulator.url());
    assert_eq!(fetch(&oos, &credentials, &["/partner"]).await, Ok(()));
    fixture.cache.discard(&entered.id(), &credentials);
    for (part, other) in changed(&partner) {
        trust(&fixture, PARTNER, "readers", &other);
        assert_denied(enter(&fixture, &entered).await, &part);
    }
    // The permission is for this role only, and the trust for who knows the external id.
    trust(&fixture, PARTNER, "writers", &partner);
    let writers = hop(&fixture, "writers", Some("shop-2024"));
    assert_denied(enter(&fixture, &writers).await, "another role");
    let unknowing = hop(&fixture, "readers", None);
    trust(&fixture, PARTNER, "readers", &partner);
    assert_denied(enter(&fixture, &unknowing).await, "no external id");
    let [(condition, open)] = unconditional(&partner).try_into().unwrap();
    trust(&fixture, PARTNER, "readers", &open);
    assert_eq!(enter(&fixture, &unknowing).await, Ok(()), "{condition}");
    trust(&fixture, PARTNER, "readers", &partner);
    for without in weakened(&permission) {
        attach(&fixture, "role/shop", without.document.as_ref());
        assert_denied(enter(&fixture, &entered).await, &without.part);
    }
}

#[tokio::test]
async fn the_role_of_an_instance_trusts_its_service() {
    let [.., instance]: [Value; 3] = documents("docs/identities-alibaba.md");
    let fixture = cloud().await;
    let role = "KubernetesWorkerRole";
    let identity = named(Source::InstanceRole(InstanceRole {
        cloud: CloudRef(&Alibaba),
        role_name: Some(role.to_owned()),
    }));
    trust(&fixture, ACCOUNT, role, &instance);
    assert_eq!(enter(&fixture, &identity).await, Ok(()));
    let others = changed(&instance);
    assert_eq!(others.len(), 1, "one service");
    for (part, other) in others {
        trust(&fixture, ACCOUNT, role, &other);
        let refused = (Class::Unauthenticated, "InstanceRole.Refused".to_owned());
        assert_eq!(enter(&fixture, &identity).await, Err(refused), "{part}");
    }
}
