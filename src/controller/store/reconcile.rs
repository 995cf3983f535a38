//! A store's status: whether its spec and identity resolve. No call is made for it, so that a store
//! costs nothing and a failed probe blocks nobody; only whose an access key is, is asked beside it.

use std::time::Duration;

use std::sync::Arc;

use jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::reachability;
use super::resolve::StoreError;
use super::sweep;
use super::view::AnyStore;
use crate::api::condition::{
    REACHABLE, READY, STALLED, find_condition, remove_condition, set_condition,
};
use crate::api::{ConditionStatus, Reason, StoreStatus, interval};
use crate::controller::context::Context;
use crate::controller::dependency::{Dependency, Dependent, Notes};
use crate::controller::external_cloud_secret::reconcile::{Ended, Failed};
use crate::provider::registry;
use crate::refresh::Origin;

/// How soon a status is decided anew when its store is another by now.
const SOON: Duration = Duration::from_secs(1);

/// Reconciles `store`.
///
/// # Errors
/// What failed and passes; the caller tries again.
pub async fn reconcile(context: &Context, store: &AnyStore) -> Result<Ended, Failed> {
    let id = store.id();
    let mut notes = Notes::of(&context.dependencies, Dependent::Store(id.clone()));
    let resolved = resolve(context, store, &mut notes).await;
    let provider = match &resolved {
        Ok(Some(origin)) => Some(Arc::clone(&origin.provider)),
        Ok(None) | Err(_) => None,
    };
    // Noted before it is looked at, so that news in between is a wake and no loss.
    if let Some(provider) = &provider {
        notes.note(Dependency::Endpoint(provider.route().to_owned()));
    }
    notes.finish();
    if let Ok(Some(origin)) = &resolved
        && !store.suspended()
        && let Some(place) = registry::place(store.provider())
        && let Ok(sts) = context.resolver.sts(store, &place)
    {
        let about = store.reference();
        context.root_keys.look(store, about, &origin.identity, sts);
    }
    let (state, reason, message) = ready(store, resolved)?;
    let old = store.status();
    let mut next = old.clone();
    let generation = store.meta().generation;
    next.observed_generation = generation;
    let (handled, again) = sweep::advance(context, store, &old);
    next.last_handled_refresh = handled;
    let ended = again.map_or(Ended::Done, Ended::Again);
    let now = context.clock.now();
    set_ready(&mut next, state, reason, &message, now);
    match &provider {
        Some(provider) => {
            let outage = context.hub.outage(provider.route());
            let host = provider.host();
            let (state, reason, message) = reachability::condition(host, outage.as_deref());
            let conditions = &mut next.conditions;
            set_condition(
                conditions, REACHABLE, state, reason, message, generation, now,
            );
        }
        None => drop(remove_condition(&mut next.conditions, REACHABLE)),
    }
    if next == old {
        return Ok(ended);
    }
    // Of exactly what was looked at, for another process may have written since.
    let (uid, version) = (&store.meta().uid, &store.meta().resource_version);
    let patch = json!({ "metadata": { "uid": uid, "resourceVersion": version }, "status": next });
    let written = write(context, store, &patch).await;
    let kind = id.kind.as_str();
    context
        .metrics
        .status_written(kind, if written.is_ok() { "written" } else { "failed" });
    match written {
        Ok(()) => {}
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(Ended::Done),
        // The cache is about to show what was written meanwhile, be it by us.
        Err(kube::Error::Api(status)) if status.code == 409 => return Ok(Ended::Again(SOON)),
        Err(error) => {
            let reason = crate::controller::reason(&error);
            return Err(Failed::Request("writing the status", reason));
        }
    }
    let before = find_condition(&old.conditions, READY);
    if before.is_none_or(|before| before.reason != reason.as_str()) {
        tracing::info!(
            kind,
            name = id.name,
            namespace = id.namespace,
            reason = reason.as_str(),
            "store checked"
        );
        let good = state == ConditionStatus::True;
        if !good || before.is_some() {
            context
                .events
                .transition(store.reference(), good, reason.as_str(), &message);
        }
    }
    Ok(ended)
}

/// Sets `Ready`, and `Stalled` where whoever waits for this store waits in vain.
fn set_ready(
    status: &mut StoreStatus,
    state: ConditionStatus,
    reason: Reason,
    message: &str,
    now: Timestamp,
) {
    let generation = status.observed_generation;
    let conditions = &mut status.conditions;
    set_condition(conditions, READY, state, reason, message, generation, now);
    if reason == Reason::InvalidSpec {
        let holds = ConditionStatus::True;
        set_condition(conditions, STALLED, holds, reason, message, generation, now);
    } else {
        remove_condition(conditions, STALLED);
    }
}

/// What `Ready` says of `store`, which resolves to `resolved`.
///
/// # Errors
/// When the API server could not be asked; it passes.
fn ready(
    store: &AnyStore,
    resolved: Result<Option<Origin>, StoreError>,
) -> Result<(ConditionStatus, Reason, String), Failed> {
    let floor = store
        .limits()
        .and_then(|limits| limits.min_refresh_interval.as_deref());
    let floor = floor.map_or(Ok(()), |text| interval::parse(text).map(|_| ()));
    Ok(match (resolved, floor) {
        (Err(StoreError::Unasked(what)), _) => {
            return Err(super::super::external_cloud_secret::gather::Unasked(what).into());
        }
        (Err(error @ StoreError::Invalid { .. }), _) => (
            ConditionStatus::False,
            Reason::InvalidSpec,
            error.to_string(),
        ),
        (Err(error @ StoreError::Missing { .. }), _) => (
            ConditionStatus::False,
            Reason::StoreNotReady,
            error.to_string(),
        ),
        (Ok(_), Err(error)) => {
            let message = format!("spec.limits.minRefreshInterval: {error}");
            (ConditionStatus::False, Reason::InvalidSpec, message)
        }
        (Ok(_), Ok(())) if store.suspended() => (
            ConditionStatus::True,
            Reason::Suspended,
            "spec.suspend is true: no call is made".into(),
        ),
        (Ok(_), Ok(())) => (
            ConditionStatus::True,
            Reason::StoreReady,
            "the spec and the identity resolve".into(),
        ),
    })
}

/// The origin of the store's first region, where all its regions resolve.
async fn resolve(
    context: &Context,
    store: &AnyStore,
    notes: &mut Notes<'_>,
) -> Result<Option<Origin>, StoreError> {
    let origin = context.resolver.origin(store, None, notes).await?;
    for (i, provider) in registry::elsewhere(store.provider())
        .into_iter()
        .enumerate()
    {
        let there = store.with_provider(provider);
        let elsewhere = context.resolver.origin(&there, None, notes).await;
        elsewhere.map_err(|error| error.of_failover(i))?;
    }
    Ok(origin)
}

async fn write(context: &Context, store: &AnyStore, patch: &serde_json::Value) -> kube::Result<()> {
    let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
    let id = store.id();
    match store {
        AnyStore::Namespaced(_) => {
            let api: Api<crate::api::CloudSecretStore> =
                Api::namespaced(context.client.clone(), &id.namespace);
            let written = api.patch_status(&id.name, &params, &patch).await;
            written.map(|_| ())
        }
        AnyStore::Cluster(_) => {
            let api: Api<crate::api::ClusterCloudSecretStore> = Api::all(context.client.clone());
            let written = api.patch_status(&id.name, &params, &patch).await;
            written.map(|_| ())
        }
    }
}
