//! Twenty secrets in one call: what goes wrong with one of them, and with the call itself.

use cloudsim::{AttachedPolicy, Call, DataType, Effect, Fault, KeyState, Secret, SecretVersion};
use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret as KubeSecret;
use serde_json::{Value, json};

use crate::scene::Scene;
use crate::snapshot::NEVER;
use crate::ten::LONG;
use crate::world::{ACCOUNT, World};

/// What is wrong with one secret of a batch: its name, the reason and the cloud's code, or ours.
const STRUCK: [(&str, &str, &str); 7] = [
    ("absent", "RemoteNotFound", "Forbidden.ResourceNotFound"),
    ("doomed", "AccessDenied", "Rejected.ResourceInDeleteWindow"),
    ("forbidden", "AccessDenied", "Forbidden.NoPermission"),
    ("disabled", "AccessDenied", "Rejected.Disabled"),
    ("dying", "AccessDenied", "Rejected.PendingDeletion"),
    ("keyless", "AccessDenied", "Forbidden.KeyNotFound"),
    ("unreadable", "UnexpectedResponse", "UndecodableBinary"),
];
/// What is wrong with the answer about one secret, one after the other.
const GARBLED: [(&str, &str, &str); 3] = [
    ("empty", "UnexpectedResponse", "EmptyValue"),
    ("unmentioned", "UnexpectedResponse", "UnmentionedName"),
    ("failing", "ProviderUnavailable", "InternalFailure"),
];
/// Those that travel with them.
const SPARED: [&str; 10] = ["n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9"];

/// Forbids the scene's reader a resource, and nothing else.
fn forbid(scene: &Scene<'_>, resource: &str) {
    let statement = json!({ "Effect": "Deny", "Action": "kms:*", "Resource": resource });
    let document = json!({ "Version": "1", "Statement": [statement] });
    let principal = format!("role/{}-reader", scene.namespace);
    let policy = AttachedPolicy {
        principal,
        document,
    };
    scene.cloud.put_policy(&policy).unwrap();
}

/// The id of the key that encrypts a secret of the scene.
fn key_of(scene: &Scene<'_>, name: &str) -> String {
    format!("{}-{name}", scene.namespace)
}

