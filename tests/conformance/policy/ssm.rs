//! The policies of CAM that the page on SSM prints: with them all that the page says can be read, and without any one
//! of their parts not.

use cloudsim::tencent::{SecretType, User, Version};
use external_cloud_secrets::provider::{Caveat, RemoteKey};
use serde_json::{Value, json};

use super::printed::{documents, weakened};
use crate::oos::key;
use crate::ssm::{SsmSubject, pinned};

const PAGE: &str = "docs/ssm.md";
const SEED: &str = r#"
tencent:
  settings: {quotas: false}
  accounts:
  - uin: '100001234567'
    users: [{uin: '100001234568', access_keys: [{id: AKIDpage, secret: canary-page}]}]
    secrets:
    - {name: ledger-key, versions: [{id: v1, text: canary-1}, {id: v2, text: canary-2}]}
    - {name: ledger-mysql, type: product, value: canary-mysql}
    - {name: ledger-deploy, type: ssh, ssh: {id: skey-1, name: a, public_key: ssh-rsa canary, private_key: "-----BEGIN canary"}}
    - {name: other-key, value: canary-other}
"#;

/// Lets the user of the page do what the document says.
fn attach(subject: &SsmSubject, document: &Value) {
    let user = json!({ "uin": "100001234568", "policy_document": document });
    let user: User = serde_json::from_value(user).unwrap();
    subject.simulator.tencent().put_user(&user).unwrap();
}

/// Which of what the page says can be read, and read as it says, by somebody who knows nothing yet.
async fn reads(document: &Value) -> [bool; 4] {
    let subject = SsmSubject::seeded(SEED, SecretType::Custom).await;
    attach(&subject, document);
    let page = key("AKIDpage", "canary-page", None);
    let newest = Version::text("v3", "canary-3");
    subject
        .simulator
        .tencent()
        .put_version("ledger-key", &newest)
        .unwrap();
    let other = subject.read_as(&page, RemoteKey::named("other-key")).await;
    assert!(other.is_err(), "what the page does not name is not read");
    let keys = [
        pinned("ledger-key", "v2"),
        RemoteKey::named("ledger-key"),
        RemoteKey::named("ledger-mysql"),
        RemoteKey::named("ledger-deploy"),
    ];
    let mut read = [false; 4];
    for (key, read) in keys.into_iter().zip(&mut read) {
        let answer = subject.read_as(&page, key).await;
        *read = answer.is_ok_and(|fetched| fetched.caveat.is_none());
    }
    read
}

#[tokio::test]
async fn the_pages_policy_reads_everything_and_no_part_of_it_is_too_much() {
    let [all, narrow] = documents(PAGE);
    assert_eq!(reads(&all).await, [true; 4]);
    for without in weakened(&all) {
        let Some(document) = &without.document else {
            continue;
        };
        assert_ne!(reads(document).await, [true; 4], "without {}", without.part);
    }
    assert_eq!(reads(&narrow).await, [true, false, false, false]);
}

#[tokio::test]
async fn with_the_narrow_policy_what_is_current_is_read_and_said_to_be() {
    let [_, narrow] = documents::<2>(PAGE);
    let subject = SsmSubject::seeded(SEED, SecretType::Custom).await;
    attach(&subject, &narrow);
    let page = key("AKIDpage", "canary-page", None);
    let fetched = subject
        .read_as(&page, RemoteKey::named("ledger-mysql"))
        .await
        .unwrap();
    assert_eq!(fetched.caveat, Some(Caveat::KindHidden));
}
