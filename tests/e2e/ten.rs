//! One key of ten that travel together is struck. Its Secret stays as it is, its object says why,
//! its neighbours notice nothing, and it heals.

use std::time::Duration;

use cloudsim::{Effect, Fault};
use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;

use super::scene::Scene;
use super::snapshot::NEVER;
use super::world::World;

/// A hang takes two calls to their deadlines: the batch's, and the culprit's own.
pub const LONG: Duration = Duration::from_mins(1);
/// The parameter that is struck.
pub const VICTIM: &str = "victim";
/// Those that travel with it.
pub const NEIGHBOURS: [&str; 9] = ["n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9"];

/// How the trouble ends.
#[derive(Clone, Copy, PartialEq)]
pub enum Heals {
    /// By itself, within a minute.
    Alone,
    /// By itself too, but later than a test waits: somebody asks.
    Asked,
}

/// One key among ten that is struck, and the objects that need them.
pub struct Ten {
    pub scene: Scene<'static>,
    /// What was there before the trouble: the victim's Secret, and that of an object that needs all ten.
    struck: Vec<Secret>,
    versions: Vec<String>,
    pub fresh_since: String,
}

impl Ten {
    /// An object that needs the victim, one that needs all ten, and one for each neighbour.
    pub async fn new(prefix: &str) -> Self {
        Self::of(Scene::new(World::shared().await, prefix).await).await
    }

    /// The same in a scene of any service.
    pub async fn of(scene: Scene<'static>) -> Self {
        let mut objects = vec![scene.object(VICTIM, "10s", &[(VICTIM, VICTIM)])];
        scene.put(VICTIM, "canary-old");
        let mut all = vec![(VICTIM, VICTIM)];
        for name in NEIGHBOURS {
            scene.put(name, "canary-old");
            objects.push(scene.object(name, "10s", &[(name, name)]));
            all.push((name, name));
        }
        objects.push(scene.object("all", NEVER, &all));
        scene.apply_all(&objects).await;
        let names = [&NEIGHBOURS[..], &[VICTIM, "all"]].concat();
        join_all(names.iter().map(|name| scene.wait_settled(name))).await;
        let struck = vec![
            scene.secret_as_it_is(VICTIM).await,
            scene.secret_as_it_is("all").await,
        ];
        let versions = join_all(NEIGHBOURS[1..].iter().map(|name| scene.version(name))).await;
        let fresh_since = format!("{:?}", scene.condition("n1", "Fresh").await);
        Self {
            scene,
            struck,
            versions,
            fresh_since,
        }
    }

    /// Sees to it that the trouble is told of the victim alone, and that everything else goes on.
    pub async fn suffer(&self, reason: &str, told: &[&str]) {
        let scene = &self.scene;
        // The victim is rotated, so that a value which gets through all the same would show.
        if reason != "RemoteNotFound" {
            scene.put(VICTIM, "canary-new");
        }
        let ready = scene.condition(VICTIM, "Ready").await;
        // Ten keys that are wanted at once leave in one batch.
        scene.refresh("all", "during").await;
        let message = scene
            .wait_condition_for(LONG, "all", "Fresh", "False", reason)
            .await;
        let own = scene
            .wait_condition_for(LONG, VICTIM, "Fresh", "False", reason)
            .await;
        let key = scene.key(VICTIM);
        let entry = format!("data[{VICTIM}] ({key}): ");
        for message in [&message, &own] {
            assert!(message.starts_with(&entry), "{message}");
            for part in told {
                assert!(message.contains(part), "{part} is not in: {message}");
            }
        }
        // A neighbour's rotation arrives meanwhile.
        scene.put("n1", "canary-meanwhile");
        scene.wait_value("n1", "n1", "canary-meanwhile").await;
        assert_eq!(
            format!("{:?}", scene.condition("n1", "Fresh").await),
            self.fresh_since,
            "the neighbour was fresh all the time"
        );
        let versions = join_all(NEIGHBOURS[1..].iter().map(|name| scene.version(name))).await;
        assert_eq!(versions, self.versions, "a neighbour's status was written");
        self.check_untouched().await;
        assert_eq!(scene.condition(VICTIM, "Ready").await, ready);
    }

    /// The struck Secrets are what they were, byte for byte.
    pub async fn check_untouched(&self) {
        for secret in &self.struck {
            let name = secret.metadata.name.as_deref().unwrap();
            assert_eq!(&self.scene.secret_as_it_is(name).await, secret, "{name}");
        }
    }

    /// Sees to it that everything is well again and that the new values have arrived.
    pub async fn heal(&self, heals: Heals) {
        let scene = &self.scene;
        if heals == Heals::Asked {
            scene.refresh(VICTIM, "after").await;
        }
        for name in [VICTIM, "all"] {
            scene
                .wait_condition_for(LONG, name, "Fresh", "True", "Refreshed")
                .await;
            scene.wait_value(name, VICTIM, "canary-new").await;
        }
        assert_eq!(
            scene.value("all", "n1").await.as_deref(),
            Some("canary-meanwhile")
        );
    }
}

/// A fault that strikes the victim, alone or in a batch, until it is cleared.
pub async fn strike(prefix: &str, effect: Effect, reason: &str, told: &[&str], heals: Heals) {
    strike_one(Ten::new(prefix).await, effect, reason, told, heals).await;
}

/// The same for ten of any service.
pub async fn strike_one(ten: Ten, effect: Effect, reason: &str, told: &[&str], heals: Heals) {
    let fault = Fault::new(effect).name(&ten.scene.key(VICTIM));
    let cloud = &ten.scene.cloud;
    let id = cloud.add_fault(fault);
    ten.suffer(reason, told).await;
    let batch = cloud
        .ledger()
        .asking(&ten.scene.key(VICTIM))
        .any(|call| call.names.len() >= 10 && call.fault.is_some());
    assert!(batch, "no whole batch was struck");
    cloud.clear_fault(id);
    ten.heal(heals).await;
}
