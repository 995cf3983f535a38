//! The part of the admin API that is about Tencent Cloud.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::admin::{
    AccessKeySpec, Asked, Body, Done, InAccount, Named, Refused, SessionsOf, Shared,
};
use crate::cloud::Cloud;
use crate::hidden::Hidden;
use crate::tencent::{
    At, Metadata, OidcProvider, Role, Secret, SecretState, Settings, User, Version,
};

/// A version of a secret to add, replace or delete.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OneVersion {
    pub(crate) at: At,
    pub(crate) version: Version,
}

/// The text that becomes `SSM_Current` of a secret.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rotated {
    pub(crate) at: At,
    pub(crate) text: Hidden,
}

/// The state that a secret gets.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Changed {
    pub(crate) at: At,
    pub(crate) state: SecretState,
}

/// A version that is deleted.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeletedVersion {
    pub(crate) at: At,
    pub(crate) id: String,
}

/// How far the cloud's clock is ahead.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ahead {
    pub(crate) seconds: i64,
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
        .route("/secrets/versions", put(put_version).post(put_version))
        .route("/secrets/versions/delete", post(delete_version))
        .route("/secrets/rotate", post(rotate))
        .route("/secrets/state", put(set_state).post(set_state))
        .route("/users", put(put_user).post(put_user))
        .route("/keys", put(put_key).post(put_key))
        .route("/roles", put(put_role).post(put_role).delete(delete_role))
        .route("/sessions/revoke", post(revoke_sessions))
        .route(
            "/oidc-providers",
            put(put_provider).post(put_provider).delete(delete_provider),
        )
        .route(
            "/settings",
            get(settings).put(set_settings).post(set_settings),
        )
        .route(
            "/metadata",
            put(set_metadata).post(set_metadata).delete(end_metadata),
        )
        .route("/clock", put(set_clock).post(set_clock))
}

fn done(result: Result<(), crate::cloud::CloudError>) -> Done {
    result?;
    Ok(Json(json!({})))
}

async fn list_secrets(State(cloud): Shared) -> Json<Value> {
    Json(json!({ "secrets": cloud.tencent.list_secrets(cloud.now()) }))
}

async fn put_secret(
    State(cloud): Shared,
    Asked(at): Asked<InAccount>,
    Body(secret): Body<Secret>,
) -> Done {
    let account = at.account.as_deref();
    done(cloud.tencent.put_secret(account, secret, cloud.now()))
}

async fn delete_secret(State(cloud): Shared, Asked(at): Asked<At>) -> Done {
    done(cloud.tencent.delete_secret(&at))
}

async fn put_version(State(cloud): Shared, Body(one): Body<OneVersion>) -> Done {
    done(
        cloud
            .tencent
            .put_version(&one.at, &one.version, cloud.now()),
    )
}

async fn delete_version(State(cloud): Shared, Body(one): Body<DeletedVersion>) -> Done {
    done(cloud.tencent.delete_version(&one.at, &one.id, cloud.now()))
}

async fn rotate(State(cloud): Shared, Body(one): Body<Rotated>) -> Done {
    done(
        cloud
            .tencent
            .rotate(&one.at, one.text.reveal(), cloud.now()),
    )
}

async fn set_state(State(cloud): Shared, Body(one): Body<Changed>) -> Done {
    done(
        cloud
            .tencent
            .set_secret_state(&one.at, one.state, cloud.now()),
    )
}

async fn put_key(State(cloud): Shared, Body(spec): Body<AccessKeySpec>) -> Done {
    let (account, user) = (spec.account.as_deref(), spec.user.as_deref());
    done(
        cloud
            .tencent
            .put_key(account, user, &spec.id, spec.secret.reveal()),
    )
}

async fn put_user(
    State(cloud): Shared,
    Asked(at): Asked<InAccount>,
    Body(user): Body<User>,
) -> Done {
    done(cloud.tencent.put_user(at.account.as_deref(), &user))
}

async fn put_role(
    State(cloud): Shared,
    Asked(at): Asked<InAccount>,
    Body(role): Body<Role>,
) -> Done {
    let arn = cloud.tencent.put_role(at.account.as_deref(), &role)?;
    Ok(Json(json!({ "arn": arn })))
}

async fn delete_role(State(cloud): Shared, Asked(named): Asked<Named>) -> Done {
    done(
        cloud
            .tencent
            .delete_role(named.account.as_deref(), &named.name),
    )
}

async fn revoke_sessions(State(cloud): Shared, Body(of): Body<SessionsOf>) -> Done {
    let revoked = cloud
        .tencent
        .revoke_sessions(of.account.as_deref(), &of.role)?;
    Ok(Json(json!({ "revoked": revoked })))
}

async fn put_provider(
    State(cloud): Shared,
    Asked(at): Asked<InAccount>,
    Body(provider): Body<OidcProvider>,
) -> Done {
    cloud.key_sets.forget(&provider.issuer);
    let arn = cloud
        .tencent
        .put_provider(at.account.as_deref(), provider)?;
    Ok(Json(json!({ "arn": arn })))
}

async fn delete_provider(State(cloud): Shared, Asked(named): Asked<Named>) -> Done {
    done(
        cloud
            .tencent
            .delete_provider(named.account.as_deref(), &named.name),
    )
}

async fn settings(State(cloud): Shared) -> Json<Settings> {
    Json(cloud.tencent.settings.read().clone())
}

async fn set_settings(State(cloud): Shared, Body(settings): Body<Settings>) -> Json<Value> {
    *cloud.tencent.settings.write() = settings;
    Json(json!({}))
}

async fn set_metadata(State(cloud): Shared, Body(metadata): Body<Metadata>) -> Json<Value> {
    *cloud.tencent.metadata.write() = Some(metadata);
    Json(json!({}))
}

async fn end_metadata(State(cloud): Shared) -> Json<Value> {
    *cloud.tencent.metadata.write() = None;
    Json(json!({}))
}

async fn set_clock(State(cloud): Shared, Body(ahead): Body<Ahead>) -> Result<Json<Value>, Refused> {
    *cloud.tencent.offset.write() = SignedDuration::from_secs(ahead.seconds);
    Ok(Json(json!({})))
}
