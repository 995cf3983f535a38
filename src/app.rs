//! The operator as a whole: its parts, built once, in the order in which they start and stop.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use kube::Client;
use kube_runtime::reflector;
use ring::rand::SystemRandom;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::api::{CloudSecretStore, ClusterCloudSecretStore, ExternalCloudSecret};
use crate::args::RunArgs;
use crate::clock::{Clock, SystemClock};
use crate::controller::census::{Cache, Served};
use crate::controller::context::{Context, Namespaces, Stores, Wakers};
use crate::controller::dependency::Dependencies;
use crate::controller::digest_key;
use crate::controller::event::Events;
use crate::controller::external_cloud_secret::memory::Memories;
use crate::controller::managed::ManagedSecrets;
use crate::controller::named::NamedObjects;
use crate::controller::pressure::Pressure;
use crate::controller::run::{self, Cached, Woken};
use crate::controller::scope::Scope;
use crate::controller::store::resolve::{Resolver, Rules};
use crate::controller::store::root_key::RootKeys;
use crate::controller::store::sweep::Sweeps;
use crate::controller::token::TokenRequests;
use crate::controller::turns::{KeyedTurns, Turns};
use crate::controller::watch::{self, Filled};
use crate::credential::{
    Callers, CredentialCache, DiskFiles, Environment, EnvironmentError, Exchange, Surroundings,
};
use crate::http::{DirectClient, HttpClient, HttpOptions};
use crate::metrics::{Census, Metrics};
use crate::provider::endpoint::EndpointPolicy;
use crate::provider::{Edge, Random};
use crate::refresh::{CallObserver, Caller, Hub, Limits};
use crate::server::{Probed, Server};

use connection::{cluster_name, connect};

mod connection;

