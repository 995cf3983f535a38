//! Two operators on one Lease.

use std::time::Duration;

use external_cloud_secrets::api::names;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::Api;

use super::operator::Operator;
use super::wait::{SOON, until};
use super::world::World;

/// The world's own operator, which leads, and one beside it.
pub struct Pair {
    pub first: Operator,
    pub second: Operator,
    leases: Api<Lease>,
}

impl Pair {
    /// Starts another operator beside that of `world`, with these arguments.
    pub async fn beside(world: &World, args: &[&str]) -> Self {
        let first = world.operator.lock().await.take().unwrap();
        first.wait_leading(SOON).await;
        let mut setup = first.setup().clone();
        setup.log = world.dir.path().join("second.log");
        setup.args.extend(args.iter().map(ToString::to_string));
        let home = setup.namespace.clone();
        let client = world.cluster.client().unwrap();
        let second = Operator::start(setup).await;
        let standing_by = (200, "ok: standing by\n".to_owned());
        assert_eq!(second.answer("/readyz").await.unwrap(), standing_by);
        Self {
            first,
            second,
            leases: Api::namespaced(client, &home),
        }
    }

    /// The Lease as it is.
    pub async fn lease(&self) -> LeaseSpec {
        lease(&self.leases).await
    }

    /// Waits until somebody else than `old` holds the Lease; returns when it was taken.
    pub async fn taken_from(&self, old: &LeaseSpec) -> Timestamp {
        until("a new holder", Duration::from_secs(30), async || {
            let now = self.lease().await;
            let other = now.holder_identity.is_some() && now.holder_identity != old.holder_identity;
            if other {
                Ok(now.acquire_time.unwrap().0)
            } else {
                Err(now)
            }
        })
        .await
    }

    /// Looks for `time` whether both lead at one moment.
    pub async fn never_both_lead(&self, time: Duration) {
        let start = std::time::Instant::now();
        while start.elapsed() < time {
            // Whoever leads before and after the other did leads with it.
            let first = self.first.leads().await;
            let second = self.second.leads().await;
            assert!(!(second && first && self.first.leads().await), "both lead");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The operators' Lease as it is.
pub async fn lease(leases: &Api<Lease>) -> LeaseSpec {
    leases.get(&names::lease(None)).await.unwrap().spec.unwrap()
}
