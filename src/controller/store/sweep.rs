//! Refreshes of whole stores: a new value of the annotation on a store reads everything anew that is
//! read through it, a few objects at a time.
//!
//! A sweep lets objects in, each with a turn of its namespace, and ends when all of them were read.
//! Only then the store's status says so, and nothing is written for it anywhere else. A process that
//! ends before begins the sweep again; one that ends afterwards does not.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::ResourceExt;
use tokio::time::Instant;

use super::view::AnyStore;
use crate::api::{ExternalCloudSecret, StoreKind, StoreStatus};
use crate::controller::context::Context;
use crate::controller::dependency::StoreId;
use crate::refresh::ObjectKey;

/// How often a sweep goes on.
const PACE: Duration = Duration::from_secs(1);
/// The most objects that a sweep lets in at a time, so that a store with very many does not fill the
/// fast lane.
const AT_A_TIME: usize = 100;

/// The refreshes of stores: those under way, and what was carried out.
#[derive(Debug, Default)]
pub struct Sweeps(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    under_way: HashMap<StoreId, Sweep>,
    /// The last request that was carried out for each store, which its status may not show yet.
    done: HashMap<StoreId, String>,
}

/// One store's refresh.
#[derive(Debug)]
struct Sweep {
    /// What was asked for when it began. What is asked for meanwhile is the next one's.
    request: String,
    /// Those whose turn has not come.
    waiting: BTreeSet<ObjectKey>,
    /// Those that were let in and not read yet.
    under_way: BTreeSet<ObjectKey>,
}

/// How a sweep stands after another step.
#[derive(Debug, PartialEq, Eq)]
enum Progress {
    /// These objects were let in; it goes on.
    LetIn(Vec<ObjectKey>),
    /// All objects were read for this request.
    Done(String),
}

// === impl Sweeps ===

impl Sweeps {
    /// Whether the refresh of a store has come to `object`.
    pub fn includes(&self, object: &ObjectKey) -> bool {
        let known = self.lock();
        let mut sweeps = known.under_way.values();
        sweeps.any(|sweep| sweep.under_way.contains(object))
    }

    /// Notes that `object` was read, or cannot be.
    pub fn passed(&self, object: &ObjectKey) {
        for sweep in self.lock().under_way.values_mut() {
            sweep.under_way.remove(object);
        }
    }

    /// Forgets a store.
    pub fn forget(&self, store: &StoreId) {
        let mut known = self.lock();
        known.under_way.remove(store);
        known.done.remove(store);
    }

    /// Gives up the refresh of `store`, for nobody asks for it any more.
    fn give_up(&self, store: &StoreId) {
        self.lock().under_way.remove(store);
    }

    /// The last request that was carried out for `store`.
    fn done(&self, store: &StoreId) -> Option<String> {
        self.lock().done.get(store).cloned()
    }

    /// Whether a refresh of `store` is under way.
    fn is_under_way(&self, store: &StoreId) -> bool {
        self.lock().under_way.contains_key(store)
    }

    /// Begins the refresh of `store` for `request`, of the objects that read through it. Whoever comes
    /// to it meanwhile is read anyway.
    fn begin(&self, store: &StoreId, request: &str, objects: BTreeSet<ObjectKey>) {
        let sweep = Sweep {
            request: request.to_owned(),
            waiting: objects,
            under_way: BTreeSet::new(),
        };
        self.lock().under_way.insert(store.clone(), sweep);
    }

