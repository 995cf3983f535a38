//! What a reconcile reads: the object's stores, identities and Secret. It writes nothing.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use kube::{Resource, ResourceExt};

use super::inputs::place_of;
use super::ownership::SecretFacts;
use super::place::{Elsewhere, EntryPlace};
use super::plan;
use super::problem::Problem;
use crate::api::{
    DataEntry, ExternalCloudSecret, ExternalCloudSecretStatus, Reason, RemoteRef, StoreKind,
    interval,
};
use crate::controller::context::Context;
use crate::controller::dependency::{Dependency, Dependent, Named, NamedKind, Notes, StoreId};
use crate::controller::store::admission::admit;
use crate::controller::store::resolve::StoreError;
use crate::controller::store::view::AnyStore;
use crate::provider::{RemoteKey, registry};
use crate::refresh::{Need, ObjectKey, Origin, StoreLimits};

/// What was gathered.
#[derive(Debug)]
pub struct Gathered {
    /// What each entry needs, or the first thing in the way.
    pub needs: Result<Vec<Need>, Problem>,
    /// Where each entry is read.
    pub places: Vec<EntryPlace>,
    /// The other regions that each entry may be read in, gathered only where the Secret is missing.
    pub elsewhere: Vec<Vec<Elsewhere>>,
    /// The Secret of the target's name.
    pub secret: Option<Arc<SecretFacts>>,
}

/// The API server could not be asked; it passes.
#[derive(Debug, thiserror::Error)]
#[error("the API server could not be asked about {0}")]
pub struct Unasked(pub String);

/// The stores that an object's entries name, each looked up and resolved once.
type Stores = HashMap<StoreId, Looked>;

/// A store, and the origin it means for the object once that is known.
struct Looked {
    store: AnyStore,
    name: Arc<str>,
    origin: Option<Arc<Origin>>,
    elsewhere: Option<Vec<(String, Arc<Origin>)>>,
}

enum EntryError {
    Problem(Problem),
    Unasked(String),
}

/// Gathers what is known of `object`, and notes what it depends on. `None` where another operator
/// serves it.
///
/// # Errors
/// When the API server cannot be asked.
pub async fn gather(
    context: &Context,
    key: &ObjectKey,
    object: &ExternalCloudSecret,
    status: &ExternalCloudSecretStatus,
    blocked: bool,
) -> Result<Option<Gathered>, Unasked> {
    let namespace = object.namespace().unwrap_or_default();
    let target = key.beside(&object.target_name());
    let mut notes = Notes::of(&context.dependencies, Dependent::Object(key.clone()));
    for store in object.spec.stores() {
        notes.note(Dependency::Store(StoreId::of(store, &namespace)));
    }
    if !context.serves(object) {
        notes.finish();
        return Ok(None);
    }
    notes.note(Dependency::Target(target.clone()));
    notes.note(Dependency::Namespace(namespace.clone()));
    let secret = secret(context, &target, blocked, &mut notes).await;
    let mut places = Vec::new();
    let mut elsewhere = Vec::new();
    let mut needs = Ok(Vec::new());
    let mut unasked = None;
    let mut stores = Stores::new();
    let applied = plan::applied(&context.key, status, &object.spec);
    if namespace == context.resolver.rules.operator_namespace {
        let message = "objects in the operator's own namespace are not served; move it to another";
        needs = Err(Problem::new(Reason::InvalidSpec, message));
    }
    for (entry, applied) in object.spec.data.iter().zip(applied) {
        let Ok(list) = &mut needs else { break };
        let missing = matches!(secret, Ok(None));
        let looked = entry_need(context, object, entry, missing, &mut stores, &mut notes);
        match looked.await {
            Ok((need, place, others)) => {
                list.push(Need { applied, ..need });
                places.push(place);
                elsewhere.push(others);
            }
            Err(EntryError::Problem(problem)) => needs = Err(problem),
            Err(EntryError::Unasked(what)) => {
                unasked = Some(what);
                break;
            }
        }
    }
    notes.finish();
    match (unasked, secret) {
        (Some(what), _) => Err(Unasked(what)),
        (None, Err(unasked)) => Err(unasked),
        (None, Ok(secret)) => Ok(Some(Gathered {
            needs,
            places,
            elsewhere,
            secret,
        })),
    }
}

