//! Values of KMS on their way into Secrets, for the search for leaks: text, binary and managed ones,
//! and everything that can be wrong with an answer about them.

use cloudsim::{DataType, Effect, Fault, Secret, SecretType, SecretVersion};
use k8s_openapi::ByteString;
use serde_json::{Value, json};

use crate::cloud::Service;
use crate::hostile::LATE;
use crate::leaks::MARK;
use crate::scene::Scene;
use crate::wait::until;

/// A value that is no text, and begins with the mark.
fn bytes(n: u8) -> Vec<u8> {
    [MARK.as_bytes(), &[0, 0xff, 0xfe, n, 0x80]].concat()
}

fn account(password: &str) -> String {
    json!({ "AccountName": format!("{MARK}-user"), "AccountPassword": password }).to_string()
}

/// An object `name` that reads the secret of that name, or a part of it.
async fn object(scene: &Scene<'_>, name: &str, property: Option<&str>) {
    let place = ("CloudSecretStore", "kms");
    let mut object = scene.reading(name, place, &[("password", &scene.key(name))]);
    if let Some(property) = property {
        object["spec"]["data"][0]["remoteRef"]["property"] = property.into();
    }
    scene.apply(&object).await.unwrap();
}

async fn has(scene: &Scene<'_>, name: &str, value: &[u8]) {
    until(&format!("the value of {name}"), LATE, async || {
        let data = scene.secret(name).await.and_then(|secret| secret.data);
        let held = data.and_then(|mut data| data.remove("password"));
        match held {
            Some(ByteString(held)) if held == value => Ok(()),
            _ => Err(scene.conditions(name).await),
        }
    })
    .await;
}

async fn has_failed(scene: &Scene<'_>, name: &str, code: &str) {
    until(&format!("the failure of {name}"), LATE, async || {
        let now = scene.conditions(name).await;
        let told = |one: &String| one.starts_with("Fresh=False") && one.contains(code);
        if now.iter().any(told) {
            Ok(())
        } else {
            Err(now)
        }
    })
    .await;
}

/// A store that reads KMS at `url`, and a success and a rotation of each kind of value.
pub async fn everything_works(scene: &Scene<'_>, url: &str) {
    let mut auth = scene.rrsa("reader");
    auth["stsEndpoint"] = url.into();
    let mut store: Value = scene.store_of(Service::Kms, "kms", auth);
    store["spec"]["provider"]["kms"]["endpoint"] = url.into();
    scene.apply(&store).await.unwrap();
    let text = |n: u8| format!("{MARK}-text-{n}");
    scene.put_kms(Secret::new("kms-text", &text(1)));
    scene.put_kms(Secret::binary("kms-binary", &bytes(1)));
    scene.put_kms(Secret::managed(
        SecretType::Rds,
        "kms-rds",
        &account(&text(1)),
    ));
    for (name, property) in [
        ("kms-text", None),
        ("kms-binary", None),
        ("kms-rds", Some("AccountPassword")),
    ] {
        object(scene, name, property).await;
    }
    for n in 1..=2 {
        has(scene, "kms-text", text(n).as_bytes()).await;
        has(scene, "kms-binary", &bytes(n)).await;
        has(scene, "kms-rds", text(n).as_bytes()).await;
        if n == 1 {
            scene.rotate("kms-text", &text(2));
            scene.rotate("kms-rds", &account(&text(2)));
            let next = SecretVersion::binary("next", &bytes(2));
            scene
                .cloud
                .put_secret_version(&scene.key("kms-binary"), next)
                .unwrap();
            for name in ["kms-text", "kms-binary", "kms-rds"] {
                scene.refresh(name, "rotated").await;
            }
        }
    }
}

/// What the cloud says wrongly about secrets that have had a value before.
pub async fn everything_fails(scene: &Scene<'_>) {
    let chatty = |status| Effect::Error {
        status,
        code: "Odd.Code".into(),
        message: Some(format!("the value is {MARK}")),
    };
    let entry = Effect::EntryError {
        status: 400,
        code: "Odd.Code".into(),
    };
    let faults = [
        ("kms-chatty", chatty(400)),
        ("kms-entry", entry),
        ("kms-truncated", Effect::Truncate),
        ("kms-malformed", Effect::MalformedJson),
        ("kms-empty", Effect::EmptyValue { absent: false }),
        ("kms-unmentioned", Effect::MissingEntry),
    ];
    // What is wrong with the value itself, or with what is asked of it.
    let wrong = [
        ("kms-unreadable", "UndecodableBinary"),
        ("kms-no-property", "PropertyNotFound"),
        ("kms-no-json", "PropertyNotFound"),
    ];
    let struck = faults.each_ref().map(|(name, _)| *name);
    let names: Vec<&str> = struck
        .into_iter()
        .chain(wrong.map(|(name, _)| name))
        .collect();
    for name in &names {
        scene.put_kms(Secret::binary(name, &bytes(1)));
        object(scene, name, None).await;
    }
    for name in &names {
        has(scene, name, &bytes(1)).await;
    }
    for (name, effect) in faults {
        scene
            .cloud
            .add_fault(Fault::new(effect).name(&scene.key(name)));
    }
    let broken = SecretVersion {
        data_type: Some(DataType::Binary),
        ..SecretVersion::new("broken", &format!("{MARK}: no base64"))
    };
    let key = scene.key("kms-unreadable");
    scene.cloud.put_secret_version(&key, broken).unwrap();
    scene.put_kms(Secret::new("kms-no-property", &account(MARK)));
    for name in ["kms-no-property", "kms-no-json"] {
        object(scene, name, Some("AccountNames")).await;
    }
    // Whoever travels with these two is answered, and alone they are too: they go last.
    let of_one_entry = ["kms-entry", "kms-unmentioned"];
    let (last, first): (Vec<_>, Vec<_>) = names
        .into_iter()
        .partition(|name| of_one_entry.contains(name));
    for name in first {
        scene.refresh(name, "faulty").await;
    }
    for (name, code) in wrong {
        has_failed(scene, name, code).await;
    }
    for name in ["kms-chatty", "kms-truncated", "kms-malformed", "kms-empty"] {
        has_failed(scene, name, "").await;
    }
    for name in last {
        scene.refresh(name, "faulty").await;
        scene.wait_handled(name, "faulty").await;
    }
}
