//! What lasts from the start to the end of the process, and how terms follow each other in it.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use kube::Client;
use ring::rand::SystemRandom;

use super::connection::{Connection, cluster_name, connect};
use super::term::{Parts, Running, ended, parts};
use super::{AppError, Shown, Stop};
use crate::api::names;
use crate::args::RunArgs;
use crate::clock::{Clock, SystemClock};
use crate::controller::caches::{Caches, Writers};
use crate::controller::digest_key::{self, DigestKeyError};
use crate::controller::pressure::Pressure;
use crate::controller::scope::Scope;
use crate::controller::store::alibaba;
use crate::controller::store::resolve::Rules;
use crate::controller::watch;
use crate::credential::{Environment, Surroundings};
use crate::digest::DigestKey;
use crate::http::{DirectClient, HttpClient, HttpOptions};
use crate::lease::{Elector, KubernetesLease, Leadership, Term};
use crate::metrics::Metrics;
use crate::provider::endpoint::EndpointPolicy;
use crate::provider::hex::hex;
use crate::provider::{Edge, Random, Skews};
use crate::refresh::Limits;
use crate::server::Server;

/// The bytes of randomness in the name of a process.
const NAME_BYTES: usize = 8;
/// The pause before the digest key is asked for again.
const PAUSE: Duration = Duration::from_secs(1);
/// How long an answer about it is waited for: who leads and waits for ever is worse than who asks twice.
const PATIENCE: Duration = Duration::from_secs(10);

/// What every term is built of.
pub(super) struct Base {
    pub client: Client,
    pub caches: Arc<Caches>,
    pub leadership: Leadership,
    pub rules: Rules,
    pub environment: Environment,
    pub surroundings: Surroundings,
    pub edge: Edge,
    pub metrics: Arc<Metrics>,
    /// How the API server bears what is written; that outlasts a term.
    pub pressure: Pressure,
    /// The hub's bounds.
    pub limits: Limits,
}

/// How a term ended.
enum End {
    /// The process is to stop.
    Stop,
    /// It leads no more.
    Deposed,
}

// === impl Base ===

