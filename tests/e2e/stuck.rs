//! A process that leads no more and cannot stop what it does ends.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clap::Parser;
use external_cloud_secrets::api::names;
use external_cloud_secrets::app::{self, AppError};
use external_cloud_secrets::args::{Cli, Command as Subcommand};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::operator::Setup;
use super::pair::lease;
use super::scene::Scene;
use super::wait::until;
use super::world::World;

/// Makes this program an operator that blocks in the reconcile of one object.
const PART: &str = "BLOCKING_OPERATOR";
/// Its exit code when it says that it is stuck.
const STUCK: i32 = 7;
/// A renewal, a look, the time to stop, and some for a busy machine.
const LIMIT: Duration = Duration::from_secs(4 + 1 + 2 + 5);

/// Ends with the value.
struct BlockingOperator(Child);

impl Drop for BlockingOperator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leads_no_more_and_cannot_stop_ends() {
    let world = World::own().await;
    let operator = world.operator.lock().await.take().unwrap();
    let setup = operator.setup().clone();
    operator.stop();
    let mut blocking = blocking_operator(&setup);
    let scene = Scene::new(&world, "blocks").await;
    scene.put("blocks", "v");
    let object = scene.object("blocks", "1h", &[("password", "blocks")]);
    scene.apply(&object).await.unwrap();
    // It blocks when its Secret was written, before it can say so.
    scene.wait_value("blocks", "password", "v").await;
    let leases: Api<Lease> = Api::namespaced(scene.client.clone(), world.account.namespace());
    let held = lease(&leases).await.holder_identity;
    assert!(held.is_some());
    let steal = json!({ "spec": { "holderIdentity": "somebody-else" } });
    let params = PatchParams::default();
    leases
        .patch(&names::lease(None), &params, &Patch::Merge(&steal))
        .await
        .unwrap();
    let status = until("its end", LIMIT, async || {
        blocking.0.try_wait().unwrap().ok_or("it runs")
    })
    .await;
    assert_eq!(status.code(), Some(STUCK));
    assert_eq!(
        lease(&leases).await.holder_identity.unwrap(),
        "somebody-else"
    );
    assert!(
        scene
            .objects()
            .get("blocks")
            .await
            .unwrap()
            .status
            .unwrap()
            .conditions
            .is_empty()
    );
}

/// Not a test of its own: the operator, in a process whose log blocks on one object's events.
#[test]
fn part_of_an_operator_that_blocks() {
    let Ok(args) = std::env::var(PART) else {
        return;
    };
    let args = args.split(' ').map(ToOwned::to_owned);
    let Some(Subcommand::Run(args)) = Cli::parse_from(args).command else {
        unreachable!()
    };
    // It does not outlive whoever started it.
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    tracing_subscriber::registry().with(BlockOnEvent).init();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ended = runtime.block_on(app::run(*args, std::env::vars(), std::future::pending()));
    std::process::exit(if matches!(ended, Err(AppError::Stuck)) {
        STUCK
    } else {
        1
    });
}

fn blocking_operator(setup: &Setup) -> BlockingOperator {
    let namespace = &setup.namespace;
    let args = format!(
        "operator run --http-address 127.0.0.1:0 --allow-insecure-endpoints --namespace {namespace}"
    );
    let part = [
        "stuck::part_of_an_operator_that_blocks",
        "--exact",
        "--nocapture",
    ];
    let child = Command::new(std::env::current_exe().unwrap())
        .args(part)
        .env(PART, args)
        .env("KUBECONFIG", &setup.kubeconfig)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    BlockingOperator(child.unwrap())
}

/// Blocks the reconcile of the object `blocks` when it has written its Secret.
struct BlockOnEvent;

impl<S: tracing::Subscriber> Layer<S> for BlockOnEvent {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().fields().field("changed").is_some() {
            event.record(&mut BlockOnObject);
        }
    }
}

struct BlockOnObject;

impl Visit for BlockOnObject {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "object" && format!("{value:?}").ends_with("/blocks") {
            std::thread::sleep(Duration::from_mins(2));
        }
    }
}
