//! What an identity may read in another account: three policies that have to agree.

use cloudsim::{KmsKey, Secret};
use external_cloud_secrets::credential::Credentials;
use serde_json::Value;

use super::printed::{changed, documents, weakened};
use super::{ACCOUNT, Outcome, PARTNER, assert_denied, attach, cloud, fetch, role};
use crate::identity::Fixture;
use crate::kms;

const NAME: &str = "acs:kms:cn-hangzhou:6543210987654321:secret/partner/db";
const KEY: &str = "key-hzz65f1exampletheirs";

/// Shares the secret and its key by these policies of theirs.
fn share(fixture: &Fixture, secret: &Value, key: &Value) {
    let key = KmsKey {
        id: KEY.to_owned(),
        policy_document: Some(key.clone()),
        ..KmsKey::default()
    };
    fixture.simulator.put_kms_key_in(PARTNER, &key).unwrap();
    let secret = Secret {
        policy_document: Some(secret.clone()),
        ..Secret::new("partner/db", "canary").key(KEY)
    };
    fixture.simulator.put_secret_in(PARTNER, secret).unwrap();
}

async fn read(fixture: &Fixture, reader: &Credentials) -> Outcome {
    let kms = kms::provider(&fixture.simulator.url(), None);
    fetch(&kms, reader, &[NAME]).await
}

#[tokio::test]
async fn a_secret_of_another_account_takes_all_three_policies_and_every_part_of_them() {
    let [_, _, ours, secret, key] = documents("docs/kms.md");
    let fixture = cloud().await;
    let reader = role(&fixture, "pay").await;
    share(&fixture, &secret, &key);
    assert_denied(read(&fixture, &reader).await, "nothing of ours");
    attach(&fixture, "role/pay", Some(&ours));
    assert_eq!(read(&fixture, &reader).await, Ok(()));
    for without in weakened(&ours) {
        attach(&fixture, "role/pay", without.document.as_ref());
        assert_denied(read(&fixture, &reader).await, &without.part);
    }
    attach(&fixture, "role/pay", Some(&ours));
    // One statement each, so that to change a part is to leave it out.
    for (part, other) in altered(&secret) {
        share(&fixture, &other, &key);
        assert_denied(read(&fixture, &reader).await, &part);
    }
    for (part, other) in altered(&key) {
        share(&fixture, &secret, &other);
        assert_denied(read(&fixture, &reader).await, &part);
    }
    share(&fixture, &secret, &key);
    assert_eq!(read(&fixture, &reader).await, Ok(()));
    // Nobody else of our account is let in.
    attach(&fixture, "role/reader", Some(&ours));
    let other = role(&fixture, "reader").await;
    assert_denied(read(&fixture, &other).await, ACCOUNT);
}

/// The policy of a secret or a key with another principal, or another action.
fn altered(document: &Value) -> Vec<(String, Value)> {
    let mut all = changed(document);
    let mut other = document.clone();
    other["Statement"][0]["Action"] = "kms:DescribeSecret".into();
    all.push((document["Statement"][0]["Action"].to_string(), other));
    assert_eq!(all.len(), 2, "one principal, one action");
    all
}
