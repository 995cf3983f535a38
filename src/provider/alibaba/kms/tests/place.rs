//! Which gateway a configuration means, and what it trusts.

use super::*;
use crate::provider::Skews;

const INSTANCE: &str = "kst-x.cryptoservice.kms.aliyuncs.com";

fn built(
    region: &str,
    endpoint: Option<&str>,
    instance: Option<KmsInstance>,
) -> Result<Kms, String> {
    let policy = EndpointPolicy::default();
    let edge = Edge {
        http: HttpClient::new(HttpOptions::default()).unwrap(),
        clock: Arc::new(Hand(Arc::default())),
        random: Arc::new(ring::rand::SystemRandom::new()),
        skews: Skews::default(),
    };
    let config = KmsConfig {
        region: region.to_owned(),
        network: Network::Vpc,
        endpoint: endpoint.map(str::to_owned),
        instance,
    };
    let sts = endpoint::global_sts(&policy).unwrap();
    Kms::new(config, sts, &policy, edge).map_err(|error| error.to_string())
}

fn instance(ca_bundle: Option<&str>) -> KmsInstance {
    KmsInstance {
        endpoint: INSTANCE.to_owned(),
        ca_bundle: ca_bundle.map(str::to_owned),
    }
}

fn refused(region: &str, endpoint: Option<&str>, instance: Option<KmsInstance>) -> String {
    built(region, endpoint, instance).err().unwrap()
}

#[test]
fn an_instance_is_named_in_either_place() {
    let url = format!("https://{INSTANCE}");
    let kms = built("cn-hangzhou", Some(&url), None).unwrap();
    let same = built("cn-hangzhou", None, Some(instance(None))).unwrap();
    assert_eq!(kms.address(), same.address());
    for kms in [kms, same] {
        assert_eq!(kms.host(), INSTANCE);
        assert_eq!(
            kms.lists.endpoint().host(),
            "kms-vpc.cn-hangzhou.aliyuncs.com"
        );
        assert_eq!(kms.capabilities().batch, 1);
    }
    let refused = refused("cn-hangzhou", Some(&url), Some(instance(None)));
    assert!(
        refused.contains("leave out endpoint or instance"),
        "{refused}"
    );
}

#[test]
fn a_shared_gateway_has_no_private_authority_and_begins_with_batches() {
    let kms = built("xx-nowhere-1", None, None).unwrap();
    assert_eq!(kms.host(), "kms-vpc.xx-nowhere-1.aliyuncs.com");
    assert_eq!(kms.capabilities().batch, BATCH);
    assert!(kms.address().as_str().ends_with(";authority=0:"));
}

#[test]
fn what_is_trusted_is_part_of_the_address() {
    let chain = ca::chain("cn-beijing").unwrap().pem;
    let own = built("cn-hangzhou", None, Some(instance(None))).unwrap();
    let given = built("cn-hangzhou", None, Some(instance(Some(chain)))).unwrap();
    assert_ne!(own.address(), given.address());
    let theirs = ca::chain("cn-hangzhou").unwrap().pem;
    let same = built("cn-hangzhou", None, Some(instance(Some(theirs)))).unwrap();
    assert_eq!(own.address(), same.address());
}

#[test]
fn an_unknown_region_needs_a_bundle_and_says_where_it_is() {
    let refused = refused("xx-nowhere-1", None, Some(instance(None)));
    for part in ["xx-nowhere-1", "caBundle", "GetKmsInstance"] {
        assert!(refused.contains(part), "{refused}");
    }
    let chain = ca::chain("cn-beijing").unwrap().pem;
    assert!(built("xx-nowhere-1", None, Some(instance(Some(chain)))).is_ok());
}

#[test]
fn a_bundle_that_is_none_is_an_error_that_repeats_nothing() {
    for bundle in [
        "",
        "canary",
        "-----BEGIN CERTIFICATE-----\ncanary\n-----END CERTIFICATE-----",
    ] {
        let refused = refused("cn-hangzhou", None, Some(instance(Some(bundle))));
        assert!(refused.starts_with("instance.caBundle holds"), "{refused}");
        assert!(!refused.contains("canary"), "{refused}");
    }
}
