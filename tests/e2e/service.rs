//! The operator as a service: its HTTP pages, its command line, its logs, its start and its end.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

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
/// How long it may take to say why it cannot start.
const REFUSED: Duration = Duration::from_secs(15);

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
        2,
        "one series for Ready and one for Fresh"
    );
    // Nothing was undecodable so far; the isolation of such objects has a test of its own.
    let missing: Vec<&str> = FAMILIES
        .iter()
        .filter(|family| !text.contains(&format!("# TYPE {} {}\n", family.name, family.kind)))
        .map(|family| family.name)
        .filter(|name| *name != "cloudsecrets_undecodable_objects")
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
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
    loosen(&world, "externalcloudsecrets").await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_cannot_succeed_says_why_in_one_line() {
    let world = World::shared().await;
    let operator = world
        .operator
        .lock()
        .await
        .as_ref()
        .unwrap()
        .setup()
        .clone();
    let kubeconfig = operator.kubeconfig.clone();
    let text = std::fs::read_to_string(&kubeconfig).unwrap();
    let dir = TempDir::new().unwrap();
    let file = |name: &str, text: &str| -> PathBuf {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy_address = busy.local_addr().unwrap().to_string();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_url = format!("http://{}", silent.local_addr().unwrap());
    let closed = "https://127.0.0.1:1";
    let server = world.cluster.server();
    let at = |url: &str| text.replace(server, url);
    let forged = text.replace("token: ", "token: x");
    let good = kubeconfig.to_str().unwrap().to_owned();
    let cases: Vec<(Vec<&str>, Option<PathBuf>, Vec<&str>)> = vec![
        (vec!["--no-such-flag"], None, vec!["--no-such-flag"]),
        (
            vec!["--http-address", "nowhere"],
            None,
            vec!["--http-address", "nowhere"],
        ),
        (vec!["--cluster-name", "a b"], None, vec!["--cluster-name"]),
        (
            vec!["--allowed-token-audiences", ""],
            None,
            vec!["--allowed-token-audiences"],
        ),
        (
            vec!["--allowed-endpoint-suffixes", "com"],
            Some(good.clone().into()),
            vec!["--allowed-endpoint-suffixes", "com"],
        ),
        (
            vec!["--http-address", &busy_address],
            Some(good.clone().into()),
            vec!["--http-address", &busy_address],
        ),
        (
            vec!["--namespace", "no-such-namespace"],
            Some(good.clone().into()),
            vec!["no-such-namespace", "--namespace"],
        ),
        (vec![], None, vec!["KUBECONFIG"]),
        (
            vec![],
            Some(dir.path().join("none")),
            vec!["KUBECONFIG", "none", "read"],
        ),
        (
            vec![],
            Some(file("garbage", "a: [b")),
            vec!["KUBECONFIG", "garbage"],
        ),
        (vec![], Some(file("closed", &at(closed))), vec![closed]),
        (
            vec![],
            Some(file("silent", &at(&silent_url))),
            vec![&silent_url, "10 s"],
        ),
        (vec![], Some(file("forged", &forged)), vec![server, "401"]),
    ];
    let runs = cases.into_iter().map(|(args, kubeconfig, words)| {
        let args: Vec<String> = args.into_iter().map(ToOwned::to_owned).collect();
        let words: Vec<String> = words.into_iter().map(ToOwned::to_owned).collect();
        tokio::task::spawn_blocking(move || {
            let start = Instant::now();
            let mut command = program();
            command.arg("run");
            if !args.iter().any(|arg| arg == "--http-address") {
                command.args(["--http-address", "127.0.0.1:0"]);
            }
            if let Some(kubeconfig) = kubeconfig {
                command.env("KUBECONFIG", kubeconfig);
            }
            let output = command.args(&args).output().unwrap();
            let first = reason(&output);
            assert!(!output.status.success(), "{args:?} was accepted");
            for word in words {
                assert!(first.contains(&word), "{args:?}: {word} is not in: {first}");
            }
            assert!(start.elapsed() < REFUSED, "{args:?}: {:?}", start.elapsed());
        })
    });
    for run in futures::future::join_all(runs).await {
        run.unwrap();
    }
    drop((busy, silent));
}

#[test]
fn a_log_filter_that_cannot_be_read_is_refused_in_one_line() {
    for filter in ["info,=", "external_cloud_secrets=loud", "a=b=c"] {
        let output = program()
            .arg("run")
            .env("RUST_LOG", filter)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{filter}");
        assert!(reason(&output).contains("RUST_LOG"), "{filter}");
        assert_eq!(
            String::from_utf8_lossy(&output.stderr).lines().count(),
            1,
            "{filter}"
        );
    }
}

#[test]
fn help_lists_every_flag_with_its_variable() {
    let output = program().args(["run", "--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let command = <external_cloud_secrets::args::Cli as clap::CommandFactory>::command();
    let run = command.find_subcommand("run").unwrap();
    let mut flags = 0;
    for argument in run
        .get_arguments()
        .filter(|argument| argument.get_id() != "help")
    {
        let flag = format!("--{}", argument.get_long().unwrap());
        let variable = argument.get_env().expect(&flag).to_str().unwrap();
        assert_eq!(
            variable,
            flag[2..]
                .to_uppercase()
                .replace('-', "_")
                .replace("NAMESPACE", "POD_NAMESPACE")
        );
        assert!(
            help.contains(&flag) && help.contains(&format!("[env: {variable}=]")),
            "{flag}"
        );
        flags += 1;
    }
    assert!(flags > 8, "{flags}");
    assert!(help.contains("RUST_LOG"));
    let all = program().arg("--help").output().unwrap();
    let all = String::from_utf8(all.stdout).unwrap();
    for command in ["run", "crds", "--http-address"] {
        assert!(all.contains(command), "{command}");
    }
}

#[test]
fn crds_prints_and_writes_what_is_committed() {
    let printed = program().arg("crds").output().unwrap();
    assert!(printed.status.success());
    let printed = String::from_utf8(printed.stdout).unwrap();
    let dir = TempDir::new().unwrap();
    let written = program()
        .arg("crds")
        .arg("--dir")
        .arg(dir.path())
        .output()
        .unwrap();
    assert!(written.status.success());
    let mut files = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/crds")).unwrap() {
        let path = entry.unwrap().path();
        let committed = std::fs::read_to_string(&path).unwrap();
        let ours = std::fs::read_to_string(dir.path().join(path.file_name().unwrap())).unwrap();
        assert!(
            committed == ours,
            "{} is out of date: run make crds",
            path.display()
        );
        assert!(
            printed.contains(&committed),
            "{} is not printed",
            path.display()
        );
        files += 1;
    }
    assert_eq!(files, std::fs::read_dir(dir.path()).unwrap().count());
}

/// The operator's program, without any variable of ours.
fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_external-cloud-secrets"));
    command.env_clear();
    command
}

/// What the user reads: the line that says `error:`.
fn reason(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!text.contains("panicked"), "{text}");
    let reasons: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();
    assert_eq!(reasons.len(), 1, "{text}");
    reasons[0].to_owned()
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

/// Makes the API server let in any spec, as if another version of the definitions were installed.
async fn loosen(world: &World, plural: &str) {
    let client = world.cluster.client().unwrap();
    let path = format!(
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.cloudsecrets.dev"
    );
    let patch = json!([{
        "op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema",
        "value": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
    }]);
    let request = axum::http::Request::patch(path)
        .header("content-type", "application/json-patch+json")
        .body(serde_json::to_vec(&patch).unwrap());
    let _: serde_json::Value = client.request(request.unwrap()).await.unwrap();
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
