//! How refusals and broken answers are read.

use std::sync::Arc;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use ring::rand::SystemRandom;

use super::*;
use crate::clock::SystemClock;
use crate::http::{Authority, HttpClient, HttpOptions};
use crate::provider::alibaba::ca::CHAINS;
use crate::provider::alibaba::{Network, endpoint};
use crate::provider::endpoint::EndpointPolicy;

fn response(status: u16, headers: &[(&'static str, &str)], body: &str) -> Response {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).unwrap();
        map.insert(HeaderName::from_static(name), value);
    }
    Response {
        status,
        headers: map,
        body: Zeroizing::new(body.as_bytes().to_vec()),
    }
}

fn refused(status: u16, headers: &[(&'static str, &str)], body: &str) -> CallError {
    refusal(&response(status, headers, body), code::OOS)
}

#[test]
fn a_refusal_carries_code_and_request_but_no_message() {
    let body = r#"{"RequestId":"R-1","HostId":"h","Code":"SignatureDoesNotMatch",
        "Message":"server string to sign is: canary-token","Recommend":"https://x"}"#;
    let error = refused(400, &[], body);
    assert_eq!(error.class, Class::Unauthenticated);
    assert_eq!(error.to_string(), "SignatureDoesNotMatch (request R-1)");
    assert!(!format!("{error:?}").contains("canary"));
}

#[test]
fn lower_case_keys_are_read_too() {
    let body = r#"{"code":"EntityNotExists.Parameter","requestId":"r2","message":"m"}"#;
    let error = refused(404, &[], body);
    assert_eq!(error.class, Class::NotFound);
    assert_eq!(error.request_id(), Some("r2"));
}

#[test]
fn the_code_outranks_the_status() {
    let error = refused(400, &[], r#"{"Code":"Throttling.User"}"#);
    assert_eq!(error.class, Class::Throttled);
    let error = refused(404, &[], r#"{"Code":"InvalidAccessKeyId.NotFound"}"#);
    assert_eq!(error.class, Class::Unauthenticated);
}

#[test]
fn a_strange_404_is_not_a_missing_secret() {
    for body in [
        "",
        "<html>",
        r#"{"Code":"Strange"}"#,
        r#"{"Code":""}"#,
        "{}",
    ] {
        assert_eq!(refused(404, &[], body).class, Class::Protocol, "{body}");
    }
}

#[test]
fn a_body_that_is_not_the_clouds_goes_by_status_alone() {
    for (status, class) in [(403, Class::Protocol), (502, Class::Unavailable)] {
        let headers = [("x-acs-request-id", "r3")];
        let error = refused(status, &headers, "<html>canary</html>");
        assert_eq!(error.class, class);
        assert_eq!(error.to_string(), format!("Http{status} (request r3)"));
    }
}

#[test]
fn a_hint_in_milliseconds_is_kept_and_bounded() {
    let hint = |text: &str| {
        let headers = [("x-acs-retry-after", text)];
        refused(400, &headers, r#"{"Code":"Throttling"}"#).retry_after
    };
    assert_eq!(hint("1500"), Some(Duration::from_millis(1500)));
    assert_eq!(hint("999999999999"), Some(Duration::from_mins(2)));
    assert_eq!(hint("soon"), None);
    assert_eq!(hint("-5"), None);
}

#[test]
fn a_hint_makes_an_unknown_code_a_throttled_one() {
    let headers = [("x-acs-retry-after", "10")];
    let error = refused(400, &headers, r#"{"Code":"Strange"}"#);
    assert_eq!(error.class, Class::Throttled);
}

#[test]
fn a_broken_answer_is_described_without_its_text() {
    #[derive(Debug, Deserialize)]
    struct Answer {
        #[serde(rename = "Name")]
        _name: u8,
    }
    let table = [
        (r#"{"Name":"canary-value"}"#, "data"),
        (r#"{"Name":"canary-val"#, "truncated"),
        ("<canary>", "syntax"),
    ];
    for (body, category) in table {
        let error = serde_json::from_str::<Answer>(body).unwrap_err();
        let detail = undecodable(&error);
        assert!(!format!("{detail} {detail:?}").contains("canary"));
        assert!(detail.to_string().starts_with(category), "{detail}");
    }
}

#[test]
fn a_failure_without_an_answer_names_the_host_and_says_where_to_look() {
    let http = HttpClient::new(HttpOptions::default()).unwrap();
    let authority = Authority::from_pem(CHAINS[0].pem).unwrap();
    let private = http.trusting(&authority).unwrap();
    let policy = EndpointPolicy::default();
    let endpoint = endpoint::sts(&policy, None, "cn-hangzou", Network::Public).unwrap();
    let shown = |http: &HttpClient, class, code| {
        let edge = Edge {
            http: http.clone(),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom::new()),
        };
        let gateway = Gateway::new(edge, endpoint.clone(), "v", code::STS);
        let error = CallError::new(class, code);
        gateway.edge.unanswered(&endpoint, error).to_string()
    };
    let host = "sts.cn-hangzou.aliyuncs.com";
    assert_eq!(
        shown(&http, Class::Unavailable, "NameNotResolved"),
        format!("NameNotResolved: {host} does not resolve; check region, network and endpoint")
    );
    for code in [
        "Timeout",
        "ConnectionFailed",
        "ConnectionBroken",
        "TruncatedBody",
    ] {
        let text = shown(&http, Class::Unavailable, code);
        assert_eq!(text, format!("{code}: {host}"));
    }
    let public = shown(&http, Class::Unavailable, "TlsFailed");
    assert!(
        public.contains(host) && !public.contains("caBundle"),
        "{public}"
    );
    let private = shown(&private, Class::Unavailable, "TlsFailed");
    assert!(
        private.contains(host) && private.contains("caBundleRef"),
        "{private}"
    );
    let refused = shown(&http, Class::Protocol, "RefusedAddress");
    assert!(refused.contains(host), "{refused}");
    assert_eq!(shown(&http, Class::Unavailable, "NotLeading"), "NotLeading");
}

#[test]
fn a_code_that_its_class_does_not_explain_is_explained() {
    let error = refused(
        400,
        &[],
        r#"{"Code":"Rejected.ResourceInDeleteWindow","RequestId":"r"}"#,
    );
    assert_eq!(
        error.to_string(),
        "Rejected.ResourceInDeleteWindow: the secret is about to be deleted: restore it, or stop naming it \
         (request r)"
    );
}
