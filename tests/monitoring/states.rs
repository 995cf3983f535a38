//! The states that one operator can be in, one after another, and how each ends.

use std::time::Duration;

use cloudsim::{Effect, Fault, Secret};
use futures::{StreamExt, stream};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use serde_json::{Value, json};

use super::end_to_end::cloud::Service;
use super::end_to_end::road::Road;
use super::end_to_end::scene::Scene;
use super::end_to_end::snapshot::NEVER;
use super::recording::Recorder;

/// How often what is to be noticed in time is read.
const OFTEN: &str = "10s";

/// More than there are objects that are shown one by one.
const CROWD: usize = 1_002;

/// Goes through all of them; returns the namespaces of the object whose cloud throttles, and of a crowd of objects.
pub async fn pass_through(recorder: &mut Recorder<'_>, scene: &Scene<'_>) -> (String, String) {
    scene.put("db", "canary-value");
    let object = scene.object("db", OFTEN, &[("password", "db")]);
    scene.apply(&object).await.unwrap();
    scene.wait_settled("db").await;
    recorder.well("healthy").await;
    typo(recorder, scene).await;
    bare_store(recorder, scene).await;
    refused_and_out_of_reach(recorder, scene).await;
    parked(recorder, scene).await;
    slow(recorder, scene).await;
    expiring(recorder, scene).await;
    let crowd = crowded(recorder, scene).await;
    let throttled = throttled(recorder, scene).await;
    undecodable(recorder, scene).await;
    (throttled, crowd)
}

/// The store `name`, at the cloud or elsewhere, that reads as the role and ServiceAccount `name`.
fn store(scene: &Scene<'_>, name: &str) -> Value {
    scene.role(name, &[name], &[&scene.key("*")]);
    scene.store(name, scene.rrsa(name))
}

/// Makes an object that reads the parameter `key` through the store `store`.
async fn reading(scene: &Scene<'_>, name: &str, store: &str, key: &str) {
    let mut object = scene.object(name, OFTEN, &[("password", key)]);
    object["spec"]["secretStoreRef"]["name"] = store.into();
    scene.apply(&object).await.unwrap();
}

