//! What an object costs the API server, request by request: one POST, one status, and nothing read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use devcluster::{Cluster, Options};
use futures::future::join_all;
use reqwest::Method;

use super::proxy::{Exchange, Proxy};
use super::scene::Scene;
use super::wait::until;
use super::world::World;

/// Objects of a scene.
const OBJECTS: usize = 200;

/// What a request does, without names: `POST secrets`, `LIST namespaces`.
fn kind(exchange: &Exchange) -> String {
    let (path, query) = exchange
        .path
        .split_once('?')
        .unwrap_or((&exchange.path, ""));
    // Behind the version, and behind the namespace where there is one.
    let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    parts.drain(..if parts[0] == "api" { 2 } else { 3 });
    if parts[0] == "namespaces" && parts.len() > 2 {
        parts.drain(..2);
    }
    let verb = match exchange.method {
        Method::GET if query.contains("watch=") => "WATCH",
        Method::GET if parts.len() == 1 => "LIST",
        ref other => other.as_str(),
    };
    let subresource = parts.get(2).map(|name| format!("/{name}"));
    format!("{verb} {}{}", parts[0], subresource.unwrap_or_default())
}

/// The requests since `seen` of them, counted by what they do, Leases and events apart, and watches, which
/// the API server may end at any time.
fn requests(api: &Proxy, seen: usize) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for exchange in &api.seen()[seen..] {
        let kind = kind(exchange);
        let apart = [" leases", " events"].iter().any(|end| kind.ends_with(end));
        if !apart && !kind.starts_with("WATCH ") {
            *counts.entry(kind).or_default() += 1;
        }
    }
    counts
}

fn counts(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    let counts = expected.iter();
    counts
        .map(|(kind, count)| ((*kind).to_owned(), *count))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_made_with_two_writes_and_no_read_and_then_costs_nothing() {
    let cluster = Cluster::start(Options::new(true)).await.unwrap();
    let api = Proxy::start(cluster.server(), Some(cluster.ca_pem()));
    let world = World::own_through(cluster, &api.url, &[], &[]).await;
    let scene = Scene::new(&world, "cost").await;
    // The store is settled, and with it what is watched for its sake, before there is an object.
    scene
        .wait_store("CloudSecretStore", "oos", "True", "StoreReady")
        .await;
    until(
        "the watch of the account",
        Duration::from_secs(10),
        async || {
            let seen = api.seen();
            let watched = seen.iter().any(|e| kind(e) == "WATCH serviceaccounts");
            watched.then_some(()).ok_or(seen.len())
        },
    )
    .await;

    let begun = api.seen().len();
    let names: Vec<String> = (0..OBJECTS).map(|number| format!("x{number}")).collect();
    let mut objects = Vec::with_capacity(OBJECTS);
    for name in &names {
        scene.put(name, "canary-old");
        objects.push(scene.object(name, "10s", &[("value", name)]));
    }
    scene.apply_all(&objects).await;
    join_all(names.iter().map(|name| scene.wait_settled(name))).await;
    let cold = requests(&api, begun);
    println!("cold convergence: {cold:?}");
    let expected = [
        ("POST secrets", OBJECTS),
        ("PATCH externalcloudsecrets/status", OBJECTS),
        ("POST serviceaccounts/token", 1),
    ];
    assert_eq!(cold, counts(&expected));
    let paths: BTreeSet<String> = api.seen()[begun..].iter().map(|e| e.path.clone()).collect();
    let statuses = paths
        .iter()
        .filter(|path| path.contains("/externalcloudsecrets/"));
    assert_eq!(statuses.count(), OBJECTS, "one for each");

    // Two intervals, in which everything is read from the cloud and nothing is another.
    let begun = api.seen().len();
    tokio::time::sleep(Duration::from_secs(21)).await;
    assert_eq!(requests(&api, begun), counts(&[]), "in steady state");

    // A value that changed is written, not read.
    for name in &names {
        scene.put(name, "canary-new");
    }
    for name in &names {
        scene.wait_value(name, "value", "canary-new").await;
    }
    until("the statuses", Duration::from_secs(10), async || {
        let now = requests(&api, begun);
        let expected = [
            ("PATCH secrets", OBJECTS),
            ("PATCH externalcloudsecrets/status", OBJECTS),
        ];
        if now == counts(&expected) {
            Ok(())
        } else {
            Err(now)
        }
    })
    .await;
}
