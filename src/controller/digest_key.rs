//! The digest key: a Secret in the operator's namespace, created once.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Api, Client};
use ring::rand::SecureRandom;

use crate::api::names::DIGEST_KEY_SECRET;
use crate::digest::{DigestKey, KEY_BYTES};

/// The key's entry in the Secret.
const ENTRY: &str = "key";

/// Why there is no digest key.
#[derive(Debug, thiserror::Error)]
pub enum DigestKeyError {
    /// The API server did not let us read or create it.
    #[error("Secret {namespace}/{DIGEST_KEY_SECRET}: {reason}")]
    Api {
        /// The operator's namespace.
        namespace: String,
        /// Why.
        reason: String,
    },
    /// The Secret is there and holds something else.
    #[error(
        "Secret {0}/{DIGEST_KEY_SECRET} holds no key of 32 bytes under `key`; delete it to have a \
         new one made"
    )]
    Malformed(String),
    /// The system has no randomness.
    #[error("the system gives no randomness for a digest key")]
    Randomness,
}

/// Reads the digest key, if there is one.
///
/// # Errors
/// Why it cannot be read.
pub async fn find(client: &Client, namespace: &str) -> Result<Option<DigestKey>, DigestKeyError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let found = api.get_opt(DIGEST_KEY_SECRET).await;
    let found = found.map_err(|error| failed(&error, namespace))?;
    found.map(|found| read(&found, namespace)).transpose()
}

/// Reads the digest key, making it first where there is none.
///
/// # Errors
/// Why there is none.
pub async fn load(
    client: &Client,
    namespace: &str,
    random: &dyn SecureRandom,
) -> Result<DigestKey, DigestKeyError> {
    if let Some(found) = find(client, namespace).await? {
        return Ok(found);
    }
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let bytes = DigestKey::generate(random).map_err(|_| DigestKeyError::Randomness)?;
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(DIGEST_KEY_SECRET.to_owned()),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        immutable: Some(true),
        data: Some(BTreeMap::from([(
            ENTRY.to_owned(),
            ByteString(bytes.to_vec()),
        )])),
        ..Secret::default()
    };
    match api.create(&PostParams::default(), &secret).await {
        Ok(_) => Ok(DigestKey::new(&bytes)),
        // Somebody else was faster: theirs is the key.
        Err(kube::Error::Api(status)) if status.code == 409 => {
            let found = api.get(DIGEST_KEY_SECRET).await;
            read(
                &found.map_err(|error| failed(&error, namespace))?,
                namespace,
            )
        }
        Err(error) => Err(failed(&error, namespace)),
    }
}

fn failed(error: &kube::Error, namespace: &str) -> DigestKeyError {
    DigestKeyError::Api {
        namespace: namespace.to_owned(),
        reason: super::reason(error),
    }
}

fn read(secret: &Secret, namespace: &str) -> Result<DigestKey, DigestKeyError> {
    let bytes = secret.data.as_ref().and_then(|data| data.get(ENTRY));
    let key = bytes.and_then(|bytes| <&[u8; KEY_BYTES]>::try_from(bytes.0.as_slice()).ok());
    key.map(DigestKey::new)
        .ok_or_else(|| DigestKeyError::Malformed(namespace.to_owned()))
}
