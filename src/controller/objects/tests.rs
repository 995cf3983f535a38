use kube::ResourceExt;
use kube::core::object::HasStatus;
use serde_json::{Value, json};

use super::*;

/// An object whose spec and status can be told apart by version.
fn object(version: &str, generation: i64) -> Value {
    json!({
        "apiVersion": "cloudsecrets.dev/v1alpha1",
        "kind": "ExternalCloudSecret",
        "metadata": {
            "name": "db", "namespace": "shop", "uid": "1", "resourceVersion": version, "generation": generation,
        },
        "spec": { "data": [{ "secretKey": "a", "remoteRef": { "key": "k" } }] },
        "status": { "secretName": format!("s{version}") },
    })
}

fn arrived(object: &Value) -> Arrived {
    serde_json::from_value(object.clone()).unwrap()
}

fn read(object: &Value) -> ExternalCloudSecret {
    serde_json::from_value(object.clone()).unwrap()
}

fn known(objects: &Objects) -> Option<ExternalCloudSecret> {
    objects.get(&ObjectKey::new("shop", "db"))?.1.object()
}

fn shows(objects: &Objects, object: &Value) -> usize {
    objects.observe(&Event::Apply(arrived(object))).len()
}

fn lists(objects: &Objects, all: &[&Value]) -> Vec<String> {
    objects.observe(&Event::Init);
    for object in all {
        assert!(
            objects
                .observe(&Event::InitApply(arrived(object)))
                .is_empty()
        );
    }
    let changed = objects.observe(&Event::InitDone);
    let mut names: Vec<String> = changed.iter().map(|key| key.name.to_string()).collect();
    names.sort();
    names
}

#[test]
fn every_example_is_read_as_it_was_arrived() {
    let folders = std::fs::read_dir("examples").unwrap().flatten();
    let files = folders.filter_map(|folder| std::fs::read_dir(folder.path()).ok());
    let mut seen = 0;
    for file in files.flatten().flatten() {
        let text = std::fs::read_to_string(file.path()).unwrap();
        for document in text.split("\n---\n") {
            let Ok(example) = serde_saphyr::from_str::<Value>(document) else {
                continue;
            };
            if example["kind"] != "ExternalCloudSecret" {
                continue;
            }
            assert_eq!(arrived(&example).kept.object(), Some(read(&example)));
            seen += 1;
        }
    }
    assert!(seen > 0);
}

#[test]
fn an_arriving_object_tells_the_watch_its_version() {
    assert_eq!(
        arrived(&object("5", 1)).resource_version().as_deref(),
        Some("5")
    );
}

#[test]
fn what_nobody_reads_is_not_arrived() {
    let mut whole = object("5", 1);
    whole["metadata"]["annotations"] =
        json!({ names::REFRESH_ANNOTATION: "canary-1", "example.com/other": "canary-2" });
    whole["metadata"]["managedFields"] = json!([{ "manager": "canary-3" }]);
    whole["metadata"]["labels"] = json!({ "example.com/team": "canary-4" });
    let found = arrived(&whole).kept.object().unwrap();
    let annotations: Vec<_> = found.annotations().keys().collect();
    assert_eq!(annotations, [names::REFRESH_ANNOTATION]);
    assert!(found.managed_fields().is_empty());
    assert_eq!(found.labels()["example.com/team"], "canary-4");
    assert_eq!(found.status().unwrap().secret_name.as_deref(), Some("s5"));
}

#[test]
fn an_object_that_cannot_be_decoded_is_there_all_the_same() {
    let objects = Objects::default();
    let mut broken = object("5", 1);
    broken["spec"]["data"] = json!("canary");
    assert_eq!(shows(&objects, &broken), 1);
    assert!(objects.get(&ObjectKey::new("shop", "db")).is_some());
    assert_eq!(known(&objects), None);
    assert_eq!(shows(&objects, &object("6", 2)), 1, "it was repaired");
    assert_eq!(known(&objects), Some(read(&object("6", 2))));
}

#[test]
fn only_what_is_not_status_is_a_change() {
    let objects = Objects::default();
    assert_eq!(shows(&objects, &object("5", 1)), 1);
    assert_eq!(shows(&objects, &object("6", 1)), 0);
    assert_eq!(known(&objects), Some(read(&object("6", 1))));
    assert_eq!(shows(&objects, &object("7", 2)), 1);
    for (field, value) in [
        ("uid", json!("2")),
        ("finalizers", json!(["canary.example.com/x"])),
        ("annotations", json!({ names::REFRESH_ANNOTATION: "1" })),
    ] {
        let mut changed = object("8", 2);
        changed["metadata"][field] = value;
        assert_eq!(shows(&objects, &changed), 1, "{field}");
    }
}

