//! The part of the admin API that is about KMS.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::admin::{Asked, Body, Done, InAccount, Named, Refused, Shared};
use crate::cloud::{Cloud, CloudError};
use crate::hidden::Hidden;
use crate::instance::KmsInstance;
use crate::seed::{DataType, KmsKey, KmsSettings, Secret, SecretVersion};

/// A new version of a secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretVersionSpec {
    /// The account; the first without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The region; the seed's without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The secret's name.
    pub name: String,
    /// The version's id; `v1`, `v2` and so on without it. A rotation takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The data as on the wire.
    pub data: Hidden,
    /// Whether it is text or binary, if not as the secret says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_type: Option<DataType>,
    /// Its stages; `ACSCurrent` without them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stages: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deleted {
    account: Option<String>,
    region: Option<String>,
    name: String,
    recovery_days: Option<u16>,
}

/// The routes, without their prefix.
pub(super) fn router() -> Router<Arc<Cloud>> {
    Router::new()
        .route(
            "/secrets",
            get(list_secrets)
                .put(put_secret)
                .post(put_secret)
                .delete(delete_secret),
        )
        .route("/secrets/versions", post(put_version).put(put_version))
        .route("/secrets/rotate", post(rotate_secret))
        .route("/secrets/restore", post(restore_secret))
        .route("/kms-keys", post(put_key).put(put_key).delete(delete_key))
        .route("/kms-instance", get(instance))
        .route("/kms", get(settings).post(set_settings).put(set_settings))
}

async fn list_secrets(State(cloud): Shared) -> Json<Value> {
    Json(json!({ "secrets": cloud.list_secrets() }))
}

async fn put_secret(
    State(cloud): Shared,
    Asked(at): Asked<InAccount>,
    Body(secret): Body<Secret>,
) -> Done {
    cloud.put_secret(at.account.as_deref(), secret)?;
    Ok(Json(json!({})))
}

async fn put_version(State(cloud): Shared, Body(spec): Body<SecretVersionSpec>) -> Done {
    let version = SecretVersion {
        id: spec.id,
        data: spec.data,
        data_type: spec.data_type,
        stages: spec.stages,
    };
    let (account, region) = (spec.account.as_deref(), spec.region.as_deref());
    let id = cloud.put_secret_version(account, region, &spec.name, version)?;
    Ok(Json(json!({ "version": id })))
}

async fn rotate_secret(State(cloud): Shared, Body(spec): Body<SecretVersionSpec>) -> Done {
    let (account, region) = (spec.account.as_deref(), spec.region.as_deref());
    let id = cloud.rotate_secret(account, region, &spec.name, spec.data)?;
    Ok(Json(json!({ "version": id })))
}

async fn restore_secret(State(cloud): Shared, Body(named): Body<Named>) -> Done {
    let (account, region) = (named.account.as_deref(), named.region.as_deref());
    cloud.restore_secret(account, region, &named.name)?;
    Ok(Json(json!({})))
}

async fn delete_secret(State(cloud): Shared, Asked(deleted): Asked<Deleted>) -> Done {
    let (account, region) = (deleted.account.as_deref(), deleted.region.as_deref());
    cloud.delete_secret(account, region, &deleted.name, deleted.recovery_days)?;
    Ok(Json(json!({})))
}

async fn put_key(
    State(cloud): Shared,
    Asked(at): Asked<InAccount>,
    Body(key): Body<KmsKey>,
) -> Done {
    cloud.put_kms_key(at.account.as_deref(), &key)?;
    Ok(Json(json!({})))
}

async fn delete_key(State(cloud): Shared, Asked(named): Asked<Named>) -> Done {
    cloud.delete_kms_key(named.account.as_deref(), &named.name)?;
    Ok(Json(json!({})))
}

async fn instance(State(cloud): Shared) -> Result<Json<KmsInstance>, Refused> {
    let instance = cloud.instance.clone();
    instance
        .map(Json)
        .ok_or(CloudError::NotFound("KMS instance").into())
}

async fn settings(State(cloud): Shared) -> Json<KmsSettings> {
    Json(cloud.kms_settings())
}

async fn set_settings(State(cloud): Shared, Body(settings): Body<KmsSettings>) -> Json<Value> {
    cloud.set_kms(settings);
    Json(json!({}))
}
