//! Secrets that another account shares: the policies of the secret and of its key, as KMS writes them.

use cloudsim::{AttachedPolicy, KmsKey, Secret, Simulator};
use serde_json::{Value, json};

use crate::kms::{OTHER, kms, value};
use crate::support::*;

const NAME: &str = "acs:kms:cn-hangzhou:2000000000000002:secret/partner/db";
const READER: &str = "acs:ram::1000000000000001:user/user";
const DENIED: (u16, &str) = (403, "Forbidden.NoPermission");

fn document(principal: &str, action: &str) -> Value {
    json!({
        "Version": "1",
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "RAM": [principal] },
            "Action": [action],
            "Resource": ["*"],
        }],
    })
}

/// A simulator whose user may, as far as the own account says.
async fn permitted() -> Simulator {
    let simulator = kms().await;
    let allow =
        |action, resource| json!({ "Effect": "Allow", "Action": action, "Resource": resource });
    let key = "acs:kms:cn-hangzhou:2000000000000002:key/k1";
    let statements = [allow("kms:GetSecretValue", NAME), allow("kms:Decrypt", key)];
    let attached = AttachedPolicy {
        principal: "user/user".to_owned(),
        document: json!({ "Version": "1", "Statement": statements }),
    };
    simulator.put_policy(&attached).unwrap();
    simulator
}

/// Shares a secret, and its key.
fn share(simulator: &Simulator, secret: Option<Value>, key: Option<Value>) {
    let key = KmsKey {
        id: "k1".to_owned(),
        policy_document: key,
        ..KmsKey::default()
    };
    simulator.put_kms_key_in(OTHER, &key).unwrap();
    let secret = Secret {
        policy_document: secret,
        ..Secret::new("partner/db", "canary-partner").key("k1")
    };
    simulator.put_secret_in(OTHER, secret).unwrap();
}

#[tokio::test]
async fn a_secret_with_a_key_takes_the_policies_of_both() {
    let get = || document(READER, "kms:GetSecretValue");
    let decrypt = || document(READER, "kms:Decrypt");
    for (secret, key) in [
        (None, None),
        (Some(get()), None),
        (None, Some(decrypt())),
        (Some(get()), Some(get())),
        (Some(decrypt()), Some(decrypt())),
        (Some(document("acs:ram::3:root", "kms:*")), Some(decrypt())),
    ] {
        let simulator = permitted().await;
        share(&simulator, secret.clone(), key.clone());
        let reply = Client::new(&simulator, USER).send(&value(NAME)).await;
        assert_eq!(reply.refusal(), DENIED, "{secret:?} {key:?}");
    }
    let simulator = permitted().await;
    let client = Client::new(&simulator, USER);
    share(&simulator, Some(get()), Some(decrypt()));
    let reply = client.send(&value(NAME)).await;
    assert_eq!(reply.body["SecretData"], "canary-partner");
    // The own account's permission for the key is needed too.
    simulator.delete_policy("user/user").unwrap();
    assert_eq!(client.send(&value(NAME)).await.refusal(), DENIED);
    let simulator = permitted().await;
    let client = Client::new(&simulator, USER);
    share(&simulator, Some(get()), Some(decrypt()));
    // A key that is only put into another state keeps its policy.
    share(&simulator, Some(get()), None);
    assert_eq!(client.send(&value(NAME)).await.status, 200);
}

#[tokio::test]
async fn a_policy_that_would_not_be_obeyed_is_refused() {
    let simulator = kms().await;
    let mut conditional = document(READER, "kms:Decrypt");
    conditional["Statement"][0]["Condition"] = json!({});
    let key = KmsKey {
        id: "k1".to_owned(),
        policy_document: Some(conditional.clone()),
        ..KmsKey::default()
    };
    assert!(simulator.put_kms_key_in(OTHER, &key).is_err());
    let secret = Secret {
        policy_document: Some(conditional),
        ..Secret::new("partner/db", "canary-partner")
    };
    assert!(simulator.put_secret_in(OTHER, secret).is_err());
}
