//! The part of the admin API that is about trust, policies and the metadata service.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::put;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::admin::{Asked, Body, Done, InAccount, Named, Shared};
use crate::cloud::Cloud;
use crate::seed::{AttachedPolicy, CredentialsUri, Metadata, RoleTrust};

/// The routes, without their prefix.
pub(super) fn router() -> Router<Arc<Cloud>> {
    Router::new()
        .route(
            "/trusts",
            put(put_trust).post(put_trust).delete(delete_trust),
        )
        .route(
            "/policies",
            put(put_policy).post(put_policy).delete(delete_policy),
        )
        .route(
            "/metadata",
            put(set_metadata).post(set_metadata).delete(end_metadata),
        )
        .route(
            "/credentials-uri",
            put(set_uri).post(set_uri).delete(end_uri),
        )
}

async fn put_trust(
    State(cloud): Shared,
    Asked(at): Asked<InAccount>,
    Body(trust): Body<RoleTrust>,
) -> Done {
    let arn = cloud.put_trust(at.account.as_deref(), &trust)?;
    Ok(Json(json!({ "arn": arn })))
}

async fn delete_trust(State(cloud): Shared, Asked(named): Asked<Named>) -> Done {
    cloud.delete_trust(named.account.as_deref(), &named.name)?;
    Ok(Json(json!({})))
}

async fn put_policy(
    State(cloud): Shared,
    Asked(at): Asked<InAccount>,
    Body(attached): Body<AttachedPolicy>,
) -> Done {
    cloud.put_policy(at.account.as_deref(), &attached)?;
    Ok(Json(json!({})))
}

async fn delete_policy(State(cloud): Shared, Asked(named): Asked<Named>) -> Done {
    cloud.delete_policy(named.account.as_deref(), &named.name)?;
    Ok(Json(json!({})))
}

async fn set_metadata(State(cloud): Shared, Body(metadata): Body<Metadata>) -> Json<Value> {
    cloud.set_metadata(Some(metadata));
    Json(json!({}))
}

async fn end_metadata(State(cloud): Shared) -> Json<Value> {
    cloud.set_metadata(None);
    Json(json!({}))
}

async fn set_uri(State(cloud): Shared, Body(uri): Body<CredentialsUri>) -> Json<Value> {
    cloud.set_credentials_uri(Some(uri));
    Json(json!({}))
}

async fn end_uri(State(cloud): Shared) -> Json<Value> {
    cloud.set_credentials_uri(None);
    Json(json!({}))
}
