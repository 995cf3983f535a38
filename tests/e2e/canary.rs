//! Values, credentials and tokens are written to Secrets and shown nowhere else, whatever goes wrong.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use axum::http::Method;
use devcluster::{Cluster, Options};
use external_cloud_secrets::args::LogFormat;
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use serde_json::Value;

use super::hostile::{
    LATE, everything_fails, everything_works, refuse_writes, through, write_is_refused,
};
use super::kms::secrecy;
use super::leaks::{Canaries, MARK};
use super::operator::Operator;
use super::proxy::{Exchange, Proxy};
use super::scene::Scene;
use super::world::World;

/// Makes this program play a part instead of testing.
const PART: &str = "CANARY_PART";

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_of_the_cloud_brings_a_secret_to_light() {
    let world = World::shared().await;
    let cloud_log = cloud_log();
    let cloud = Proxy::start(&world.cloud.url(), None);
    cloud.spoil(Method::POST, "/", usize::MAX, chatty);
    let scene = Scene::new(world, "canary").await;
    let mut canaries = canaries(&scene).await;
    through(&scene, &cloud.url).await;
    everything_works(&scene).await;
    secrecy::everything_works(&scene, &cloud.url).await;
    secrecy::everything_fails(&scene).await;
    everything_fails(&scene, &cloud.url).await;
    assert!(cloud.spoilt()[0].1 > 1, "no code was spoilt");
    credentials_in(&cloud.seen(), &mut canaries);
    check(&scene, &canaries, &cloud_log).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_of_the_api_server_brings_a_secret_to_light() {
    let cloud_log = cloud_log();
    let cluster = Cluster::start(Options::new(true)).await.unwrap();
    let api = Proxy::start(cluster.server(), Some(cluster.ca_pem()));
    let world = World::own_through(cluster, &api.url, &["--log-format=json"], &[]).await;
    let cloud = Proxy::start(&world.cloud.url(), None);
    let scene = Scene::new(&world, "undecodable").await;
    let mut canaries = canaries(&scene).await;
    spoil_answers(&api, &scene.namespace);
    refuse_writes(&scene).await;
    through(&scene, &cloud.url).await;
    everything_works(&scene).await;
    write_is_refused(&scene).await;
    for (rule, hits) in api.spoilt() {
        assert!(hits > 0, "no answer to {rule} was spoilt");
    }
    credentials_in(&cloud.seen(), &mut canaries);
    credentials_in(&api.seen(), &mut canaries);
    check(&scene, &canaries, &cloud_log).await;
    start_without_key(&world, &api, &canaries).await;
    json_only(&world.log().await);
}

#[test]
fn a_panic_says_where_and_not_what() {
    for format in ["text", "json"] {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "canary::part_of_a_program_that_panics",
                "--exact",
                "--nocapture",
            ])
            .env(PART, format)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            text.contains("panic") && text.contains("canary.rs"),
            "{text}"
        );
        Canaries::new().check("a panic", &text);
    }
}

/// Not a test of its own: see above.
#[test]
fn part_of_a_program_that_panics() {
    let Ok(format) = std::env::var(PART) else {
        return;
    };
    let format = if format == "json" {
        LogFormat::Json
    } else {
        LogFormat::Text
    };
    external_cloud_secrets::telemetry::start(Some("trace"), format).unwrap();
    let panics = std::thread::spawn(|| panic!("{MARK}-panic"));
    assert!(panics.join().is_err());
}

/// What must not be seen: marked values, tokens, and the digest key.
async fn canaries(scene: &Scene<'_>) -> Canaries {
    let mut canaries = Canaries::new();
    let home = scene.world.account.namespace();
    let secrets: Api<Secret> = Api::namespaced(scene.client.clone(), home);
    let key = secrets
        .get("external-cloud-secrets-digest-key")
        .await
        .unwrap();
    canaries.bytes("the digest key", &key.data.unwrap()["key"].0);
    canaries
}