/// How long one call to a cloud may take, its credentials and retries included.
const CALL_DEADLINE: Duration = Duration::from_secs(15);
/// How long the API server may take to answer what is asked before anything runs.
const START: Duration = Duration::from_secs(30);
/// How long running reconciles may take to end after a signal.
const DRAIN: Duration = Duration::from_secs(4);
/// Why the operator does not run. Each says in one line what to do.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// No kubeconfig and no cluster around us.
    #[error("no cluster to run against: set KUBECONFIG, or run in a Pod")]
    NoCluster,
    /// The kubeconfig cannot be used.
    #[error("KUBECONFIG {path}: {problem}")]
    Kubeconfig {
        /// What the variable says.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The API server does not answer.
    #[error("the API server at {url} cannot be reached: {reason}")]
    Unreachable {
        /// Its URL.
        url: String,
        /// What it said.
        reason: String,
    },
    /// The API server answered the first question and then no more.
    #[error("the API server does not answer within {} s", START.as_secs())]
    Slow,
    /// The operator's namespace is missing.
    #[error(
        "the operator's namespace {0} does not exist; create it, or name another with --namespace"
    )]
    NoNamespace(String),
    /// The namespace that names the cluster cannot be read.
    #[error("the namespace kube-system cannot be read: {0}; name the cluster with --cluster-name")]
    NoClusterName(String),
    /// The digest key.
    #[error(transparent)]
    DigestKey(#[from] digest_key::DigestKeyError),
    /// A flag.
    #[error("--allowed-endpoint-suffixes: {0}")]
    Endpoints(#[from] crate::provider::endpoint::EndpointError),
    /// The environment.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// The HTTP client for clouds.
    #[error("no HTTP client can be made: {0}")]
    Http(String),
    /// The HTTP server.
    #[error("--http-address {0}: {1}")]
    Listen(std::net::SocketAddr, std::io::Error),
    /// The metrics.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// A part stopped by itself, which none does in health.
    #[error("{0} ended unexpectedly; the log says where")]
    Ended(&'static str),
}

/// What `/readyz` and `/metrics` show.
struct Shown {
    hub: Arc<Hub>,
    metrics: Arc<Metrics>,
    filled: Filled,
    census: Vec<Box<dyn Census>>,
}

impl Probed for Shown {
    fn ready(&self) -> bool {
        self.filled.all(&watch::ALL)
    }

    fn metrics(&self) -> Result<Vec<u8>, prometheus::Error> {
        let census: Vec<&dyn Census> = self.census.iter().map(AsRef::as_ref).collect();
        self.metrics.render(self.hub.figures(), &census)
    }
}

/// Runs the operator until `shutdown`, then drains.
///
/// # Errors
/// Why it cannot run.
pub async fn run(
    args: RunArgs,
    environment: impl IntoIterator<Item = (String, String)>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), AppError> {
    let stop: Shared<_> = shutdown.boxed().shared();
    let address = args.http_address;
    let listen = |error| AppError::Listen(address, error);
    let start = async {
        let server = Server::bind(address).await.map_err(listen)?;
        let built = tokio::time::timeout(START, Parts::build(args, environment)).await;
        Ok::<_, AppError>((server, built.map_err(|_| AppError::Slow)??))
    };
    let (server, parts) = tokio::select! {
        started = start => started?,
        // Nothing was begun that would have to end.
        () = stop.clone() => return Ok(()),
    };
    let address = server.address().map_err(listen)?;
    let namespace = &parts.context.resolver.rules.operator_namespace;
    tracing::info!(%address, %namespace, version = env!("CARGO_PKG_VERSION"), "started");
    parts.run(server, stop).await
}

/// Everything that runs, built and not yet started.
struct Parts<Publish> {
    context: Arc<Context>,
    external: Cached<ExternalCloudSecret>,
    stores: (Cached<CloudSecretStore>, Cached<ClusterCloudSecretStore>),
    woken: Woken,
    publish: Publish,
}

// === impl Parts ===

impl Parts<()> {
    async fn build(
        args: RunArgs,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Parts<impl Future<Output = ()> + Send + 'static>, AppError> {
        let endpoints = EndpointPolicy::new(
            args.allowed_endpoint_suffixes.clone(),
            args.allow_insecure_endpoints,
        )?;
        let metrics = Arc::new(Metrics::new()?);
        let pressure = Pressure::new(Arc::clone(&metrics));
        let (client, namespace) = connect(&args, &pressure).await?;
        let random: Random = Arc::new(SystemRandom::new());
        let key = digest_key::load(&client, &namespace, &*random).await?;
        let cluster_name = match args.cluster_name.clone() {
            Some(name) => name,
            None => cluster_name(&client).await?,
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let edge = edge(&args, &clock, random)?;
        let environment = Environment::new(environment);
        let surroundings = surroundings(&args, &environment, &clock)?;
        let credentials = credentials(&client, &edge, surroundings, &metrics);
        let observer: Arc<dyn CallObserver> = Arc::clone(&metrics) as _;
        let caller = Caller::new(Arc::new(credentials.clone()), observer, CALL_DEADLINE);
        let (hub, hub_woken) = Hub::new(caller, Arc::clone(&clock), key.clone(), Limits::default());
        let (events, publish) = Events::new(client.clone(), Arc::clone(&metrics));
        let (objects, objects_woken) = mpsc::unbounded_channel();
        let (stores, stores_woken) = mpsc::unbounded_channel();
        let (changed, named_changed) = mpsc::unbounded_channel();
        let named = NamedObjects::new(client.clone(), changed);
        let (namespaced_stores, cluster_stores) = (reflector::store(), reflector::store());
        let external = reflector::store();
        let rules = Rules {
            endpoints,
            audiences: args.allowed_token_audiences,
            store_ambient: args.store_ambient_credentials,
            cluster_store_ambient: args.cluster_store_ambient_credentials,
            instance_role: args.enable_instance_role,
            alibaba_account: args.alibaba_account_id,
            ack_cluster: args.ack_cluster_id,
            cluster_name,
            operator_namespace: namespace,
            scope: Scope::new(args.watch_namespaces, args.cluster_stores),
            class: args.controller_class.into(),
        };
        let callers = Callers::new(credentials.clone(), edge.clone());
        let context = Context {
            client,
            hub,
            root_keys: Arc::new(RootKeys::new(callers, events.clone())),
            credentials,
            key: key.clone(),
            clock,
            pressure,
            metrics,
            events,
            managed: ManagedSecrets::default(),
            named: Arc::clone(&named),
            namespaces: Namespaces::default(),
            objects: external.0.clone(),
            stores: Stores {
                namespaced: namespaced_stores.0.clone(),
                cluster: cluster_stores.0.clone(),
            },
            resolver: Resolver {
                rules,
                environment,
                edge,
                key,
                named,
            },
            dependencies: Dependencies::default(),
            memories: Memories::default(),
            wakers: Wakers { objects, stores },
            verifications: Turns::every(Duration::from_millis(50)),
            looks: Turns::every(Duration::from_millis(10)),
            refreshes: KeyedTurns::bursts(Duration::from_millis(200), 50),
            sweeps: Sweeps::default(),
        };
        Ok(Parts {
            context: Arc::new(context),
            external,
            stores: (namespaced_stores, cluster_stores),
            woken: Woken {
                objects: objects_woken,
                hub: hub_woken,
                stores: stores_woken,
                named: named_changed,
            },
            publish,
        })
    }
}

impl<Publish: Future<Output = ()> + Send + 'static> Parts<Publish> {
    /// Runs everything until `stop`, then lets the reconciles that run end.
    async fn run(
        self,
        server: Server,
        stop: impl Future<Output = ()> + Clone + Send + Sync + 'static,
    ) -> Result<(), AppError> {
        let Self {
            context,
            external,
            stores,
            woken,
            publish,
        } = self;
        let filled = Filled::new();
        let served = Served {
            stores: context.stores.clone(),
            class: context.resolver.rules.class.clone(),
        };
        let census: Vec<Box<dyn Census>> = vec![
            Box::new(context.resolver.edge.http.clone()),
            Box::new(Cache(external.0.clone(), served.clone())),
            Box::new(Cache(stores.0.0.clone(), served.clone())),
            Box::new(Cache(stores.1.0.clone(), served)),
        ];
        let hub = Arc::clone(&context.hub);
        let shown = Shown {
            hub: Arc::clone(&hub),
            metrics: Arc::clone(&context.metrics),
            filled: filled.clone(),
            census,
        };
        let mut tasks = JoinSet::new();
        let mut spawn = |name: &'static str, task: BoxFuture<'static, ()>| {
            tasks.spawn(task.map(move |()| name));
        };
        let serve = async move { drop(server.serve(Arc::new(shown)).await) };
        spawn("the HTTP server", serve.boxed());
        spawn("the events", publish.boxed());
        spawn("the hub", hub.run(stop.clone()).boxed());
        let secrets = watch::secrets(Arc::clone(&context), filled.clone());
        spawn("the watch of Secrets", secrets.boxed());
        let namespaces = watch::namespaces(Arc::clone(&context), filled.clone());
        spawn("the watch of namespaces", namespaces.boxed());
        let named = watch::named(Arc::clone(&context), woken.named);
        spawn("the watches by name", named.boxed());
        let shared = Arc::clone(&context);
        let stores = run::stores(shared, stores, woken.stores, filled.clone(), stop.clone());
        spawn("the stores", stores.boxed());
        let woken = (woken.objects, woken.hub);
        let objects = run::external_cloud_secrets(context, external, woken, filled, stop.clone());
        let mut objects = tokio::spawn(objects);
        let ended = tokio::select! {
            biased;
            () = stop => None,
            // None of these ends by itself, unless by a panic: a process that is half dead says so.
            task = tasks.join_next() => Some(task.and_then(Result::ok).unwrap_or("a task")),
            _ = &mut objects => Some("the objects"),
        };
        if let Some(task) = ended {
            return Err(AppError::Ended(task));
        }
        tracing::info!("stopping");
        // What a reconcile has begun is finished; whatever is left is finished by the next process.
        if tokio::time::timeout(DRAIN, objects).await.is_err() {
            tracing::warn!("some reconciles did not end in time");
        }
        tasks.abort_all();
        Ok(())
    }
}

/// What calls to clouds need from outside.
fn edge(args: &RunArgs, clock: &Arc<dyn Clock>, random: Random) -> Result<Edge, AppError> {
    let options = HttpOptions {
        allow_insecure: args.allow_insecure_endpoints,
        ..HttpOptions::default()
    };
    let http = HttpClient::new(options).map_err(|error| AppError::Http(error.to_string()))?;
    Ok(Edge {
        http,
        clock: Arc::clone(clock),
        random,
    })
}

/// Who may be asked on the machine itself: its metadata service only where a flag says so.
fn surroundings(
    args: &RunArgs,
    environment: &Environment,
    clock: &Arc<dyn Clock>,
) -> Result<Surroundings, AppError> {
    let http = DirectClient::new().map_err(|error| AppError::Http(error.to_string()))?;
    let url = &args.instance_metadata_url;
    let metadata = args.enable_instance_role.then(|| environment.metadata(url));
    Ok(Surroundings::new(
        http,
        Arc::clone(clock),
        metadata.transpose()?,
    ))
}

/// The credentials the hub calls clouds with.
fn credentials(
    client: &Client,
    edge: &Edge,
    surroundings: Surroundings,
    metrics: &Arc<Metrics>,
) -> CredentialCache {
    let tokens = Arc::new(TokenRequests::new(client.clone()));
    let exchange = Exchange::new(edge.clone(), tokens, Arc::new(DiskFiles));
    let exchange = exchange
        .with_surroundings(surroundings)
        .observed_by(Arc::clone(metrics) as _);
    let renewed = Arc::clone(metrics);
    CredentialCache::new(
        Arc::new(exchange),
        Arc::clone(&edge.clock),
        Arc::clone(&edge.random),
        Arc::new(move |source, result| renewed.renewed(source, result)),
    )
}