    /// Goes on with the refresh of `store`. `reads` says whether an object still reads through it;
    /// `turn` takes the turn of an object's namespace, if it is now.
    fn advance(
        &self,
        store: &StoreId,
        reads: impl Fn(&ObjectKey) -> bool,
        turn: impl Fn(&ObjectKey) -> bool,
    ) -> Progress {
        let mut known = self.lock();
        let Some(sweep) = known.under_way.get_mut(store) else {
            return Progress::LetIn(Vec::new());
        };
        // What does not read through the store any more is not waited for.
        sweep.under_way.retain(&reads);
        let mut let_in: Vec<ObjectKey> = {
            let next = sweep.waiting.iter().filter(|key| turn(key));
            next.take(AT_A_TIME).cloned().collect()
        };
        for key in &let_in {
            sweep.waiting.remove(key);
        }
        let_in.retain(&reads);
        sweep.under_way.extend(let_in.iter().cloned());
        if !sweep.waiting.is_empty() || !sweep.under_way.is_empty() {
            return Progress::LetIn(let_in);
        }
        let request = std::mem::take(&mut sweep.request);
        known.under_way.remove(store);
        known.done.insert(store.clone(), request.clone());
        Progress::Done(request)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Goes on with the refresh that `store` asks for, if status does not say that it was carried out.
/// Says what status is to say, and when to look again while it is under way.
pub(super) fn advance(
    context: &Context,
    store: &AnyStore,
    status: &StoreStatus,
) -> (Option<String>, Option<Duration>) {
    let id = store.id();
    let handled = context.sweeps.done(&id);
    let handled = handled.or_else(|| status.last_handled_refresh.clone());
    let request = store.refresh_request();
    let Some(request) = request.filter(|wanted| handled.as_deref() != Some(&**wanted)) else {
        context.sweeps.give_up(&id);
        return (handled, None);
    };
    if matches!(status.observed_generation, None | Some(-1)) {
        // Nothing was read through a store that is new.
        return (Some(request.into_owned()), None);
    }
    // As long as the objects are not listed, it is not known who reads.
    if !context.objects.are_complete() {
        return (handled, Some(PACE));
    }
    if !context.sweeps.is_under_way(&id) {
        context.sweeps.begin(&id, &request, readers(context, &id));
    }
    let still_reads = |key: &ObjectKey| {
        let kept = context.objects.get(key);
        let object = kept.and_then(|(_, kept)| kept.object());
        object.is_some_and(|object| reads(&object, &id))
    };
    let now = Instant::now();
    // What tenants ask for by themselves takes no turn of what is asked for all of them.
    let turns = match id.kind {
        StoreKind::CloudSecretStore => &context.refreshes,
        StoreKind::ClusterCloudSecretStore => &context.cluster_refreshes,
    };
    let turn = |key: &ObjectKey| turns.take_now(&key.namespace, now);
    match context.sweeps.advance(&id, still_reads, turn) {
        Progress::LetIn(objects) => {
            for object in objects {
                // The receiver is gone only when the process is stopping.
                let _ = context.wakers.objects.send(object);
            }
            (handled, Some(PACE))
        }
        Progress::Done(done) => {
            // Whoever asked again meanwhile is next.
            let again = (done != *request).then_some(Duration::ZERO);
            (Some(done), again)
        }
    }
}

/// The objects that read through the store `id`.
fn readers(context: &Context, id: &StoreId) -> BTreeSet<ObjectKey> {
    let near = |key: &ObjectKey| match id.kind {
        StoreKind::CloudSecretStore => *key.namespace == *id.namespace,
        StoreKind::ClusterCloudSecretStore => true,
    };
    let is_reader = |object: &ExternalCloudSecret| reads(object, id) && context.serves(object);
    let objects = context.objects.all().into_iter();
    objects
        .filter(|(key, _)| near(key))
        .filter(|(_, kept)| kept.object().as_ref().is_some_and(is_reader))
        .map(|(key, _)| key)
        .collect()
}

/// Whether an entry of `object` is read through the store `id`.
fn reads(object: &ExternalCloudSecret, id: &StoreId) -> bool {
    let here = match id.kind {
        StoreKind::CloudSecretStore => object.namespace().as_ref() == Some(&id.namespace),
        StoreKind::ClusterCloudSecretStore => true,
    };
    let mut stores = object.spec.stores();
    here && object.metadata.deletion_timestamp.is_none()
        && stores.any(|store| store.kind() == id.kind && store.name == id.name)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn store() -> StoreId {
        StoreId {
            kind: StoreKind::CloudSecretStore,
            namespace: "shop".into(),
            name: "s".into(),
        }
    }

    fn objects(number: usize) -> Vec<ObjectKey> {
        (0..number)
            .map(|i| ObjectKey::new("shop", &format!("o{i:04}")))
            .collect()
    }

    fn begin(sweeps: &Sweeps, request: &str, objects: &[ObjectKey]) {
        sweeps.begin(&store(), request, objects.iter().cloned().collect());
    }

    fn step(sweeps: &Sweeps, turn: impl Fn(&ObjectKey) -> bool) -> Progress {
        sweeps.advance(&store(), |_| true, turn)
    }

    fn let_in(objects: &[ObjectKey]) -> Progress {
        Progress::LetIn(objects.to_vec())
    }

    #[test]
    fn every_object_is_let_in_once_and_no_more_than_a_hundred_at_a_time() {
        for (number, steps, most) in [(1_050, 11, 100), (100, 1, 100), (0, 0, 0)] {
            let (sweeps, all) = (Sweeps::default(), objects(number));
            begin(&sweeps, "1", &all);
            let mut seen = Vec::new();
            loop {
                match step(&sweeps, |_| true) {
                    Progress::LetIn(some) => {
                        for key in &some {
                            assert!(sweeps.includes(key));
                            sweeps.passed(key);
                        }
                        seen.push(some);
                    }
                    Progress::Done(request) => break assert_eq!(request, "1"),
                }
            }
            let largest = seen.iter().map(Vec::len).max().unwrap_or_default();
            assert_eq!((seen.len(), largest), (steps, most));
            assert_eq!(seen.concat(), all);
            assert!(!sweeps.is_under_way(&store()));
        }
    }

    #[test]
    fn who_has_no_turn_waits_and_is_waited_for() {
        let (sweeps, all) = (Sweeps::default(), objects(2));
        begin(&sweeps, "1", &all);
        let first = step(&sweeps, |key| *key == all[0]);
        assert_eq!(first, let_in(&all[..1]));
        sweeps.passed(&all[0]);
        sweeps.passed(&all[1]);
        assert_eq!(step(&sweeps, |_| false), let_in(&[]), "it was not let in");
        assert_eq!(step(&sweeps, |_| true), let_in(&all[1..]));
        assert!(sweeps.includes(&all[1]) && !sweeps.includes(&all[0]));
        assert_eq!(step(&sweeps, |_| true), let_in(&[]), "it is under way");
        sweeps.passed(&all[1]);
        assert_eq!(step(&sweeps, |_| true), Progress::Done("1".into()));
    }

    #[test]
    fn what_reads_through_it_no_more_is_not_waited_for() {
        let (sweeps, all) = (Sweeps::default(), objects(3));
        begin(&sweeps, "1", &all);
        let last = |key: &ObjectKey| *key == all[2];
        assert_eq!(step(&sweeps, |key| !last(key)), let_in(&all[..2]));
        sweeps.passed(&all[0]);
        let gone = sweeps.advance(&store(), |_| false, |_| true);
        assert_eq!(gone, Progress::Done("1".into()));
        assert!(!sweeps.includes(&all[1]));
    }

    #[test]
    fn what_is_read_for_another_store_has_not_passed_this_one() {
        let (sweeps, all) = (Sweeps::default(), objects(1));
        let other = StoreId {
            name: "other".into(),
            ..store()
        };
        begin(&sweeps, "1", &all);
        sweeps.begin(&other, "1", all.iter().cloned().collect());
        step(&sweeps, |_| true);
        sweeps.passed(&all[0]);
        assert_eq!(step(&sweeps, |_| true), Progress::Done("1".into()));
        let other = sweeps.advance(&other, |_| true, |_| true);
        assert_eq!(other, let_in(&all));
    }

    #[test]
    fn objects_read_through_the_store_that_they_or_an_entry_of_theirs_names() {
        let object = |namespace: &str, spec: Value| -> ExternalCloudSecret {
            let metadata = json!({ "name": "db", "namespace": namespace });
            let object = json!({ "metadata": metadata, "spec": spec });
            serde_json::from_value(object).unwrap()
        };
        let entry = |source: Value| {
            let remote = json!({ "key": "/k" });
            json!({ "secretKey": "a", "remoteRef": remote, "sourceRef": source })
        };
        let none = Value::Null;
        let named = json!({ "name": "s" });
        let cluster = json!({ "kind": "ClusterCloudSecretStore", "name": "s" });
        let through = |namespace, default: &Value, source: &Value| {
            let spec = json!({ "secretStoreRef": default, "data": [entry(source.clone())] });
            object(namespace, spec)
        };
        let own = |store: &Value| json!({ "storeRef": store });
        let of_cluster = StoreId {
            kind: StoreKind::ClusterCloudSecretStore,
            namespace: String::new(),
            name: "s".into(),
        };
        let table = [
            (through("shop", &named, &none), true, false),
            (through("else", &named, &none), false, false),
            (through("else", &cluster, &none), false, true),
            (through("shop", &cluster, &own(&named)), true, false),
            (through("shop", &named, &own(&cluster)), false, true),
        ];
        for (object, namespaced, cluster) in table {
            assert_eq!(reads(&object, &store()), namespaced, "{object:?}");
            assert_eq!(reads(&object, &of_cluster), cluster, "{object:?}");
        }
    }
}
