//! The golden vectors: signatures of official SDKs, and of the vendor's documentation.

use std::net::SocketAddr;

use axum::body::Bytes;
use serde_json::Value;

use super::*;

const TC3: &str = include_str!("../../../../tests/vectors/tc3.jsonl");

fn cases() -> Vec<Value> {
    let lines = TC3.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn text<'c>(case: &'c Value, name: &str) -> &'c str {
    case[name].as_str().unwrap()
}

fn request(case: &Value) -> Request {
    let mut builder = axum::http::Request::builder()
        .method(text(case, "method"))
        .uri(text(case, "path"))
        .header("authorization", text(case, "authorization"));
    for pair in case["headers"].as_array().unwrap() {
        builder = builder.header(pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
    }
    let body = Bytes::from(text(case, "body").to_owned());
    let (parts, body) = builder.body(body).unwrap().into_parts();
    Request::new(parts, body, SocketAddr::from(([127, 0, 0, 1], 1)))
}

fn verify(case: &Value, request: &Request) -> Result<Authorization, Refusal> {
    let authorization = Authorization::of(request)?;
    authorization.verify(request, text(case, "timestamp"), text(case, "secret_key"))?;
    Ok(authorization)
}

#[test]
fn every_signature_is_right() {
    let mut hashes = 0;
    for case in cases() {
        let name = text(&case, "case");
        let request = request(&case);
        let found = verify(&case, &request);
        let found = found.unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
        assert_eq!(found.date, text(&case, "date"), "{name}");
        assert_eq!(found.service, text(&case, "service"), "{name}");
        assert_eq!(hex::encode(&found.signature), text(&case, "signature"));
        let canonical = found.canonical(&request);
        assert_eq!(canonical, text(&case, "canonical_request"), "{name}");
        let sha256 = |text: &[u8]| hex::encode(Sha256::digest(text));
        assert_eq!(
            sha256(canonical.as_bytes()),
            text(&case, "canonical_request_sha256")
        );
        assert_eq!(sha256(&request.body), text(&case, "body_sha256"), "{name}");
        hashes += 1;
    }
    assert_eq!(hashes, 15);
}

#[test]
fn a_changed_body_host_content_type_or_time_breaks_a_signature() {
    let case = &cases()[0];
    let good = request(case);
    assert!(verify(case, &good).is_ok());
    let broken = |change: &dyn Fn(&mut Value)| {
        let mut case = case.clone();
        change(&mut case);
        let request = request(&case);
        verify(&case, &request).unwrap_err().code
    };
    let header = |case: &mut Value, name: &str, value: &str| {
        for pair in case["headers"].as_array_mut().unwrap() {
            if pair[0] == name {
                pair[1] = value.into();
            }
        }
    };
    for code in [
        broken(&|case| case["body"] = "{}".into()),
        broken(&|case| case["timestamp"] = "1700000001".into()),
        broken(&|case| header(case, "Host", "ssm.tencentcloudapi.com:443")),
        broken(&|case| header(case, "Content-Type", "application/json; charset=utf-8")),
    ] {
        assert_eq!(code, "AuthFailure.SignatureFailure");
    }
}

#[test]
fn a_header_of_another_form_is_refused() {
    let case = &cases()[0];
    let good = text(case, "authorization");
    for wrong in [
        good.replace("content-type;host", "host"),
        good.replace("content-type;host", "content-type"),
        good.replace("content-type;host", "host;content-type"),
        good.replace("content-type;host", "Content-Type;Host"),
        good.replace("content-type;host", "content-type;host;x-absent"),
        good.replace("tc3_request,", "tc3,"),
        good.replace("TC3-HMAC-SHA256", "HMAC-SHA256"),
        good.replace("Signature=", "Signature=z"),
        good.to_uppercase(),
    ] {
        let mut case = case.clone();
        case["authorization"] = wrong.as_str().into();
        let refusal = Authorization::of(&request(&case)).unwrap_err();
        assert_eq!(refusal.code, "AuthFailure.InvalidAuthorization", "{wrong}");
    }
}