/// Adds what the cloud issued to what must not be seen.
fn credentials_in(seen: &[Exchange], canaries: &mut Canaries) {
    let mut found = 0;
    for exchange in seen {
        let Ok(answer) = serde_json::from_str::<Value>(&exchange.answered) else {
            continue;
        };
        for field in ["AccessKeySecret", "SecurityToken"] {
            if let Some(text) = answer["Credentials"][field].as_str() {
                canaries.text(&format!("an issued {field} {found}"), text);
                found += 1;
            }
        }
        if let Some(token) = answer["status"]["token"].as_str() {
            canaries.text(&format!("an issued token {found}"), token);
            found += 1;
        }
    }
    assert!(found > 1, "nothing was issued");
}

/// Answers that hold what was asked for and cannot be decoded: Secrets read, made and changed, and
/// tokens.
fn spoil_answers(api: &Proxy, namespace: &str) {
    let secrets = format!("/namespaces/{namespace}/secrets");
    api.spoil(
        Method::POST,
        &format!("/namespaces/{namespace}/serviceaccounts/reader/token"),
        2,
        broken,
    );
    api.spoil(Method::POST, &secrets, 2, broken);
    api.spoil(Method::GET, &format!("{secrets}/ak"), 2, broken);
    api.spoil(Method::PATCH, &format!("{secrets}/key"), 1, broken);
}

fn broken(text: &str) -> Option<String> {
    let refusal = text.contains(r#""kind":"Status""#);
    (!refusal).then(|| text.replacen("\"metadata\":{", "\"metadata\":5,\"x\":{", 1))
}

/// A code that goes on with what it should not say.
fn chatty(text: &str) -> Option<String> {
    let said = format!("Odd.Code: the value is '{MARK}', the token eyJhbGciOiJSUzI1NiJ9.{MARK}");
    text.contains("Odd.Code")
        .then(|| text.replace("Odd.Code", &said))
}

/// Another operator that gets an answer with the digest key which it cannot decode.
async fn start_without_key(world: &World, api: &Proxy, canaries: &Canaries) {
    api.spoil(
        Method::GET,
        "/secrets/external-cloud-secrets-digest-key",
        9,
        broken,
    );
    let mut setup = world
        .operator
        .lock()
        .await
        .as_ref()
        .unwrap()
        .setup()
        .clone();
    setup.log = world.dir.path().join("without-key.log");
    let (code, log) = Operator::launch(setup).end(LATE).await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("digest-key: an undecodable answer"), "{log}");
    canaries.check("the log of an operator without key", &log);
}

/// Searches every place where something is shown.
async fn check(scene: &Scene<'_>, canaries: &Canaries, cloud_log: &Buffer) {
    let world = scene.world;
    canaries.check_objects(scene).await;
    canaries.check("the operator's log", &world.log().await);
    canaries.check("metrics", &world.metrics().await);
    let ledger = serde_json::to_string_pretty(&world.cloud.ledger()).unwrap();
    assert!(
        ledger.contains(&scene.key("rrsa")),
        "the ledger saw nothing"
    );
    canaries.check("the ledger", &ledger);
    canaries.check("the cloud's log", &cloud_log.text());
    for (name, text) in seen_by_users(world).await {
        canaries.check(&name, &text);
    }
}

/// The admin pages of the simulated cloud.
async fn seen_by_users(world: &World) -> Vec<(String, String)> {
    let mut pages = Vec::new();
    for page in ["ledger", "parameters", "secrets"] {
        let answer = reqwest::get(format!("{}/_sim/{page}", world.cloud.url()))
            .await
            .unwrap();
        pages.push((format!("/_sim/{page}"), answer.text().await.unwrap()));
    }
    pages
}

/// Every line is one JSON object with a level and a message or other fields of ours.
fn json_only(log: &str) {
    let mut targets = BTreeSet::new();
    for line in log.lines() {
        let event: Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        assert!(
            event["level"].is_string() && event["timestamp"].is_string(),
            "{line}"
        );
        let target = event["target"].as_str().unwrap();
        assert!(target.starts_with("external_cloud_secrets"), "{target}");
        targets.insert(target.to_owned());
    }
    assert!(targets.len() > 2, "{targets:?}");
}

/// What the simulated clouds of this process log.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn cloud_log() -> Buffer {
    static LOG: OnceLock<Buffer> = OnceLock::new();
    let start = || {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        tracing_subscriber::fmt()
            .with_env_filter("cloudsim=trace")
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .init();
        buffer
    };
    LOG.get_or_init(start).clone()
}
