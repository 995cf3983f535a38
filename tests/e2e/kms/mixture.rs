//! Whose values are whose: one object with two services and two identities, and stores that share
//! an identity or do not.

use std::time::Duration;

use cloudsim::Filter;
use serde_json::{Value, json};

use crate::cloud::Service;
use crate::scene::Scene;
use crate::snapshot::{NEVER, texts};
use crate::wait::until;
use crate::world::World;

/// Several intervals of ten seconds.
const INTERVALS: Duration = Duration::from_secs(45);

/// Gives an entry a store of its own.
fn from(entry: &mut Value, store: &str) {
    entry["sourceRef"] = json!({ "storeRef": { "name": store } });
}

#[tokio::test(flavor = "multi_thread")]
async fn one_object_mixes_oos_and_kms_with_two_identities() {
    let scene = Scene::kms(World::kms().await, "mixed").await;
    // Each role may read one of the two, and both would be there under either service.
    scene.role("reader", &["reader"], &[&scene.key("secret")]);
    scene.role("other", &["reader"], &[&scene.key("parameter")]);
    let parameter = |value| {
        scene
            .cloud
            .put_parameter(&scene.key("parameter"), value)
            .unwrap()
    };
    parameter("canary-user-1");
    scene.put("secret", "canary-password-1");
    scene.put("parameter", "canary-of-the-wrong-service");
    let store = scene.store_of(Service::Oos, "oos", scene.rrsa_as("other", "reader"));
    scene.apply(&store).await.unwrap();
    let mut object = scene.object(
        "db",
        NEVER,
        &[("user", "parameter"), ("password", "secret")],
    );
    from(&mut object["spec"]["data"][0], "oos");
    scene.apply(&object).await.unwrap();
    let expected = |user: &str, password: &str| {
        let pairs = [("password", password), ("user", user)];
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned()))
    };
    scene.wait_settled("db").await;
    let before = scene.secret_as_it_is("db").await;
    assert_eq!(
        texts(&before),
        expected("canary-user-1", "canary-password-1")
    );
    let stores: Vec<String> = {
        let status = scene.objects().get("db").await.unwrap().status.unwrap();
        status
            .entries
            .into_iter()
            .map(|entry| entry.store)
            .collect()
    };
    assert_eq!(stores, ["CloudSecretStore/oos", "CloudSecretStore/kms"]);

    // One of the two fails, and the other one changed: all entries or none.
    scene.role("reader", &["reader"], &[]);
    parameter("canary-user-2");
    scene.put("secret", "canary-password-2");
    scene.refresh("db", "1").await;
    let message = scene
        .wait_condition("db", "Fresh", "False", "AccessDenied")
        .await;
    assert!(message.starts_with("data[password] "), "{message}");
    assert!(message.contains("Forbidden.NoPermission"), "{message}");
    assert_eq!(scene.secret_as_it_is("db").await, before);
    scene.role("reader", &["reader"], &[&scene.key("secret")]);
    scene.refresh("db", "2").await;
    scene
        .wait_value("db", "password", "canary-password-2")
        .await;
    scene.wait_settled("db").await;
    let after = scene.secret_as_it_is("db").await;
    assert_eq!(
        texts(&after),
        expected("canary-user-2", "canary-password-2")
    );

    // Neither identity has spoken to the other's service.
    let spoken = ["reader", "other"].map(|role| {
        let services = ["sts", "oos", "kms"];
        services.map(|service| scene.calls_of(role, service))
    });
    assert!(
        matches!(spoken, [[1, 0, (3..)], [1, (3..), 0]]),
        "{spoken:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_identities_share_one_exchange_and_one_row_and_others_share_nothing() {
    let scene = Scene::kms(World::kms().await, "shared")
        .await
        .entered()
        .await;
    scene.put("db", "canary-1");
    scene.role("other", &["reader"], &[&scene.key("else")]);
    let chain = |external_id: &str| scene.entering(scene.rrsa("entrant"), "target", external_id);
    for (name, auth) in [
        ("one", scene.rrsa("reader")),
        ("two", scene.rrsa("reader")),
        ("denied", scene.rrsa_as("other", "reader")),
        ("right", chain("ext-1")),
        ("also-right", chain("ext-1")),
        ("wrong", chain("ext-2")),
    ] {
        scene.apply(&scene.store(name, auth)).await.unwrap();
        let place = ("CloudSecretStore", name);
        let mut object = scene.reading(name, place, &[("password", &scene.key("db"))]);
        object["spec"]["refreshInterval"] = "10s".into();
        scene.apply(&object).await.unwrap();
    }
    let served = ["one", "two", "right", "also-right"];
    let refused = [
        ("denied", "Forbidden.NoPermission"),
        ("wrong", "NoPermission"),
    ];
    for name in served {
        scene.wait_value(name, "password", "canary-1").await;
    }
    for (name, code) in refused {
        let message = scene
            .wait_condition(name, "Ready", "False", "AccessDenied")
            .await;
        assert!(message.contains(code), "{name}: {message}");
    }

    // Two rows of one interval would be read twice in it, and at other times.
    let read_by = |role: &str| {
        let principal = format!("{}-{role}", scene.namespace);
        let filter = Filter::service("kms").principal(&principal).outcome("OK");
        scene.cloud.ledger_of(&filter).recent
    };
    scene.put("db", "canary-2");
    for name in served {
        scene.wait_value(name, "password", "canary-2").await;
    }
    let began = ["reader", "target"].map(|role| read_by(role).len());
    until("two intervals", INTERVALS, async || {
        let now = ["reader", "target"].map(|role| read_by(role).len());
        let enough = now.iter().zip(began).all(|(now, began)| *now >= began + 2);
        // Whoever is refused is refused again, however often others read the value.
        for (name, _) in refused {
            assert!(scene.secret(name).await.is_none(), "{name} got a value");
        }
        if enough { Ok(()) } else { Err(now) }
    })
    .await;
    for (role, began) in ["reader", "target"].iter().zip(began) {
        let times: Vec<i64> = read_by(role)[began - 1..]
            .iter()
            .map(|call| call.at.as_millisecond())
            .collect();
        let gaps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(
            gaps.iter().all(|gap| *gap > 8_000),
            "{role}: {gaps:?} ms apart"
        );
    }
    for name in refused {
        scene.refresh(name.0, "1").await;
        scene.wait_handled(name.0, "1").await;
        assert!(scene.secret(name.0).await.is_none(), "{}", name.0);
    }
    assert_eq!(read_by("other").len(), 0);
    let exchanges = |role: &str, action: &str, outcome: &str| {
        let principal = format!("{}-{role}", scene.namespace);
        let filter = Filter::action(action)
            .principal(&principal)
            .outcome(outcome);
        scene.cloud.ledger_of(&filter).total
    };
    assert_eq!(exchanges("reader", "AssumeRoleWithOIDC", "OK"), 1);
    assert_eq!(
        exchanges("entrant", "AssumeRoleWithOIDC", "OK"),
        1,
        "the first hop is one for all"
    );
    assert_eq!(exchanges("entrant", "AssumeRole", "OK"), 1);
    assert!(exchanges("entrant", "AssumeRole", "NoPermission") >= 1);
}
