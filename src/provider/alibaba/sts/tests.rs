//! How issued credentials are read, and how a role is asked for.

use reqwest::Url;
use secrecy::ExposeSecret;

use super::*;
use crate::credential::{Alibaba, TokenService};
use crate::provider::alibaba::endpoint::global_sts;
use crate::provider::alibaba::sign::encode_query;
use crate::provider::endpoint::EndpointPolicy;

fn issued(id: &str, secret: &str, token: &str, expiration: &str) -> Result<Credentials, CallError> {
    let body = serde_json::json!({
        "RequestId": "R-1",
        "Credentials": {
            "AccessKeyId": id,
            "AccessKeySecret": secret,
            "SecurityToken": token,
            "Expiration": expiration,
        },
    });
    let assumed: Assumed = serde_json::from_value(body).unwrap();
    assumed.into_credentials("2021-10-20T03:00:00Z".parse().unwrap())
}

#[test]
fn issued_credentials_are_read_whole() {
    let end = "2021-10-20T04:27:09Z";
    let credentials = issued("STS.a", "canary-secret", "canary-token", end).unwrap();
    assert_eq!(credentials.access_key_id, "STS.a");
    assert_eq!(
        credentials.access_key_secret.expose_secret(),
        "canary-secret"
    );
    let token = credentials.security_token.as_ref().unwrap();
    assert_eq!(token.expose_secret(), "canary-token");
    assert_eq!(credentials.expires_at, Some(end.parse().unwrap()));
    assert!(!format!("{credentials:?}").contains("canary"));
}

#[test]
fn unusable_credentials_are_refused() {
    let end = "2021-10-20T04:27:09Z";
    let table = [
        issued("", "canary-s", "canary-t", end),
        issued("id", "", "canary-t", end),
        issued("id", "canary-s", "", end),
        issued("id", "canary-s", "canary-t", "tomorrow"),
        issued("id", "canary-s", "canary-t", "2021-10-20T03:00:00Z"),
    ];
    for refused in table {
        let error = refused.unwrap_err();
        assert_eq!(error.class, Class::Protocol);
        assert_eq!(error.request_id(), Some("R-1"));
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}

#[test]
fn credentials_that_no_header_can_carry_are_an_answer_that_makes_no_sense() {
    let end = "2021-10-20T04:27:09Z";
    let hostile = [
        "\n",
        "\r\nx-acs-action: Other",
        "\0",
        "\t",
        "\u{7f}",
        " ",
        "é",
        "\u{2028}",
    ];
    for text in hostile {
        let broken = format!("canary{text}canary");
        let (id, token) = (format!("id{text}canary"), format!("canary-t{text}"));
        let table = [
            issued(&broken, "canary-s", "canary-t", end),
            issued(&id, "canary-s", "canary-t", end),
            issued("id", "canary-s", &broken, end),
            issued("id", "canary-s", &token, end),
        ];
        for refused in table {
            let error = refused.unwrap_err();
            assert_eq!(error.class, Class::Protocol, "{text:?}");
            let shown = error.to_string();
            assert!(shown.contains("no header can carry"), "{shown}");
            assert!(!format!("{shown} {error:?}").contains("canary"));
        }
    }
    // The secret only makes signatures.
    issued("STS.N+/=id", "canary\ns", "CAIS+/=%~canary", end).unwrap();
}

#[test]
fn a_role_is_asked_for_as_the_vendors_sdk_does() {
    let vectors = include_str!("../../../../tests/vectors/acs.jsonl");
    let captured = vectors
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .find(|vector| vector["case"] == "sts.AssumeRole")
        .unwrap();
    let url = Url::parse(captured["target"].as_str().unwrap()).unwrap();
    let policy = EndpointPolicy::default();
    let sts = TokenService::new(&Alibaba, global_sts(&policy).unwrap());
    let request = Assume {
        sts: &sts,
        role_arn: "acs:ram::1234567890123456:role/Some-Role",
        external_id: Some("ext:1"),
        session_name: "sess",
        duration_seconds: Some(3600),
        policy: None,
    };
    let query = encode_query(&parameters(&request, Some("3600")));
    assert_eq!(Some(query.as_str()), url.query());
}
