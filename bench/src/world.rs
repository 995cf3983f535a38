//! A cluster of its own, a cloud beside it, and what an operator needs to work between them.

use std::time::Duration;

use devcluster::{Cluster, OPERATOR, Options, Writes};
use external_cloud_secrets::cli::crds::crds_yaml;
use futures::{StreamExt, TryStreamExt, stream};
use kube::Client;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Request};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cloud::{Cloud, KEY_ID, KEY_SECRET, LATENCY};
use crate::failure::{Failure, Result};
use crate::observer::{OBJECTS, Observer};
use crate::operator::{Program, Setup, last_lines};
use crate::population::{self, Member, NAMESPACES, Population, Store};
use crate::wait::until;

/// The Secret with the access key, in the operator's namespace.
pub const CREDENTIALS: &str = "bench-access-key";
/// Requests in flight while objects are made: more do not make it faster.
const WIDTH: usize = 64;
const RBAC: &str = include_str!("../../charts/external-cloud-secrets/rbac.yaml");

/// What scenarios run in. Everything in it ends with it.
pub struct World {
    /// The administrator's client.
    pub client: Client,
    /// The cloud.
    pub cloud: Cloud,
    /// What the API server shows.
    pub observer: Observer,
    /// How an operator is started here.
    pub setup: Setup,
    cluster: Cluster,
    _dir: TempDir,
}

// === impl World ===