async fn typo(recorder: &mut Recorder<'_>, scene: &Scene<'_>) {
    reading(scene, "typo", "oos", "absent").await;
    let not = |condition: &str| {
        format!(r#"{{condition="{condition}",kind="ExternalCloudSecret",name="typo""#)
    };
    recorder
        .seen("not ready", &[&not("Ready"), &not("Fresh")])
        .await;
    scene.delete("typo").await;
    recorder.well("after not ready").await;
}

async fn bare_store(recorder: &mut Recorder<'_>, scene: &Scene<'_>) {
    let account = &recorder.world.account;
    let granted = account.grant_tokens(&scene.namespace, &["reader", "bare"]);
    granted.await.unwrap();
    scene.apply(&store(scene, "bare")).await.unwrap();
    reading(scene, "bare", "bare", "db").await;
    let not = |kind: &str| format!(r#"{{condition="Ready",kind="{kind}",name="bare""#);
    let shown = [not("CloudSecretStore"), not("ExternalCloudSecret")];
    let shown = [
        &*shown[0],
        &*shown[1],
        "unhealthy_object_stores{name=\"bare\"",
    ];
    recorder.seen("store not ready", &shown).await;
    scene.service_account("bare").await;
    scene.wait_settled("bare").await;
    recorder.well("after store not ready").await;
    scene.delete("bare").await;
}

/// One object is refused by its cloud; then the endpoint of others goes out of reach as well.
async fn refused_and_out_of_reach(recorder: &mut Recorder<'_>, scene: &Scene<'_>) {
    let road = Road::open(scene.cloud.addr()).await;
    let mut far = scene.store("far", scene.rrsa("reader"));
    let mut auth = scene.rrsa("reader");
    auth["rrsa"]["serviceAccountRef"]["namespace"] = scene.namespace.clone().into();
    let admitted = json!([{ "namespaces": [scene.namespace] }]);
    let mut shared = scene.cluster_store("far", auth, admitted);
    for store in [&mut far, &mut shared] {
        store["spec"]["provider"]["oos"]["endpoint"] = road.url().into();
        scene.apply(store).await.unwrap();
    }
    let stores = [
        ("far-a", ("CloudSecretStore", "far".to_owned())),
        (
            "far-b",
            ("ClusterCloudSecretStore", scene.cluster_name("far")),
        ),
    ];
    for (name, (kind, store)) in &stores {
        scene.put(name, "canary-far");
        let mut object = scene.object(name, OFTEN, &[("password", name)]);
        object["spec"]["secretStoreRef"] = json!({ "kind": kind, "name": store });
        scene.apply(&object).await.unwrap();
        scene.wait_settled(name).await;
    }
    let fault = Fault::error(403, "NoPermission").name(&scene.key("db"));
    let fault = scene.cloud.add_fault(fault);
    let stale =
        |name: &str| format!(r#"{{condition="Fresh",kind="ExternalCloudSecret",name="{name}""#);
    let db = stale("db");
    recorder.seen("not fresh", &[&db]).await;

    road.cut();
    let out = |(kind, name): &(&str, String)| {
        format!(r#"{{condition="Reachable",kind="{kind}",name="{name}""#)
    };
    let [a, b] = stores.map(|(name, store)| [out(&store), stale(name)]);
    let shown = [&*a[0], &*a[1], &*b[0], &*b[1], &*db, "hub_outages 1"];
    recorder.seen("out of reach", &shown).await;
    road.mend().await;
    scene.cloud.clear_fault(fault);
    scene.refresh("db", "after").await;
    recorder.well("after out of reach").await;
    let well = recorder.state("after out of reach");
    recorder.keep("after not fresh", &[&well]);
    for name in ["far-a", "far-b"] {
        scene.delete(name).await;
    }
}

async fn parked(recorder: &mut Recorder<'_>, scene: &Scene<'_>) {
    scene.service_account("other").await;
    scene.apply(&store(scene, "other")).await.unwrap();
    scene.put("other", "canary-other");
    reading(scene, "other", "other", "other").await;
    scene.wait_settled("other").await;
    let role = format!("{}-other", scene.namespace);
    let fault = Fault::error(400, "InvalidSecurityToken.Expired");
    let fault = scene.cloud.add_fault(fault.service("oos").principal(&role));
    let stale = r#"{condition="Fresh",kind="ExternalCloudSecret",name="other""#;
    recorder
        .seen("parked", &["hub_parked_identities 1", stale])
        .await;
    scene.cloud.clear_fault(fault);
    recorder.well("after parked").await;
    scene.delete("other").await;
}

/// A store that makes one call at a time, each of which takes longer than the next one can wait.
async fn slow(recorder: &mut Recorder<'_>, scene: &Scene<'_>) {
    scene.service_account("slow").await;
    let mut store = store(scene, "slow");
    store["spec"]["limits"] = json!({ "maxInFlight": 1 });
    scene.apply(&store).await.unwrap();
    let names = ["slow-a", "slow-b", "slow-c", "slow-d", "slow-e"];
    for name in names {
        scene.put(name, "canary-slow");
        reading(scene, name, "slow", name).await;
        scene.wait_settled(name).await;
    }
    let late = Fault::new(Effect::Delay { millis: 6_000 }).name(&scene.key("slow-*"));
    let late = scene.cloud.add_fault(late);
    recorder.overdue("overdue", Duration::from_secs(3)).await;
    scene.cloud.clear_fault(late);
    for name in names {
        scene.delete(name).await;
    }
    recorder.well("after overdue").await;
}

/// A dedicated instance is verified by a bundle with a certificate that expires soon.
async fn expiring(recorder: &mut Recorder<'_>, scene: &Scene<'_>) {
    let day = Timestamp::now().to_zoned(TimeZone::UTC);
    let day = day.checked_add(Span::new().days(10)).unwrap();
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let (month, of_month) = (day.month().unsigned_abs(), day.day().unsigned_abs());
    params.not_after = date_time_ymd(day.year().into(), month, of_month);
    let soon = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let running = scene.cloud.kms_instance().unwrap();
    let trusting = |ca: &str| {
        let mut store = scene.store_of(Service::Kms, "instance", scene.rrsa("reader"));
        store["spec"]["provider"]["kms"]["instance"] =
            json!({ "endpoint": running.url, "caBundle": ca });
        store
    };
    let both = format!("{}{}", running.ca_pem, soon.pem());
    scene.apply(&trusting(&both)).await.unwrap();
    let secret = Secret::new(&scene.key("instance"), "canary-instance");
    scene.cloud.put_secret(secret).unwrap();
    reading(scene, "instance", "instance", "instance").await;
    scene.wait_settled("instance").await;
    let year = day.timestamp().as_second() / 10_000_000;
    let expiry = "authority_expiry_timestamp_seconds{";
    recorder.seen("expiring", &[expiry]).await;
    assert!(recorder.state("expiring").contains(&format!("\"}} {year}")));
    scene.delete("instance").await;
    recorder.without("after expiring", expiry).await;
}

async fn throttled(recorder: &mut Recorder<'_>, scene: &Scene<'_>) -> String {
    // A cloud of its own: a refusal slows down whatever reads the same account there.
    let cloud = recorder.world.another_cloud().await;
    let scene = Scene::at(scene.world, "throttled", Service::Oos, cloud).await;
    scene.put("db", "canary-throttled");
    let object = scene.object("db", OFTEN, &[("password", "db")]);
    scene.apply(&object).await.unwrap();
    scene.wait_settled("db").await;
    let fault = scene.cloud.add_fault(Fault::throttle(4_000).service("oos"));
    let stale = format!(
        r#"condition="Fresh",kind="ExternalCloudSecret",name="db",namespace="{}""#,
        scene.namespace
    );
    recorder
        .seen("throttled", &["hub_slowed_budgets 1", &stale])
        .await;
    scene.cloud.clear_fault(fault);
    recorder.well("after throttled").await;
    scene.namespace
}

/// Very many objects are suspended in another namespace, and then fail; each time one fails here.
async fn crowded(recorder: &mut Recorder<'_>, scene: &Scene<'_>) -> String {
    let crowd = Scene::new(recorder.world, "crowd").await;
    let namespace = &crowd.namespace;
    let suspended = format!(
        r#"objects{{condition="Fresh",kind="ExternalCloudSecret",namespace="{namespace}",reason="Suspended",status="False"}} {CROWD}"#
    );
    let omitted = |count: usize| {
        format!(r#"omitted{{kind="ExternalCloudSecret",namespace="{namespace}"}} {count}"#)
    };
    let not = |condition: &str| {
        format!(r#"{{condition="{condition}",kind="ExternalCloudSecret",name="typo""#)
    };
    let [ready, fresh] = ["Ready", "Fresh"].map(not);

    spread(&crowd, true).await;
    reading(scene, "typo", "oos", "absent").await;
    let shown = [&*ready, &*fresh, &*suspended];
    recorder.seen("suspended", &shown).await;
    scene.delete("typo").await;
    recorder.well("after suspended").await;

    spread(&crowd, false).await;
    recorder.seen("crowd", &[&omitted(2)]).await;
    reading(scene, "typo", "oos", "absent").await;
    let shown = [&*ready, &*fresh, &*omitted(3)];
    recorder.seen("crowded", &shown).await;
    scene.delete("typo").await;
    let (params, all) = (DeleteParams::default(), ListParams::default());
    let deleted = crowd.objects().delete_collection(&params, &all).await;
    deleted.unwrap();
    recorder.well("after crowded").await;
    crowd.namespace
}

/// Makes very many objects that name no store.
async fn spread(crowd: &Scene<'_>, suspended: bool) {
    let objects = (0..CROWD).map(|i| {
        let mut object = crowd.object(&format!("crowd-{i}"), NEVER, &[("password", "absent")]);
        object["spec"]["secretStoreRef"]["name"] = "absent".into();
        object["spec"]["suspend"] = suspended.into();
        object
    });
    let applied = stream::iter(objects).for_each_concurrent(16, async |object| {
        crowd.apply(&object).await.unwrap();
    });
    applied.await;
}

async fn undecodable(recorder: &mut Recorder<'_>, scene: &Scene<'_>) {
    recorder.world.loosen("externalcloudsecrets").await;
    let mut broken = scene.object("broken", NEVER, &[("password", "db")]);
    broken["spec"]["data"] = json!("not a list");
    super::end_to_end::wait::until("the object", Duration::from_secs(40), async || {
        scene.apply(&broken).await
    })
    .await;
    let count = r#"undecodable_objects{kind="ExternalCloudSecret"} 1"#;
    recorder.seen("undecodable", &[count]).await;
    let gvk = GroupVersionKind::gvk("cloudsecrets.dev", "v1alpha1", "ExternalCloudSecret");
    let resource = ApiResource::from_gvk(&gvk);
    let api: Api<DynamicObject> =
        Api::namespaced_with(scene.client.clone(), &scene.namespace, &resource);
    api.delete("broken", &DeleteParams::default())
        .await
        .unwrap();
    recorder.well("after undecodable").await;
}
