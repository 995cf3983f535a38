//! What is special about SSM: kinds of secrets, versions without stages, states, pairs of keys, lists, and a
//! clock that is off.

use std::collections::BTreeMap;

use cloudsim::tencent::{
    KeyEncoding, Secret, SecretState, SecretType, Settings, SshKeyPair, Version,
};
use external_cloud_secrets::provider::{Caveat, Class, Notice, Provider, RemoteKey, Selection};
use jiff::SignedDuration;

use crate::oos::key;
use crate::ssm::{SsmSubject, pinned, text};
use crate::subject::Subject;

#[tokio::test]
async fn a_version_that_people_named_later_is_read_also_where_the_first_is_called_current() {
    let subject = SsmSubject::custom().await;
    let tencent = subject.simulator.tencent();
    let value = Some("canary-first".into());
    let secret = Secret {
        name: "suite-db".to_owned(),
        value,
        ..Secret::default()
    };
    tencent.put_secret(secret).unwrap();
    let db = || RemoteKey::named("suite-db");
    assert_eq!(subject.text(db()).await, "canary-first");
    tencent
        .put_version("suite-db", &Version::text("2026-11", "canary-second"))
        .unwrap();
    assert_eq!(subject.text(db()).await, "canary-second");
    assert_eq!(
        subject.text(pinned("suite-db", "SSM_Current")).await,
        "canary-first"
    );
}

#[tokio::test]
async fn what_is_rotated_is_read_by_the_name_of_what_is_current() {
    for kind in [SecretType::Product, SecretType::ApiKey, SecretType::Redis] {
        let subject = SsmSubject::start(kind).await;
        subject.put("suite-db", "canary-1");
        assert_eq!(subject.text(RemoteKey::named("suite-db")).await, "canary-1");
        subject.put("suite-db", "canary-2");
        assert_eq!(subject.text(RemoteKey::named("suite-db")).await, "canary-2");
    }
}

#[tokio::test]
async fn bytes_arrive_decoded() {
    let subject = SsmSubject::custom().await;
    let bytes: Vec<u8> = (0..=255).collect();
    let versions = vec![Version::binary("v1", &bytes)];
    let secret = Secret {
        name: "suite-bin".to_owned(),
        versions,
        ..Secret::default()
    };
    subject.simulator.tencent().put_secret(secret).unwrap();
    let answer = subject
        .read_as(&subject.reader(), RemoteKey::named("suite-bin"))
        .await;
    assert_eq!(answer.unwrap().value.expose(), bytes);
}

#[tokio::test]
async fn a_pair_of_keys_is_read_in_either_encoding() {
    for encoding in [KeyEncoding::Raw, KeyEncoding::Base64] {
        let subject = SsmSubject::custom().await;
        let ssh = SshKeyPair {
            id: "skey-1".to_owned(),
            name: "shop".to_owned(),
            public_key: "ssh-rsa canary-public shop".into(),
            private_key: "-----BEGIN RSA PRIVATE KEY-----\ncanary\n".into(),
            encoding,
        };
        let secret = Secret {
            name: "suite-ssh".to_owned(),
            kind: SecretType::Ssh,
            ssh: Some(ssh),
            ..Secret::default()
        };
        subject.simulator.tencent().put_secret(secret).unwrap();
        let read = subject.text(RemoteKey::named("suite-ssh")).await;
        let keys: BTreeMap<String, String> = serde_json::from_str(&read).unwrap();
        assert_eq!(keys["PublicKey"], "ssh-rsa canary-public shop");
        assert_eq!(
            keys["PrivateKey"],
            "-----BEGIN RSA PRIVATE KEY-----\ncanary\n"
        );
    }
}

#[tokio::test]
async fn disabled_pending_and_absent_are_three_things_and_only_absent_is_missing() {
    let subject = SsmSubject::custom().await;
    subject.put("suite-db", "canary-1");
    let tencent = subject.simulator.tencent();
    let mut told = Vec::new();
    for state in [SecretState::Disabled, SecretState::PendingDelete] {
        tencent.set_secret_state("suite-db", state).unwrap();
        for key in [RemoteKey::named("suite-db"), pinned("suite-db", "v1")] {
            let error = subject.read_as(&subject.reader(), key).await.unwrap_err();
            assert_eq!(error.class, Class::Denied, "{state:?}");
            told.push(error.detail().unwrap().to_string());
        }
    }
    told.dedup();
    assert_eq!(told.len(), 2, "{told:?}");
    tencent.delete_secret("suite-db").unwrap();
    for key in [RemoteKey::named("suite-db"), pinned("suite-db", "v1")] {
        let error = subject.read_as(&subject.reader(), key).await.unwrap_err();
        assert_eq!(
            (error.class, error.code()),
            (Class::NotFound, "ResourceNotFound.SecretNotExist")
        );
    }
}

