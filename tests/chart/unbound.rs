//! A release without roles of its own.

use std::collections::BTreeSet;

use devcluster::Binary;
use http::Method;
use serde_json::json;

use super::end_to_end::grants::{Rules, table};
use super::end_to_end::operator::RBAC;
use super::end_to_end::scene::Scene;
use super::release::{HOME, Release};
use super::requests::token;
use super::switches::{
    ALL_SECRETS, Permissions, accounts, answers, are_all, get, is_enough, make_token, own, refusals,
};

#[tokio::test(flavor = "multi_thread")]
async fn without_roles_of_the_release_nothing_is_possible_until_its_rules_are_bound() {
    let release = Release::new(Binary::Helm4).await;
    let scene = Scene::new(&release.world, "shop").await;
    let shop = scene.namespace.clone();
    let case = "unbound";
    release.upgrade(&json!({
        "rbac": { "create": false }, "identity": { "serviceAccounts": accounts(&scene) },
    }));
    let nothing = Permissions {
        everywhere: BTreeSet::new(),
        served: BTreeSet::new(),
        own: BTreeSet::new(),
    };
    are_all(&release, case, &scene, &nothing).await;
    let before = refusals(&release).await;
    let key = format!("/api/v1/namespaces/{HOME}/secrets/external-cloud-secrets-digest-key");
    let requests = [
        get(ALL_SECRETS, 403),
        get(&key, 403),
        make_token(&shop, "reader", 403),
    ];
    answers(&release, case, &requests).await;
    assert_eq!(refusals(&release).await, before + 3);

    let cluster = &release.world.cluster;
    let bound = cluster.install_operator(RBAC, HOME).await.unwrap();
    bound.grant_tokens(&shop, &["reader"]).await.unwrap();
    let rules = Rules::read();
    let permissions = Permissions {
        everywhere: table(&rules.cluster, &[]),
        served: table(&rules.tokens, &["reader"]),
        own: own(&rules, "external-cloud-secrets"),
    };
    let case = "bound-by-hand";
    are_all(&release, case, &scene, &permissions).await;
    is_enough(&release, case, &scene).await.stop();
    // Policies refuse too, and that is counted beside.
    let before = refusals(&release).await;
    let (path, body) = token(&shop, "reader", &["elsewhere"]);
    answers(&release, case, &[(Method::POST, path, body, 422)]).await;
    assert_eq!(refusals(&release).await, before + 1);
}
