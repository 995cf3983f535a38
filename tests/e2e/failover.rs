//! Other regions of a KMS store: they make what is missing while the first is silent, and nothing else.

use cloudsim::{Fault, Filter, Secret, Simulator};
use external_cloud_secrets::api::EntryStatus;
use serde_json::{Value, json};

use super::scene::Scene;
use super::ten::LONG;
use super::wait::until;
use super::world::{ACCOUNT, World};

const STORE: &str = "CloudSecretStore";
const REGIONS: &str = "regions";

/// A scene with a store of two regions, each a cloud of its own that knows the same access key.
struct TwoRegions {
    scene: Scene<'static>,
    shanghai: Simulator,
}

impl TwoRegions {
    async fn new(prefix: &str) -> Self {
        let scene = Scene::new(World::shared().await, prefix).await;
        let seed = format!("region: cn-shanghai\naccounts:\n- id: \"{ACCOUNT}\"\n");
        let shanghai = Simulator::start(&*seed, cloudsim::Options::default());
        let shanghai = shanghai.await.unwrap();
        let id = scene.namespace.as_str();
        let secret = "canary-access-key-secret";
        for cloud in [&*scene.world.cloud, &shanghai] {
            cloud.put_key(None, id, secret).unwrap();
        }
        scene
            .put_secret("ak", &[("id", id), ("secret", secret)])
            .await;
        let regions = Self { scene, shanghai };
        let there = json!([{ "region": "cn-shanghai", "endpoint": regions.shanghai.url() }]);
        regions.store(&there).await;
        regions
    }

    async fn store(&self, failover: &Value) {
        let mut store = self.scene.store(REGIONS, self.scene.access_key("ak"));
        store["spec"]["provider"] = json!({ "kms": {
            "region": "cn-hangzhou",
            "endpoint": self.scene.world.cloud.url(),
            "failover": failover,
        } });
        self.scene.apply(&store).await.unwrap();
    }

    fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.scene.namespace)
    }

    /// Keeps the secret `name` in both regions, with values that tell where they are from.
    fn put(&self, name: &str) {
        for (cloud, value) in [
            (&*self.scene.world.cloud, "canary-hangzhou"),
            (&self.shanghai, "canary-shanghai"),
        ] {
            put(cloud, &self.name(name), value);
        }
    }

    /// Lets reads of the secret `name` in the first region end like this.
    fn fault(&self, name: &str, status: u16, code: &str) -> u64 {
        let fault = Fault::error(status, code).service("kms");
        let fault = fault.name(&self.name(name));
        self.scene.world.cloud.add_fault(fault)
    }

    async fn object(&self, name: &str) {
        let keys = [("password", &*self.name(name))];
        let object = self.scene.reading(name, (STORE, REGIONS), &keys);
        self.scene.apply(&object).await.unwrap();
    }

    /// Reads of the secret `name` in the other region.
    fn asked(&self, name: &str) -> usize {
        let of_name = Filter {
            name: Some(self.name(name)),
            ..Filter::default()
        };
        self.shanghai.ledger_of(&of_name).recent.len()
    }

    async fn entry(&self, name: &str) -> EntryStatus {
        let object = self.scene.objects().get(name).await.unwrap();
        object.status.unwrap().entries.remove(0)
    }
}

