//! The operator as a service: its HTTP pages, its start and its end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cloudsim::{Effect, Fault};
use devcluster::{Cluster, Options};
use external_cloud_secrets::api::names::DIGEST_KEY_SECRET;
use external_cloud_secrets::controller::digest_key;
use external_cloud_secrets::metrics::FAMILIES;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams};
use ring::rand::SystemRandom;
use serde_json::json;
use tempfile::TempDir;

use super::operator::{Operator, RBAC, Setup};
use super::scene::Scene;
use super::wait::{SOON, until};
use super::world::World;

/// How long the operator may take to end after a signal.
const DRAINED: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn it_is_alive_at_once_and_ready_when_the_definitions_are_installed() {
    let cluster = Cluster::start(Options::new(false)).await.unwrap();
    let dir = TempDir::new().unwrap();
    let setup = setup_on(&cluster, &dir, "early").await;
    let operator = Operator::listening(setup.clone()).await;
    for _ in 0..20 {
        assert_eq!(
            operator.answer("/healthz").await.unwrap(),
            (200, "ok\n".to_owned())
        );
        assert_eq!(operator.answer("/readyz").await.unwrap().0, 503);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let impatient = Operator::listening(Setup {
        log: dir.path().join("impatient.log"),
        ..setup
    })
    .await;
    let (code, took) = impatient.stop();
    assert!(
        code == Some(0) && took < Duration::from_secs(2),
        "{code:?} after {took:?}"
    );
    let crds = external_cloud_secrets::cli::crds::crds_yaml().unwrap();
    cluster.apply_crds(&crds).await.unwrap();
    until("readiness", SOON, async || {
        match operator.answer("/readyz").await {
            Some((200, _)) => Ok(()),
            other => Err(other),
        }
    })
    .await;
    assert_eq!(operator.stop().0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_that_start_at_once_make_one_digest_key() {
    let cluster = devcluster::shared().await;
    let namespace = cluster.namespace("race").await.unwrap();
    let starts = (0..16).map(|_| async {
        let client = cluster.client().unwrap();
        let key = digest_key::load(&client, namespace.name(), &SystemRandom::new()).await;
        key.unwrap().id().to_owned()
    });
    let ids: BTreeSet<String> = futures::future::join_all(starts)
        .await
        .into_iter()
        .collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let secrets: Api<Secret> = Api::namespaced(cluster.client().unwrap(), namespace.name());
    let made = secrets.list(&ListParams::default()).await.unwrap().items;
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].metadata.name.as_deref(), Some(DIGEST_KEY_SECRET));
    assert_eq!(made[0].immutable, Some(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_show_every_family_and_count_objects_by_condition() {
    let scene = Scene::new(World::shared().await, "metrics").await;
    scene.put("good", "v");
    for name in ["good", "bad", "worse"] {
        scene
            .apply(&scene.object(name, "1h", &[("password", name)]))
            .await
            .unwrap();
    }
    scene.wait_value("good", "password", "v").await;
    for name in ["bad", "worse"] {
        scene
            .wait_condition(name, "Fresh", "False", "RemoteNotFound")
            .await;
    }
    let family = |name: &str| format!("cloudsecrets_{name}");
    let objects = |condition: &str, status: &str, reason: &str| {
        let labels = [
            ("kind", "ExternalCloudSecret"),
            ("namespace", &scene.namespace),
            ("condition", condition),
            ("status", status),
            ("reason", reason),
        ];
        (
            family("objects"),
            labels.map(|(a, b)| (a.to_owned(), b.to_owned())).into(),
        )
    };
    until("the counts", SOON, async || {
        let samples = parse(&scene.world.metrics().await);
        let counts = [
            samples.get(&objects("Fresh", "False", "RemoteNotFound")),
            samples.get(&objects("Fresh", "True", "Refreshed")),
            samples.get(&objects("Ready", "True", "SecretReady")),
        ];
        let right = counts == [Some(&2.0), Some(&1.0), Some(&1.0)];
        if right {
            Ok(())
        } else {
            Err(format!("{counts:?}"))
        }
    })
    .await;
    let of_bad = |samples: &Samples| {
        let named = |labels: &Labels| {
            labels.get("name").is_some_and(|name| name == "bad")
                && labels.get("namespace") == Some(&scene.namespace)
        };
        samples.keys().filter(|(_, labels)| named(labels)).count()
    };
    let text = scene.world.metrics().await;
    assert_eq!(
        of_bad(&parse(&text)),
        3,
        "one series for Ready, one for Fresh, and one for its store"
    );
    // Nothing was undecodable and none left out so far, which have tests of their own, no private authority
    // was used and no clock was off.
    let without_series = [
        "cloudsecrets_object_unhealthy_omitted",
        "cloudsecrets_clock_corrections_total",
        "cloudsecrets_undecodable_objects",
        "cloudsecrets_authority_expiry_timestamp_seconds",
    ];
    let missing: Vec<&str> = FAMILIES
        .iter()
        .filter(|family| !text.contains(&format!("# TYPE {} {}\n", family.name, family.kind)))
        .map(|family| family.name)
        .filter(|name| !without_series.contains(name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    let exchanges =
        r#"cloudsecrets_cloud_calls_total{action="AssumeRoleWithOIDC",class="ok",provider="sts"}"#;
    assert!(text.contains(exchanges), "token exchanges are calls too");
    assert!(text.contains("process_resident_memory_bytes"));
    scene.delete("bad").await;
    until("the end of its series", SOON, async || {
        match of_bad(&parse(&scene.world.metrics().await)) {
            0 => Ok(()),
            left => Err(left),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_cannot_be_decoded_is_counted_and_stops_no_other() {
    let world = World::own().await;
    world.loosen("externalcloudsecrets").await;
    let scene = Scene::new(&world, "undecodable").await;
    let mut broken = scene.object("broken", "1h", &[("password", "x")]);
    broken["spec"]["data"] = json!("not a list");
    until("an API server that lets it in", SOON, async || {
        scene.apply(&broken).await
    })
    .await;
    scene.put("whole", "v");
    scene
        .apply(&scene.object("whole", "1h", &[("password", "whole")]))
        .await
        .unwrap();
    scene.wait_value("whole", "password", "v").await;
    let labels = BTreeMap::from([("kind".to_owned(), "ExternalCloudSecret".to_owned())]);
    let series = ("cloudsecrets_undecodable_objects".to_owned(), labels);
    assert_eq!(parse(&world.metrics().await).get(&series), Some(&1.0));
    // Also in the first list of another process.
    world.restart_operator().await;
    scene.put("later", "v");
    scene
        .apply(&scene.object("later", "1h", &[("password", "later")]))
        .await
        .unwrap();
    scene.wait_value("later", "password", "v").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_it_in_time_under_load_and_while_calls_hang() {
    let world = World::own_with(&[], &[("RUST_LOG", "info")]).await;
    let scene = Scene::new(&world, "signal").await;
    world
        .cloud
        .add_fault(Fault::new(Effect::Hang).name(&scene.key("hangs*")));
    for n in 0..60 {
        let name = if n % 10 == 0 {
            format!("hangs-{n}")
        } else {
            format!("load-{n}")
        };
        scene.put(&name, "v");
        scene
            .apply(&scene.object(&name, "10s", &[("password", &name)]))
            .await
            .unwrap();
    }
    until("a call that hangs", SOON, async || {
        match scene.calls("hangs-0") {
            0 => Err("none"),
            _ => Ok(()),
        }
    })
    .await;
    for n in 60..90 {
        let name = format!("load-{n}");
        scene.put(&name, "v");
        scene
            .apply(&scene.object(&name, "10s", &[("password", &name)]))
            .await
            .unwrap();
    }
    let operator = world.operator.lock().await.take().unwrap();
    let setup = operator.setup().clone();
    let (code, took) = operator.stop();
    let log = std::fs::read_to_string(setup.log).unwrap();
    assert_eq!(code, Some(0), "{log}");
    assert!(took < DRAINED, "{took:?}");
    assert!(log.contains("stopping"), "{log}");
    // RUST_LOG was info.
    assert!(!log.contains("DEBUG") && !log.contains("TRACE"), "{log}");
}

async fn setup_on(cluster: &Cluster, dir: &TempDir, name: &str) -> Setup {
    let home = cluster.namespace(name).await.unwrap();
    let account = cluster.install_operator(RBAC, home.name()).await.unwrap();
    Setup {
        kubeconfig: account.kubeconfig(dir.path()).unwrap(),
        namespace: home.name().to_owned(),
        args: Vec::new(),
        env: Vec::new(),
        log: dir.path().join("operator.log"),
    }
}

type Labels = BTreeMap<String, String>;
type Samples = BTreeMap<(String, Labels), f64>;

/// Reads Prometheus' text format; every line has to be readable.
fn parse(text: &str) -> Samples {
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| sample(line).unwrap_or_else(|| panic!("not a sample: {line}")))
        .collect()
}

fn sample(line: &str) -> Option<((String, Labels), f64)> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
        None => (series, ""),
    };
    let label = |text: &str| {
        let (name, value) = text.split_once("=\"")?;
        Some((name.to_owned(), value.strip_suffix('"')?.to_owned()))
    };
    let labels = labels.split(',').filter(|text| !text.is_empty());
    let labels = labels.map(label).collect::<Option<Labels>>()?;
    Some(((name.to_owned(), labels), value.parse().ok()?))
}
