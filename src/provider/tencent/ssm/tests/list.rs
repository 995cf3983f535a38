//! Listing: all types, all pages, and what may change meanwhile.

use std::collections::BTreeMap;

use super::*;

/// The part of a list of these that was asked for.
fn page(names: &[String], asked: &Json) -> Json {
    let number = |field: &str| usize::try_from(asked[field].as_u64().unwrap()).unwrap();
    let part = names.iter().skip(number("Offset")).take(number("Limit"));
    let part: Vec<Json> = part.map(|name| json!({"SecretName": name})).collect();
    json!({"TotalCount": names.len(), "SecretMetadatas": part})
}

/// 250 secrets.
fn all() -> Vec<String> {
    (0..250).map(|n| format!("s{n}")).collect()
}

fn one_replaced() -> Vec<String> {
    let mut names = all();
    names.remove(7);
    names.push("new".to_owned());
    names
}

async fn names(gate: &Gate) -> Result<Vec<String>, CallError> {
    gate.say("ListSecrets", json!({"TotalCount": 0}));
    let listed = gate.ssm.list(&credentials(), &Selection::default()).await?;
    Ok(listed.into_iter().map(|listed| listed.key.key).collect())
}

#[tokio::test]
async fn a_list_of_several_pages_names_each_once() {
    let gate = Gate::start().await;
    gate.log.lock().unwrap().pages = vec![|asked| page(&all(), asked); 3];
    assert_eq!(names(&gate).await.unwrap(), all());
    assert!(gate.log.lock().unwrap().pages.is_empty());
}

#[tokio::test]
async fn a_list_of_which_one_is_deleted_and_one_made_meanwhile_is_read_anew() {
    let gate = Gate::start().await;
    let mut pages: Vec<fn(&Json) -> Json> = vec![|asked| page(&all(), asked)];
    for _ in 0..4 {
        pages.push(|asked| page(&one_replaced(), asked));
    }
    gate.log.lock().unwrap().pages = pages;
    assert_eq!(names(&gate).await.unwrap(), one_replaced());
    assert!(gate.log.lock().unwrap().pages.is_empty());
}

#[tokio::test]
async fn a_list_that_changes_whenever_it_is_read_fails() {
    let gate = Gate::start().await;
    let mut pages: Vec<fn(&Json) -> Json> = Vec::new();
    for _ in 0..5 {
        pages.push(|asked| page(&all(), asked));
        pages.push(|asked| page(&one_replaced(), asked));
    }
    gate.log.lock().unwrap().pages = pages;
    let error = names(&gate).await.unwrap_err();
    let told = (error.class, error.code());
    assert_eq!(told, (Class::Unavailable, "ListChanged"));
    assert_eq!(gate.calls().len(), 6);
}

#[tokio::test]
async fn a_list_asks_for_every_type_and_each_tag_and_filters_names_again() {
    let gate = Gate::start().await;
    let secret = |name: &str| json!({"SecretName": name});
    let page = [secret("shop-a"), secret("my-shop-"), secret("shop-b")];
    gate.say(
        "ListSecrets",
        json!({"TotalCount": 3, "SecretMetadatas": page}),
    );
    let names = |listed: Vec<Listed>| -> Vec<String> {
        listed.into_iter().map(|listed| listed.key.key).collect()
    };
    let mut selection = Selection {
        path: Some("shop-".to_owned()),
        tags: BTreeMap::new(),
    };
    let listed = gate.ssm.list(&credentials(), &selection).await.unwrap();
    assert_eq!(names(listed), ["shop-a", "shop-b"]);
    assert_eq!(gate.calls().len(), 5);
    selection.tags.insert("env".to_owned(), "prod".to_owned());
    selection.tags.insert("team".to_owned(), "a".to_owned());
    let listed = gate.ssm.list(&credentials(), &selection).await.unwrap();
    assert_eq!(names(listed), ["shop-a", "shop-b"]);
    assert_eq!(gate.calls().len(), 10);
}

#[tokio::test]
async fn a_list_that_ends_before_its_end_is_no_list() {
    let gate = Gate::start().await;
    gate.say(
        "ListSecrets",
        json!({"TotalCount": 3, "SecretMetadatas": []}),
    );
    let error = gate
        .ssm
        .list(&credentials(), &Selection::default())
        .await
        .unwrap_err();
    assert_eq!(
        (error.class, error.code()),
        (Class::Protocol, "IncompleteList")
    );
}
