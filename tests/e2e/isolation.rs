//! An object that hangs, fails or panics delays no other.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::Parser;
use cloudsim::{Effect, Fault, Filter};
use external_cloud_secrets::args::{Cli, Command};
use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::operator::Setup;
use super::scene::Scene;
use super::wait::{SOON, until};
use super::world::World;

/// How fast a new object gets its Secret, whatever others do. Well below every deadline that
/// another object could wait for.
const FAST: Duration = Duration::from_secs(4);
/// Makes this program an operator that panics on one object.
const PART: &str = "PANICKING_OPERATOR";

#[tokio::test(flavor = "multi_thread")]
async fn an_object_whose_call_hangs_delays_no_other_of_its_store() {
    let scene = Scene::new(World::shared().await, "hang").await;
    let cloud = &scene.world.cloud;
    cloud.add_fault(Fault::new(Effect::Hang).name(&scene.key("hangs")));
    create(&scene, "before-0", "oos").await;
    scene.put("hangs", "v");
    scene
        .apply(&scene.object("hangs", "10s", &[("password", "hangs")]))
        .await
        .unwrap();
    called(&scene, "hangs").await;
    for n in 0..20 {
        let took = create(&scene, &format!("after-{n}"), "oos").await;
        assert!(took < FAST, "after-{n} took {took:?}");
    }
    let message = scene
        .wait_condition("hangs", "Fresh", "False", "ProviderUnavailable")
        .await;
    assert!(message.contains("data[password]"), "{message}");
    assert_eq!(scene.secret("hangs").await, None);
    assert!(scene.conditions("before-0").await[1].starts_with("Fresh=True"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_hangs_in_a_batch_is_told_apart_from_its_neighbours() {
    let scene = Scene::new(World::shared().await, "batch").await;
    let cloud = &scene.world.cloud;
    let key = scene.key("hangs");
    cloud.add_fault(Fault::new(Effect::Hang).name(&key));
    // Every place for a batch is taken for a while, so that the next objects wait and travel
    // together.
    let slow = Effect::Delay { millis: 4_000 };
    cloud.add_fault(Fault::new(slow).name(&scene.key("slow-*")));
    for n in 0..8 {
        let name = format!("slow-{n}");
        scene.put(&name, "v");
        scene.apply(&object(&scene, &name, "oos")).await.unwrap();
        called(&scene, &name).await;
    }
    let neighbours: Vec<String> = (0..9).map(|n| format!("neighbour-{n}")).collect();
    for name in neighbours.iter().map(|name| &**name).chain(["hangs"]) {
        scene.put(name, "v");
        scene.apply(&object(&scene, name, "oos")).await.unwrap();
    }
    called(&scene, "hangs").await;
    let start = Instant::now();
    for name in &neighbours {
        scene.wait_value(name, "password", "v").await;
    }
    println!("neighbours of a call that hangs: {:?}", start.elapsed());
    let ledger = cloud.ledger();
    let together = ledger.asking(&key).map(|call| call.names.len()).max();
    assert!(together > Some(5), "they did not travel together");
    assert_eq!(scene.secret("hangs").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_objects_of_an_endpoint_that_swallows_everything_delay_nobody() {
    let scene = Scene::new(World::shared().await, "hole").await;
    let hole = BlackHole::open().await;
    rhythm_starts(&scene).await;
    let mut cloud_swallowed = scene.store("hole", scene.rrsa("reader"));
    cloud_swallowed["spec"]["provider"]["oos"]["endpoint"] = hole.url().into();
    let mut sts_swallowed = scene.store("nobody", scene.rrsa("reader"));
    sts_swallowed["spec"]["auth"]["stsEndpoint"] = hole.url().into();
    for store in [&cloud_swallowed, &sts_swallowed] {
        scene.apply(store).await.unwrap();
    }
    for n in 0..50 {
        let store = if n % 2 == 0 { "hole" } else { "nobody" };
        scene
            .apply(&object(&scene, &format!("lost-{n}"), store))
            .await
            .unwrap();
    }
    for n in 0..5 {
        let took = create(&scene, &format!("healthy-{n}"), "oos").await;
        assert!(took < FAST, "healthy-{n} took {took:?}");
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    for n in [0, 1, 48, 49] {
        let lost = format!("lost-{n}");
        scene
            .wait_condition(&lost, "Fresh", "False", "ProviderUnavailable")
            .await;
    }
    rhythm_was_kept(&scene).await;
    let took = create(&scene, "healthy-at-last", "oos").await;
    assert!(took < FAST, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_objects_failures_do_not_slow_the_next_try_of_another() {
    let scene = Scene::new(World::shared().await, "ladder").await;
    for name in ["climbs", "starts"] {
        scene.put(name, "v");
    }
    let refused = |name: &str| Fault::error(500, "InternalError").name(&scene.key(name));
    let climbs = scene.world.cloud.add_fault(refused("climbs"));
    scene.apply(&object(&scene, "climbs", "oos")).await.unwrap();
    scene
        .wait_condition("climbs", "Fresh", "False", "ProviderUnavailable")
        .await;
    for round in 0..4 {
        scene.refresh("climbs", &round.to_string()).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let starts = scene.world.cloud.add_fault(refused("starts"));
    scene.apply(&object(&scene, "starts", "oos")).await.unwrap();
    scene
        .wait_condition("starts", "Fresh", "False", "ProviderUnavailable")
        .await;
    scene.world.cloud.clear_fault(starts);
    let healed = Instant::now();
    scene.wait_value("starts", "password", "v").await;
    // The first step is five seconds.
    assert!(
        healed.elapsed() < Duration::from_secs(9),
        "{:?}",
        healed.elapsed()
    );
    scene.world.cloud.clear_fault(climbs);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_whose_reconcile_panics_delays_no_other() {
    let world = World::own().await;
    let operator = world.operator.lock().await.take().unwrap();
    let setup = operator.setup().clone();
    operator.stop();
    let _panicking = panicking_operator(&setup);
    let scene = Scene::new(&world, "panic").await;
    scene.put("panics", "v");
    scene.apply(&object(&scene, "panics", "oos")).await.unwrap();
    // It panics when its Secret is written, and again when its status is.
    scene.wait_value("panics", "password", "v").await;
    for n in 0..5 {
        let took = create(&scene, &format!("calm-{n}"), "oos").await;
        assert!(took < FAST, "calm-{n} took {took:?}");
        scene
            .wait_condition(&format!("calm-{n}"), "Fresh", "True", "Refreshed")
            .await;
    }
    scene
        .wait_condition("panics", "Fresh", "True", "Refreshed")
        .await;
    let said = std::fs::read_to_string(&setup.log).unwrap();
    assert!(said.matches("injected").count() > 1, "{said}");
}

/// Not a test of its own: the operator, in a process whose log panics on one object's events.
#[test]
fn part_of_an_operator_that_panics() {
    let Ok(args) = std::env::var(PART) else {
        return;
    };
    let args = args.split(' ').map(ToOwned::to_owned);
    let Some(Command::Run(args)) = Cli::parse_from(args).command else {
        unreachable!()
    };
    // It does not outlive whoever started it.
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    tracing_subscriber::registry().with(PanicOnEvent).init();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime
        .block_on(external_cloud_secrets::app::run(
            *args,
            std::env::vars(),
            std::future::pending(),
        ))
        .unwrap();
}

/// An operator that ends with the value.
struct PanickingOperator(std::process::Child);

impl Drop for PanickingOperator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn panicking_operator(setup: &Setup) -> PanickingOperator {
    let namespace = &setup.namespace;
    let log = std::fs::File::create(&setup.log).unwrap();
    let args = format!(
        "operator run --http-address 127.0.0.1:0 --allow-insecure-endpoints --namespace {namespace}"
    );
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "isolation::part_of_an_operator_that_panics",
            "--exact",
            "--nocapture",
        ])
        .env(PART, args)
        .env("KUBECONFIG", &setup.kubeconfig)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    PanickingOperator(child)
}

/// Panics in the reconcile of the object `panics`, whenever that has written something.
struct PanicOnEvent;

impl<S: tracing::Subscriber> Layer<S> for PanicOnEvent {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let fields = event.metadata().fields();
        if fields.field("changed").is_some() || fields.field("condition").is_some() {
            event.record(&mut PanicOnObject);
        }
    }
}

struct PanicOnObject;

impl Visit for PanicOnObject {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let about = field.name() == "object" && format!("{value:?}").ends_with("/panics");
        assert!(!about, "injected");
    }
}

/// An address that nobody answers: connecting to it hangs.
struct BlackHole {
    address: SocketAddr,
    _listener: tokio::net::TcpListener,
    _queued: Vec<TcpStream>,
}

impl BlackHole {
    async fn open() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        // Until the queue of connections that nobody accepts is full.
        while let Ok(Ok(stream)) =
            tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
        {
            queued.push(stream);
        }
        Self {
            address,
            _listener: listener,
            _queued: queued,
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn object(scene: &Scene<'_>, name: &str, store: &str) -> Value {
    let mut object = scene.object(name, "1h", &[("password", name)]);
    object["spec"]["secretStoreRef"]["name"] = store.into();
    object
}

async fn called(scene: &Scene<'_>, name: &str) {
    until(&format!("a call for {name}"), SOON, async || {
        match scene.calls(name) {
            0 => Err("none"),
            _ => Ok(()),
        }
    })
    .await;
}

/// Creates an object and returns how long its Secret took.
async fn create(scene: &Scene<'_>, name: &str, store: &str) -> Duration {
    scene.put(name, "v");
    let start = Instant::now();
    scene.apply(&object(scene, name, store)).await.unwrap();
    scene.wait_value(name, "password", "v").await;
    start.elapsed()
}

const RHYTHM: [&str; 3] = ["beat-0", "beat-1", "beat-2"];

async fn rhythm_starts(scene: &Scene<'_>) {
    for name in RHYTHM {
        scene.put(name, "v");
        scene
            .apply(&scene.object(name, "10s", &[("password", name)]))
            .await
            .unwrap();
        scene.wait_value(name, "password", "v").await;
    }
}

/// Every object of ten seconds was read in each ten seconds, up to now and at least three times.
async fn rhythm_was_kept(scene: &Scene<'_>) {
    for name in RHYTHM {
        until("three beats", SOON, async || match scene.calls(name) {
            calls if calls > 2 => Ok(()),
            calls => Err(calls),
        })
        .await;
        let filter = Filter {
            name: Some(scene.key(name)),
            ..Filter::default()
        };
        let times: Vec<i64> = {
            let mut calls = scene.world.cloud.ledger_of(&filter).recent;
            calls.sort_by_key(|call| call.at);
            calls.iter().map(|call| call.at.as_millisecond()).collect()
        };
        let gaps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        // A fetch up to a tenth of the interval early satisfies a slot, and the first comes at once.
        assert!(
            gaps.iter().all(|gap| *gap < 12_500),
            "{name}: {gaps:?} ms apart"
        );
    }
}
