//! A term: everything that writes or calls a cloud, from when this process leads until it does not.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::base::Base;
use super::{AppError, Stop};
use crate::controller::context::{Context, Wakers};
use crate::controller::dependency::Dependencies;
use crate::controller::event::Events;
use crate::controller::external_cloud_secret::memory::Memories;
use crate::controller::named::NamedObjects;
use crate::controller::run::{self, Woken};
use crate::controller::store::reachability;
use crate::controller::store::resolve::Resolver;
use crate::controller::store::root_key::RootKeys;
use crate::controller::store::sweep::Sweeps;
use crate::controller::token::TokenRequests;
use crate::controller::turns::{KeyedTurns, Turns};
use crate::controller::watch;
use crate::credential::{Callers, CredentialCache, DiskFiles, Exchange};
use crate::digest::DigestKey;
use crate::refresh::{CallObserver, Caller, Hub};

/// How long one call to a cloud may take, its credentials and retries included.
const CALL_DEADLINE: Duration = Duration::from_secs(15);
/// The time between two refreshes that are asked for in one namespace, after as many at once as it may have.
const REFRESH_PACE: Duration = Duration::from_millis(200);
/// How long running reconciles may take to end by themselves after a signal. Somebody else is waiting
/// to lead.
const DRAIN: Duration = Duration::from_millis(700);
/// How long they may take once they are cancelled.
const CANCEL: Duration = Duration::from_secs(2);

/// Tasks with a name each, none of which ends by itself.
pub(super) type Parts = JoinSet<&'static str>;

/// A term that runs.
pub(super) struct Running {
    pub hub: Arc<Hub>,
    /// What ends by itself after the signal.
    controllers: Parts,
    /// What they need until then.
    others: Parts,
    named: Arc<NamedObjects>,
    /// Answers when nobody holds the term's context any more.
    gone: oneshot::Receiver<()>,
}

// === impl Running ===

impl Running {
    /// Starts a term under `key`, after a time in which nobody led if that is known.
    pub fn start(base: &Base, key: DigestKey, unled_since: Option<Timestamp>, stop: &Stop) -> Self {
        let (client, metrics, clock) = (&base.client, &base.metrics, &base.edge.clock);
        let credentials = credentials(base);
        let observer: Arc<dyn CallObserver> = Arc::clone(metrics) as _;
        let caller = Caller::new(Arc::new(credentials.clone()), observer, CALL_DEADLINE);
        let (hub, hub_woken) = Hub::new(caller, Arc::clone(clock), key.clone(), base.limits);
        if let Some(since) = unled_since {
            hub.nobody_read_since(since);
        }
        let (events, publish) = Events::new(client.clone(), Arc::clone(metrics));
        let (objects, objects_woken) = mpsc::unbounded_channel();
        let (stores, stores_woken) = mpsc::unbounded_channel();
        let (changed, named_changed) = mpsc::unbounded_channel();
        let named = NamedObjects::new(client.clone(), changed);
        let (alive, gone) = oneshot::channel();
        let callers = Callers::new(credentials.clone(), base.edge.clone());
        let callers = callers.paced(base.limits.quota_share);
        let context = Arc::new(Context {
            client: client.clone(),
            hub: Arc::clone(&hub),
            root_keys: Arc::new(RootKeys::new(callers, events.clone(), Arc::clone(&hub))),
            credentials,
            key: key.clone(),
            clock: Arc::clone(clock),
            pressure: base.pressure.clone(),
            metrics: Arc::clone(metrics),
            events,
            managed: Arc::clone(&base.caches.managed),
            named: Arc::clone(&named),
            namespaces: Arc::clone(&base.caches.namespaces),
            objects: Arc::clone(&base.caches.objects),
            stores: base.caches.stores.clone(),
            resolver: Resolver {
                rules: base.rules.clone(),
                environment: base.environment.clone(),
                edge: base.edge.clone(),
                key,
                named: Arc::clone(&named),
            },
            dependencies: Dependencies::default(),
            memories: Memories::default(),
            wakers: Wakers { objects, stores },
            verifications: Turns::every(Duration::from_millis(50)),
            looks: Turns::every(Duration::from_millis(10)),
            refreshes: KeyedTurns::bursts(REFRESH_PACE, 50),
            cluster_refreshes: KeyedTurns::bursts(REFRESH_PACE, 50),
            sweeps: Sweeps::default(),
            alive,
        });
        base.caches.serve(&context);
        let woken = Woken {
            objects: objects_woken,
            hub: hub_woken,
            stores: stores_woken,
            named: named_changed,
        };
        let publish = publish.boxed();
        Self::spawn(base, context, named, gone, (woken, publish), stop)
    }

