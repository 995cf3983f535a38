//! What users have when a version is recorded: values in the clouds, and what they applied.

use std::sync::Arc;

use cloudsim::tencent::SecretType;
use serde_json::{Value, json};

use crate::cloud::Service;
use crate::scene::Scene;
use crate::snapshot::NEVER;
use crate::world::World;

/// The namespace of all recorded objects, which is part of what their digests cover.
const PLACE: &str = "upgrade";
/// The cloud as the stores name it, which is part of it too; a proxy leads there.
pub const CLOUD: &str = "http://cloud.test";
const ENTRIES: [(&str, &str); 2] = [("id", "LTAIupgrade"), ("secret", "canary-key-of-upgrade")];
/// What recorded objects read on Alibaba Cloud.
pub const KEYS: [&str; 4] = ["plain", "json", "old", "kms"];
/// What they read on Tencent Cloud: what SSM rotates, the newest version, and a version.
pub const SSM_KEYS: [&str; 3] = ["account", "newest", "pinned"];

/// Everything that the recorded objects need, in a world whose operator finds [`CLOUD`].
pub async fn prepare(world: &World) -> Scene<'_> {
    let client = world.cluster.client().unwrap();
    let scene = Scene {
        world,
        namespace: PLACE.into(),
        client,
        cloud: Arc::clone(&world.cloud),
        service: Service::Oos,
    };
    let namespace =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": PLACE } });
    scene.apply(&namespace).await.unwrap();
    scene.put_secret("key", &ENTRIES).await;
    scene
        .cloud
        .put_key(None, ENTRIES[0].1, ENTRIES[1].1)
        .unwrap();
    scene.put("plain", "canary-plain");
    scene.put("json", r#"{"user": "canary-user"}"#);
    scene.put("old", "canary-old-1");
    scene.put("old", "canary-old-2");
    scene.put_kms(cloudsim::Secret::new("kms", "canary-kms"));
    let [account, newest, pinned] = SSM_KEYS;
    let ssm = on_tencent(&scene);
    ssm.tencent()
        .put_key(None, ENTRIES[0].1, ENTRIES[1].1)
        .unwrap();
    ssm.put_current(account, SecretType::Redis, "canary-account");
    ssm.put(newest, "canary-newest");
    ssm.put(pinned, "canary-pinned");
    scene
}

/// The same scene, of SSM.
pub fn on_tencent<'a>(scene: &Scene<'a>) -> Scene<'a> {
    Scene {
        service: Service::Ssm,
        ..scene.elsewhere(&scene.namespace)
    }
}

/// What a user applied: both kinds of stores, each service, and an object in each lasting state.
pub fn manifests(scene: &Scene<'_>) -> Vec<Value> {
    let auth = |namespace: Option<&str>| {
        let mut auth = scene.access_key("key");
        auth["stsEndpoint"] = CLOUD.into();
        for reference in auth["accessKey"].as_object_mut().unwrap().values_mut() {
            if let Some(namespace) = namespace {
                reference["namespace"] = namespace.into();
            }
        }
        auth
    };
    let mut stores = vec![
        scene.store_of(Service::Oos, "oos", auth(None)),
        scene.store_of(Service::Kms, "kms", auth(None)),
        scene.store_of(Service::Ssm, "ssm", auth(None)),
        scene.cluster_store("all", auth(Some(PLACE)), json!([{ "namespaces": [PLACE] }])),
    ];
    for store in &mut stores {
        let provider = store["spec"]["provider"].as_object_mut().unwrap();
        provider
            .values_mut()
            .for_each(|place| place["endpoint"] = CLOUD.into());
    }
    let mut mixed = scene.object(
        "mixed",
        NEVER,
        &[
            ("plain", "plain"),
            ("user", "json"),
            ("old", "old"),
            ("kms", "kms"),
        ],
    );
    let data = &mut mixed["spec"]["data"];
    data[1]["remoteRef"]["property"] = "user".into();
    data[2]["remoteRef"]["version"] = "1".into();
    data[3]["sourceRef"] = json!({ "storeRef": { "name": "kms" } });
    let cluster = scene.cluster_name("all");
    let key = scene.key("plain");
    let mut named = scene.reading(
        "named",
        ("ClusterCloudSecretStore", &cluster),
        &[("plain", &key)],
    );
    named["spec"]["refreshInterval"] = NEVER.into();
    named["spec"]["target"] = json!({ "name": "named-secret" });
    let mut suspended = scene.object("suspended", NEVER, &[("plain", "plain")]);
    suspended["spec"]["suspend"] = true.into();
    let missing = scene.object("missing", NEVER, &[("missing", "missing")]);
    let mut stalled = scene.object("stalled", NEVER, &[("plain", "plain")]);
    stalled["spec"]["secretStoreRef"]["name"] = "nobody".into();
    let ssm = on_tencent(scene);
    let mut tencent = ssm.object("tencent", NEVER, &SSM_KEYS.map(|key| (key, key)));
    tencent["spec"]["data"][2]["remoteRef"]["version"] = "v1".into();
    stores.extend([tencent, mixed, named, suspended, missing, stalled]);
    stores
}
