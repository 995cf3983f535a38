//! An API server that has too many requests: its pauses are kept, and no object pays for them.

use std::time::{Duration, Instant};

use devcluster::{Cluster, Options};
use reqwest::{Method, StatusCode};

use super::proxy::{Exchange, Proxy};
use super::scene::Scene;
use super::snapshot::NEVER;
use super::world::World;

/// Objects of a scene.
const OBJECTS: usize = 40;
/// Refusals of Secrets.
const REFUSALS: usize = 24;

/// Whether it changes something, Leases and events apart.
fn writes(exchange: &Exchange) -> bool {
    let apart = ["/leases/", "/events"];
    exchange.method != Method::GET && !apart.iter().any(|path| exchange.path.contains(path))
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_pause_for_as_long_as_the_api_server_says_and_climb_no_ladder() {
    let cluster = Cluster::start(Options::new(true)).await.unwrap();
    let api = Proxy::start(cluster.server(), Some(cluster.ca_pem()));
    let world = World::own_through(cluster, &api.url, &[], &[]).await;
    let scene = Scene::new(&world, "busy").await;
    let names: Vec<String> = (0..OBJECTS).map(|number| format!("x{number}")).collect();
    let mut objects = Vec::with_capacity(OBJECTS);
    for name in &names {
        scene.put(name, "canary-value");
        objects.push(scene.object(name, NEVER, &[("value", name)]));
    }
    let secrets = format!("/namespaces/{}/secrets", scene.namespace);
    let statuses = "/externalcloudsecrets/";
    api.refuse(Method::POST, &secrets, REFUSALS, "4");
    api.refuse(Method::PATCH, statuses, 2, "3");
    let start = Instant::now();
    scene.apply_all(&objects).await;
    for name in &names {
        let limit = Duration::from_mins(1);
        scene
            .wait_condition_for(limit, name, "Fresh", "True", "Refreshed")
            .await;
    }
    let took = start.elapsed();
    println!("settled after {took:?}");

    let seen: Vec<Exchange> = api.seen().into_iter().filter(writes).collect();
    let refused: Vec<&Exchange> = seen
        .iter()
        .filter(|exchange| exchange.status == StatusCode::TOO_MANY_REQUESTS)
        .collect();
    let pauses = |path: &str| refused.iter().filter(|e| e.path.contains(path)).count();
    assert_eq!((pauses("/secrets"), pauses(statuses)), (REFUSALS, 2));
    for refusal in &refused {
        let seconds = if refusal.path.contains(statuses) {
            3
        } else {
            4
        };
        let until = refusal.at + Duration::from_secs(seconds);
        // What was under way when the refusal came had left before.
        let under_way = refusal.at + Duration::from_millis(1_500);
        let early: Vec<_> = seen
            .iter()
            .filter(|exchange| exchange.at > under_way && exchange.at < until)
            .collect();
        assert!(
            early.is_empty(),
            "{early:#?} during the pause of {refusal:?}"
        );
    }
    let metrics = world.metrics().await;
    let failed = metrics.lines().find(|line| {
        line.starts_with("cloudsecrets_reconciles_total") && line.contains("result=\"failed\"")
    });
    assert_eq!(failed, None);
    let counted = format!("cloudsecrets_api_refusals_total {}", refused.len());
    assert!(metrics.contains(&counted), "{counted}");
}
