//! The golden vectors: requests of official SDKs, and examples of the vendor's documentation.

use std::net::SocketAddr;

use axum::body::Bytes;
use serde_json::Value;

use super::*;
use crate::refusal::Refusal;

const ACS: &str = include_str!("../../../tests/vectors/acs.jsonl");
const CREDENTIALS: &str = include_str!("../../../tests/vectors/credentials.jsonl");
const KEYS: [(&str, &str); 3] = [
    ("LTAI5tGoldenAccessKeyId", "GoldenAccessKeySecret0123456789"),
    ("STS.NGoldenStsKeyId", "GoldenStsKeySecret0123456789abc"),
    ("YourAccessKeyId", "YourAccessKeySecret"),
];
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn request<'a>(
    method: &str,
    target: &str,
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    body: &str,
) -> Request {
    let mut builder = axum::http::Request::builder().method(method).uri(target);
    for (name, value) in headers {
        builder = builder.header(name, value);
    }
    let (parts, body) = builder
        .body(Bytes::from(body.to_owned()))
        .unwrap()
        .into_parts();
    Request::new(parts, body, SocketAddr::from(([127, 0, 0, 1], 1)))
}

fn captured(case: &Value) -> Request {
    let text = |value: &'_ Value| -> &'static str {
        Box::leak(
            value
                .as_str()
                .unwrap_or_default()
                .to_owned()
                .into_boxed_str(),
        )
    };
    let headers = case["headers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| (text(&pair[0]), text(&pair[1])));
    request(
        text(&case["method"]),
        text(&case["target"]),
        headers,
        text(&case["body_text"]),
    )
}

fn cases(text: &str) -> Vec<Value> {
    text.lines()
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn verify(request: &Request) -> Result<Authorization, Refusal> {
    let authorization = Authorization::of(request)?;
    let (_, secret) = KEYS
        .iter()
        .find(|(id, _)| *id == authorization.key_id)
        .unwrap();
    authorization.verify(request, secret)?;
    Ok(authorization)
}

#[test]
fn every_captured_acs3_signature_is_right() {
    let mut verified = 0;
    for case in cases(ACS) {
        let request = captured(&case);
        if request.header("authorization").is_some() {
            verify(&request).unwrap_or_else(|refusal| panic!("{}: {refusal:?}", case["case"]));
            assert_eq!(
                request.header("x-acs-content-sha256").unwrap(),
                body_hash(&request)
            );
            verified += 1;
        }
    }
    assert_eq!(verified, 15);
}

#[test]
fn every_captured_acs3_request_is_of_a_known_action_with_known_parameters() {
    let mut known = 0;
    for case in cases(ACS) {
        let request = captured(&case);
        let action = crate::service::Action::of(&request);
        let Ok(action) = action else {
            continue;
        };
        let checked = action.check_parameters(&request);
        assert!(checked.is_ok(), "{}: {checked:?}", case["case"]);
        known += 1;
    }
    assert_eq!(known, 16);
}

#[test]
fn a_changed_query_body_or_header_breaks_a_captured_signature() {
    let find = |name: &str| {
        cases(ACS)
            .into_iter()
            .find(|case| case["case"] == name)
            .unwrap()
    };
    let mut query = find("oos.GetSecretParameter");
    query["target"] = query["target"].as_str().unwrap().replace("=3", "=4").into();
    let mut body = find("kms.PutSecretValue");
    body["body_text"] = "SecretData=other".into();
    let mut header = find("kms.GetSecretValue.sts");
    for pair in header["headers"].as_array_mut().unwrap() {
        if pair[0] == "x-acs-security-token" {
            pair[1] = "another".into();
        }
    }
    for case in [query, body, header] {
        assert_eq!(
            verify(&captured(&case)).unwrap_err().code,
            "SignatureDoesNotMatch"
        );
    }
}

#[test]
fn the_vendors_documented_example_is_right() {
    let request = request(
        "POST",
        "http://ecs.cn-shanghai.aliyuncs.com/?ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai",
        [
            ("host", "ecs.cn-shanghai.aliyuncs.com"),
            ("x-acs-action", "RunInstances"),
            ("x-acs-version", "2014-05-26"),
            ("x-acs-date", "2023-10-26T10:22:32Z"),
            ("x-acs-signature-nonce", "3156853299f313e23d1673dc12e1703d"),
            ("x-acs-content-sha256", EMPTY),
            (
                "authorization",
                "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0",
            ),
        ],
        "",
    );
    let canonical = verify(&request).unwrap().canonical(&request);
    assert!(
        canonical
            .string_to_sign
            .ends_with("7ea06492da5221eba5297e897ce16e55f964061054b7695beedaac1145b1e259")
    );
}

#[test]
fn the_least_set_of_signed_headers_is_enough() {
    let request = request(
        "POST",
        "http://kms.cn-hangzhou.aliyuncs.com/?SecretName=prod%2Fdb%2Bpass%3D%401.0_x-y&VersionStage=ACSCurrent",
        [
            ("host", "kms.cn-hangzhou.aliyuncs.com"),
            ("x-acs-action", "GetSecretValue"),
            ("x-acs-version", "2016-01-20"),
            ("x-acs-date", "2024-06-01T12:34:56Z"),
            ("x-acs-signature-nonce", "0123456789abcdef0123456789abcdef"),
            ("x-acs-content-sha256", EMPTY),
            (
                "authorization",
                "ACS3-HMAC-SHA256 Credential=LTAI5tGoldenAccessKeyId,SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,Signature=df6d79ae9827896cbf711ddb18d67427c38264622be2e6057182b6fb0e9a2a1f",
            ),
        ],
        "",
    );
    let canonical = verify(&request).unwrap().canonical(&request);
    assert!(
        canonical
            .string_to_sign
            .ends_with("8dd894ded9d43f489ea223047a47c78627a917f7d42b082200435b10a527f1cb")
    );
}

#[test]
fn a_captured_token_exchange_is_read_from_the_query_and_from_a_form() {
    let case = cases(CREDENTIALS)
        .into_iter()
        .find(|case| case["case"] == "oidc")
        .unwrap();
    let in_query = captured(&case["requests"][0]);
    let (path, query) = case["requests"][0]["target"]
        .as_str()
        .unwrap()
        .split_once('?')
        .unwrap();
    let content_type = ("content-type", "application/x-www-form-urlencoded");
    let in_form = request("POST", path, [content_type], query);
    for request in [in_query, in_form] {
        assert_eq!(request.parameter("Action"), Some("AssumeRoleWithOIDC"));
        assert_eq!(
            request.parameter("RoleArn"),
            Some("acs:ram::1111111111111111:role/app")
        );
        assert_eq!(
            request.parameter("OIDCToken"),
            Some("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzYSJ9.c2ln")
        );
        assert_eq!(request.parameter("RoleSessionName"), Some("sess"));
        assert_eq!(request.parameter("Timestamp"), Some("2024-06-01T12:34:56Z"));
        assert!(crate::service::Action::of(&request).is_ok());
    }
}

#[test]
fn captured_credential_requests_are_told_apart() {
    use crate::metadata::Asked;
    use crate::service::Action;

    let credentials = || Asked::Credentials("captured-role".to_owned());
    for (case, expected) in [
        (
            "ecs_ram_role",
            vec![Asked::Token, Asked::Role, Asked::Token, credentials()],
        ),
        (
            "ecs_ram_role_v1",
            vec![Asked::Token, Asked::Credentials("r".to_owned())],
        ),
        ("uri", vec![Asked::Uri]),
    ] {
        let all = cases(CREDENTIALS);
        let captured_case = all.iter().find(|found| found["case"] == case).unwrap();
        let requests = captured_case["requests"].as_array().unwrap();
        let asked: Vec<_> = requests
            .iter()
            .filter_map(|request| Asked::of(&captured(request)))
            .collect();
        assert_eq!(asked, expected);
    }
    for (case, index) in [("ram_role_arn", 0), ("chain", 1)] {
        let all = cases(CREDENTIALS);
        let captured_case = all.iter().find(|found| found["case"] == case).unwrap();
        let request = captured(&captured_case["requests"][index]);
        assert_eq!(Action::of(&request).unwrap(), Action::AssumeRole);
        assert!(Action::AssumeRole.check_parameters(&request).is_ok());
        // The credentials package still signs with HMAC-SHA1, which this server does not take.
        assert_eq!(
            Authorization::of(&request).unwrap_err().code,
            "IncompleteSignature"
        );
    }
}
