//! What an identity may read in its own account.

use cloudsim::Filter;
use external_cloud_secrets::credential::Credentials;
use external_cloud_secrets::provider::alibaba::Parameters;
use external_cloud_secrets::provider::{Class, Provider, RemoteKey, Selection};
use serde_json::Value;

use super::printed::{documents, weakened};
use super::{Outcome, assert_denied, attach, cloud, fetch, role, told};
use crate::identity::Fixture;
use crate::kms;
use crate::oos::{key, provider_of};

/// Everything that the page of OOS says a policy for names below `folder` is good for: several together
/// and one alone, with and without a slash in front.
async fn read_parameters(
    fixture: &Fixture,
    kind: Parameters,
    reader: &Credentials,
    folder: &str,
) -> Outcome {
    let oos = provider_of(&fixture.simulator.url(), kind);
    for root in ["/", ""] {
        let (a, b) = (format!("{root}{folder}/a"), format!("{root}{folder}/b"));
        fetch(&oos, reader, &[&a, &b]).await?;
        fetch(&oos, reader, &[&a]).await?;
    }
    Ok(())
}

/// Tries a policy for parameters of one kind as one of a role, and as one of a user.
async fn try_parameters(kind: Parameters, folder: &str, document: &Value) {
    let fixture = cloud().await;
    let user = key("LTAIreader", "canary-key", None);
    let session = role(&fixture, "reader").await;
    for (principal, reader) in [("user/reader", &user), ("role/reader", &*session)] {
        let read = async || read_parameters(&fixture, kind, reader, folder).await;
        assert_denied(read().await, "no policy");
        attach(&fixture, principal, Some(document));
        assert_eq!(read().await, Ok(()), "{principal}");
        let oos = provider_of(&fixture.simulator.url(), kind);
        for other in ["/other/a", "other/a"] {
            assert_denied(fetch(&oos, reader, &[other]).await, other);
        }
        let everything = Selection {
            path: Some(format!("/{folder}/")),
            ..Selection::default()
        };
        let listed = oos.list(reader, &everything).await;
        assert_denied(listed.map(drop).map_err(told), "a list");
        let secrets = kms::provider(&fixture.simulator.url(), None);
        let secret = format!("{folder}/a");
        assert_denied(fetch(&secrets, reader, &[&secret]).await, &secret);
        for without in weakened(document) {
            attach(&fixture, principal, without.document.as_ref());
            assert_denied(read().await, &without.part);
        }
    }
}

#[tokio::test]
async fn the_policy_of_the_first_secret_reads_its_parameters_and_no_part_of_it_can_be_left_out() {
    let [_trust, permissions] = documents("README.md");
    try_parameters(Parameters::Secret, "shop", &permissions).await;
}

#[tokio::test]
async fn the_policies_for_parameters_read_them_and_no_part_of_them_can_be_left_out() {
    let [secret, plain] = documents("docs/oos.md");
    try_parameters(Parameters::Secret, "cart", &secret).await;
    try_parameters(Parameters::Plain, "cart", &plain).await;
}

/// Everything that the page of KMS says a policy for `a` and `b` is good for: both in one call that the
/// gateway took, and one alone by its stage.
async fn read_secrets(fixture: &Fixture, reader: &Credentials, (a, b): (&str, &str)) -> Outcome {
    let batches = || {
        let batch = Filter {
            outcome: Some("OK".to_owned()),
            ..Filter::action("BatchGetSecretValue")
        };
        fixture.simulator.ledger_of(&batch).total
    };
    let before = batches();
    let kms = kms::provider(&fixture.simulator.url(), None);
    fetch(&kms, reader, &[a, b]).await?;
    if batches() == before {
        return Err((Class::Denied, "NoBatch".to_owned()));
    }
    let staged = RemoteKey {
        stage: Some("ACSCurrent".to_owned()),
        ..RemoteKey::named(a)
    };
    let answers = kms.fetch(reader, &[staged]).await.map_err(told)?;
    answers.into_iter().next().unwrap().map(drop).map_err(told)
}

#[tokio::test]
async fn the_policies_for_secrets_read_them_and_no_part_of_them_can_be_left_out() {
    let [plain, locked, ..]: [Value; 5] = documents("docs/kms.md");
    let names = ("pay/a", "pay/b");
    let locked_names = ("pay/locked-a", "pay/locked-b");
    for (document, names) in [(plain, names), (locked, locked_names)] {
        let fixture = cloud().await;
        let user = key("LTAIreader", "canary-key", None);
        let session = role(&fixture, "reader").await;
        for (principal, reader) in [("user/reader", &user), ("role/reader", &*session)] {
            let read = async || read_secrets(&fixture, reader, names).await;
            assert_denied(read().await, "no policy");
            attach(&fixture, principal, Some(&document));
            assert_eq!(read().await, Ok(()), "{principal}");
            let kms = kms::provider(&fixture.simulator.url(), None);
            assert_denied(fetch(&kms, reader, &["other/a"]).await, "another secret");
            let listed = kms.list(reader, &Selection::default()).await;
            assert_denied(listed.map(drop).map_err(told), "a list");
            for without in weakened(&document) {
                attach(&fixture, principal, without.document.as_ref());
                assert_denied(read().await, &without.part);
            }
        }
    }
}

#[tokio::test]
async fn without_the_permission_for_the_batch_secrets_are_read_singly_as_the_page_says() {
    let [policy, ..]: [Value; 5] = documents("docs/kms.md");
    let fixture = cloud().await;
    let reader = key("LTAIreader", "canary-key", None);
    let single = weakened(&policy)
        .into_iter()
        .find(|without| without.part == "kms:BatchGetSecretValue")
        .unwrap();
    attach(&fixture, "user/reader", single.document.as_ref());
    let kms = kms::provider(&fixture.simulator.url(), None);
    assert_eq!(fetch(&kms, &reader, &["pay/a", "pay/b"]).await, Ok(()));
}
