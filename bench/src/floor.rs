//! The floor: a bare client that holds the watches that the operator holds and makes the two writes that it makes for
//! each object, as fast as the API server takes them. It decides nothing, reads no cloud and looks at no answer.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use devcluster::OPERATOR;
use futures::{AsyncBufReadExt, StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use kube::Client;
use kube::api::{ListParams, Patch, PatchParams, PostParams, Request, WatchParams};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::failure::{Failure, Result};
use crate::observer::{OBJECTS, Seen};
use crate::population::{Member, Population};
use crate::world::{CREDENTIALS, World, objects_of};

/// How long a watch is kept, as the operator keeps them.
const WATCH_SECONDS: u32 = 200;
const MANAGED: &str = "cloudsecrets.dev/managed=true";

/// What the operator watches: the collection, a label that narrows it, and whether its metadata do.
const WATCHES: [(&str, Option<&str>, bool); 5] = [
    (OBJECTS, None, false),
    (
        "/apis/cloudsecrets.dev/v1alpha1/cloudsecretstores",
        None,
        false,
    ),
    (
        "/apis/cloudsecrets.dev/v1alpha1/clustercloudsecretstores",
        None,
        false,
    ),
    ("/api/v1/secrets", Some(MANAGED), true),
    ("/api/v1/namespaces", None, true),
];

#[derive(Deserialize)]
struct List {
    metadata: ListMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMeta {
    resource_version: String,
}

/// Writes every object's Secret and status, so many objects at once, and gives the seconds from the first write until
/// the last was seen by the observer that also watches the operator.
///
/// # Errors
/// What the API server says to the first write that it refuses.
pub async fn measure(world: &World, population: &Population, at_once: usize) -> Result<f64> {
    let client = world.client.clone();
    let _watches = watches(&client).await?;
    let uids = world.observer.look(|seen| {
        let uid = |member: &Member| Some(seen.objects.get(&member.key())?.uid.clone());
        population
            .members
            .iter()
            .map(uid)
            .collect::<Option<Vec<_>>>()
    })?;
    let uids = uids.ok_or_else(|| Failure("an object was not seen".into()))?;
    let members = population.members.iter().zip(uids);

    let started = Timestamp::now();
    let write = |(member, uid): (&Member, String)| {
        let (client, member) = (client.clone(), member.clone());
        async move { tokio::spawn(write(client, member, uid)).await? }
    };
    stream::iter(members)
        .map(write)
        .buffer_unordered(at_once)
        .try_collect::<()>()
        .await?;
    world.converged(population).await?;
    let ended = world.observer.look(|seen| last(seen, population))?;
    Ok(ended.duration_since(started).as_secs_f64())
}

/// When the last change of a population was seen.
pub fn last(seen: &Seen, population: &Population) -> Timestamp {
    let times = |member: &Member| {
        let key = member.key();
        let secret = seen.secrets.get(&key).map(|secret| secret.first);
        let object = seen.objects.get(&key).map(|object| object.last);
        secret.max(object)
    };
    let last = population.members.iter().filter_map(times).max();
    last.unwrap_or(Timestamp::MIN)
}

/// The Secret, then the status, as the operator writes them.
async fn write(client: Client, member: Member, uid: String) -> Result<()> {
    let secrets = format!("/api/v1/namespaces/{}/secrets", member.namespace);
    let secret = secret(&member, &uid).to_string().into_bytes();
    let request = Request::new(secrets).create(&PostParams::default(), secret)?;
    client.request_text(request).await?;
    let patch = Patch::Merge(status(&member, &uid));
    let request = Request::new(objects_of(&member.namespace));
    let request =
        request.patch_subresource("status", &member.name, &PatchParams::default(), &patch)?;
    client.request_text(request).await?;
    Ok(())
}

fn secret(member: &Member, uid: &str) -> Value {
    let data = member.data(&BTreeMap::new());
    let data: BTreeMap<String, String> = data
        .into_iter()
        .map(|(key, value)| (key, STANDARD.encode(value)))
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": member.name,
            "namespace": member.namespace,
            "labels": { "cloudsecrets.dev/managed": "true" },
            "annotations": {
                "cloudsecrets.dev/owner": member.key(),
                "cloudsecrets.dev/inputs": format!("01234567.{0}.{0}", "0123456789abcdef".repeat(2)),
                "cloudsecrets.dev/changed-at": "2026-01-01T00:00:00Z",
            },
            "ownerReferences": [{
                "apiVersion": "cloudsecrets.dev/v1alpha1",
                "kind": "ExternalCloudSecret",
                "name": member.name,
                "uid": uid,
                "controller": true,
            }],
        },
        "type": "Opaque",
        "data": data,
    })
}

fn status(member: &Member, uid: &str) -> Value {
    const NOW: &str = "2026-01-01T00:00:00Z";
    let entry = |(_, reference): &(&str, String)| {
        json!({
            "store": "ClusterCloudSecretStore/kms",
            "region": "cn-hangzhou",
            "key": reference,
            "version": "v1",
            "changedAt": NOW,
            "digest": format!("01234567.{}", "0123456789abcdef".repeat(2)),
        })
    };
    let condition = |kind: &str, reason: &str, message: String| {
        json!({
            "type": kind,
            "status": "True",
            "reason": reason,
            "message": message,
            "lastTransitionTime": NOW,
            "observedGeneration": 1,
        })
    };
    json!({
        "metadata": { "uid": uid },
        "status": {
            "observedGeneration": 1,
            "conditions": [
                condition("Ready", "SecretReady", format!("Secret {} is in place", member.name)),
                condition("Fresh", "Refreshed", "the last refresh worked".into()),
            ],
            "secretName": member.name,
            "changedTime": NOW,
            "entries": member.entries.iter().map(entry).collect::<Vec<_>>(),
            "entriesTotal": member.entries.len(),
        },
    })
}

/// Holds the operator's watches, and throws away what they say.
async fn watches(client: &Client) -> Result<JoinSet<()>> {
    let mut watches = JoinSet::new();
    for (collection, labels, metadata) in WATCHES {
        let mut params = WatchParams::default().timeout(WATCH_SECONDS);
        params.label_selector = labels.map(str::to_owned);
        hold(&mut watches, client, collection, &params, metadata).await?;
    }
    // What a store names is watched by its name, here the Secret with the access key.
    let named = format!("/api/v1/namespaces/{OPERATOR}/secrets");
    let params = WatchParams::default()
        .timeout(WATCH_SECONDS)
        .fields(&format!("metadata.name={CREDENTIALS}"));
    hold(&mut watches, client, &named, &params, true).await?;
    Ok(watches)
}

async fn hold(
    watches: &mut JoinSet<()>,
    client: &Client,
    collection: &str,
    params: &WatchParams,
    metadata: bool,
) -> Result<()> {
    let request = Request::new(collection);
    let listed: List = client
        .request(request.list(&ListParams::default().limit(1))?)
        .await?;
    let version = listed.metadata.resource_version;
    let request = if metadata {
        request.watch_metadata(params, &version)?
    } else {
        request.watch(params, &version)?
    };
    let stream = client.request_stream(request).await?;
    watches.spawn(async move {
        let mut lines = Box::pin(stream).lines();
        // It ends with the measurement, or with the server: then the writes say so.
        while let Some(Ok(_)) = lines.next().await {}
    });
    Ok(())
}
