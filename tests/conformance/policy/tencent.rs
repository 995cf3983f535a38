//! The policies of CAM that the page prints, given to the simulated cloud word for word.

use std::sync::Arc;

use cloudsim::tencent::Role;
use external_cloud_secrets::credential::Identity;
use external_cloud_secrets::provider::Class;
use serde_json::Value;

use super::printed::{changed, documents, unconditional, weakened};
use crate::identity::account;
use crate::tencent_identity::{AUDIENCE, Fixture};

const PAGE: &str = "docs/identities-tencent.md";
/// The accounts of the page, its cluster, and its issuer.
const UIN: &str = "100001234567";
const PARTNER: &str = "100007654321";
const CLUSTER: &str = "cls-1a2b3c4d";
const ISSUER: &str = "https://ap-guangzhou-oidc.tke.tencentcs.com/id/0123456789abcdef";
/// Another audience that the OIDC provider may know.
const OTHER_AUDIENCE: &str = "sts.aliyuncs.com";
const SEED: &str = r"
tencent:
  settings: {quotas: false}
  accounts:
  - uin: '100001234567'
    secrets:
    - {name: shop-db, value: canary-db}
    - {name: shop-mail, value: canary-mail}
    - {name: pay-db, value: canary-pay}
  - uin: '100007654321'
    secrets: [{name: partner, value: canary-partner}]
";

/// The cloud of the page.
async fn cloud(issuer: &str) -> Fixture {
    Fixture::of(SEED, CLUSTER, issuer, &[AUDIENCE, OTHER_AUDIENCE]).await
}

/// The role of the page, entered by a token of a ServiceAccount.
fn entering(fixture: &Fixture, subject: (&str, &str), audience: &str) -> Arc<Identity> {
    fixture.identity(|role| {
        role.role_arn = format!("qcs::cam::uin/{UIN}:roleName/shop");
        role.subject = account(subject.0, subject.1, audience);
    })
}

/// The role of the page with these documents.
fn put(fixture: &Fixture, trust: Option<&Value>, policy: Option<&Value>) {
    let role = Role {
        trust_document: trust.cloned(),
        policy_document: policy.cloned(),
        ..Role::new("shop")
    };
    fixture.simulator.tencent().put_role(&role).unwrap();
}

/// Whether reading `key` anew as `identity` works; it fails for want of a permission only.
async fn reads(fixture: &Fixture, identity: &Arc<Identity>, key: &str) -> bool {
    if let Ok(held) = fixture.cache.get(identity).await {
        fixture.cache.discard(&identity.id(), &held);
    }
    match fixture.read(identity, key).await {
        Ok(()) => true,
        Err((class, _, text)) => {
            assert_eq!(class, Class::Denied, "{text}");
            false
        }
    }
}

#[tokio::test]
async fn the_role_of_the_page_admits_its_service_accounts_and_nobody_else() {
    let [trust, policy, ..] = documents::<4>(PAGE);
    let accounts = [("team-a", "secrets-reader"), ("team-b", "secrets-reader")];
    let fixture = cloud(ISSUER).await;
    let all = async |trust: Option<&Value>| {
        put(&fixture, trust, Some(&policy));
        for subject in accounts {
            let identity = entering(&fixture, subject, AUDIENCE);
            if !reads(&fixture, &identity, "shop-db").await {
                return false;
            }
        }
        true
    };
    assert!(!all(None).await, "no trust");
    assert!(all(Some(&trust)).await);
    for (part, other) in changed(&trust) {
        assert!(!all(Some(&other)).await, "{part}");
    }
    for without in weakened(&trust) {
        assert!(!all(without.document.as_ref()).await, "{}", without.part);
    }
    // Each condition keeps somebody out: a cluster, an audience, a ServiceAccount.
    let another = cloud("https://issuer.example/another-cluster").await;
    let conditions = unconditional(&trust);
    assert_eq!(conditions.len(), 3);
    for (key, open) in conditions {
        let (place, subject, audience) = match &*key {
            "oidc:iss" => (&another, accounts[0], AUDIENCE),
            "oidc:aud" => (&fixture, accounts[0], OTHER_AUDIENCE),
            "oidc:sub" => (&fixture, ("elsewhere", accounts[0].1), AUDIENCE),
            other => panic!("nobody tries {other}"),
        };
        let identity = entering(place, subject, audience);
        put(place, Some(&trust), Some(&policy));
        assert!(!reads(place, &identity, "shop-db").await, "{key}");
        put(place, Some(&open), Some(&policy));
        assert!(reads(place, &identity, "shop-db").await, "{key}");
    }
}

#[tokio::test]
async fn the_role_of_the_page_reads_its_secrets_and_no_others() {
    let [trust, policy, ..] = documents::<4>(PAGE);
    let fixture = cloud(ISSUER).await;
    let identity = entering(&fixture, ("team-a", "secrets-reader"), AUDIENCE);
    let both = async |policy: Option<&Value>| {
        put(&fixture, Some(&trust), policy);
        let (db, mail) = ("shop-db", "shop-mail");
        reads(&fixture, &identity, db).await && reads(&fixture, &identity, mail).await
    };
    assert!(!both(None).await, "no policy");
    assert!(both(Some(&policy)).await);
    assert!(!reads(&fixture, &identity, "pay-db").await);
    for without in weakened(&policy) {
        assert!(!both(without.document.as_ref()).await, "{}", without.part);
    }
}

#[tokio::test]
async fn a_role_is_entered_by_the_role_it_trusts_with_every_part_of_both_policies() {
    let [trust, _, permission, partner] = documents::<4>(PAGE);
    let fixture = cloud(ISSUER).await;
    let base = || entering(&fixture, ("team-a", "secrets-reader"), AUDIENCE);
    let entered = fixture.hop(base(), |role| {
        role.role_arn = format!("qcs::cam::uin/{PARTNER}:roleName/readers");
        role.external_id = None;
    });
    let enters = async |permission: Option<&Value>, partner: Option<&Value>| {
        put(&fixture, Some(&trust), permission);
        let role = Role {
            trust_document: partner.cloned(),
            ..Role::new("readers").may(&["ssm:GetSecretValue"], &["*"])
        };
        let tencent = fixture.simulator.tencent();
        tencent.put_role_in(PARTNER, &role).unwrap();
        reads(&fixture, &entered, "partner").await
    };
    assert!(!enters(None, None).await, "neither");
    assert!(!enters(None, Some(&partner)).await, "no permission");
    assert!(!enters(Some(&permission), None).await, "no trust");
    assert!(enters(Some(&permission), Some(&partner)).await);
    for (part, other) in changed(&partner) {
        assert!(!enters(Some(&permission), Some(&other)).await, "{part}");
    }
    for without in weakened_or_none(&permission) {
        assert!(!enters(without.as_ref(), Some(&partner)).await);
    }
}

/// `document` without its statement, the only part that it has, and with another role.
fn weakened_or_none(document: &Value) -> Vec<Option<Value>> {
    let text = document.to_string();
    let other = text.replace("roleName/readers", "roleName/writers");
    assert_ne!(text, other);
    vec![None, Some(serde_json::from_str(&other).unwrap())]
}
