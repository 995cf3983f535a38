//! How answers are matched to questions, and values decoded.

use serde_json::{Value, json};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

type Shown = Result<Vec<u8>, (Class, String)>;

fn shown(answer: Answer) -> Shown {
    assert!(!format!("{answer:?}").contains("canary"));
    answer
        .map(|fetched| fetched.value.expose().to_vec())
        .map_err(|error| (error.class, error.code().to_owned()))
}

fn parsed(body: &Value) -> One {
    serde_json::from_str(&body.to_string()).unwrap()
}

fn secret(fields: Value) -> Value {
    let mut secret = json!({
        "SecretName": "a", "SecretType": "Generic", "SecretData": "canary", "SecretDataType": "text",
        "VersionId": "v1", "VersionStages": {"VersionStage": ["ACSCurrent"]}, "RequestId": "r1",
    });
    for (name, value) in fields.as_object().unwrap() {
        secret[name] = value.clone();
    }
    secret
}

fn one(fields: Value, key: &RemoteKey) -> Shown {
    shown(parsed(&secret(fields)).read(key))
}

fn many(body: &Value, names: &[&str]) -> Result<Vec<Shown>, String> {
    let answer: Many = serde_json::from_str(&body.to_string()).unwrap();
    let keys: Vec<RemoteKey> = names.iter().copied().map(RemoteKey::named).collect();
    let answers = answer.read(&keys).map_err(|error| error.to_string())?;
    Ok(answers.into_iter().map(shown).collect())
}

fn versioned(version: Option<&str>, stage: Option<&str>) -> RemoteKey {
    RemoteKey {
        version: version.map(str::to_owned),
        stage: stage.map(str::to_owned),
        ..RemoteKey::named("a")
    }
}

fn protocol(code: &str) -> Shown {
    Err((Class::Protocol, code.to_owned()))
}

#[test]
fn a_value_comes_with_its_version_and_rotation() {
    let body = secret(json!({
        "SecretType": "Rds", "AutomaticRotation": "Enabled", "RotationInterval": "604800s",
        "NextRotationDate": "2024-06-08T12:34:56Z",
    }));
    let fetched = parsed(&body).read(&RemoteKey::named("a")).unwrap();
    assert_eq!(fetched.version.as_deref(), Some("v1"));
    let rotation = fetched.rotation.unwrap();
    assert!(rotation.automatic);
    assert_eq!(rotation.interval, Some(Duration::from_hours(168)));
    assert_eq!(rotation.next.unwrap().to_string(), "2024-06-08T12:34:56Z");
}

#[test]
fn what_is_odd_about_rotation_costs_no_value() {
    for (automatic, date, interval) in [
        (json!("Invalid"), json!("soon"), json!("1 week")),
        (json!("Disabled"), json!(null), json!("")),
    ] {
        let body = secret(json!({
            "AutomaticRotation": automatic, "NextRotationDate": date, "RotationInterval": interval,
        }));
        let fetched = parsed(&body).read(&RemoteKey::named("a")).unwrap();
        let expected = Rotation {
            automatic: false,
            next: None,
            interval: None,
        };
        assert_eq!(fetched.rotation, Some(expected));
    }
    let fetched = parsed(&secret(json!({}))).read(&RemoteKey::named("a"));
    assert_eq!(fetched.unwrap().rotation, None);
}

#[test]
fn absent_fields_are_common() {
    let body = json!({"SecretName": "a", "SecretData": "canary"});
    assert_eq!(
        shown(parsed(&body).read(&RemoteKey::named("a"))),
        Ok(b"canary".to_vec())
    );
}

#[test]
fn another_name_version_or_stage_is_not_taken_for_the_answer() {
    let none = || json!({});
    assert_eq!(one(none(), &RemoteKey::named("b")), protocol("UnknownName"));
    assert_eq!(
        one(none(), &versioned(Some("v2"), None)),
        protocol("WrongVersion")
    );
    let previous = versioned(None, Some("ACSPrevious"));
    assert_eq!(one(none(), &previous), protocol("WrongStage"));
    let stages = json!({"VersionStages": {"VersionStage": ["x", "ACSPrevious"]}});
    assert_eq!(one(stages, &previous), Ok(b"canary".to_vec()));
    assert_eq!(
        one(none(), &versioned(Some("v1"), None)),
        Ok(b"canary".to_vec())
    );
}

#[test]
fn a_version_of_a_managed_secret_is_an_error_that_says_so() {
    for kind in [
        "Rds",
        "RDS",
        "Redis",
        "PolarDB",
        "RAMCredentials",
        "ECS",
        "New",
    ] {
        let body = secret(json!({"SecretType": kind}));
        let error = parsed(&body)
            .read(&versioned(Some("v1"), None))
            .unwrap_err();
        assert_eq!(error.class, Class::Invalid, "{kind}");
        assert!(error.to_string().contains("name a stage"), "{error}");
        assert!(parsed(&body).read(&RemoteKey::named("a")).is_ok());
    }
}

