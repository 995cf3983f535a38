//! What clouds answer wrongly costs nobody a Secret: each kind of wrong answer, for one key of ten.

use cloudsim::Effect;

use super::ten::{Heals, NEIGHBOURS, Ten, VICTIM, strike};

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
