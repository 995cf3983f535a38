//! Every type of secret arrives byte for byte.

use std::collections::BTreeMap;

use cloudsim::{Secret, SecretType, SecretVersion};
use k8s_openapi::ByteString;
use serde_json::{Value, json};

use crate::scene::Scene;
use crate::snapshot::NEVER;
use crate::wait::{SOON, until};
use crate::world::World;

/// The longest data that KMS takes, in bytes.
const LONGEST: usize = 30_720;
/// A private key as tools write it, with line breaks.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\ncanary+/=\n-----END PRIVATE KEY-----\n";

/// The secrets and the bytes that are to arrive.
fn secrets() -> Vec<(Secret, Vec<u8>)> {
    let texts = [
        ("unicode", "canary-中文-é-🔑\u{0}\u{1}".to_owned()),
        (
            "lines",
            "canary\n\twith \"quotes\" \\ and\r\nlines\n".to_owned(),
        ),
        ("blanks", " canary with blanks ".to_owned()),
        ("looks-encoded", "Y2FuYXJ5".to_owned()),
        ("longest", "c".repeat(LONGEST)),
        ("longest-wide", "密".repeat(LONGEST / 3)),
    ];
    let every: Vec<u8> = (0..=255).collect();
    let longest: Vec<u8> = every
        .iter()
        .copied()
        .cycle()
        .skip(7)
        .take(LONGEST)
        .collect();
    let binaries = [
        ("nul", vec![0]),
        ("nuls", b"\0\0canary\0".to_vec()),
        ("no-utf8", b"canary\xff\xfe\xc3\x28\x80".to_vec()),
        ("every-byte", every),
        ("longest-binary", longest),
        ("binary-json", br#"{"a":"canary"}"#.to_vec()),
    ];
    let managed = [
        (
            "rds",
            SecretType::Rds,
            r#"{"AccountName":"rds-user","AccountPassword":"canary \"r\" é"}"#,
        ),
        (
            "redis",
            SecretType::Redis,
            r#"{"AccountName":"redis-user","AccountPassword":"canary-redis"}"#,
        ),
        (
            "polardb",
            SecretType::PolarDb,
            r#"{"AccountName":"polar-user","AccountPassword":"canary-polar"}"#,
        ),
        (
            "ram",
            SecretType::RamCredentials,
            r#"{"AccessKeyId":"LTAIx","AccessKeySecret":"canary-ram","GenerateTimestamp":"2026-08-01T00:00:00Z"}"#,
        ),
        (
            "ecs",
            SecretType::Ecs,
            r#"{"UserName":"root","Password":"canary-ecs"}"#,
        ),
    ];
    let pair = json!({ "UserName": "root", "PublicKey": "ssh-rsa AAAA", "PrivateKey": PRIVATE });
    let pair = pair.to_string();
    let texts = texts.map(|(name, text)| (Secret::new(name, &text), text.into_bytes()));
    let binaries = binaries.map(|(name, bytes)| (Secret::binary(name, &bytes), bytes));
    let managed = managed
        .map(|(name, kind, data)| (Secret::managed(kind, name, data), data.as_bytes().to_vec()));
    let pair = (
        Secret::managed(SecretType::Ecs, "ecs-pair", &pair),
        pair.into_bytes(),
    );
    texts
        .into_iter()
        .chain(binaries)
        .chain(managed)
        .chain([pair])
        .collect()
}

/// Parts of them: the key in the Secret, the secret, the property, and what is to arrive.
const PARTS: [(&str, &str, &str, &str); 9] = [
    ("part-rds-user", "rds", "AccountName", "rds-user"),
    ("part-rds", "rds", "AccountPassword", "canary \"r\" é"),
    ("part-redis", "redis", "AccountPassword", "canary-redis"),
    ("part-polardb", "polardb", "AccountPassword", "canary-polar"),
    ("part-ram-id", "ram", "AccessKeyId", "LTAIx"),
    ("part-ram", "ram", "AccessKeySecret", "canary-ram"),
    ("part-ecs", "ecs", "Password", "canary-ecs"),
    ("part-ecs-key", "ecs-pair", "PrivateKey", PRIVATE),
    ("part-binary", "binary-json", "a", "canary"),
];

/// Waits until the Secret holds exactly this.
async fn holds(scene: &Scene<'_>, name: &str, expected: &BTreeMap<String, ByteString>) {
    until("every byte", SOON, async || {
        let data = scene.secret(name).await.and_then(|secret| secret.data);
        let differs =
            |key: &&String| data.as_ref().and_then(|data| data.get(*key)) != expected.get(*key);
        match &data {
            Some(data) if data == expected => Ok(()),
            Some(_) => Err(format!(
                "{:?} differ",
                expected.keys().filter(differs).collect::<Vec<_>>()
            )),
            None => Err(format!("{:?}", scene.conditions(name).await)),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_of_secret_arrives_byte_for_byte() {
    let scene = Scene::kms(World::kms().await, "bytes").await;
    let mut expected = BTreeMap::new();
    let mut entries: Vec<Value> = Vec::new();
    for (secret, bytes) in secrets() {
        let remote = json!({ "key": scene.key(&secret.name) });
        entries.push(json!({ "secretKey": secret.name, "remoteRef": remote }));
        expected.insert(secret.name.clone(), ByteString(bytes));
        scene.put_kms(secret);
    }
    for (key, name, property, value) in PARTS {
        let remote = json!({ "key": scene.key(name), "property": property });
        entries.push(json!({ "secretKey": key, "remoteRef": remote }));
        expected.insert(key.to_owned(), ByteString(value.as_bytes().to_vec()));
    }
    let mut object = scene.object("all", NEVER, &[]);
    object["spec"]["data"] = entries.into();
    scene.apply(&object).await.unwrap();
    holds(&scene, "all", &expected).await;
    scene.wait_settled("all").await;
    let together = scene.reads("nul");
    let batch =
        |call: &cloudsim::Call| call.action == "BatchGetSecretValue" && call.names.len() > 10;
    assert!(together.iter().any(batch), "{together:?}");

    // A single read brings the same bytes, and the next binary version is followed.
    let mut single = scene.object(
        "single",
        NEVER,
        &[("value", "longest-binary"), ("next", "nuls")],
    );
    single["spec"]["data"][0]["remoteRef"]["version"] = "v1".into();
    scene.apply(&single).await.unwrap();
    let mut alone = BTreeMap::from([
        ("value".to_owned(), expected["longest-binary"].clone()),
        ("next".to_owned(), expected["nuls"].clone()),
    ]);
    holds(&scene, "single", &alone).await;
    let next = b"\xfe\0canary-next\0\0";
    let key = scene.key("nuls");
    let version = SecretVersion::binary("next", next);
    scene.cloud.put_secret_version(&key, version).unwrap();
    scene.refresh("single", "next").await;
    alone.insert("next".to_owned(), ByteString(next.to_vec()));
    holds(&scene, "single", &alone).await;
}
