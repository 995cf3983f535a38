//! The golden vectors: captured from the vendor's SDKs with their clocks stopped, and the one of its
//! documentation. The keys are placeholders of that documentation.

use secrecy::SecretString;

use super::*;

const ID: &str = "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE";
const KEY: &str = "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE";

const LIST: &str = r#"{"Offset": 0, "Limit": 100, "State": 1, "SearchSecretName": "prod", "TagFilters": [{"TagKey": "env", "TagValue": ["prod"]}]}"#;
const GET: &str = r#"{"SecretName": "prod-db", "VersionId": "SSM_Current"}"#;

/// The host, the body, the time and the signature. The service is the host's first label.
const VECTORS: &[(&str, &str, i64, &str)] = &[
    (
        "ssm.tencentcloudapi.com",
        r#"{"SecretName":"prod-db","VersionId":"SSM_Current"}"#,
        1_700_000_000,
        "9843415772ac6b2aa16a83935eb2d8441d06fae2d9b944856b206fc3bd0cbdf9",
    ),
    (
        "ssm.tencentcloudapi.com",
        r#"{"SecretName":"prod-db"}"#,
        1_700_000_000,
        "dd04c2bc806950bf08ae4b52e6573f87fd41cbac632f3f539ffdd5b5a858dc84",
    ),
    (
        "ssm.tencentcloudapi.com",
        r#"{"SecretName":"pushed","VersionId":"v1","SecretString":"café 凭据"}"#,
        1_700_000_000,
        "fb847ac7c49d8e15f45b244c287af3eda87760e7c4a8888f45bf21d270086769",
    ),
    (
        "sts.tencentcloudapi.com",
        r#"{"RoleArn":"qcs::cam::uin/100000000001:roleName/demo","RoleSessionName":"demo","DurationSeconds":3600}"#,
        1_700_000_000,
        "6cc813d371196b67bbe2cab304e9a3859864ef45a0a1b40f6e911b4e778f9f34",
    ),
    (
        "ssm.tencentcloudapi.com",
        GET,
        1_700_000_000,
        "3077dc13fb34b033abf9b20a696efba9e6e4af02a753f5c8eefeb457d2b53ad8",
    ),
    (
        "ssm.intl.tencentcloudapi.com",
        GET,
        1_700_000_000,
        "4d37f4a9dbe8cf079ce1241f6121a7c4230e34b0bc60fcd31089904d841393ed",
    ),
    (
        "ssm.internal.tencentcloudapi.com",
        GET,
        1_700_000_000,
        "a47aab7c2dd85176e2677a700a9bf3b984dfb0c2f35275362bc1f12df005373a",
    ),
    (
        "ssm.tencentcloudapi.com",
        LIST,
        1_704_067_199,
        "4cb798284136c8f9ebe27b41b8061a81891c42182fd5c3c6a0fdc3618230edca",
    ),
    (
        "ssm.tencentcloudapi.com",
        LIST,
        1_704_067_200,
        "91b49de3ac10350c476ff4f0e38353c0b4bc1c6f7a3e7315ed842e64d6091204",
    ),
    (
        "ssm.tencentcloudapi.com",
        r#"{"SecretName": "pushed", "VersionId": "v1", "SecretString": "caf\u00e9 \u51ed\u636e"}"#,
        1_700_000_000,
        "8dc23b5ec001ad2962733c26c50e5308d110a02055fdfe4f2abaeca5f409c09a",
    ),
    (
        "ssm.tencentcloudapi.com",
        r#"{"SecretName": "pushed", "VersionId": "v2", "SecretBinary": "AAFkZW1v"}"#,
        1_700_000_000,
        "20b77e3c4d3a1ab04aa50684a486abb917aaf2d0d056b5f00ecef87c7a4813ab",
    ),
    (
        "kms.tencentcloudapi.com",
        r#"{"CiphertextBlob": "Y2lwaGVy"}"#,
        1_700_000_000,
        "626522dffd6e7facd3374482c05951899be11502d0a31de7add9bc0abab61a88",
    ),
];

fn service(host: &str) -> &str {
    host.split('.').next().unwrap()
}

fn credentials(token: Option<&str>) -> Credentials {
    Credentials {
        access_key_id: ID.to_owned(),
        access_key_secret: SecretString::from(KEY),
        security_token: token.map(SecretString::from),
        expires_at: None,
    }
}