    fn spawn(
        base: &Base,
        context: Arc<Context>,
        named: Arc<NamedObjects>,
        gone: oneshot::Receiver<()>,
        (woken, publish): (Woken, BoxFuture<'static, ()>),
        stop: &Stop,
    ) -> Self {
        let hub = Arc::clone(&context.hub);
        let (shared, caches) = (Arc::clone(&context), Arc::clone(&base.caches));
        let stores = run::stores(shared, woken.stores, stop.clone());
        let wakes = (woken.objects, woken.hub);
        let shared = Arc::clone(&context);
        let objects = run::external_cloud_secrets(shared, caches, wakes, stop.clone());
        let calls = Arc::clone(&hub).run(stop.clone());
        let outages = reachability::watch(Arc::clone(&context));
        let names = watch::named(context, woken.named);
        Self {
            hub,
            controllers: parts([
                ("the stores", stores.boxed()),
                ("the objects", objects.boxed()),
            ]),
            others: parts([
                ("the events", publish),
                ("the hub", calls.boxed()),
                ("the outages", outages.boxed()),
                ("the watches by name", names.boxed()),
            ]),
            named,
            gone,
        }
    }

    /// Waits until a part ends by itself, and says which.
    pub async fn ended(&mut self) -> &'static str {
        tokio::select! {
            part = ended(&mut self.controllers) => part,
            part = ended(&mut self.others) => part,
        }
    }

    /// After the signal to stop: lets the reconciles that run end. Whatever is left is finished by
    /// another process.
    pub async fn drain(&mut self) {
        let all = async { while self.controllers.join_next().await.is_some() {} };
        if timeout(DRAIN, all).await.is_err() {
            tracing::warn!("some reconciles did not end in time");
        }
    }

    /// Cancels whatever is left, and waits until nothing is.
    ///
    /// # Errors
    /// [`AppError::Stuck`]: something may still be written, so that this process must not go on.
    pub async fn end(self) -> Result<(), AppError> {
        let Self {
            hub: _,
            mut controllers,
            mut others,
            named,
            gone,
        } = self;
        let all = async {
            controllers.shutdown().await;
            others.shutdown().await;
            named.end();
            // Reconciles are tasks of their own; each holds the context.
            let _ = gone.await;
        };
        timeout(CANCEL, all).await.map_err(|_| AppError::Stuck)
    }
}

/// Starts tasks with a name each.
pub(super) fn parts(
    parts: impl IntoIterator<Item = (&'static str, BoxFuture<'static, ()>)>,
) -> Parts {
    let named = parts.into_iter();
    named.map(|(name, part)| part.map(move |()| name)).collect()
}

/// Waits until one of `parts` ends, which none does in health, unless by a panic.
pub(super) async fn ended(parts: &mut Parts) -> &'static str {
    let ended = parts.join_next().await;
    ended.and_then(Result::ok).unwrap_or("a task")
}

/// The credentials the hub calls clouds with.
fn credentials(base: &Base) -> CredentialCache {
    let (edge, metrics) = (&base.edge, &base.metrics);
    let tokens = Arc::new(TokenRequests::new(base.client.clone()));
    let exchange = Exchange::new(edge.clone(), tokens, Arc::new(DiskFiles));
    let exchange = exchange
        .with_surroundings(base.surroundings.clone())
        .paced(base.limits.quota_share)
        .observed_by(Arc::clone(metrics) as _);
    let renewed = Arc::clone(metrics);
    CredentialCache::new(
        Arc::new(exchange),
        Arc::clone(&edge.clock),
        Arc::clone(&edge.random),
        Arc::new(move |source, result| renewed.renewed(source, result)),
    )
}
