//! What is special about KMS: stages, managed types, binary data, ARNs, states, lists, and a batch call
//! that comes and goes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloudsim::{
    Batch, DataType, KeyState, KmsSettings, Rotation, Secret, SecretPolicy, SecretType,
};
use external_cloud_secrets::provider::alibaba::KmsInstance;
use external_cloud_secrets::provider::{Answer, Class, Provider, RemoteKey, Selection};
use jiff::SignedDuration;

use crate::kms::{KmsSubject, provider};
use crate::subject::Subject;

fn secret(name: &str, value: &str) -> Secret {
    Secret {
        name: name.to_owned(),
        value: Some(value.into()),
        ..Secret::default()
    }
}

fn staged(name: &str, stage: &str) -> RemoteKey {
    RemoteKey {
        stage: Some(stage.to_owned()),
        ..RemoteKey::named(name)
    }
}

async fn read(subject: &KmsSubject, key: RemoteKey) -> Answer {
    let answers = subject.provider.fetch(&subject.reader(), &[key]).await;
    assert!(!format!("{answers:?}").contains("canary"));
    answers?.remove(0)
}

async fn text(subject: &KmsSubject, key: RemoteKey) -> String {
    let fetched = read(subject, key).await.unwrap();
    String::from_utf8(fetched.value.expose().to_vec()).unwrap()
}

#[tokio::test]
async fn stages_stand_side_by_side_through_a_rotation() {
    for subject in [KmsSubject::shared().await, KmsSubject::instance().await] {
        subject
            .simulator
            .put_secret(secret("suite/db", "canary-1"))
            .unwrap();
        subject
            .simulator
            .rotate_secret("suite/db", "canary-2")
            .unwrap();
        let current = || staged("suite/db", "ACSCurrent");
        let previous = || staged("suite/db", "ACSPrevious");
        assert_eq!(text(&subject, current()).await, "canary-2");
        assert_eq!(text(&subject, previous()).await, "canary-1");
        subject
            .simulator
            .rotate_secret("suite/db", "canary-3")
            .unwrap();
        assert_eq!(text(&subject, current()).await, "canary-3");
        assert_eq!(text(&subject, previous()).await, "canary-2");
        assert_eq!(
            text(&subject, RemoteKey::named("suite/db")).await,
            "canary-3"
        );
    }
}

