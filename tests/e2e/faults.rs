//! What clouds do wrong costs nobody a Secret. One key of ten that travel together is struck; its
//! Secret stays as it is, its object says why, its neighbours notice nothing, and it heals.

use std::time::Duration;

use cloudsim::{Effect, Fault};
use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;

use super::outage::Road;
use super::scene::Scene;
use super::snapshot::NEVER;
use super::wait::until;
use super::world::World;

/// A hang takes two calls to their deadlines: the batch's, and the culprit's own.
const LONG: Duration = Duration::from_secs(60);
/// The parameter that is struck.
const VICTIM: &str = "victim";
/// Those that travel with it.
const NEIGHBOURS: [&str; 9] = ["n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9"];

/// How the trouble ends.
#[derive(Clone, Copy, PartialEq)]
enum Heals {
    /// By itself, within a minute.
    Alone,
    /// By itself too, but later than a test waits: somebody asks.
    Asked,
}

/// One key among ten that is struck, and the objects that need them.
struct Ten {
    scene: Scene<'static>,
    /// What was there before the trouble: the victim's Secret, and that of an object that needs all ten.
    struck: Vec<Secret>,
    versions: Vec<String>,
    fresh_since: String,
}

impl Ten {
    /// An object that needs the victim, one that needs all ten, and one for each neighbour.
    async fn new(prefix: &str) -> Self {
        let scene = Scene::new(World::shared().await, prefix).await;
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
    async fn suffer(&self, reason: &str, told: &[&str]) {
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
    async fn check_untouched(&self) {
        for secret in &self.struck {
            let name = secret.metadata.name.as_deref().unwrap();
            assert_eq!(&self.scene.secret_as_it_is(name).await, secret, "{name}");
        }
    }

    /// Sees to it that everything is well again and that the new values have arrived.
    async fn heal(&self, heals: Heals) {
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
async fn strike(prefix: &str, effect: Effect, reason: &str, told: &[&str], heals: Heals) {
    let ten = Ten::new(prefix).await;
    let fault = Fault::new(effect).name(&ten.scene.key(VICTIM));
    let cloud = &ten.scene.world.cloud;
    let id = cloud.add_fault(fault);
    ten.suffer(reason, told).await;
    let batch = cloud
        .ledger()
        .asking(&ten.scene.key(VICTIM))
        .any(|call| call.names.len() == 10 && call.fault.is_some());
    assert!(batch, "no whole batch was struck");
    cloud.clear_fault(id);
    ten.heal(heals).await;
}

fn refusal(status: u16, code: &str) -> Effect {
    Effect::Error {
        status,
        code: code.to_owned(),
        message: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_one_key_keeps_its_secret() {
    let effect = refusal(503, "ServiceUnavailable");
    let told = ["ServiceUnavailable", "(request "];
    strike("outage", effect, "ProviderUnavailable", &told, Heals::Alone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_answer_keeps_the_secret() {
    strike(
        "hang",
        Effect::Hang,
        "ProviderUnavailable",
        &[],
        Heals::Alone,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_reset_keeps_the_secret() {
    let told = ["Connection"];
    strike(
        "reset",
        Effect::Reset,
        "ProviderUnavailable",
        &told,
        Heals::Alone,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_body_keeps_the_secret() {
    let told = ["TruncatedBody"];
    strike(
        "truncated",
        Effect::Truncate,
        "ProviderUnavailable",
        &told,
        Heals::Alone,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_json_keeps_the_secret() {
    let told = ["UndecodableAnswer"];
    strike(
        "malformed",
        Effect::MalformedJson,
        "UnexpectedResponse",
        &told,
        Heals::Asked,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_html_keeps_the_secret() {
    let told = ["UndecodableAnswer"];
    let effect = Effect::Html { status: 200 };
    strike("html", effect, "UnexpectedResponse", &told, Heals::Asked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_html_from_a_broken_gateway_keeps_the_secret() {
    let effect = Effect::Html { status: 502 };
    strike("gateway", effect, "ProviderUnavailable", &[], Heals::Alone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_value_keeps_the_secret() {
    let told = ["EmptyValue", "(request "];
    let effect = Effect::EmptyValue { absent: false };
    strike("empty", effect, "UnexpectedResponse", &told, Heals::Asked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_value_keeps_the_secret() {
    let told = ["EmptyValue", "(request "];
    let effect = Effect::EmptyValue { absent: true };
    strike("absent", effect, "UnexpectedResponse", &told, Heals::Asked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_entry_among_ten_keeps_the_secret() {
    let told = ["(request "];
    let effect = Effect::MissingEntry;
    strike("missing", effect, "UnexpectedResponse", &told, Heals::Asked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_keeps_the_secret() {
    let location = "http://127.0.0.1:1/".to_owned();
    let effect = Effect::Redirect { location };
    strike(
        "redirect",
        effect,
        "UnexpectedResponse",
        &["Redirect"],
        Heals::Asked,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_denial_among_ten_keeps_the_secret() {
    let ten = Ten::new("denied").await;
    let scene = &ten.scene;
    let neighbours = NEIGHBOURS.map(|name| scene.key(name));
    let allowed: Vec<&str> = neighbours.iter().map(String::as_str).collect();
    scene.role("reader", &["reader"], &allowed);
    ten.suffer("AccessDenied", &["Forbidden.RAM", "(request "])
        .await;
    scene.role("reader", &["reader"], &[&scene.key("*")]);
    ten.heal(Heals::Asked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_parameter_keeps_the_secret_and_heals_alone() {
    let ten = Ten::new("gone").await;
    let key = ten.scene.key(VICTIM);
    ten.scene.world.cloud.delete_parameter(&key).unwrap();
    let told = ["EntityNotExists.Parameter", "(request "];
    ten.suffer("RemoteNotFound", &told).await;
    ten.scene.put(VICTIM, "canary-new");
    ten.heal(Heals::Alone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_refused_is_replaced_and_nobody_notices() {
    let ten = Ten::new("revoked").await;
    let scene = &ten.scene;
    let revoked = scene
        .world
        .cloud
        .revoke_sessions(&format!("{}-reader", scene.namespace));
    assert!(revoked.unwrap() > 0);
    scene.put(VICTIM, "canary-new");
    scene.put("n1", "canary-meanwhile");
    scene.wait_value(VICTIM, VICTIM, "canary-new").await;
    scene.wait_value("all", "n1", "canary-meanwhile").await;
    let fresh = format!("{:?}", scene.condition("n1", "Fresh").await);
    assert_eq!(fresh, ten.fresh_since);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_keeps_every_secret_of_its_identity_and_heals_alone() {
    let ten = Ten::new("expired").await;
    let scene = &ten.scene;
    // Another identity reads beside it.
    scene.service_account("other").await;
    scene.role("other", &["other"], &[&scene.key("*")]);
    scene
        .apply(&scene.store("other", scene.rrsa("other")))
        .await
        .unwrap();
    let mut beside = scene.object("beside", "10s", &[("n1", "n1")]);
    beside["spec"]["secretStoreRef"]["name"] = "other".into();
    scene.apply(&beside).await.unwrap();
    scene.wait_settled("beside").await;
    let fresh = scene.condition("beside", "Fresh").await;

    let role = format!("{}-reader", scene.namespace);
    let code = "InvalidSecurityToken.Expired";
    let fault = Fault::error(400, code).service("oos").principal(&role);
    let id = scene.world.cloud.add_fault(fault);
    scene.put(VICTIM, "canary-new");
    scene.put("n1", "canary-meanwhile");
    scene.refresh("all", "during").await;
    let message = scene
        .wait_condition("all", "Fresh", "False", "AuthenticationFailed")
        .await;
    assert!(
        message.contains(code) && message.contains("(request "),
        "{message}"
    );
    scene.wait_value("beside", "n1", "canary-meanwhile").await;
    assert_eq!(scene.condition("beside", "Fresh").await, fresh);
    ten.check_untouched().await;
    assert_eq!(scene.condition("all", "Ready").await.status, "True");
    // One probe at a time: a parked identity is not hammered by its rows.
    let filter = cloudsim::Filter::service("oos")
        .principal(&role)
        .outcome(code);
    let refused = scene.world.cloud.ledger_of(&filter).total;
    assert!(refused <= 8, "{refused} calls of a parked identity");
    scene.world.cloud.clear_fault(id);
    ten.heal(Heals::Alone).await;
    until("the neighbours", LONG, async || {
        let all = join_all(NEIGHBOURS.iter().map(|name| scene.condition(name, "Fresh"))).await;
        if all.iter().all(|fresh| fresh.status == "True") {
            Ok(())
        } else {
            Err(all)
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_refuses_connections_keeps_every_secret_and_heals_alone() {
    let scene = Scene::new(World::shared().await, "dark").await;
    let road = Road::open(scene.world.cloud.addr()).await;
    let mut store = scene.store("road", scene.rrsa("reader"));
    store["spec"]["provider"]["oos"]["endpoint"] = road.url().into();
    scene.apply(&store).await.unwrap();
    let names = ["a", "b", "c"];
    for name in names {
        scene.put(name, "canary-old");
        let mut object = scene.object(name, "10s", &[(name, name)]);
        object["spec"]["secretStoreRef"]["name"] = "road".into();
        scene.apply(&object).await.unwrap();
    }
    join_all(names.map(|name| scene.wait_settled(name))).await;
    let before = join_all(names.map(|name| scene.secret_as_it_is(name))).await;
    road.cut();
    for name in names {
        scene.put(name, "canary-new");
        let message = scene
            .wait_condition(name, "Fresh", "False", "ProviderUnavailable")
            .await;
        assert!(message.contains("Connection"), "{message}");
        assert_eq!(scene.condition(name, "Ready").await.status, "True");
    }
    assert_eq!(
        join_all(names.map(|name| scene.secret_as_it_is(name))).await,
        before
    );
    road.mend().await;
    for name in names {
        scene
            .wait_condition_for(LONG, name, "Fresh", "True", "Refreshed")
            .await;
        scene.wait_value(name, name, "canary-new").await;
    }
}