/// Makes all twenty, each with the old value.
fn twenty(scene: &Scene<'_>) -> Vec<&'static str> {
    let named = |(name, ..): &(&'static str, &str, &str)| *name;
    let trouble = STRUCK.iter().chain(&GARBLED).map(named);
    let names: Vec<&str> = trouble.chain(SPARED).collect();
    for name in &names {
        let secret = Secret::new(name, "canary-old");
        scene.put_kms(match *name {
            "disabled" | "dying" | "keyless" => secret.key(&key_of(scene, name)),
            _ => secret,
        });
    }
    names
}

/// Does to each of `STRUCK` what its name says.
fn strike(scene: &Scene<'_>) {
    let cloud = &scene.cloud;
    cloud.delete_secret(&scene.key("absent"), None).unwrap();
    cloud.delete_secret(&scene.key("doomed"), Some(7)).unwrap();
    let name = scene.key("forbidden");
    forbid(
        scene,
        &format!("acs:kms:cn-hangzhou:{ACCOUNT}:secret/{name}"),
    );
    for (name, state) in [
        ("disabled", KeyState::Disabled),
        ("dying", KeyState::PendingDeletion),
    ] {
        cloud.put_kms_key(&key_of(scene, name), state).unwrap();
    }
    cloud.delete_kms_key(&key_of(scene, "keyless")).unwrap();
    let unreadable = SecretVersion {
        data_type: Some(DataType::Binary),
        ..SecretVersion::new("broken", "canary: no base64")
    };
    let name = scene.key("unreadable");
    cloud.put_secret_version(&name, unreadable).unwrap();
}

/// Undoes all that.
fn mend(scene: &Scene<'_>) {
    let cloud = &scene.cloud;
    cloud.restore_secret(&scene.key("doomed")).unwrap();
    let principal = format!("role/{}-reader", scene.namespace);
    cloud.delete_policy(&principal).unwrap();
    for name in ["disabled", "dying", "keyless"] {
        let key = key_of(scene, name);
        cloud.put_kms_key(&key, KeyState::Enabled).unwrap();
    }
}

/// What is done to the answers about one of `GARBLED`: the faults of batches, and of single reads.
fn garble(name: &str) -> [Fault; 2] {
    let in_batches = match name {
        "empty" => Effect::EmptyValue { absent: true },
        "unmentioned" => Effect::MissingEntry,
        _ => Effect::EntryError {
            status: 500,
            code: "InternalFailure".into(),
        },
    };
    let alone = match name {
        "failing" => Fault::error(500, "InternalFailure"),
        _ => Fault::new(in_batches.clone()),
    };
    let in_batches = Fault::new(in_batches).action("BatchGetSecretValue");
    [in_batches, alone.action("GetSecretValue")]
}

/// The object of one secret says what is wrong with it, and its Secret is as it was.
async fn suffers(scene: &Scene<'_>, (name, reason, code): (&str, &str, &str), before: &KubeSecret) {
    let message = scene.wait_condition(name, "Fresh", "False", reason).await;
    let entry = format!("data[value] ({}): ", scene.key(name));
    for part in [&*entry, code, "(request "] {
        assert!(message.contains(part), "{name}: {message}");
    }
    assert_eq!(scene.condition(name, "Ready").await.status, "True");
    assert_eq!(&scene.secret_as_it_is(name).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_inside_a_batch_touches_only_its_own_objects() {
    let scene = Scene::kms(World::kms().await, "parts").await;
    let names = twenty(&scene);
    let entries: Vec<(&str, &str)> = names.iter().map(|name| (*name, *name)).collect();
    let own = |name: &&str| scene.object(name, NEVER, &[("value", name)]);
    let mut objects: Vec<Value> = names.iter().map(own).collect();
    objects.push(scene.object("all", NEVER, &entries));
    scene.apply_all(&objects).await;
    let everybody = [&names[..], &["all"]].concat();
    join_all(everybody.iter().map(|name| scene.wait_settled(name))).await;
    let secrets = join_all(everybody.iter().map(|name| scene.secret_as_it_is(name))).await;
    let before = |name: &str| &secrets[everybody.iter().position(|n| *n == name).unwrap()];
    let fresh = join_all(SPARED.iter().map(|name| scene.condition(name, "Fresh"))).await;

    strike(&scene);
    for (round, trouble) in GARBLED.iter().enumerate() {
        let (name, value) = (trouble.0, format!("canary-{round}"));
        let faults = garble(name).map(|fault| scene.cloud.add_fault(fault.name(&scene.key(name))));
        for name in SPARED.iter().chain([&name]) {
            scene.put(name, &value);
        }
        // Twenty keys that are wanted at once leave in one batch.
        scene.refresh("all", name).await;
        let told = STRUCK.iter().chain([trouble]);
        join_all(told.map(|trouble| suffers(&scene, *trouble, before(trouble.0)))).await;
        for name in SPARED {
            scene.wait_value(name, "value", &value).await;
        }
        for fault in faults {
            scene.cloud.clear_fault(fault);
        }
    }
    let now = join_all(SPARED.iter().map(|name| scene.condition(name, "Fresh"))).await;
    assert_eq!(now, fresh, "the others were fresh all the time");
    let message = scene.condition("all", "Fresh").await.message;
    assert!(message.starts_with("data[absent] "), "{message}");
    assert_eq!(
        &scene.secret_as_it_is("all").await,
        before("all"),
        "all or none"
    );
    // A name that was missing travels alone from then on; the others go on together.
    let together = |call: &Call| call.action == "BatchGetSecretValue" && call.outcome == "OK";
    let calls = scene.reads("n0");
    assert!(calls.iter().any(|call| call.names.len() == 20), "{calls:?}");
    for (name, ..) in GARBLED {
        let calls = scene.reads(name);
        let struck = |call: &Call| together(call) && call.fault.is_some();
        assert!(calls.iter().any(struck), "{calls:?}");
    }

    mend(&scene);
    for name in &names {
        scene.put(name, "canary-new");
    }
    scene.refresh("all", "after").await;
    for name in &names {
        scene
            .wait_condition_for(LONG, name, "Fresh", "True", "Refreshed")
            .await;
        scene.wait_value(name, "value", "canary-new").await;
        scene.wait_value("all", name, "canary-new").await;
    }
    scene.wait_settled("all").await;
}
