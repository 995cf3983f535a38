//! The policies that the pages print, given to the simulated cloud word for word: with them all works
//! that their page says, and without any one part of them something is refused.

mod permission;
mod printed;
mod sharing;
mod ssm;
mod tencent;
mod trust;

use std::collections::BTreeSet;
use std::sync::Arc;

use cloudsim::AttachedPolicy;
use external_cloud_secrets::credential::{Credentials, Identity};
use external_cloud_secrets::provider::{CallError, Class, Provider, RemoteKey};
use serde_json::Value;

use crate::identity::{Fixture, account};

/// The account of the pages.
const ACCOUNT: &str = "1234567890123456";
/// Another account of the pages.
const PARTNER: &str = "6543210987654321";
/// The cluster of the pages, as the account knows it, and its issuer.
const CLUSTER: &str = "ack-rrsa-c1234567890";
const ISSUER: &str = "https://oidc-ack-cn-hangzhou.oss-cn-hangzhou.aliyuncs.com/c1234567890";
const AUDIENCE: &str = "sts.aliyuncs.com";

/// The accounts, and everything in them that a policy is about, or is not.
const SEED: &str = r"
region: cn-hangzhou
accounts:
- id: '1234567890123456'
  users:
  - {name: reader, access_keys: [{id: LTAIreader, secret: canary-key}]}
  roles:
  - {name: reader, trust: [{provider: ack-rrsa-c1234567890, subjects: ['system:serviceaccount:any:reader']}]}
  - {name: pay, trust: [{provider: ack-rrsa-c1234567890, subjects: ['system:serviceaccount:any:reader']}]}
  - {name: shop, trust: [{provider: ack-rrsa-c1234567890, subjects: ['system:serviceaccount:any:reader']}]}
  - {name: printed}
  - {name: KubernetesWorkerRole}
  parameters: &parameters
  - {name: /shop/a, versions: [canary]}
  - {name: /shop/b, versions: [canary]}
  - {name: shop/a, versions: [canary]}
  - {name: shop/b, versions: [canary]}
  - {name: /cart/a, versions: [canary]}
  - {name: /cart/b, versions: [canary]}
  - {name: cart/a, versions: [canary]}
  - {name: cart/b, versions: [canary]}
  - {name: /other/a, versions: [canary]}
  - {name: other/a, versions: [canary]}
  plain_parameters: *parameters
  kms_keys: [{id: key-hzz65f1exampleown}]
  secrets:
  - {name: pay/a, value: canary}
  - {name: pay/b, value: canary}
  - {name: pay/locked-a, value: canary, encryption_key: key-hzz65f1exampleown}
  - {name: pay/locked-b, value: canary, encryption_key: key-hzz65f1exampleown}
  - {name: cart/a, value: canary}
  - {name: other/a, value: canary}
- id: '6543210987654321'
  parameters: [{name: /partner, versions: [canary]}]
  roles:
  - {name: readers, rules: [{actions: ['oos:*', 'kms:*'], resources: ['*']}]}
  - {name: writers, rules: [{actions: ['oos:*', 'kms:*'], resources: ['*']}]}
metadata: {role: KubernetesWorkerRole}
";

/// What something came to: nothing, or a class and a code.
type Outcome = Result<(), (Class, String)>;

fn told(error: CallError) -> (Class, String) {
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("canary"), "{shown}");
    (error.class, error.code().to_owned())
}

/// The cloud of the pages.
async fn cloud() -> Fixture {
    Fixture::of_cluster(SEED, CLUSTER, ISSUER, &[AUDIENCE]).await
}

/// The identity of a role of the pages' account, entered by a token of `subject`.
fn entering(fixture: &Fixture, role: &str, subject: (&str, &str), audience: &str) -> Arc<Identity> {
    fixture.identity(|rrsa| {
        rrsa.role_arn = format!("acs:ram::{ACCOUNT}:role/{role}");
        rrsa.provider = format!("acs:ram::{ACCOUNT}:oidc-provider/{CLUSTER}");
        rrsa.subject = account(subject.0, subject.1, audience);
    })
}

/// The credentials of a role that trusts `any/reader`.
async fn role(fixture: &Fixture, name: &str) -> Arc<Credentials> {
    let identity = entering(fixture, name, ("any", "reader"), AUDIENCE);
    fixture.cache.get(&identity).await.unwrap()
}

/// Attaches `document` to a user or a role; without one, takes away what was attached.
fn attach(fixture: &Fixture, principal: &str, document: Option<&Value>) {
    let Some(document) = document else {
        fixture.simulator.delete_policy(principal).unwrap();
        return;
    };
    let attached = AttachedPolicy {
        principal: principal.to_owned(),
        document: document.clone(),
    };
    fixture.simulator.put_policy(&attached).unwrap();
}

/// Reads `names` in one call; whatever is not the value is an error.
async fn fetch(provider: &dyn Provider, credentials: &Credentials, names: &[&str]) -> Outcome {
    let keys: Vec<RemoteKey> = names.iter().map(|name| RemoteKey::named(*name)).collect();
    let answers = provider.fetch(credentials, &keys).await.map_err(told)?;
    assert_eq!(answers.len(), names.len());
    for answer in answers {
        assert_eq!(answer.map_err(told)?.value.expose(), b"canary");
    }
    Ok(())
}

/// Whether something was refused for want of a permission, and not for another reason.
fn assert_denied(outcome: Outcome, what: &str) {
    match outcome {
        Err((Class::Denied, _)) => {}
        other => panic!("{what}: {other:?}"),
    }
}

#[test]
fn every_policy_that_a_page_prints_is_one_of_these() {
    let tried = [
        "README.md",
        "docs/identities-alibaba.md",
        "docs/identities-tencent.md",
        "docs/identities.md",
        "docs/kms.md",
        "docs/oos.md",
        "docs/ssm.md",
    ];
    let tried: BTreeSet<String> = tried.map(str::to_owned).into();
    assert_eq!(printed::pages(), tried);
}

#[test]
fn no_policy_that_a_page_prints_allows_all_of_anything() {
    for page in printed::pages() {
        for document in printed::all(&page) {
            for text in printed::allowed(&document) {
                // A star is the end of a folder, or of a name where there are none, and nowhere else.
                let folder = text.strip_suffix("/*").or(text.strip_suffix("-*"));
                let folder = folder.unwrap_or(&text);
                assert!(!folder.contains('*'), "{page}: {text}");
                assert!(folder.contains(':'), "{page}: {text}");
            }
        }
    }
}