#[test]
fn what_is_deleted_is_gone_and_comes_back_as_another() {
    let objects = Objects::default();
    shows(&objects, &object("5", 1));
    let gone = objects.observe(&Event::Delete(arrived(&object("6", 1))));
    assert_eq!(gone, [ObjectKey::new("shop", "db")]);
    assert_eq!(known(&objects), None);
    objects.wrote(read(&object("7", 1)));
    assert_eq!(known(&objects), None, "a late write brings nothing back");
    assert_eq!(shows(&objects, &object("8", 1)), 1);
}

#[test]
fn what_was_written_is_seen_at_once_and_outlives_what_the_watch_shows_late() {
    let objects = Objects::default();
    shows(&objects, &object("5", 1));
    objects.wrote(read(&object("7", 1)));
    assert_eq!(known(&objects), Some(read(&object("7", 1))));
    shows(&objects, &object("6", 1));
    assert_eq!(known(&objects), Some(read(&object("7", 1))));
    objects.wrote(read(&object("6", 1)));
    assert_eq!(known(&objects), Some(read(&object("7", 1))));
    shows(&objects, &object("10", 1));
    assert_eq!(known(&objects), Some(read(&object("10", 1))));
}

#[test]
fn a_change_that_a_write_has_shown_first_wakes_all_the_same() {
    let objects = Objects::default();
    shows(&objects, &object("5", 1));
    objects.wrote(read(&object("7", 2)));
    assert_eq!(shows(&objects, &object("6", 2)), 1);
    assert_eq!(shows(&objects, &object("7", 2)), 0);
}

#[test]
fn a_new_list_tells_what_came_went_and_changed_since_the_old_one() {
    let objects = Objects::default();
    let named = |name: &str, version: &str, generation: i64| {
        let mut object = object(version, generation);
        object["metadata"]["name"] = json!(name);
        object
    };
    let (same, old, gone) = (
        named("same", "1", 1),
        named("old", "2", 1),
        named("gone", "3", 1),
    );
    assert_eq!(
        lists(&objects, &[&same, &old, &gone]),
        ["gone", "old", "same"]
    );
    let (changed, new) = (named("old", "4", 2), named("new", "5", 1));
    assert_eq!(
        lists(&objects, &[&same, &changed, &new]),
        ["gone", "new", "old"]
    );
    let mut left: Vec<_> = objects
        .all()
        .iter()
        .map(|(key, _)| key.name.to_string())
        .collect();
    left.sort();
    assert_eq!(left, ["new", "old", "same"]);
}

#[test]
fn a_list_that_is_not_finished_hides_nothing() {
    let objects = Objects::default();
    shows(&objects, &object("5", 1));
    objects.observe(&Event::Init);
    assert_eq!(known(&objects), Some(read(&object("5", 1))));
    assert!(lists(&objects, &[&object("5", 1)]).is_empty(), "begun anew");
}

#[test]
fn a_list_is_believed_although_it_is_older() {
    let objects = Objects::default();
    shows(&objects, &object("9", 1));
    lists(&objects, &[&object("3", 1)]);
    assert_eq!(known(&objects), Some(read(&object("3", 1))));
}

#[test]
fn thousands_of_objects_are_read_as_they_were_arrived() {
    for number in 0..3_000_u64 {
        let mut object = object(&(number * 7 + 312).to_string(), 1);
        object["metadata"]["name"] = json!(format!("x-{number:05}"));
        object["metadata"]["uid"] = json!(format!("{:08x}-canary", number * 2_654_435_761));
        object["status"] = json!({
            "conditions": [{ "type": "Ready", "status": "True", "reason": "SecretReady", "message": format!("Secret x-{number:05} is in place"), "lastTransitionTime": "2026-11-22T11:29:47Z", "observedGeneration": 1 }],
            "entries": [{ "store": "ClusterCloudSecretStore/kms", "region": "cn-hangzhou", "key": format!("bench/x-{number:05}/user"), "version": "v1", "changedAt": "2026-11-22T11:29:47Z", "digest": format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)) }],
            "entriesTotal": 1, "observedGeneration": 1,
        });
        assert_eq!(arrived(&object).kept.object(), Some(read(&object)));
    }
}
