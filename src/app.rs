//! The operator as a whole: its parts, built once, in the order in which they start and stop.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::Shared;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, Config};
use kube_runtime::reflector;
use ring::rand::SystemRandom;
use tokio::sync::mpsc;

use crate::args::RunArgs;
use crate::clock::{Clock, SystemClock};
use crate::controller::census::Cache;
use crate::controller::context::{Context, Namespaces, Stores, Turns, Wakers};
use crate::controller::dependency::Dependencies;
use crate::controller::event::Events;
use crate::controller::external_cloud_secret::memory::Memories;
use crate::controller::managed::ManagedSecrets;
use crate::controller::named::NamedObjects;
use crate::controller::run::{self, Filled};
use crate::controller::store::resolve::{Resolver, Rules};
use crate::controller::store::root_key::RootKeys;
use crate::controller::token::TokenRequests;
use crate::controller::{digest_key, reason};
use crate::credential::{
    Callers, CredentialCache, DiskFiles, Environment, EnvironmentError, Exchange, Surroundings,
};
use crate::http::{DirectClient, HttpClient, HttpOptions};
use crate::metrics::{Census, Metrics};
use crate::provider::Edge;
use crate::provider::endpoint::EndpointPolicy;
use crate::refresh::{Caller, Hub, Limits};
use crate::server::{Probed, Server};

/// How long one call to a cloud may take, its credentials and retries included.
const CALL_DEADLINE: Duration = Duration::from_secs(15);
/// How long the API server may take to answer the first question.
const FIRST_ANSWER: Duration = Duration::from_secs(10);
/// How long running reconciles may take to end after a signal.
const DRAIN: Duration = Duration::from_secs(4);
/// The namespace of an operator that runs outside a cluster.
const OUTSIDE_NAMESPACE: &str = "external-cloud-secrets";

/// Why the operator does not run. Each says in one line what to do.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// No kubeconfig and no cluster around us.
    #[error("no cluster to run against: set KUBECONFIG, or run in a Pod")]
    NoCluster,
    /// The API server does not answer.
    #[error("the API server at {url} cannot be reached: {reason}")]
    Unreachable {
        /// Its URL.
        url: String,
        /// What it said.
        reason: String,
    },
    /// The operator's namespace is missing.
    #[error(
        "the operator's namespace {0} does not exist; create it, or name another with --namespace"
    )]
    NoNamespace(String),
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
        self.filled.all(&run::ALL)
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
    let (client, namespace) = connect(&args).await?;
    let random = Arc::new(SystemRandom::new());
    let key = digest_key::load(&client, &namespace, &*random).await?;
    let cluster_name = match args.cluster_name.clone() {
        Some(name) => name,
        None => cluster_name(&client).await,
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let metrics = Arc::new(Metrics::new()?);
    let http = HttpOptions {
        allow_insecure: args.allow_insecure_endpoints,
        ..HttpOptions::default()
    };
    let http = HttpClient::new(http).map_err(|error| AppError::Http(error.to_string()))?;
    let edge = Edge {
        http,
        clock: Arc::clone(&clock),
        random: random.clone(),
    };
    let environment = Environment::new(environment);
    let exchange = Exchange::new(
        edge.clone(),
        Arc::new(TokenRequests::new(client.clone())),
        Arc::new(DiskFiles),
    )
    .with_surroundings(surroundings(&args, &environment, &clock)?);
    let renewed = Arc::clone(&metrics);
    let credentials = CredentialCache::new(
        Arc::new(exchange),
        Arc::clone(&clock),
        random,
        Arc::new(move |source, result| renewed.renewed(source, result)),
    );
    let callers = Callers::new(credentials.clone(), edge.clone());
    let caller = Caller::new(
        Arc::new(credentials),
        Arc::clone(&metrics) as _,
        CALL_DEADLINE,
    );
    let (hub, hub_woken) = Hub::new(caller, Arc::clone(&clock), key.clone(), Limits::default());
    let (events, publish) = Events::new(client.clone(), Arc::clone(&metrics));
    let (objects, objects_woken) = mpsc::unbounded_channel();
    let (stores, stores_woken) = mpsc::unbounded_channel();
    let (changed, named_changed) = mpsc::unbounded_channel();
    let named = NamedObjects::new(client.clone(), changed);
    let (namespaced_stores, cluster_stores) = (reflector::store(), reflector::store());
    let external = reflector::store();
    let rules = Rules {
        endpoints: EndpointPolicy::new(
            args.allowed_endpoint_suffixes.clone(),
            args.allow_insecure_endpoints,
        )?,
        audiences: args.allowed_token_audiences.clone(),
        store_ambient: args.store_ambient_credentials,
        cluster_store_ambient: args.cluster_store_ambient_credentials,
        instance_role: args.enable_instance_role,
        alibaba_account: args.alibaba_account_id.clone(),
        ack_cluster: args.ack_cluster_id.clone(),
        cluster_name,
        operator_namespace: namespace.clone(),
    };
    let context = Arc::new(Context {
        client: client.clone(),
        hub: Arc::clone(&hub),
        key: key.clone(),
        clock,
        metrics: Arc::clone(&metrics),
        managed: ManagedSecrets::default(),
        named: Arc::clone(&named),
        namespaces: Namespaces::default(),
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
        root_keys: Arc::new(RootKeys::new(callers, events.clone())),
        events,
        dependencies: Dependencies::default(),
        memories: Memories::default(),
        wakers: Wakers { objects, stores },
        verifications: Turns::every(Duration::from_millis(50)),
        looks: Turns::every(Duration::from_millis(10)),
    });
    let filled = Filled::new();
    let census: Vec<Box<dyn Census>> = vec![
        Box::new(Cache(external.0.clone())),
        Box::new(Cache(namespaced_stores.0.clone())),
        Box::new(Cache(cluster_stores.0.clone())),
    ];
    let shown = Shown {
        hub: Arc::clone(&hub),
        metrics,
        filled: filled.clone(),
        census,
    };
    let listen = |error| AppError::Listen(args.http_address, error);
    let server = Server::bind(args.http_address).await.map_err(listen)?;
    let address = server.address().map_err(listen)?;
    tracing::info!(%address, %namespace, version = env!("CARGO_PKG_VERSION"), "started");

    let stop: Shared<_> = shutdown.boxed().shared();
    let background = [
        tokio::spawn(async move { drop(server.serve(Arc::new(shown)).await) }),
        tokio::spawn(publish),
        tokio::spawn(hub.run(stop.clone())),
        tokio::spawn(run::secrets(
            Arc::clone(&context),
            client.clone(),
            filled.clone(),
        )),
        tokio::spawn(run::namespaces(
            Arc::clone(&context),
            client,
            filled.clone(),
        )),
        tokio::spawn(run::named(Arc::clone(&context), named_changed)),
    ];
    let stores = tokio::spawn(run::stores(
        Arc::clone(&context),
        (namespaced_stores, cluster_stores),
        stores_woken,
        filled.clone(),
        stop.clone(),
    ));
    let objects = tokio::spawn(run::external_cloud_secrets(
        context,
        external,
        (objects_woken, hub_woken),
        filled,
        stop.clone(),
    ));
    stop.await;
    tracing::info!("stopping");
    // What a reconcile has begun is finished; whatever is left is finished by the next process.
    if tokio::time::timeout(DRAIN, objects).await.is_err() {
        tracing::warn!("some reconciles did not end in time");
    }
    stores.abort();
    background.iter().for_each(tokio::task::JoinHandle::abort);
    Ok(())
}

