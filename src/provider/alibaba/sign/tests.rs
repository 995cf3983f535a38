//! The signer against captured requests of the vendor's own SDKs and its documented example.

use proptest::prelude::*;
use reqwest::Url;
use secrecy::SecretString;
use serde::Deserialize;

use super::*;

const VECTORS: &str = include_str!("../../../../tests/vectors/acs.jsonl");
const KEYS: [(&str, &str); 2] = [
    ("LTAI5tGoldenAccessKeyId", "GoldenAccessKeySecret0123456789"),
    ("STS.NGoldenStsKeyId", "GoldenStsKeySecret0123456789abc"),
];
const DATE: &str = "2024-06-01T12:34:56Z";
const NONCE: &str = "0123456789abcdef0123456789abcdef";

#[derive(Deserialize)]
struct Vector {
    case: String,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body_text: String,
}

impl Vector {
    fn header(&self, name: &str) -> Option<&str> {
        let named = |(key, _): &&(String, String)| key.eq_ignore_ascii_case(name);
        let found = self.headers.iter().find(named);
        found.map(|(_, value)| value.as_str())
    }
}

fn secret_of(id: &str) -> &'static str {
    KEYS.iter().find(|(known, _)| *known == id).unwrap().1
}

fn credentials(id: &str, token: Option<&str>) -> Credentials {
    Credentials {
        access_key_id: id.to_owned(),
        access_key_secret: SecretString::from(secret_of(id)),
        security_token: token.map(SecretString::from),
        expires_at: None,
    }
}

fn header<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| value.as_str())
}

#[test]
fn every_captured_request_gets_its_captured_signature() {
    let mut proved = 0;
    for line in VECTORS.lines() {
        let vector: Vector = serde_json::from_str(line).unwrap();
        let captured = vector.header("authorization").unwrap_or_default();
        let Some(rest) = captured.strip_prefix(ALGORITHM) else {
            continue;
        };
        let (id, rest) = rest
            .strip_prefix(" Credential=")
            .and_then(|rest| rest.split_once(",SignedHeaders="))
            .unwrap();
        let signed: Vec<(&str, &str)> = rest
            .split_once(',')
            .unwrap()
            .0
            .split(';')
            .map(|name| (name, vector.header(name).unwrap()))
            .collect();
        let url = Url::parse(&vector.target).unwrap();
        let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let query: Vec<(&str, &str)> = query
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let parts = Parts {
            method: &vector.method,
            path: url.path(),
            query: &query,
            headers: &signed,
            body_digest: &sha256_hex(vector.body_text.as_bytes()),
        };
        let authorization = parts.authorization(id, secret_of(id).as_bytes());
        assert_eq!(authorization, captured, "{}", vector.case);
        proved += 1;
    }
    assert_eq!(proved, 15);
}

#[test]
fn the_documented_example_comes_out() {
    let headers = [
        ("host", "ecs.cn-shanghai.aliyuncs.com"),
        ("x-acs-action", "RunInstances"),
        ("x-acs-content-sha256", &sha256_hex(b"")),
        ("x-acs-date", "2023-10-26T10:22:32Z"),
        ("x-acs-signature-nonce", "3156853299f313e23d1673dc12e1703d"),
        ("x-acs-version", "2014-05-26"),
    ];
    let image = "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd";
    let parts = Parts {
        method: "POST",
        path: "/",
        query: &[("RegionId", "cn-shanghai"), ("ImageId", image)],
        headers: &headers,
        body_digest: &sha256_hex(b""),
    };
    assert_eq!(
        sha256_hex(parts.canonical().as_bytes()),
        "7ea06492da5221eba5297e897ce16e55f964061054b7695beedaac1145b1e259"
    );
    let authorization = parts.authorization("YourAccessKeyId", b"YourAccessKeySecret");
    let signature = "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0";
    assert!(authorization.ends_with(signature), "{authorization}");
}

#[test]
fn our_own_header_set_comes_out() {
    let call = Call {
        host: "kms.cn-hangzhou.aliyuncs.com",
        action: "GetSecretValue",
        version: "2016-01-20",
        query: &[
            ("VersionStage", "ACSCurrent"),
            ("SecretName", "prod/db+pass=@1.0_x-y"),
        ],
        form: None,
        date: DATE,
        nonce: NONCE,
    };
    let headers = call.sign(&credentials(KEYS[0].0, None));
    let expected = "ACS3-HMAC-SHA256 Credential=LTAI5tGoldenAccessKeyId,SignedHeaders=host;\
        x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,\
        Signature=df6d79ae9827896cbf711ddb18d67427c38264622be2e6057182b6fb0e9a2a1f";
    assert_eq!(header(&headers, "authorization"), Some(expected));
    assert_eq!(header(&headers, "x-acs-security-token"), None);
    assert_eq!(header(&headers, "content-type"), None);
}

#[test]
fn a_session_token_and_a_form_are_sent_and_signed() {
    let call = Call {
        host: "sts.cn-hangzhou.aliyuncs.com",
        action: "GetCallerIdentity",
        version: "2015-04-01",
        query: &[],
        form: Some(b"a=b"),
        date: DATE,
        nonce: NONCE,
    };
    let headers = call.sign(&credentials(KEYS[1].0, Some("canary-token")));
    assert_eq!(
        header(&headers, "x-acs-security-token"),
        Some("canary-token")
    );
    assert_eq!(
        header(&headers, "x-acs-content-sha256"),
        Some(sha256_hex(b"a=b").as_str())
    );
    let authorization = header(&headers, "authorization").unwrap();
    for name in ["content-type;host;", ";x-acs-security-token;"] {
        assert!(authorization.contains(name), "{authorization}");
    }
}

#[test]
fn encoding_follows_rfc_3986() {
    assert_eq!(encode("a b+c/~*é").as_str(), "a%20b%2Bc%2F~%2A%C3%A9");
    let query = encode_query(&[("b", ""), ("a", "2"), ("a", "1"), ("B", "x y")]);
    assert_eq!(query.as_str(), "B=x%20y&a=1&a=2&b=");
}

proptest! {
    #[test]
    fn whatever_is_encoded_is_decoded_to_itself(name in ".+", value in ".*") {
        let text = format!("https://h/?{}", &*encode_query(&[(&name, &value)]));
        let url = Url::parse(&text).unwrap();
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        prop_assert_eq!(pairs, vec![(name, value)]);
    }

    #[test]
    fn an_encoded_text_holds_harmless_characters_only(text in ".*") {
        let harmless = |c: char| c.is_ascii_alphanumeric() || "-_.~%".contains(c);
        prop_assert!(encode(&text).chars().all(harmless));
    }
}
