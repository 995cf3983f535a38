//! Values and keys of SSM are written to Secrets and shown nowhere else, whatever goes wrong.

use cloudsim::tencent::{SecretType, Version};
use cloudsim::{Effect, Fault};
use serde_json::json;

use crate::leaks::{Canaries, MARK};
use crate::scene::Scene;
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_of_ssm_brings_a_secret_to_light() {
    let world = World::own().await;
    let scene = Scene::ssm(&world, "secrecy").await;
    let account = json!({"UserName": format!("{MARK}-user"), "Password": format!("{MARK}-1")});
    scene.put_current("rotated", SecretType::Product, &account.to_string());
    let mut object = scene.object("rotated", "10s", &[("password", "rotated")]);
    object["spec"]["data"][0]["remoteRef"]["property"] = "Password".into();
    let chatty = Effect::Error {
        status: 200,
        code: format!("Odd.Code: the value is {MARK}"),
        message: Some(format!("the value is {MARK}")),
    };
    let faults = [
        ("chatty", chatty),
        ("truncated", Effect::Truncate),
        ("malformed", Effect::MalformedJson),
        ("empty", Effect::EmptyValue { absent: false }),
        ("unmentioned", Effect::MissingEntry),
    ];
    let mut objects = vec![object];
    for (name, _) in &faults {
        scene.put_ssm(name, &format!("{MARK}-of-{name}"));
        objects.push(scene.object(name, "1h", &[("password", name)]));
    }
    scene.put_ssm("unreadable", &format!("{MARK}-first"));
    objects.push(scene.object("unreadable", "1h", &[("password", "unreadable")]));
    scene.apply_all(&objects).await;
    scene
        .wait_value("rotated", "password", &format!("{MARK}-1"))
        .await;
    for (name, _) in &faults {
        scene
            .wait_value(name, "password", &format!("{MARK}-of-{name}"))
            .await;
    }
    scene
        .wait_value("unreadable", "password", &format!("{MARK}-first"))
        .await;
    let broken = Version {
        id: Some("broken".to_owned()),
        binary: Some(format!("{MARK}: no base64").into()),
        ..Version::default()
    };
    scene
        .cloud
        .tencent()
        .put_version(&scene.key("unreadable"), &broken)
        .unwrap();
    for (name, effect) in faults {
        scene
            .cloud
            .add_fault(Fault::new(effect).service("ssm").name(&scene.key(name)));
        scene.refresh(name, "faulty").await;
    }
    scene.refresh("unreadable", "faulty").await;
    for (name, reason) in [
        ("chatty", "UnexpectedResponse"),
        ("malformed", "UnexpectedResponse"),
        ("empty", "UnexpectedResponse"),
        ("unreadable", "UnexpectedResponse"),
        ("truncated", "ProviderUnavailable"),
    ] {
        scene.wait_condition(name, "Fresh", "False", reason).await;
        let held = scene.value(name, "password").await.unwrap();
        assert!(held.starts_with(MARK), "the value of {name} is kept");
    }
    let canaries = Canaries::new();
    canaries.check_objects(&scene).await;
    canaries.check("the operator's log", &world.log().await);
    canaries.check("metrics", &world.metrics().await);
}