/// Who may be asked on the machine itself: its metadata service only where a flag says so.
fn surroundings(
    args: &RunArgs,
    environment: &Environment,
    clock: &Arc<dyn Clock>,
) -> Result<Surroundings, AppError> {
    let http = DirectClient::new().map_err(|error| AppError::Http(error.to_string()))?;
    let metadata = args
        .enable_instance_role
        .then_some(&args.instance_metadata_url);
    let metadata = metadata.map(|url| environment.metadata(url)).transpose()?;
    Ok(Surroundings::new(http, Arc::clone(clock), metadata))
}

async fn connect(args: &RunArgs) -> Result<(Client, String), AppError> {
    let mut config = Config::infer().await.map_err(|_| AppError::NoCluster)?;
    // Half-open connections end by these; reconciles have a deadline of their own.
    config.connect_timeout = Some(Duration::from_secs(5));
    let inside = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    let namespace = args.namespace.clone().unwrap_or_else(|| {
        if inside {
            config.default_namespace.clone()
        } else {
            OUTSIDE_NAMESPACE.to_owned()
        }
    });
    let url = config.cluster_url.to_string();
    let unreachable = |reason: String| AppError::Unreachable {
        url: url.clone(),
        reason,
    };
    let client = Client::try_from(config).map_err(|error| unreachable(reason(&error)))?;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let found = tokio::time::timeout(FIRST_ANSWER, namespaces.get_metadata_opt(&namespace)).await;
    match found {
        Err(_) => Err(unreachable("no answer within 10 s".to_owned())),
        Ok(Err(error)) => Err(unreachable(reason(&error))),
        Ok(Ok(None)) => Err(AppError::NoNamespace(namespace)),
        Ok(Ok(Some(_))) => Ok((client, namespace)),
    }
}

/// The first part of the UID of kube-system, which is as good as a name for a cluster.
async fn cluster_name(client: &Client) -> String {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let found = namespaces
        .get_metadata_opt("kube-system")
        .await
        .ok()
        .flatten();
    let uid = found
        .and_then(|found| found.metadata.uid)
        .unwrap_or_default();
    let first = uid.split('-').next().unwrap_or_default();
    if first.is_empty() {
        "cluster".to_owned()
    } else {
        first.to_owned()
    }
}