#[test]
fn binary_values_are_decoded() {
    let all: Vec<u8> = (0..=255).collect();
    let cases = [
        ("AP/+Y2FuYXJ5", b"\x00\xff\xfecanary".to_vec()),
        ("Y2Fu\r\nYXJ5\n", b"canary".to_vec()),
        (&STANDARD.encode(&all), all.clone()),
    ];
    for (data, expected) in cases {
        let fields = json!({"SecretData": data, "SecretDataType": "binary"});
        assert_eq!(one(fields, &RemoteKey::named("a")), Ok(expected));
    }
}

#[test]
fn a_text_value_is_never_decoded() {
    let fields = json!({"SecretData": "Y2FuYXJ5"});
    assert_eq!(
        one(fields, &RemoteKey::named("a")),
        Ok(b"Y2FuYXJ5".to_vec())
    );
}

#[test]
fn binary_that_is_not_base64_is_an_error_of_its_own() {
    for data in ["canary!", "Y2Fu YXJ5", "Y2FuYXJ", "Y", "=", "密"] {
        let fields = json!({"SecretData": data, "SecretDataType": "binary"});
        let key = RemoteKey::named("a");
        assert_eq!(one(fields, &key), protocol("UndecodableBinary"), "{data}");
    }
    let bad = secret(json!({"SecretData": "canary!", "SecretDataType": "binary"}));
    let good = secret(json!({"SecretName": "b"}));
    let body = json!({"SecretValues": [bad, good]});
    let expected = vec![protocol("UndecodableBinary"), Ok(b"canary".to_vec())];
    assert_eq!(many(&body, &["a", "b"]), Ok(expected));
}

#[test]
fn what_cannot_be_a_value_never_becomes_one() {
    let key = RemoteKey::named("a");
    for fields in [
        json!({"SecretData": ""}),
        json!({"SecretData": null}),
        json!({"SecretData": "\n", "SecretDataType": "binary"}),
    ] {
        assert_eq!(one(fields, &key), protocol("EmptyValue"));
    }
    let fields = json!({"SecretDataType": "sealed"});
    assert_eq!(one(fields, &key), protocol("UnknownDataType"));
}

#[test]
fn answers_follow_the_questions_whatever_their_order() {
    let body = json!({
        "SecretValues": [secret(json!({"SecretName": "c"})), secret(json!({}))],
        "Errors": [
            {"SecretName": "b", "Code": "Forbidden.ResourceNotFound", "HttpStatus": 404, "Message": "canary"},
            {"SecretName": "d", "Code": "Forbidden.NoPermission", "HttpStatus": 403},
            {"SecretName": "e", "Code": "Strange", "HttpStatus": 503},
            {"SecretName": "f"},
        ],
        "RequestId": "r9",
    });
    let error = |class: Class, code: &str| Err((class, code.to_owned()));
    let expected = vec![
        Ok(b"canary".to_vec()),
        error(Class::NotFound, "Forbidden.ResourceNotFound"),
        Ok(b"canary".to_vec()),
        error(Class::Denied, "Forbidden.NoPermission"),
        error(Class::Unavailable, "Strange"),
        error(Class::Protocol, "UnnamedError"),
        protocol("UnmentionedName"),
    ];
    assert_eq!(
        many(&body, &["a", "b", "c", "d", "e", "f", "g"]),
        Ok(expected)
    );
}

#[test]
fn an_answer_about_other_names_is_refused_whole() {
    let error = |name: &str| json!({"SecretName": name, "Code": "x", "HttpStatus": 400});
    let table = [
        (
            json!({"SecretValues": [secret(json!({"SecretName": "x"}))]}),
            "UnknownName",
        ),
        (json!({"Errors": [error("x")]}), "UnknownName"),
        (
            json!({"SecretValues": [secret(json!({})), secret(json!({}))]}),
            "DuplicateName",
        ),
        (
            json!({"SecretValues": [secret(json!({}))], "Errors": [error("a")]}),
            "DuplicateName",
        ),
    ];
    for (body, code) in table {
        assert_eq!(many(&body, &["a", "b"]), Err(code.to_owned()), "{body}");
    }
    let nothing = json!({"SecretValues": null, "Errors": null});
    assert_eq!(
        many(&nothing, &["a"]),
        Ok(vec![protocol("UnmentionedName")])
    );
}

#[test]
fn errors_carry_the_request_id() {
    let body = json!({"RequestId": "R-9", "Errors": [{"SecretName": "a", "Code": "x"}]});
    let answer: Many = serde_json::from_str(&body.to_string()).unwrap();
    for answer in answer.read(&["a", "b"].map(RemoteKey::named)).unwrap() {
        assert_eq!(answer.unwrap_err().request_id(), Some("R-9"));
    }
    let body = secret(json!({"SecretData": ""}));
    let error = parsed(&body).read(&RemoteKey::named("a")).unwrap_err();
    assert_eq!(error.request_id(), Some("r1"));
}