impl Base {
    pub async fn build(
        args: RunArgs,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(Self, Elector, Writers), AppError> {
        let endpoints = EndpointPolicy::new(
            args.allowed_endpoint_suffixes.clone(),
            args.allow_insecure_endpoints,
        )?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let leadership = Leadership::new(Arc::clone(&clock));
        let metrics = Arc::new(Metrics::new()?);
        let pressure = Pressure::new(Arc::clone(&metrics));
        let Connection {
            client,
            ungated,
            namespace,
        } = connect(&args, &leadership, &pressure).await?;
        // Who could not lead for want of the key says so at once. Making it is for who leads.
        digest_key::find(&client, &namespace).await?;
        let random: Random = Arc::new(SystemRandom::new());
        let cluster_name = match args.cluster_name.clone() {
            Some(name) => name,
            None => cluster_name(&client).await?,
        };
        let environment: Vec<(String, String)> = environment.into_iter().collect();
        let me = process_name(&environment, &random)?;
        let lease = names::lease(args.controller_class.as_deref());
        let lease = Arc::new(KubernetesLease::new(ungated, &namespace, lease));
        let elector = Elector::new(lease, leadership.clone(), Arc::clone(&clock), me);
        let environment = Environment::new(environment);
        let surroundings = surroundings(&args, &environment, &clock, &leadership)?;
        let edge = edge(&args, &clock, random, &leadership)?;
        let rules = Rules {
            endpoints,
            audiences: args.allowed_token_audiences,
            store_ambient: args.store_ambient_credentials,
            cluster_store_ambient: args.cluster_store_ambient_credentials,
            instance_role: args.enable_instance_role,
            alibaba: alibaba::Settings {
                account: args.alibaba_account_id,
                ack_cluster: args.ack_cluster_id,
            },
            cluster_name,
            operator_namespace: namespace,
            scope: Scope::new(args.watch_namespaces, args.cluster_stores),
            class: args.controller_class.into(),
        };
        let (caches, writers) =
            Caches::new(client.clone(), rules.scope.clone(), rules.class.clone());
        let base = Self {
            client,
            caches,
            leadership,
            rules,
            environment,
            surroundings,
            edge,
            metrics,
            pressure,
            limits: Limits::new(args.quota_share, args.value_memory),
        };
        Ok((base, elector, writers))
    }

    /// Watches all the time, and works while this process leads, until `stop`.
    pub async fn run(
        self,
        server: Server,
        mut elector: Elector,
        writers: Writers,
        stop: Stop,
    ) -> Result<(), AppError> {
        let mut watches = self.watch(server, writers);
        loop {
            let term = tokio::select! {
                biased;
                () = stop.clone() => {
                    tracing::info!("stopping");
                    // Its name may stand in the Lease all the same.
                    elector.release(None).await;
                    return Ok(());
                }
                part = ended(&mut watches) => return Err(AppError::Ended(part)),
                term = elector.lead() => term,
            };
            if let End::Stop = self.serve(term, &mut elector, &mut watches, &stop).await? {
                return Ok(());
            }
        }
    }

    /// Works while this process leads, and gives the Lease back if it does not lose it.
    async fn serve(
        &self,
        term: Term,
        elector: &mut Elector,
        watches: &mut Parts,
        stop: &Stop,
    ) -> Result<End, AppError> {
        let inherited = term.unled_since;
        let key = tokio::select! {
            biased;
            () = stop.clone() => Ok(None),
            () = elector.hold(|| inherited) => return Ok(End::Deposed),
            key = self.key() => key.map(Some),
        };
        let (end, backlog) = match key {
            Err(error) => (Err(error.into()), inherited),
            Ok(None) => (Ok(End::Stop), inherited),
            Ok(Some(key)) => {
                let mut running = Running::start(self, key, inherited, stop);
                let hub = Arc::clone(&running.hub);
                let end = tokio::select! {
                    biased;
                    () = stop.clone() => Ok(End::Stop),
                    part = ended(watches) => Err(AppError::Ended(part)),
                    part = running.ended() => Err(AppError::Ended(part)),
                    () = elector.hold(|| hub.backlog()) => Ok(End::Deposed),
                };
                if matches!(end, Ok(End::Stop)) {
                    tracing::info!("stopping");
                    running.drain().await;
                }
                // The Lease is given back, or taken again, only when nothing is written any more.
                running.end().await?;
                (end, hub.backlog())
            }
        };
        if !matches!(end, Ok(End::Deposed)) {
            elector.release(backlog).await;
        }
        end
    }

    fn watch(&self, server: Server, writers: Writers) -> Parts {
        let shown = Shown {
            caches: Arc::clone(&self.caches),
            metrics: Arc::clone(&self.metrics),
            leadership: self.leadership.clone(),
            http: self.edge.http.clone(),
        };
        let serve = async move { drop(server.serve(Arc::new(shown)).await) };
        let caches = || Arc::clone(&self.caches);
        let namespaced = watch::stores(caches(), writers.namespaced);
        let cluster = watch::cluster_stores(caches(), writers.cluster);
        parts([
            ("the HTTP server", serve.boxed()),
            ("the watch of Secrets", watch::secrets(caches()).boxed()),
            (
                "the watch of namespaces",
                watch::namespaces(caches()).boxed(),
            ),
            ("the watch of stores", namespaced.boxed()),
            ("the watch of cluster stores", cluster.boxed()),
            ("the watch of objects", watch::objects(caches()).boxed()),
        ])
    }

    /// The digest key, made where there is none. An API server that is just back refuses what it
    /// allows a moment later.
    async fn key(&self) -> Result<DigestKey, DigestKeyError> {
        let namespace = &self.rules.operator_namespace;
        loop {
            let load = digest_key::load(&self.client, namespace, &*self.edge.random);
            match tokio::time::timeout(PATIENCE, load).await {
                Ok(Err(error @ DigestKeyError::Api { .. })) => {
                    tracing::warn!(%error, "the digest key is asked for again");
                }
                Ok(other) => return other,
                Err(_) => {
                    tracing::warn!("no answer about the digest key, which is asked for again");
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// A name that no other process has or will have.
fn process_name(environment: &[(String, String)], random: &Random) -> Result<String, AppError> {
    let mut bytes = [0; NAME_BYTES];
    let filled = random.fill(&mut bytes);
    filled.map_err(|_| DigestKeyError::Randomness)?;
    let host = environment.iter().find(|(name, _)| name == "HOSTNAME");
    let host = host.map_or("external-cloud-secrets", |(_, host)| host);
    let host: String = host
        .chars()
        .filter(char::is_ascii_graphic)
        .take(64)
        .collect();
    Ok(format!("{host}_{}", hex(&bytes)))
}

/// What calls to clouds need from outside.
fn edge(
    args: &RunArgs,
    clock: &Arc<dyn Clock>,
    random: Random,
    leadership: &Leadership,
) -> Result<Edge, AppError> {
    let options = HttpOptions {
        allow_insecure: args.allow_insecure_endpoints,
        ..HttpOptions::default()
    };
    let http = HttpClient::new(options).map_err(|error| AppError::Http(error.to_string()))?;
    Ok(Edge {
        http: http.led_by(leadership.clone()),
        clock: Arc::clone(clock),
        random,
        skews: Skews::default(),
    })
}

/// Who may be asked on the machine itself: its metadata service only where a flag says so.
fn surroundings(
    args: &RunArgs,
    environment: &Environment,
    clock: &Arc<dyn Clock>,
    leadership: &Leadership,
) -> Result<Surroundings, AppError> {
    let http = DirectClient::new().map_err(|error| AppError::Http(error.to_string()))?;
    let http = http.led_by(leadership.clone());
    let url = args.instance_metadata_url.as_deref();
    let metadata = args.enable_instance_role.then(|| environment.metadata(url));
    Ok(Surroundings::new(http, Arc::clone(clock), metadata))
}
