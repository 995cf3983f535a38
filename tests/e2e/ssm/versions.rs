//! Which version is read: what is current of what SSM rotates, the newest of what people name, and of a
//! pinned one always the same.

use std::time::Duration;

use cloudsim::tencent::{KeyEncoding, Secret, SecretType, SshKeyPair, Version};
use serde_json::json;

use crate::scene::Scene;
use crate::snapshot::NEVER;
use crate::wait::until;
use crate::world::World;

/// An interval of ten seconds, and what a busy machine takes.
const INTERVAL: Duration = Duration::from_secs(25);

async fn holds(scene: &Scene<'_>, name: &str, value: &str) {
    until(
        &format!("{value} in {name}"),
        INTERVAL,
        async || match scene.value(name, "password").await {
            Some(held) if held == value => Ok(()),
            _ => Err(scene.conditions(name).await),
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_of_what_is_current_arrives_within_an_interval() {
    let scene = Scene::ssm(World::ssm().await, "rotated").await;
    let account =
        |n: u32| json!({"UserName": "shop", "Password": format!("canary-{n}")}).to_string();
    scene.put_current("db", SecretType::Product, &account(1));
    let mut object = scene.object("db", "10s", &[("password", "db"), ("user", "db")]);
    object["spec"]["data"][0]["remoteRef"]["property"] = "Password".into();
    object["spec"]["data"][1]["remoteRef"]["property"] = "UserName".into();
    scene.apply(&object).await.unwrap();
    for n in 1..=3 {
        holds(&scene, "db", &format!("canary-{n}")).await;
        scene.wait_settled("db").await;
        assert_eq!(scene.value("db", "user").await.unwrap(), "shop");
        let (key, next) = (scene.key("db"), account(n + 1));
        scene.cloud.tencent().rotate(&key, &next).unwrap();
    }
    let described = scene
        .reads("db")
        .iter()
        .filter(|call| call.action == "DescribeSecret")
        .count();
    assert_eq!(described, 1, "what a secret is is asked once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_is_picked_up_also_where_the_first_is_called_current_and_a_pinned_one_never_moves()
 {
    let scene = Scene::ssm(World::ssm().await, "newest").await;
    scene.put_ssm("named", "canary-1");
    scene.put_current("unnamed", SecretType::Custom, "canary-1");
    for (name, first) in [("named", "v1"), ("unnamed", "SSM_Current")] {
        let mut object = scene.object(name, "10s", &[("password", name), ("pinned", name)]);
        object["spec"]["data"][1]["remoteRef"]["version"] = first.into();
        scene.apply(&object).await.unwrap();
        holds(&scene, name, "canary-1").await;
    }
    for n in 2..=3 {
        let value = format!("canary-{n}");
        for name in ["named", "unnamed"] {
            let version = Version::text(&format!("release-{n}"), &value);
            scene
                .cloud
                .tencent()
                .put_version(&scene.key(name), &version)
                .unwrap();
        }
        for name in ["named", "unnamed"] {
            holds(&scene, name, &value).await;
            assert_eq!(scene.value(name, "pinned").await.unwrap(), "canary-1");
        }
    }
    for (name, first) in [("named", "v1"), ("unnamed", "SSM_Current")] {
        scene.wait_settled(name).await;
        let status = scene.objects().get(name).await.unwrap().status.unwrap();
        let told: Vec<_> = status
            .entries
            .iter()
            .map(|entry| entry.version.as_deref())
            .collect();
        assert_eq!(told, [Some("release-3"), Some(first)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_and_pairs_of_keys_arrive_as_they_are() {
    let scene = Scene::ssm(World::ssm().await, "pairs").await;
    let bytes: Vec<u8> = (0..=255).collect();
    let versions = vec![Version::binary("v1", &bytes)];
    let binary = Secret {
        name: scene.key("binary"),
        versions,
        ..Secret::default()
    };
    scene.cloud.tencent().put_secret(binary).unwrap();
    let public = "ssh-rsa canary-public shop";
    let private =
        "-----BEGIN RSA PRIVATE KEY-----\ncanary-private\n-----END RSA PRIVATE KEY-----\n";
    for (name, encoding) in [("raw", KeyEncoding::Raw), ("coded", KeyEncoding::Base64)] {
        let ssh = SshKeyPair {
            id: format!("skey-{name}"),
            name: "shop".to_owned(),
            public_key: public.into(),
            private_key: private.into(),
            encoding,
        };
        let secret = Secret {
            name: scene.key(name),
            kind: SecretType::Ssh,
            ssh: Some(ssh),
            ..Secret::default()
        };
        scene.cloud.tencent().put_secret(secret).unwrap();
    }
    let mut object = scene.object(
        "all",
        NEVER,
        &[
            ("bin", "binary"),
            ("pub", "raw"),
            ("key", "raw"),
            ("pub2", "coded"),
            ("key2", "coded"),
        ],
    );
    for (i, property) in ["PublicKey", "PrivateKey", "PublicKey", "PrivateKey"]
        .iter()
        .enumerate()
    {
        object["spec"]["data"][i + 1]["remoteRef"]["property"] = (*property).into();
    }
    scene.apply(&object).await.unwrap();
    scene.wait_settled("all").await;
    let data = scene.secret("all").await.unwrap().data.unwrap();
    assert_eq!(data["bin"].0, bytes);
    for (key, expected) in [
        ("pub", public),
        ("pub2", public),
        ("key", private),
        ("key2", private),
    ] {
        assert_eq!(data[key].0, expected.as_bytes(), "{key}");
    }
}