async fn secret(
    context: &Context,
    target: &ObjectKey,
    blocked: bool,
    notes: &mut Notes<'_>,
) -> Result<Option<Arc<SecretFacts>>, Unasked> {
    if let Some(facts) = context.managed.get(target) {
        return Ok(Some(facts));
    }
    if !blocked {
        return Ok(None);
    }
    // What stands in the way carries no label of ours, so that only a watch by name shows it.
    let named = Named {
        kind: NamedKind::Secret,
        namespace: target.namespace.to_string(),
        name: target.name.to_string(),
    };
    notes.note(Dependency::Named(named.clone()));
    let found = context.named.metadata(&named).await;
    let found = found.map_err(|_| Unasked(format!("Secret {target}")))?;
    Ok(found.map(Arc::new))
}

async fn entry_need(
    context: &Context,
    object: &ExternalCloudSecret,
    entry: &DataEntry,
    missing: bool,
    stores: &mut Stores,
    notes: &mut Notes<'_>,
) -> Result<(Need, EntryPlace, Vec<Elsewhere>), EntryError> {
    let namespace = &object.namespace().unwrap_or_default();
    let name = &entry.secret_key;
    let problem = |reason, message: String| EntryError::Problem(Problem::new(reason, message));
    let Some(reference) = object.spec.store_of(entry) else {
        let message =
            format!("data[{name}]: name a store in spec.secretStoreRef or in sourceRef.storeRef");
        return Err(problem(Reason::InvalidSpec, message));
    };
    let kind = reference.kind();
    let id = StoreId::of(reference, namespace);
    let what = format!("{} {}", kind.as_str(), reference.name);
    let looked = match stores.entry(id.clone()) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(new) => {
            let store = context.store(&id).ok_or_else(|| {
                let message = missing_store(context, &id, name);
                problem(Reason::StoreNotFound, message)
            })?;
            new.insert(Looked {
                store,
                name: format!("{}/{}", id.namespace, id.name).into(),
                origin: None,
                elsewhere: None,
            })
        }
    };
    let store = &looked.store;
    if store.class() != context.resolver.rules.class {
        let message = format!(
            "data[{name}]: {what} is another operator's: all stores of an object have the same \
             spec.controller"
        );
        return Err(problem(Reason::InvalidSpec, message));
    }
    if let Some(conditions) = store.conditions() {
        // A namespace that is not seen yet is not one without labels: a selector may mean those.
        let labels = context.namespaces.labels(namespace);
        let labels = labels.ok_or_else(|| EntryError::Unasked(format!("Namespace {namespace}")))?;
        admit(conditions, namespace, &labels, &entry.remote_ref.key).map_err(|refusal| {
            problem(
                Reason::StoreDenied,
                format!("data[{name}]: {what}: {refusal}"),
            )
        })?;
    }
    if store.suspended() {
        return Err(problem(Reason::Suspended, format!("{what} is suspended")));
    }
    let origin = if let Some(origin) = &looked.origin {
        Arc::clone(origin)
    } else {
        let resolved = context.resolver.origin(store, Some(namespace), notes).await;
        let origin = resolved.map_err(|error| match error {
            StoreError::Unasked(what) => EntryError::Unasked(what),
            error => problem(
                Reason::StoreNotReady,
                format!("data[{name}]: {what}: {error}"),
            ),
        })?;
        let origin = Arc::new(origin.ok_or(EntryError::Unasked(what))?);
        look_for_root_key(context, object, store, &origin);
        looked.origin = Some(Arc::clone(&origin));
        origin
    };
    let interval = interval_of(
        object,
        store
            .limits()
            .and_then(|l| l.min_refresh_interval.as_deref()),
    )
    .map_err(|message| problem(Reason::InvalidSpec, message))?;
    let key = remote_key(&entry.remote_ref);
    if missing && looked.elsewhere.is_none() {
        looked.elsewhere = Some(other_regions(context, store, namespace, notes).await?);
    }
    let limits = store_limits(&looked.store);
    let need = |origin: &Arc<Origin>| Need {
        store: Arc::clone(&looked.name),
        limits,
        origin: Arc::clone(origin),
        key: origin.provider.canonical(key.clone()),
        interval,
        applied: None,
    };
    let others = looked.elsewhere.iter().flatten();
    let others: Vec<Elsewhere> = others
        .map(|(region, origin)| Elsewhere {
            region: region.clone(),
            need: need(origin),
        })
        .collect();
    let place = EntryPlace {
        store: place_of(reference),
        region: registry::place(looked.store.provider()).map(|place| place.region),
        has_others: !others.is_empty(),
    };
    Ok((need(&origin), place, others))
}

