//! What the endpoint policy admits and refuses.

use proptest::prelude::*;

use super::*;

const OOS: Service = Service {
    name: "oos",
    hosts: &["oos.{region}.aliyuncs.com", "oos-vpc.{region}.aliyuncs.com"],
};

fn strict(url: &str) -> Result<Endpoint, EndpointError> {
    EndpointPolicy::default().check(url, &OOS)
}

fn insecure(url: &str) -> Result<Endpoint, EndpointError> {
    EndpointPolicy::new([], true).unwrap().check(url, &OOS)
}

#[test]
fn hosts_of_the_service_pass() {
    for host in [
        "oos.cn-hangzhou.aliyuncs.com",
        "oos-vpc.ap-southeast-1.aliyuncs.com",
    ] {
        let endpoint = strict(&format!("https://{host}/")).unwrap();
        assert_eq!(endpoint.host(), host);
        assert_eq!(endpoint.as_str(), format!("https://{host}"));
    }
}

#[test]
fn every_refusal_has_its_reason() {
    use EndpointError as E;
    let table = [
        ("oos.cn-hangzhou.aliyuncs.com", E::NotAUrl),
        ("http://oos.cn-hangzhou.aliyuncs.com", E::Scheme),
        ("file:///etc/passwd", E::Scheme),
        ("https://u@oos.cn-hangzhou.aliyuncs.com", E::UserInfo),
        ("https://:p@oos.cn-hangzhou.aliyuncs.com", E::UserInfo),
        ("https://oos.cn-hangzhou.aliyuncs.com:8443", E::Port),
        ("https://oos.cn-hangzhou.aliyuncs.com/x", E::Trailing),
        ("https://oos.cn-hangzhou.aliyuncs.com//", E::Trailing),
        ("https://oos.cn-hangzhou.aliyuncs.com?", E::Trailing),
        ("https://oos.cn-hangzhou.aliyuncs.com#", E::Trailing),
        ("https://oos.x.evil.com/#.aliyuncs.com", E::Trailing),
        ("https://oos.cn-hangzhou\\@evil.com", E::Trailing),
        ("https://10.0.0.1", E::Address),
        ("https://0x7f.1", E::Address),
        ("https://[::1]", E::Address),
        ("https://169.254.169.254", E::Metadata),
        ("https://2852039166", E::Metadata),
        ("https://[fe80::1]", E::Metadata),
        ("https://[::ffff:169.254.0.1]", E::Metadata),
        ("https://[64:ff9b::6464:64c8]", E::Metadata),
        ("https://100.100.100.200", E::Metadata),
    ];
    for (url, expected) in table {
        assert_eq!(strict(url), Err(expected), "{url}");
    }
}

#[test]
fn hosts_off_the_pattern_are_refused() {
    for host in [
        "x.evil.com",
        "oos.x.evil.com",
        "oos.cn-hangzhou.aliyuncs.com.evil.com",
        "oos.cn-hangzhou.aliyuncs.com.",
        "kms.cn-hangzhou.aliyuncs.com",
        "oos.a.cn-hangzhou.aliyuncs.com",
        "oos.aliyuncs.com",
        "oos..aliyuncs.com",
        "evil-oos.cn-hangzhou.aliyuncs.com",
        "localhost",
    ] {
        let refused = strict(&format!("https://{host}"));
        assert!(matches!(refused, Err(EndpointError::Host { .. })), "{host}");
    }
}

#[test]
fn a_refused_host_is_told_what_would_pass() {
    let text = strict("https://evil.com").unwrap_err().to_string();
    assert!(text.contains("evil.com"), "{text}");
    assert!(text.contains("oos.REGION.aliyuncs.com"), "{text}");
    assert!(text.contains("--allowed-endpoint-suffixes"), "{text}");
}

#[test]
fn allowed_suffixes_match_whole_labels_only() {
    let policy = EndpointPolicy::new([".Corp.Example".to_owned()], false).unwrap();
    for host in ["corp.example", "oos.corp.example"] {
        assert!(
            policy.check(&format!("https://{host}"), &OOS).is_ok(),
            "{host}"
        );
    }
    for url in [
        "https://evilcorp.example",
        "https://corp.example.evil.com",
        "http://oos.corp.example",
        "https://oos.corp.example:444",
    ] {
        assert!(policy.check(url, &OOS).is_err(), "{url}");
    }
}

#[test]
fn suffixes_that_open_too_much_are_refused() {
    for suffix in [
        "",
        "com",
        "*.corp.example",
        "a b.c",
        "corp..example",
        "x/y.z",
    ] {
        let refused = EndpointPolicy::new([suffix.to_owned()], false);
        assert!(refused.is_err(), "{suffix:?}");
    }
}

#[test]
fn insecure_endpoints_lift_scheme_host_and_port_only() {
    let endpoint = insecure("http://127.0.0.1:4000").unwrap();
    assert_eq!(endpoint.host(), "127.0.0.1:4000");
    assert!(insecure("http://[::1]:4000/").is_ok());
    assert!(insecure("https://anything.example:1").is_ok());
    for url in [
        "ftp://localhost",
        "http://u@localhost",
        "http://localhost/x",
        "http://localhost?x",
        "http://localhost#x",
        "http://169.254.169.254",
        "http://100.100.100.200",
        "http://[fe80::1]",
    ] {
        assert!(insecure(url).is_err(), "{url}");
    }
}

#[test]
fn regions_are_recognised() {
    for region in [
        "cn-hangzhou",
        "ap-southeast-1",
        "cn-shanghai-finance-1",
        "rus-west-1",
    ] {
        assert!(is_region(region), "{region}");
    }
    for region in [
        "",
        "cn",
        "cn-",
        "-cn",
        "c-x",
        "chin-x",
        "CN-x",
        "cn-x.evil.com",
        "cn-x/",
        "cn-x#",
        "c1-x",
        "cn--x",
        "cn-x\n",
        "cn-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ] {
        assert!(!is_region(region), "{region:?}");
    }
}

proptest! {
    #[test]
    fn whatever_passes_is_an_https_host_of_the_service(
        scheme in "https?", user in "(a@|:b@)?", host in "(oos|kms|x)(-vpc)?[./@#?\\\\]?[a-z0-9./@#?:-]{0,24}",
        tail in "(\\.aliyuncs\\.com)?[/#?]?",
    ) {
        let url = format!("{scheme}://{user}{host}{tail}");
        if let Ok(endpoint) = strict(&url) {
            let region = endpoint.host()
                .strip_prefix("oos.").or(endpoint.host().strip_prefix("oos-vpc."))
                .and_then(|rest| rest.strip_suffix(".aliyuncs.com"));
            prop_assert!(region.is_some_and(is_region), "{}", url);
            prop_assert_eq!(endpoint.as_str(), format!("https://{}", endpoint.host()));
        }
    }

    #[test]
    fn a_region_is_one_label_of_harmless_characters(text in "\\PC{0,50}") {
        let harmless = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        prop_assert!(!is_region(&text) || harmless);
    }
}