#[tokio::test]
async fn a_version_that_is_unknown_is_no_missing_secret_whichever_code_says_so() {
    let subject = SsmSubject::custom().await;
    subject.put("suite-db", "canary-1");
    let settings: Vec<Settings> = ["resource_not_found", "invalid_parameter_value"]
        .map(|code| {
            serde_json::from_value(serde_json::json!({"quotas": false, "unknown_version": code}))
                .unwrap()
        })
        .into();
    for settings in settings {
        subject.simulator.tencent().set_settings(settings);
        let error = subject
            .read_as(&subject.reader(), pinned("suite-db", "v9"))
            .await;
        let error = error.unwrap_err();
        assert_eq!(error.class, Class::NotFound);
        assert_ne!(error.code(), "ResourceNotFound.SecretNotExist");
        assert!(error.to_string().contains("no such version"), "{error}");
    }
}

#[tokio::test]
async fn who_may_only_read_values_reads_what_is_current_and_is_told() {
    for (credentials, caveat) in [
        (key("AKIDnarrow", "canary-narrow", None), Caveat::KindHidden),
        (key("AKIDhalf", "canary-half", None), Caveat::VersionsHidden),
    ] {
        let subject = SsmSubject::custom().await;
        let value = Some("canary-first".into());
        let secret = Secret {
            name: "suite-db".to_owned(),
            value,
            ..Secret::default()
        };
        let tencent = subject.simulator.tencent();
        tencent.put_secret(secret).unwrap();
        tencent
            .put_version("suite-db", &Version::text("v2", "canary-second"))
            .unwrap();
        let fetched = subject
            .read_as(&credentials, RemoteKey::named("suite-db"))
            .await
            .unwrap();
        assert_eq!(
            (fetched.value.expose(), fetched.caveat),
            (&b"canary-first"[..], Some(caveat))
        );
        let before = subject.calls();
        assert_eq!(
            text(
                subject
                    .read_as(&credentials, pinned("suite-db", "v2"))
                    .await
            ),
            "canary-second"
        );
        assert_eq!(
            subject.calls(),
            before + 1,
            "a named version needs one permission and one call"
        );
        subject.put("suite-named", "canary-1");
        let error = subject
            .read_as(&credentials, RemoteKey::named("suite-named"))
            .await
            .unwrap_err();
        assert_eq!(error.class, Class::Denied, "that is no missing secret");
        assert!(
            error.to_string().contains("ssm:ListSecretVersionIds"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_wrong_key_is_denied_and_says_what_may_be_wrong() {
    let subject = SsmSubject::custom().await;
    subject.put("suite-db", "canary-1");
    let wrong = key("AKIDreader", "canary-wrong", None);
    let error = subject
        .read_as(&wrong, RemoteKey::named("suite-db"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.class, error.code()),
        (Class::Denied, "AuthFailure.SignatureFailure")
    );
    assert!(error.to_string().contains("secret key"), "{error}");
}

#[tokio::test]
async fn a_clock_that_is_off_is_mended_and_said_once() {
    for minutes in [-40, 40] {
        let subject = SsmSubject::custom().await;
        subject.put("suite-db", "canary-1");
        let off = SignedDuration::from_mins(minutes);
        subject.simulator.tencent().set_clock_offset(off);
        let key = || pinned("suite-db", "v1");
        let before = subject.calls();
        assert_eq!(subject.text(key()).await, "canary-1");
        assert_eq!(subject.calls(), before + 2);
        assert_eq!(subject.provider.take_notice(), Some(Notice::ClockOff));
        assert_eq!(subject.text(key()).await, "canary-1");
        assert_eq!(subject.calls(), before + 3);
        assert_eq!(subject.provider.take_notice(), None);
    }
}

#[tokio::test]
async fn a_list_has_every_type_and_all_pages() {
    let subject = SsmSubject::custom().await;
    let tencent = subject.simulator.tencent();
    let mut expected = Vec::new();
    for n in 0..230 {
        let kind = if n % 50 == 0 {
            SecretType::Product
        } else {
            SecretType::Custom
        };
        let name = format!("suite-{n:03}");
        let value = Some("canary".into());
        let mut secret = Secret {
            name: name.clone(),
            kind,
            value,
            ..Secret::default()
        };
        if n % 7 == 0 {
            secret.tags.insert("env".to_owned(), "prod".to_owned());
        }
        tencent.put_secret(secret).unwrap();
        expected.push(name);
    }
    let list = async |path: &str, tags: &[(&str, &str)]| {
        let selection = Selection {
            path: Some(path.to_owned()),
            tags: tags
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        };
        let listed = subject
            .provider
            .list(&subject.reader(), &selection)
            .await
            .unwrap();
        let mut names: Vec<String> = listed.into_iter().map(|listed| listed.key.key).collect();
        names.sort();
        names
    };
    assert_eq!(list("suite-", &[]).await, expected);
    assert_eq!(
        list("uite-", &[]).await,
        [""; 0],
        "a part of a name is no beginning"
    );
    assert_eq!(list("suite-", &[("env", "prod")]).await.len(), 33);
    assert_eq!(list("suite-", &[("env", "test")]).await, [""; 0]);
}
