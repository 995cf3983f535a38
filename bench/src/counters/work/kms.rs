//! A batch of KMS: its signature and its answer.

use std::hint::black_box;

use external_cloud_secrets::credential::Credentials;
use external_cloud_secrets::provider::RemoteKey;
use external_cloud_secrets::provider::alibaba::Kms;
use external_cloud_secrets::provider::alibaba::sign::{Call, encode_query};
use serde_json::{Value, json};

use crate::failure::{Failure, Result};

/// What a call carries.
const BATCH: usize = 20;

/// Signs a call for twenty secrets, with the token of temporary credentials.
pub fn sign(times: u32) -> Result<()> {
    let credentials = Credentials {
        access_key_id: "STS.canaryaccesskeyid".to_owned(),
        access_key_secret: "canary-access-key-secret".into(),
        // As long as the cloud's.
        security_token: Some("canary-token".repeat(60).into()),
        expires_at: None,
    };
    let asked = |key: &RemoteKey| json!({ "SecretName": key.key, "VersionStage": "ACSCurrent" });
    let list: Vec<Value> = keys().iter().map(asked).collect();
    let list = Value::from(list).to_string();
    let query = [("SecretsList", list.as_str())];
    for _ in 0..times {
        let call = Call {
            host: "kms-vpc.cn-hangzhou.aliyuncs.com",
            action: "BatchGetSecretValue",
            version: "2016-01-20",
            query: black_box(&query),
            form: None,
            date: "2026-01-01T00:00:00Z",
            nonce: "0123456789abcdef0123456789abcdef",
        };
        let url = encode_query(&query);
        let headers = black_box(call.sign(&credentials));
        if headers.is_empty() || url.is_empty() {
            return Err(Failure("nothing was signed".into()));
        }
    }
    Ok(())
}

/// Reads the answer to a call for twenty secrets.
pub fn decode(times: u32) -> Result<()> {
    let keys = keys();
    let value = |key: &RemoteKey| {
        json!({
            "SecretName": key.key,
            "SecretType": "Generic",
            "SecretData": format!("canary-of-{}", key.key),
            "SecretDataType": "text",
            "VersionId": "v1",
            "VersionStages": { "VersionStage": ["ACSCurrent"] },
            "CreateTime": "2026-01-01T00:00:00Z",
            "RequestId": "01234567-89ab-cdef-0123-456789abcdef",
        })
    };
    let values: Vec<Value> = keys.iter().map(value).collect();
    let answer = json!({
        "RequestId": "01234567-89ab-cdef-0123-456789abcdef",
        "SecretValues": values,
        "Errors": [],
    });
    let body = answer.to_string().into_bytes();
    for _ in 0..times {
        let answers = black_box(Kms::read_batch(black_box(&body), &keys));
        let values = answers.map_err(|error| Failure(error.code().to_owned()))?;
        if !values.iter().all(std::result::Result::is_ok) {
            return Err(Failure("a value was not read".into()));
        }
    }
    Ok(())
}

fn keys() -> Vec<RemoteKey> {
    let key = |number: usize| RemoteKey::named(format!("shop/database-{number:02}/password"));
    (0..BATCH).map(key).collect()
}
