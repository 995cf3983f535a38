//! The admin API under `/_sim/`: the simulator's own, unsigned, JSON.

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use jiff::SignedDuration;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cloud::{Cloud, CloudError};
use crate::fault::Fault;
use crate::hidden::Hidden;
use crate::ledger::Filter;
use crate::seed::{OidcProvider, Parameter, Role};

mod identity;
mod kms;
pub(crate) mod tencent;

pub use kms::SecretVersionSpec;

/// A new version of a parameter.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterSpec {
    /// The account; the first without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The region; the seed's without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The parameter's name.
    pub name: String,
    /// The new value.
    pub value: Hidden,
}

/// A long-lived access key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessKeySpec {
    /// The account; the first without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The RAM user; the account itself without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The key's id.
    pub id: String,
    /// The key's secret.
    pub secret: Hidden,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InAccount {
    account: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    account: Option<String>,
    region: Option<String>,
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyId {
    id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionsOf {
    account: Option<String>,
    role: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lifetime {
    seconds: Option<f64>,
}

/// Why an admin call is refused. The reason never repeats a value.
#[derive(Debug)]
struct Refused(StatusCode, String);

/// A JSON body, strictly read.
struct Body<T>(T);

/// A query, strictly read.
struct Asked<T>(T);

type Done = Result<Json<Value>, Refused>;
type Shared = State<Arc<Cloud>>;

/// The routes, without their prefix.
pub(crate) fn router() -> Router<Arc<Cloud>> {
    Router::new()
        .route("/health", get(|| async { Json(json!({ "status": "ok" })) }))
        .route(
            "/parameters",
            get(list_parameters)
                .put(put_parameter)
                .post(put_parameter)
                .delete(delete_parameter),
        )
        .route(
            "/plain-parameters",
            put(put_plain).post(put_plain).delete(delete_plain),
        )
        .merge(kms::router())
        .merge(identity::router())
        .nest("/tencent", tencent::router())
        .route("/keys", post(put_key).put(put_key))
        .route("/keys/revoke", post(revoke_key))
        .route("/keys/restore", post(restore_key))
        .route("/sessions/revoke", post(revoke_sessions))
        .route(
            "/oidc-providers",
            post(put_provider).put(put_provider).delete(delete_provider),
        )
        .route("/roles", post(put_role).put(put_role).delete(delete_role))
        .route("/credential-lifetime", post(set_lifetime).put(set_lifetime))
        .route(
            "/faults",
            get(list_faults).post(add_fault).delete(clear_faults),
        )
        .route("/faults/{id}", delete(clear_fault))
        .route("/ledger", get(ledger))
        .route("/ledger/reset", post(reset_ledger))
        .fallback(|| async {
            Refused(
                StatusCode::NOT_FOUND,
                "there is no such admin operation".to_owned(),
            )
        })
}

async fn list_parameters(State(cloud): Shared) -> Json<Value> {
    Json(json!({ "parameters": cloud.list_parameters() }))
}

async fn put_parameter(State(cloud): Shared, Body(spec): Body<ParameterSpec>) -> Done {
    let ParameterSpec {
        account,
        region,
        name,
        value,
    } = spec;
    let version = cloud.put_parameter(account.as_deref(), region.as_deref(), &name, value)?;
    Ok(Json(json!({ "version": version })))
}

async fn delete_parameter(State(cloud): Shared, Asked(named): Asked<Named>) -> Done {
    cloud.delete_parameter(
        named.account.as_deref(),
        named.region.as_deref(),
        &named.name,
    )?;
    Ok(Json(json!({})))
}

async fn put_plain(
    State(cloud): Shared,
    Asked(at): Asked<InAccount>,
    Body(parameter): Body<Parameter>,
) -> Done {
    let version = cloud.put_plain_parameter(at.account.as_deref(), parameter)?;
    Ok(Json(json!({ "version": version })))
}

async fn delete_plain(State(cloud): Shared, Asked(named): Asked<Named>) -> Done {
    let (account, region) = (named.account.as_deref(), named.region.as_deref());
    cloud.delete_plain_parameter(account, region, &named.name)?;
    Ok(Json(json!({})))
}

async fn put_key(State(cloud): Shared, Body(spec): Body<AccessKeySpec>) -> Done {
    cloud.put_key(
        spec.account.as_deref(),
        spec.user.as_deref(),
        &spec.id,
        &spec.secret,
    )?;
    Ok(Json(json!({})))
}

async fn revoke_key(State(cloud): Shared, Body(key): Body<KeyId>) -> Done {
    cloud.set_revoked(&key.id, true)?;
    Ok(Json(json!({})))
}

async fn restore_key(State(cloud): Shared, Body(key): Body<KeyId>) -> Done {
    cloud.set_revoked(&key.id, false)?;
    Ok(Json(json!({})))
}

async fn revoke_sessions(State(cloud): Shared, Body(of): Body<SessionsOf>) -> Done {
    let revoked = cloud.revoke_sessions(of.account.as_deref(), &of.role)?;
    Ok(Json(json!({ "revoked": revoked })))
}

async fn put_provider(
    State(cloud): Shared,
    Asked(at): Asked<InAccount>,
    Body(provider): Body<OidcProvider>,
) -> Done {
    let arn = cloud.put_provider(at.account.as_deref(), provider)?;
    Ok(Json(json!({ "arn": arn })))
}

async fn delete_provider(State(cloud): Shared, Asked(named): Asked<Named>) -> Done {
    cloud.delete_provider(named.account.as_deref(), &named.name)?;
    Ok(Json(json!({})))
}

async fn put_role(
    State(cloud): Shared,
    Asked(at): Asked<InAccount>,
    Body(role): Body<Role>,
) -> Done {
    let arn = cloud.put_role(at.account.as_deref(), role)?;
    Ok(Json(json!({ "arn": arn })))
}

async fn delete_role(State(cloud): Shared, Asked(named): Asked<Named>) -> Done {
    cloud.delete_role(named.account.as_deref(), &named.name)?;
    Ok(Json(json!({})))
}

async fn set_lifetime(State(cloud): Shared, Body(lifetime): Body<Lifetime>) -> Done {
    let seconds = lifetime
        .seconds
        .map(SignedDuration::try_from_secs_f64)
        .transpose();
    let seconds = seconds.map_err(|_| {
        Refused(
            StatusCode::BAD_REQUEST,
            "seconds is out of range".to_owned(),
        )
    })?;
    cloud.set_credential_lifetime(seconds);
    Ok(Json(json!({})))
}

async fn list_faults(State(cloud): Shared) -> Json<Value> {
    Json(json!({ "faults": cloud.faults.read().list() }))
}

async fn add_fault(State(cloud): Shared, Body(fault): Body<Fault>) -> Json<Value> {
    Json(json!({ "id": cloud.faults.write().add(fault) }))
}

async fn clear_faults(State(cloud): Shared) -> Json<Value> {
    cloud.faults.write().clear();
    Json(json!({}))
}

async fn clear_fault(State(cloud): Shared, Path(id): Path<u64>) -> Done {
    if cloud.faults.write().remove(id) {
        return Ok(Json(json!({})));
    }
    Err(Refused(
        StatusCode::NOT_FOUND,
        "there is no such fault".to_owned(),
    ))
}

async fn ledger(State(cloud): Shared, Asked(filter): Asked<Filter>) -> Response {
    let view = cloud.ledger.read().view(&filter);
    Json(view).into_response()
}

async fn reset_ledger(State(cloud): Shared) -> Json<Value> {
    cloud.ledger.write().reset();
    Json(json!({}))
}

// === impl Body ===

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let Json(body) =
            Json::from_request(request, state)
                .await
                .map_err(|rejection: JsonRejection| {
                    Refused(rejection.status(), rejection.body_text())
                })?;
        Ok(Self(body))
    }
}

// === impl Asked ===

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let query = Query::from_request_parts(parts, state).await;
        let Query(query) = query.map_err(|rejection: QueryRejection| {
            Refused(rejection.status(), rejection.body_text())
        })?;
        Ok(Self(query))
    }
}

// === impl Refused ===

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

impl From<CloudError> for Refused {
    fn from(error: CloudError) -> Self {
        let status = match error {
            CloudError::NotFound(_) => StatusCode::NOT_FOUND,
            CloudError::Invalid(_) => StatusCode::BAD_REQUEST,
        };
        Self(status, error.to_string())
    }
}