impl World {
    /// Starts a cluster without controllers and a cloud that holds the values of `populations`; makes the stores, and
    /// no object yet.
    ///
    /// # Errors
    /// Whatever does not come up.
    pub async fn start(program: &Program, populations: &[&Population]) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("bench-").tempdir()?;
        let options = Options {
            crds: Some(crds_yaml()?),
            ..Options::new(false)
        };
        let (cluster, cloud) = tokio::join!(
            Cluster::start(options),
            Cloud::start(dir.path(), populations, LATENCY)
        );
        let (cluster, cloud) = (cluster?, cloud?);
        let account = cluster.install_operator(RBAC, OPERATOR).await?;
        let client = cluster.client()?;
        let setup = Setup {
            program: program.clone(),
            kubeconfig: account.kubeconfig(dir.path())?,
            namespace: OPERATOR.to_owned(),
            cloud: cloud.url.clone(),
            log: dir.path().join("operator.log"),
        };
        let observer = Observer::start(&client).await?;
        let world = Self {
            client,
            cloud,
            observer,
            setup,
            cluster,
            _dir: dir,
        };
        world.furnish().await?;
        Ok(world)
    }

    async fn furnish(&self) -> Result<()> {
        for number in 0..NAMESPACES {
            let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": population::namespace(number) } });
            self.create("/api/v1/namespaces", &namespace).await?;
        }
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": CREDENTIALS },
            "stringData": { "id": KEY_ID, "secret": KEY_SECRET },
        });
        let secrets = format!("/api/v1/namespaces/{OPERATOR}/secrets");
        self.create(&secrets, &secret).await?;
        for store in [Store::Kms, Store::Oos, Store::Ssm] {
            let stores = "/apis/cloudsecrets.dev/v1alpha1/clustercloudsecretstores";
            self.create(stores, &self.store(store)).await?;
        }
        Ok(())
    }

    fn store(&self, store: Store) -> Value {
        let part = |key: &str| json!({ "name": CREDENTIALS, "namespace": OPERATOR, "key": key });
        json!({
            "apiVersion": "cloudsecrets.dev/v1alpha1",
            "kind": "ClusterCloudSecretStore",
            "metadata": { "name": store.name() },
            "spec": {
                "provider": { store.name(): { "region": store.region(), "endpoint": self.cloud.url } },
                "auth": {
                    "accessKey": { "accessKeyIdSecretRef": part("id"), "accessKeySecretSecretRef": part("secret") },
                    "stsEndpoint": self.cloud.url,
                },
                "conditions": [{ "namespaceSelector": {} }],
            },
        })
    }

    async fn create(&self, collection: &str, object: &Value) -> Result<()> {
        let request = Request::new(collection);
        let request = request.create(&PostParams::default(), object.to_string().into_bytes())?;
        self.client.request_text(request).await?;
        Ok(())
    }

    /// Makes the objects of a population, and waits until they have been seen.
    ///
    /// # Errors
    /// What the API server says to the first that it refuses.
    pub async fn make(&self, population: &Population) -> Result<()> {
        let make = async |member: &Member| {
            let collection = objects_of(&member.namespace);
            self.create(&collection, &population.object(member)).await
        };
        each(&population.members, make).await?;
        let limit = patience(population);
        let shown = self.observer.until("all objects", limit, |seen| {
            let there = |member: &&Member| seen.objects.contains_key(&member.key());
            all(population, there)
        });
        shown.await
    }

    /// Applies one object, as `kubectl apply --server-side` does.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn apply(&self, population: &Population, member: &Member) -> Result<()> {
        let request = Request::new(objects_of(&member.namespace));
        let params = PatchParams::apply("bench");
        let object = Patch::Apply(population.object(member));
        let request = request.patch(&member.name, &params, &object)?;
        self.client.request_text(request).await?;
        Ok(())
    }

    /// Has every object of a population refreshed every `interval` from now on.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn set_interval(&self, population: &Population, interval: &str) -> Result<()> {
        let patch = Patch::Merge(json!({ "spec": { "refreshInterval": interval } }));
        let change = async |member: &Member| {
            let request = Request::new(objects_of(&member.namespace));
            let request = request.patch(&member.name, &PatchParams::default(), &patch)?;
            self.client.request_text(request).await?;
            Ok(())
        };
        each(&population.members, change).await
    }

    /// Deletes a population's objects, and their Secrets, which nobody collects here.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn delete(&self, population: &Population) -> Result<()> {
        let delete = async |member: &Member| {
            let secrets = format!("/api/v1/namespaces/{}/secrets", member.namespace);
            for collection in [objects_of(&member.namespace), secrets] {
                let request = Request::new(collection);
                let request = request.delete(&member.name, &DeleteParams::default())?;
                self.client.request_text(request).await?;
            }
            Ok(())
        };
        each(&population.members, delete).await
    }

    /// Waits until each object of a population says of its spec as it is now that its Secret is there, and the Secret is.
    ///
    /// # Errors
    /// If that does not come to pass, with the operator's last words.
    pub async fn converged(&self, population: &Population) -> Result<()> {
        let limit = patience(population);
        let done = self
            .observer
            .until("all Secrets and statuses", limit, |seen| {
                let done = |member: &&Member| {
                    let key = member.key();
                    let object = seen.objects.get(&key);
                    object.is_some_and(|o| o.current && o.ready) && seen.secrets.contains_key(&key)
                };
                all(population, done)
            });
        done.await
            .map_err(|Failure(reason)| Failure(format!("{reason}\n{}", last_lines(&self.setup))))
    }

    /// The write requests that the API server has counted so far.
    ///
    /// # Errors
    /// If the API server is gone.
    pub async fn writes(&self) -> Result<Writes> {
        Ok(self.cluster.writes().await?)
    }

    /// Waits until nothing was written for three seconds: events come at a slow pace of their own.
    ///
    /// # Errors
    /// If there is no end to it, with what is being written.
    pub async fn quiet(&self) -> Result<()> {
        const LONGEST: Duration = Duration::from_mins(2);
        let mut before = self.writes().await?;
        until("the last write", LONGEST, async || {
            tokio::time::sleep(Duration::from_secs(3)).await;
            let now = self.writes().await.map_err(|Failure(reason)| reason)?;
            let earlier = std::mem::replace(&mut before, now.clone());
            match now.since(&earlier) {
                new if new.total() == 0 => Ok(()),
                new => Err(new.to_string()),
            }
        })
        .await
    }
}

/// How long a population may take to be made or to converge.
fn patience(population: &Population) -> Duration {
    let each = Duration::from_millis(20);
    Duration::from_mins(2) + each * u32::try_from(population.members.len()).unwrap_or(u32::MAX)
}

/// Whether `done` holds for every member; else how many are there.
fn all(
    population: &Population,
    done: impl FnMut(&&Member) -> bool,
) -> std::result::Result<(), String> {
    match population.members.iter().filter(done).count() {
        count if count == population.members.len() => Ok(()),
        count => Err(format!("{count} of {}", population.members.len())),
    }
}

/// Does something for each member, many at once.
async fn each<'m>(
    members: &'m [Member],
    act: impl AsyncFn(&'m Member) -> Result<()>,
) -> Result<()> {
    stream::iter(members)
        .map(|member| act(member))
        .buffer_unordered(WIDTH)
        .try_collect()
        .await
}

/// The collection of a namespace's objects.
pub fn objects_of(namespace: &str) -> String {
    let (group, plural) = OBJECTS.rsplit_once('/').unwrap_or_default();
    format!("{group}/namespaces/{namespace}/{plural}")
}
