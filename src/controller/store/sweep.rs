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
    under_way: BTreeSet<ObjectKey>,
    passed: BTreeSet<ObjectKey>,
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
            if let Some(object) = sweep.under_way.take(object) {
                sweep.passed.insert(object);
            }
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

    /// Goes on with the refresh of `store`, or begins one for `request`. `objects` are all that read
    /// through it; `turn` takes the turn of an object's namespace, if it is now.
    fn advance(
        &self,
        store: &StoreId,
        request: &str,
        objects: &[ObjectKey],
        turn: impl Fn(&ObjectKey) -> bool,
    ) -> Progress {
        let mut known = self.lock();
        let sweep = known.under_way.entry(store.clone());
        let sweep = sweep.or_insert_with(|| Sweep {
            request: request.to_owned(),
            under_way: BTreeSet::new(),
            passed: BTreeSet::new(),
        });
        let open = objects.iter().filter(|key| !sweep.passed.contains(*key));
        let open: BTreeSet<&ObjectKey> = open.collect();
        if open.is_empty() {
            let request = std::mem::take(&mut sweep.request);
            known.under_way.remove(store);
            known.done.insert(store.clone(), request.clone());
            return Progress::Done(request);
        }
        // What does not read through the store any more is not waited for.
        sweep.under_way.retain(|key| open.contains(key));
        let waiting = open
            .into_iter()
            .filter(|key| !sweep.under_way.contains(*key));
        let let_in: Vec<ObjectKey> = waiting
            .filter(|key| turn(key))
            .take(AT_A_TIME)
            .cloned()
            .collect();
        sweep.under_way.extend(let_in.iter().cloned());
        Progress::LetIn(let_in)
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
    let is_reader = |object: &ExternalCloudSecret| reads(object, &id) && context.serves(object);
    let objects = context.objects.all();
    let readers: Vec<ObjectKey> = objects
        .into_iter()
        .filter(|(_, kept)| kept.object().as_ref().is_some_and(is_reader))
        .map(|(key, _)| key)
        .collect();
    let now = Instant::now();
    let turn = |key: &ObjectKey| context.refreshes.take_now(&key.namespace, now);
    match context.sweeps.advance(&id, &request, &readers, turn) {
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
            .map(|i| ObjectKey::new("shop", &format!("o{i}")))
            .collect()
    }

    /// Lets everything pass that comes; says how many steps that took, and the most at a time.
    fn run(
        sweeps: &Sweeps,
        objects: &[ObjectKey],
        turn: impl Fn(&ObjectKey) -> bool,
    ) -> (usize, usize) {
        let (mut steps, mut most) = (0, 0);
        loop {
            match sweeps.advance(&store(), "1", objects, &turn) {
                Progress::LetIn(some) => {
                    most = most.max(some.len());
                    for key in &some {
                        sweeps.passed(key);
                    }
                }
                Progress::Done(request) => {
                    assert_eq!(request, "1");
                    return (steps, most);
                }
            }
            steps += 1;
        }
    }

    #[test]
    fn every_object_is_let_in_once_and_no_more_than_a_hundred_at_a_time() {
        let (sweeps, all) = (Sweeps::default(), objects(1_050));
        assert_eq!(run(&sweeps, &all, |_| true), (11, 100));
        assert!(!sweeps.includes(&all[0]));
        assert_eq!(
            run(&sweeps, &[], |_| true),
            (0, 0),
            "nobody reads through it"
        );
    }

    #[test]
    fn who_has_no_turn_waits_and_is_waited_for() {
        let (sweeps, all) = (Sweeps::default(), objects(2));
        let first_only = |key: &ObjectKey| *key == all[0];
        let step = |turn: &dyn Fn(&ObjectKey) -> bool| sweeps.advance(&store(), "1", &all, turn);
        assert_eq!(step(&first_only), Progress::LetIn(vec![all[0].clone()]));
        sweeps.passed(&all[0]);
        sweeps.passed(&all[1]);
        assert_eq!(
            step(&|_| false),
            Progress::LetIn(Vec::new()),
            "it was not let in"
        );
        assert_eq!(step(&|_| true), Progress::LetIn(vec![all[1].clone()]));
        assert!(sweeps.includes(&all[1]) && !sweeps.includes(&all[0]));
        assert_eq!(
            step(&|_| true),
            Progress::LetIn(Vec::new()),
            "it is under way"
        );
        sweeps.passed(&all[1]);
        assert_eq!(step(&|_| true), Progress::Done("1".into()));
    }

    #[test]
    fn what_goes_is_not_waited_for_and_what_comes_is_read() {
        let (sweeps, all) = (Sweeps::default(), objects(3));
        let step = |objects: &[ObjectKey]| sweeps.advance(&store(), "1", objects, |_| true);
        assert_eq!(step(&all[..2]), Progress::LetIn(all[..2].to_vec()));
        sweeps.passed(&all[0]);
        let now = [all[0].clone(), all[2].clone()];
        assert_eq!(step(&now), Progress::LetIn(vec![all[2].clone()]));
        assert!(!sweeps.includes(&all[1]));
        sweeps.passed(&all[2]);
        assert_eq!(step(&now), Progress::Done("1".into()));
    }

    #[test]
    fn a_request_that_comes_meanwhile_is_carried_out_afterwards() {
        let (sweeps, all) = (Sweeps::default(), objects(1));
        let step = |request| sweeps.advance(&store(), request, &all, |_| true);
        step("1");
        step("2");
        sweeps.passed(&all[0]);
        assert_eq!(step("3"), Progress::Done("1".into()));
        assert_eq!(step("3"), Progress::LetIn(all.clone()));
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