/// The store's other regions. One that does not resolve is left out: the store's own status tells.
async fn other_regions(
    context: &Context,
    store: &AnyStore,
    namespace: &str,
    notes: &mut Notes<'_>,
) -> Result<Vec<(String, Arc<Origin>)>, EntryError> {
    let mut origins = Vec::new();
    for provider in registry::elsewhere(store.provider()) {
        let Some(place) = registry::place(&provider) else {
            continue;
        };
        let there = store.with_provider(provider);
        let resolved = context.resolver.origin(&there, Some(namespace), notes);
        match resolved.await {
            Ok(Some(origin)) => origins.push((place.region, Arc::new(origin))),
            Err(StoreError::Unasked(what)) => return Err(EntryError::Unasked(what)),
            Ok(None) | Err(StoreError::Invalid { .. } | StoreError::Missing { .. }) => {}
        }
    }
    Ok(origins)
}

fn remote_key(reference: &RemoteRef) -> RemoteKey {
    RemoteKey {
        key: reference.key.clone(),
        version: reference.version.clone(),
        stage: reference.stage.clone(),
    }
}

fn store_limits(store: &AnyStore) -> StoreLimits {
    let limits = store.limits();
    let per_second = limits.and_then(|limits| limits.requests_per_second);
    let in_flight = limits.and_then(|limits| limits.max_in_flight);
    StoreLimits {
        per_second: per_second.and_then(|most| u32::try_from(most).ok()),
        in_flight: in_flight.and_then(|most| usize::try_from(most).ok()),
    }
}

/// Has it looked at whose key the consumer's is, which nobody but the consumer's objects tells. It is
/// asked beside the reconcile.
fn look_for_root_key(
    context: &Context,
    object: &ExternalCloudSecret,
    store: &AnyStore,
    origin: &Origin,
) {
    if store.has_key_of_consumer()
        && object.spec.suspend != Some(true)
        && let Some(place) = registry::place(store.provider())
        && let Ok(sts) = context.resolver.sts(store, &place)
    {
        let about = object.object_ref(&());
        context.root_keys.look(store, about, &origin.identity, sts);
    }
}

/// Says which store is missing, and whether one of the other kind has the name.
fn missing_store(context: &Context, id: &StoreId, entry: &str) -> String {
    let (place, other) = match id.kind {
        StoreKind::CloudSecretStore => {
            let other = StoreId {
                kind: StoreKind::ClusterCloudSecretStore,
                namespace: String::new(),
                name: id.name.clone(),
            };
            (format!("{}/{}", id.namespace, id.name), Some(other))
        }
        StoreKind::ClusterCloudSecretStore => (id.name.clone(), None),
    };
    let hint = match other.filter(|other| context.store(other).is_some()) {
        Some(_) => "; a ClusterCloudSecretStore of this name does: set the reference's kind",
        None => "",
    };
    format!(
        "data[{entry}]: {} {place} does not exist{hint}",
        id.kind.as_str()
    )
}

fn interval_of(object: &ExternalCloudSecret, floor: Option<&str>) -> Result<Duration, String> {
    let wanted = interval::parse_or_default(object.spec.refresh_interval.as_deref())
        .map_err(|error| format!("spec.refreshInterval: {error}"))?;
    // A store's floor that does not parse is the store's problem, and then the operator's holds.
    let floor = floor
        .and_then(|text| interval::parse(text).ok())
        .unwrap_or_default();
    Ok(wanted.max(floor))
}
