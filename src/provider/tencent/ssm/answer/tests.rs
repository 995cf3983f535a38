//! How answers are matched to questions, and values decoded.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use super::*;

type Shown = Result<Vec<u8>, (Class, String)>;

fn shown(answer: Answer) -> Shown {
    assert!(!format!("{answer:?}").contains("canary"));
    answer
        .map(|fetched| fetched.value.expose().to_vec())
        .map_err(|error| (error.class, error.code().to_owned()))
}

fn refused(code: &str) -> Shown {
    Err((Class::Protocol, code.to_owned()))
}

fn value(version: &str, fields: &Json) -> Answer {
    let mut body = json!({"RequestId": "r", "SecretName": "db", "VersionId": "v1"});
    body.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    let value: Value = serde_json::from_str(&body.to_string()).unwrap();
    value.read(&NamedVersion {
        secret_name: "db",
        version_id: version,
    })
}

fn keys(public: &Json, private: &Json) -> Shown {
    let body =
        json!({"SSHKeyID": "skey-1", "PublicKey": public, "PrivateKey": private, "ProjectID": 0});
    let keys: KeyPair = serde_json::from_str(&body.to_string()).unwrap();
    shown(keys.read())
}

#[test]
fn the_half_that_is_not_the_value_is_empty_or_absent_or_null() {
    let binary = STANDARD.encode(b"canary\x00\xff");
    for other in [json!(""), Json::Null] {
        let text = value(
            "v1",
            &json!({"SecretString": "canary-1", "SecretBinary": other}),
        );
        assert_eq!(shown(text), Ok(b"canary-1".to_vec()));
        let bytes = value(
            "v1",
            &json!({"SecretString": other, "SecretBinary": binary}),
        );
        assert_eq!(shown(bytes), Ok(b"canary\x00\xff".to_vec()));
    }
    assert_eq!(
        shown(value("v1", &json!({"SecretString": "canary-1"}))),
        Ok(b"canary-1".to_vec())
    );
}

#[test]
fn a_value_is_never_empty_and_never_broken() {
    for (fields, code) in [
        (json!({}), "EmptyValue"),
        (
            json!({"SecretString": "", "SecretBinary": ""}),
            "EmptyValue",
        ),
        (json!({"SecretBinary": "canary!"}), "UndecodableBinary"),
        (
            json!({"SecretString": "canary", "SecretName": "other"}),
            "UnknownName",
        ),
        (
            json!({"SecretString": "canary", "VersionId": "v2"}),
            "WrongVersion",
        ),
    ] {
        assert_eq!(shown(value("v1", &fields)), refused(code), "{fields}");
    }
}

#[test]
fn the_version_is_the_one_that_is_told() {
    let version = |asked: &str, told: &str| {
        let fields = json!({"SecretString": "canary", "VersionId": told});
        value(asked, &fields).unwrap().version.unwrap()
    };
    assert_eq!(version("v1", "v1"), "v1");
    assert_eq!(version("v1", ""), "v1");
    assert_eq!(version(CURRENT, "rotated-7"), "rotated-7");
}

#[test]
fn each_type_has_its_kind() {
    let kind = |told: Json| {
        let body = json!({"SecretName": "db", "SecretType": told, "RotationStatus": true, "RequestId": "r"});
        let told: Metadata = serde_json::from_str(&body.to_string()).unwrap();
        told.kind("db").map_err(|error| error.code().to_owned())
    };
    let table = [
        (json!(0), Ok(Kind::Custom)),
        (json!(1), Ok(Kind::Managed)),
        (json!(2), Ok(Kind::KeyPair)),
        (json!(3), Ok(Kind::Managed)),
        (json!(4), Ok(Kind::Managed)),
        (json!(5), Ok(Kind::Managed)),
        (Json::Null, Err("NoSecretType".to_owned())),
    ];
    for (told, expected) in table {
        assert_eq!(kind(told.clone()), expected, "{told}");
    }
}

#[test]
fn the_newest_version_is_the_last_made_and_of_one_second_the_first_listed() {
    let newest = |versions: Json| {
        let body = json!({"SecretName": "db", "Versions": versions, "RequestId": "r"});
        let listed: Versions = serde_json::from_str(&body.to_string()).unwrap();
        listed.newest("db").map_err(|error| error.code().to_owned())
    };
    let version = |id: &str, time: i64| json!({"VersionId": id, "CreateTime": time});
    let table = [
        (json!([version("b", 2), version("a", 1)]), Ok("b")),
        (json!([version("SSM_Current", 1), version("b", 2)]), Ok("b")),
        (
            json!([version("c", 2), version("b", 2), version("a", 1)]),
            Ok("c"),
        ),
        (json!([version("a", 1), {"VersionId": "b"}]), Ok("a")),
        (json!([]), Err("NoVersion")),
        (Json::Null, Err("NoVersion")),
    ];
    for (versions, expected) in table {
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(newest(versions.clone()), expected, "{versions}");
    }
}

#[test]
fn keys_come_as_they_are_or_as_base64() {
    let public = "ssh-rsa AAAAcanary shop";
    let private =
        "-----BEGIN OPENSSH PRIVATE KEY-----\ncanary\n-----END OPENSSH PRIVATE KEY-----\n";
    let expected = json!({"PublicKey": public, "PrivateKey": private}).to_string();
    let same = |shown: Shown| {
        let told: Json = serde_json::from_slice(&shown.unwrap()).unwrap();
        assert_eq!(told, serde_json::from_str::<Json>(&expected).unwrap());
    };
    same(keys(&json!(public), &json!(private)));
    same(keys(
        &json!(STANDARD.encode(public)),
        &json!(STANDARD.encode(private)),
    ));
    let only = keys(&json!(public), &json!("")).unwrap();
    let only: Json = serde_json::from_slice(&only).unwrap();
    assert_eq!(
        only,
        json!({"PublicKey": public}),
        "an absent key is absent"
    );
}

#[test]
fn keys_that_are_none_are_refused() {
    assert_eq!(keys(&json!(""), &Json::Null), refused("EmptyValue"));
    assert_eq!(
        keys(&json!("canary!"), &json!("")),
        refused("UndecodableKey")
    );
    let bytes = STANDARD.encode(b"\xff\xfe");
    assert_eq!(keys(&json!(bytes), &json!("")), refused("UndecodableKey"));
}