fn sent(call: &Call<'_>, token: Option<&str>) -> Headers {
    call.sign(&credentials(token)).unwrap()
}

fn header<'h>(headers: &'h Headers, name: &str) -> Option<&'h str> {
    let found = headers.iter().find(|(n, _)| *n == name);
    found.map(|(_, value)| value.as_str())
}

fn call<'a>(host: &'a str, body: &'a str, timestamp: i64) -> Call<'a> {
    Call {
        service: service(host),
        host,
        action: "GetSecretValue",
        version: "2019-09-23",
        region: "ap-guangzhou",
        body: body.as_bytes(),
        timestamp,
    }
}

#[test]
fn every_vector_of_the_sdks_is_met() {
    for (host, body, timestamp, signature) in VECTORS {
        let headers = sent(&call(host, body, *timestamp), None);
        let date = match timestamp {
            1_704_067_199 => "2023-12-31",
            1_704_067_200 => "2024-01-01",
            _ => "2023-11-14",
        };
        let expected = format!(
            "TC3-HMAC-SHA256 Credential={ID}/{date}/{}/tc3_request, SignedHeaders=content-type;host, Signature={signature}",
            service(host)
        );
        assert_eq!(
            header(&headers, "authorization"),
            Some(&*expected),
            "{body}"
        );
    }
}

#[test]
fn the_canonical_request_is_the_documented_one() {
    let parts = Parts {
        service: "ssm",
        headers: &[
            ("host", "ssm.tencentcloudapi.com"),
            ("content-type", CONTENT_TYPE),
        ],
        body: GET.as_bytes(),
        timestamp: 1_700_000_000,
    };
    let expected = "POST\n/\n\ncontent-type:application/json\nhost:ssm.tencentcloudapi.com\n\n\
                    content-type;host\n\
                    eccd66626c5d95d675e6c1f1c1d14d344a6002e36c112089d132453b13261397";
    assert_eq!(parts.canonical(), expected);
}

#[test]
fn the_vectors_of_the_documentation_are_met_with_the_action_signed_and_without() {
    let headers = [
        ("x-tc-action", "DescribeInstances"),
        ("host", "cvm.tencentcloudapi.com"),
        ("content-type", "application/json; charset=utf-8"),
    ];
    let body =
        r#"{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}"#;
    for (headers, signature) in [
        (
            &headers[1..],
            "2230eefd229f582d8b1b891af7107b91597240707d778ab3738f756258d7652c",
        ),
        (
            &headers[..],
            "be4f67d323c78ab9acb7395e43c0dbcf822a9cfac32fea2449a7bc7726b770a3",
        ),
    ] {
        let parts = Parts {
            service: "cvm",
            headers,
            body: body.as_bytes(),
            timestamp: 1_551_113_065,
        };
        let key = "Gu5t9xGARNpq86cd98joQYCN3*******";
        let authorization = parts.authorization("id", key).unwrap();
        assert!(authorization.ends_with(signature), "{authorization}");
        assert!(authorization.contains("id/2019-02-25/cvm/tc3_request,"));
    }
}

#[test]
fn a_token_and_a_region_are_sent_and_leave_the_signature_as_it_is() {
    let plain = call("ssm.tencentcloudapi.com", GET, 1_700_000_000);
    let other = Call {
        region: "ap-beijing",
        ..plain
    };
    let token = "tok/en+with=chars";
    let (one, two) = (sent(&plain, None), sent(&other, Some(token)));
    assert_eq!(header(&one, "authorization"), header(&two, "authorization"));
    assert_eq!(header(&one, "x-tc-token"), None);
    assert_eq!(header(&two, "x-tc-token"), Some(token));
    assert_eq!(header(&two, "x-tc-region"), Some("ap-beijing"));
    assert_eq!(header(&two, "x-tc-timestamp"), Some("1700000000"));
    assert_eq!(header(&two, "x-tc-language"), Some("en-US"));
}

#[test]
fn a_call_that_is_not_signed_says_so() {
    let plain = call("sts.tencentcloudapi.com", "{}", 1_700_000_000);
    assert_eq!(header(&plain.unsigned(), "authorization"), Some("SKIP"));
}