fn put(cloud: &Simulator, name: &str, value: &str) {
    let secret = json!({ "name": name, "value": value });
    let secret: Secret = serde_json::from_value(secret).unwrap();
    cloud.put_secret(secret).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_makes_what_is_missing_elsewhere_changes_nothing_that_is_there_and_ends() {
    let regions = TwoRegions::new("outage").await;
    let scene = &regions.scene;
    for name in ["present", "missing"] {
        regions.put(name);
    }
    regions.object("present").await;
    let present = scene
        .wait_value("present", "password", "canary-hangzhou")
        .await;
    let faults = ["present", "missing"].map(|n| regions.fault(n, 503, "ServiceUnavailable"));

    scene.refresh("present", "during").await;
    let message = scene
        .wait_condition("present", "Fresh", "False", "ProviderUnavailable")
        .await;
    assert!(!message.contains("cn-shanghai"), "{message}");
    regions.object("missing").await;
    let made = scene
        .wait_value("missing", "password", "canary-shanghai")
        .await;
    let message = scene
        .wait_condition("missing", "Fresh", "False", "ProviderUnavailable")
        .await;
    for part in [
        "ServiceUnavailable",
        "the Secret holds what region cn-shanghai answered",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(scene.condition("missing", "Ready").await.status, "True");
    let entry = regions.entry("missing").await;
    assert_eq!(entry.region.as_deref(), Some("cn-shanghai"));

    // From here on it is there, and the other region has no more say in it.
    put(&regions.shanghai, &regions.name("missing"), "canary-later");
    let asked = regions.asked("missing");
    scene.refresh("missing", "again").await;
    until("the request is handled", LONG, async || {
        let object = scene.objects().get("missing").await.unwrap();
        let handled = object.status.unwrap().last_handled_refresh;
        if handled.as_deref() == Some("again") {
            Ok(())
        } else {
            Err(handled)
        }
    })
    .await;
    let kept = scene.secret("missing").await.unwrap();
    assert_eq!(
        kept.metadata.resource_version,
        made.metadata.resource_version
    );
    assert_eq!(regions.asked("missing"), asked);
    assert_eq!(scene.condition("missing", "Fresh").await.message, message);

    for fault in faults {
        scene.world.cloud.clear_fault(fault);
    }
    until("the first region rules again", LONG, async || {
        match scene.value("missing", "password").await {
            Some(value) if value == "canary-hangzhou" => Ok(()),
            _ => Err(scene.conditions("missing").await),
        }
    })
    .await;
    for name in ["present", "missing"] {
        scene
            .wait_condition_for(LONG, name, "Fresh", "True", "Refreshed")
            .await;
        let entry = regions.entry(name).await;
        assert_eq!(entry.region.as_deref(), Some("cn-hangzhou"), "{name}");
    }
    let after = scene.secret("present").await.unwrap();
    assert_eq!(
        after.metadata.resource_version,
        present.metadata.resource_version
    );
    assert_eq!(regions.asked("present"), 0, "a Secret that is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_the_first_region_never_sends_to_another() {
    let regions = TwoRegions::new("answered").await;
    let scene = &regions.scene;
    let cases = [
        ("denied", 403, "Forbidden.NoPermission", "AccessDenied"),
        ("throttled", 429, "Rejected.Throttling", "Throttled"),
        ("disabled", 409, "Rejected.Disabled", "AccessDenied"),
    ];
    for (name, status, code, _) in cases {
        regions.put(name);
        regions.fault(name, status, code);
        regions.object(name).await;
    }
    put(
        &regions.shanghai,
        &regions.name("absent"),
        "canary-shanghai",
    );
    regions.object("absent").await;
    let absent = ("absent", 404, "", "RemoteNotFound");
    for (name, _, _, reason) in cases.into_iter().chain([absent]) {
        scene
            .wait_condition_for(LONG, name, "Ready", "False", reason)
            .await;
        assert!(scene.secret(name).await.is_none(), "{name}");
        assert_eq!(regions.asked(name), 0, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_no_region_answers_the_object_says_so_and_heals_by_whichever_comes_first() {
    let regions = TwoRegions::new("dark").await;
    let scene = &regions.scene;
    regions.put("db");
    regions.fault("db", 503, "ServiceUnavailable");
    let there = Fault::error(500, "InternalFailure").service("kms");
    let there = regions.shanghai.add_fault(there);
    regions.object("db").await;
    let message = scene
        .wait_condition_for(LONG, "db", "Ready", "False", "ProviderUnavailable")
        .await;
    for part in [
        "ServiceUnavailable",
        "; region cn-shanghai: InternalFailure",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert!(scene.secret("db").await.is_none());
    regions.shanghai.clear_fault(there);
    until("the other region answers", LONG, async || {
        match scene.value("db", "password").await {
            Some(value) if value == "canary-shanghai" => Ok(()),
            _ => Err(scene.conditions("db").await),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_cannot_work_is_the_stores_problem_and_says_which() {
    let regions = TwoRegions::new("unresolved").await;
    let instance = json!({ "endpoint": "https://kst-x.cryptoservice.kms.aliyuncs.com" });
    regions
        .store(&json!([{ "region": "xx-nowhere-1", "instance": instance }]))
        .await;
    let message = regions
        .scene
        .wait_store(STORE, REGIONS, "False", "InvalidSpec")
        .await;
    for part in ["spec.provider.kms.failover[0]", "region xx-nowhere-1"] {
        assert!(message.contains(part), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_read_any_more_is_not_read_elsewhere_either() {
    let regions = TwoRegions::new("withdrawn").await;
    let scene = &regions.scene;
    regions.put("db");
    regions.fault("db", 503, "ServiceUnavailable");
    let there = Fault::error(500, "InternalFailure").service("kms");
    regions.shanghai.add_fault(there);
    regions.object("db").await;
    scene
        .wait_condition_for(LONG, "db", "Ready", "False", "ProviderUnavailable")
        .await;
    assert!(regions.asked("db") > 0);
    let patch = json!({ "spec": { "suspend": true } });
    let params = kube::api::PatchParams::default();
    let patch = kube::api::Patch::Merge(&patch);
    scene.objects().patch("db", &params, &patch).await.unwrap();
    scene
        .wait_condition("db", "Fresh", "False", "Suspended")
        .await;
    let asked = regions.asked("db");
    // The next steps of both regions' ladders would be within this time.
    tokio::time::sleep(std::time::Duration::from_secs(15)).await;
    assert_eq!(regions.asked("db"), asked);
}