#[tokio::test]
async fn every_managed_type_is_read_and_tells_its_next_rotation() {
    let subject = KmsSubject::shared().await;
    let types = [
        (
            SecretType::Rds,
            r#"{"AccountName":"a","AccountPassword":"canary"}"#,
        ),
        (
            SecretType::Redis,
            r#"{"AccountName":"a","AccountPassword":"canary"}"#,
        ),
        (
            SecretType::PolarDb,
            r#"{"AccountName":"a","AccountPassword":"canary"}"#,
        ),
        (
            SecretType::RamCredentials,
            r#"{"AccessKeyId":"a","AccessKeySecret":"canary"}"#,
        ),
        (SecretType::Ecs, r#"{"UserName":"a","Password":"canary"}"#),
        (
            SecretType::Ecs,
            r#"{"UserName":"a","PublicKey":"p","PrivateKey":"canary"}"#,
        ),
    ];
    for (i, (kind, data)) in types.into_iter().enumerate() {
        let name = format!("suite/managed-{i}");
        let made = Secret {
            kind,
            rotation: Some(Rotation {
                automatic: "Enabled".to_owned(),
                interval: Some(SignedDuration::from_hours(24)),
                next: None,
            }),
            ..secret(&name, data)
        };
        subject.simulator.put_secret(made).unwrap();
        let fetched = read(&subject, RemoteKey::named(&name)).await.unwrap();
        assert_eq!(fetched.value.expose(), data.as_bytes());
        let rotation = fetched.rotation.unwrap();
        assert!(rotation.automatic);
        assert_eq!(rotation.interval.unwrap().as_secs(), 86_400);
        let versioned = RemoteKey {
            version: Some("v1".to_owned()),
            ..RemoteKey::named(&name)
        };
        let error = read(&subject, versioned).await.unwrap_err();
        assert_eq!(error.class, Class::Invalid);
        assert_eq!(error.code(), "VersionOfManagedSecret");
    }
}

#[tokio::test]
async fn binary_values_arrive_byte_for_byte_singly_and_in_batches() {
    let subject = KmsSubject::shared().await;
    // 30,720 characters of base64.
    let longest: Vec<u8> = (0..23_040_u32)
        .map(|i| u8::try_from(i % 256).unwrap())
        .collect();
    let values = [
        vec![0],
        vec![0xff, 0xfe, 0, 0x80],
        b"canary\0\xc3\x28".to_vec(),
        longest,
    ];
    let mut names = Vec::new();
    for (i, value) in values.iter().enumerate() {
        let name = format!("suite/binary-{i}");
        let made = Secret {
            data_type: DataType::Binary,
            ..secret(&name, &STANDARD.encode(value))
        };
        subject.simulator.put_secret(made).unwrap();
        let fetched = read(&subject, RemoteKey::named(&name)).await.unwrap();
        assert_eq!(fetched.value.expose(), value);
        names.push(name);
    }
    let broken = Secret {
        data_type: DataType::Binary,
        ..secret("suite/binary-broken", "canary is no base64")
    };
    subject.simulator.put_secret(broken).unwrap();
    names.push("suite/binary-broken".to_owned());
    let keys: Vec<RemoteKey> = names.iter().map(RemoteKey::named).collect();
    let mut answers = subject
        .provider
        .fetch(&subject.reader(), &keys)
        .await
        .unwrap();
    let error = answers.pop().unwrap().unwrap_err();
    assert_eq!(
        (error.class, error.code()),
        (Class::Protocol, "UndecodableBinary")
    );
    for (answer, value) in answers.iter().zip(&values) {
        assert_eq!(answer.as_ref().unwrap().value.expose(), value);
    }
}

#[tokio::test]
async fn another_accounts_secret_is_read_by_its_arn_if_its_policy_allows() {
    let arn = |name: &str| format!("acs:kms:cn-hangzhou:1000000000000002:secret/suite/{name}");
    for bare_names in [false, true] {
        let subject = KmsSubject::shared().await;
        subject.simulator.set_kms(KmsSettings {
            bare_names,
            ..KmsSettings::generous()
        });
        let open = Secret {
            policy: vec![SecretPolicy {
                principals: vec!["acs:ram::1000000000000001:root".to_owned()],
                actions: vec!["kms:GetSecretValue".to_owned()],
            }],
            ..secret("suite/open", "canary-open")
        };
        let theirs = "1000000000000002";
        subject.simulator.put_secret_in(theirs, open).unwrap();
        let closed = secret("suite/closed", "canary-closed");
        subject.simulator.put_secret_in(theirs, closed).unwrap();
        let key = RemoteKey::named(arn("open"));
        assert!(!subject.provider.batchable(&key));
        assert_eq!(text(&subject, key).await, "canary-open");
        let error = read(&subject, RemoteKey::named(arn("closed"))).await;
        assert_eq!(error.unwrap_err().class, Class::Denied);
    }
}

#[tokio::test]
async fn what_exists_and_cannot_be_used_is_denied_and_never_missing() {
    let subject = KmsSubject::shared().await;
    let simulator = &subject.simulator;
    let encrypted = Secret {
        encryption_key: Some("key-1".to_owned()),
        ..secret("suite/encrypted", "canary")
    };
    simulator.put_secret(encrypted).unwrap();
    let key = || RemoteKey::named("suite/encrypted");
    assert_eq!(text(&subject, key()).await, "canary");
    for state in [
        KeyState::Disabled,
        KeyState::PendingDeletion,
        KeyState::PendingImport,
    ] {
        simulator.put_kms_key("key-1", state).unwrap();
        assert_eq!(
            read(&subject, key()).await.unwrap_err().class,
            Class::Denied
        );
    }
    simulator.delete_kms_key("key-1").unwrap();
    let error = read(&subject, key()).await.unwrap_err();
    assert_eq!(
        (error.class, error.code()),
        (Class::Denied, "Forbidden.KeyNotFound")
    );

    simulator
        .put_secret(secret("suite/doomed", "canary"))
        .unwrap();
    simulator.delete_secret("suite/doomed", Some(7)).unwrap();
    let key = || RemoteKey::named("suite/doomed");
    assert_eq!(
        read(&subject, key()).await.unwrap_err().class,
        Class::Denied
    );
    simulator.restore_secret("suite/doomed").unwrap();
    assert_eq!(text(&subject, key()).await, "canary");
    simulator.delete_secret("suite/doomed", None).unwrap();
    assert_eq!(
        read(&subject, key()).await.unwrap_err().class,
        Class::NotFound
    );
}

#[tokio::test]
async fn a_batch_that_is_withdrawn_in_the_middle_of_a_run_loses_no_refresh() {
    for refusal in [
        Batch::ApiNotFound,
        Batch::ActionNotFound,
        Batch::Unsupported,
    ] {
        let subject = KmsSubject::shared().await;
        let names: Vec<String> = (0..20).map(|i| format!("suite/run-{i}")).collect();
        let keys: Vec<RemoteKey> = names.iter().map(RemoteKey::named).collect();
        let reader = subject.reader();
        for round in 0..4 {
            if round == 2 {
                subject.simulator.set_batch(refusal);
            }
            for name in &names {
                subject.put(name, &format!("canary-{name}-{round}"));
            }
            let before = subject.calls();
            let answers = subject.provider.fetch(&reader, &keys).await.unwrap();
            for (name, answer) in names.iter().zip(answers) {
                let expected = format!("canary-{name}-{round}");
                assert_eq!(answer.unwrap().value.expose(), expected.as_bytes());
            }
            let calls = [1, 1, 21, 20];
            assert_eq!(subject.calls() - before, calls[round]);
        }
        assert!(subject.provider.take_notice().is_some());
        assert!(subject.provider.take_notice().is_none());
    }
}

#[tokio::test]
async fn an_instance_behind_another_authority_is_not_spoken_to() {
    let (subject, other) = (KmsSubject::instance().await, KmsSubject::instance().await);
    let running = |subject: &KmsSubject| subject.simulator.kms_instance().unwrap().clone();
    let mistaken = KmsInstance {
        endpoint: running(&subject).url,
        ca_bundle: Some(running(&other).ca_pem),
    };
    let vendors = KmsInstance {
        endpoint: running(&subject).url,
        ca_bundle: None,
    };
    let before = subject.calls();
    for instance in [mistaken, vendors] {
        let kms = provider(&subject.simulator.url(), Some(instance));
        let keys = [RemoteKey::named("suite/first")];
        let error = kms.fetch(&subject.reader(), &keys).await.unwrap_err();
        assert_eq!(
            (error.class, error.code()),
            (Class::Unavailable, "TlsFailed")
        );
    }
    assert_eq!(subject.calls(), before);
}

#[tokio::test]
async fn a_list_has_every_page_and_only_what_was_asked_for() {
    for subject in [KmsSubject::shared().await, KmsSubject::instance().await] {
        for i in 0..230 {
            let tags = [("env", ["prod", "test"][i % 2]), ("team", "prod")];
            let made = Secret {
                tags: tags.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
                ..secret(&format!("list/{i:03}"), "canary")
            };
            subject.simulator.put_secret(made).unwrap();
        }
        let selection = |path: Option<&str>, tags: &[(&str, &str)]| Selection {
            path: path.map(str::to_owned),
            tags: tags
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        };
        let table = [
            (selection(Some("list/"), &[]), 230),
            (selection(Some("list/1"), &[]), 100),
            (selection(None, &[("env", "prod")]), 115),
            (
                selection(Some("list/1"), &[("env", "test"), ("team", "prod")]),
                50,
            ),
            (selection(None, &[("env", "none")]), 0),
            (selection(None, &[("team", "test")]), 0),
            (selection(Some("nothing/"), &[]), 0),
        ];
        for (selection, expected) in table {
            let listed = subject.provider.list(&subject.reader(), &selection).await;
            let listed = listed.unwrap();
            assert!(listed.iter().all(|one| one.answer.is_none()));
            assert_eq!(listed.len(), expected, "{selection:?}");
        }
    }
}
