//! Where Alibaba Cloud's services are: host names by service, region and network.

pub use crate::provider::endpoint::Network;
use crate::provider::endpoint::{Endpoint, EndpointError, EndpointPolicy, Service, is_region};

/// OOS, as listed on the "OOS endpoints" page of its API reference.
pub const OOS: Service = Service {
    name: "oos",
    hosts: &["oos.{region}.aliyuncs.com", "oos-vpc.{region}.aliyuncs.com"],
};

/// KMS, as listed on the "Endpoints" page of its documentation: the shared gateways, and the gateways
/// of dedicated instances.
pub const KMS: Service = Service {
    name: "kms",
    hosts: &[
        "kms.{region}.aliyuncs.com",
        "kms-vpc.{region}.aliyuncs.com",
        "{instance}.cryptoservice.kms.aliyuncs.com",
    ],
};

/// The gateways of dedicated instances alone: what a shared gateway answers is trusted otherwise.
const KMS_INSTANCE: Service = Service {
    name: "kms",
    hosts: &["{instance}.cryptoservice.kms.aliyuncs.com"],
};

/// The domain of dedicated KMS instances.
const KMS_INSTANCES: &str = ".cryptoservice.kms.aliyuncs.com";

/// STS, as listed on the "STS endpoints" page of the RAM documentation.
pub const STS: Service = Service {
    name: "sts",
    hosts: &[
        "sts.{region}.aliyuncs.com",
        "sts-vpc.{region}.aliyuncs.com",
        "sts.aliyuncs.com",
    ],
};

/// The STS host that serves every region.
const GLOBAL_STS: &str = "https://sts.aliyuncs.com";

/// The regions that have no STS host of their own, from the endpoint map of the vendor's client
/// `alibabacloud_sts20150401` 1.2.0, less the vendor's internal test regions.
const REGIONS_WITHOUT_STS: [&str; 17] = [
    "ap-northeast-2-pop",
    "ap-south-1",
    "ap-southeast-2",
    "cn-beijing-finance-pop",
    "cn-beijing-gov-1",
    "cn-edge-1",
    "cn-fujian",
    "cn-hongkong-finance-pop",
    "cn-huhehaote-nebula-1",
    "cn-shanghai-inner",
    "cn-shenzhen-inner",
    "cn-wuhan",
    "cn-yushanfang",
    "cn-zhangbei",
    "cn-zhengzhou-nebula-1",
    "eu-west-1-oxs",
    "rus-west-1-pop",
];

/// Where OOS is: `explicit` if there is one, else what region and network give.
///
/// # Errors
/// When the region is malformed or the final URL is off the policy.
pub fn oos(
    policy: &EndpointPolicy,
    explicit: Option<&str>,
    region: &str,
    network: Network,
) -> Result<Endpoint, EndpointError> {
    given_or_regional(policy, explicit, ("oos", &OOS), region, network)
}

/// Where the shared KMS gateway is: `explicit` if there is one, else what region and network give.
///
/// # Errors
/// When the region is malformed or the final URL is off the policy.
pub fn kms(
    policy: &EndpointPolicy,
    explicit: Option<&str>,
    region: &str,
    network: Network,
) -> Result<Endpoint, EndpointError> {
    given_or_regional(policy, explicit, ("kms", &KMS), region, network)
}

/// What the calls of `service` at `endpoint` are counted by besides the account: the region, where it
/// is one of the region's own hosts, else the host, for nobody knows what else it counts.
pub fn counted_by<'a>(service: &str, endpoint: &'a Endpoint, region: &'a str) -> &'a str {
    let own = [
        format!("{service}.{region}.aliyuncs.com"),
        format!("{service}-vpc.{region}.aliyuncs.com"),
    ];
    if own.iter().any(|own| own == endpoint.host()) {
        region
    } else {
        endpoint.host()
    }
}

/// Whether `endpoint` is an STS of the vendor, whose word can be taken.
pub fn is_vendors_sts(endpoint: &Endpoint) -> bool {
    EndpointPolicy::default()
        .check(endpoint.as_str(), &STS)
        .is_ok()
}

/// Where a dedicated KMS instance is: a host, or a URL of one.
///
/// # Errors
/// When the final URL is off the policy.
pub fn kms_instance(policy: &EndpointPolicy, host: &str) -> Result<Endpoint, EndpointError> {
    if host.contains("://") {
        policy.check(host, &KMS_INSTANCE)
    } else {
        policy.check(&format!("https://{host}"), &KMS_INSTANCE)
    }
}

/// Whether `endpoint` is a dedicated KMS instance's by its name.
pub fn is_kms_instance(endpoint: &Endpoint) -> bool {
    endpoint.host().ends_with(KMS_INSTANCES)
}

/// Where STS is: `explicit` if there is one, else what region and network give, which is the
/// global host for regions that have none of their own.
///
/// # Errors
/// When the region is malformed or the final URL is off the policy.
pub fn sts(
    policy: &EndpointPolicy,
    explicit: Option<&str>,
    region: &str,
    network: Network,
) -> Result<Endpoint, EndpointError> {
    match explicit {
        Some(url) => policy.check(url, &STS),
        None if REGIONS_WITHOUT_STS.contains(&region) => policy.check(GLOBAL_STS, &STS),
        None => policy.check(&regional("sts", region, network)?, &STS),
    }
}

/// The STS host that serves every region, for identities that know no region.
///
/// # Errors
/// None in practice: the host is on the pattern.
pub fn global_sts(policy: &EndpointPolicy) -> Result<Endpoint, EndpointError> {
    policy.check(GLOBAL_STS, &STS)
}

fn given_or_regional(
    policy: &EndpointPolicy,
    explicit: Option<&str>,
    (name, service): (&str, &Service),
    region: &str,
    network: Network,
) -> Result<Endpoint, EndpointError> {
    match explicit {
        Some(url) => policy.check(url, service),
        None => policy.check(&regional(name, region, network)?, service),
    }
}

fn regional(service: &str, region: &str, network: Network) -> Result<String, EndpointError> {
    if !is_region(region) {
        return Err(EndpointError::Region);
    }
    let vpc = match network {
        Network::Public => "",
        Network::Vpc => "-vpc",
    };
    Ok(format!("https://{service}{vpc}.{region}.aliyuncs.com"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_regions_own_hosts_are_counted_by_the_region() {
        let policy = EndpointPolicy::new(vec!["example.com".to_owned()], false).unwrap();
        let region = "cn-hangzhou";
        let counted = |url: &str| {
            let endpoint = kms(&policy, Some(url), region, Network::Public).unwrap();
            counted_by("kms", &endpoint, region).to_owned()
        };
        for own in ["kms", "kms-vpc"] {
            assert_eq!(
                counted(&format!("https://{own}.{region}.aliyuncs.com")),
                region
            );
        }
        let other = ["kms.cn-shanghai.aliyuncs.com", "kms.example.com"];
        for host in other
            .into_iter()
            .chain(["kst-x.cryptoservice.kms.aliyuncs.com"])
        {
            assert_eq!(counted(&format!("https://{host}")), host);
        }
    }

    #[test]
    fn whose_an_identity_is_only_the_vendors_sts_can_say() {
        let policy = EndpointPolicy::new(vec!["example.com".to_owned()], true).unwrap();
        let at = |url: &str| policy.check(url, &STS).unwrap();
        for (url, vendors) in [
            ("https://sts.aliyuncs.com", true),
            ("https://sts-vpc.cn-hangzhou.aliyuncs.com", true),
            ("https://sts.example.com", false),
            ("http://sts.aliyuncs.com", false),
            ("http://127.0.0.1:8080", false),
        ] {
            assert_eq!(is_vendors_sts(&at(url)), vendors, "{url}");
        }
    }

    #[test]
    fn hosts_follow_region_and_network() {
        let policy = EndpointPolicy::default();
        let host = |found: Result<Endpoint, EndpointError>| found.unwrap().host().to_owned();
        let (public, vpc) = (Network::Public, Network::Vpc);
        let region = "cn-hangzhou";
        let table = [
            (
                oos(&policy, None, region, public),
                "oos.cn-hangzhou.aliyuncs.com",
            ),
            (
                oos(&policy, None, region, vpc),
                "oos-vpc.cn-hangzhou.aliyuncs.com",
            ),
            (
                kms(&policy, None, region, public),
                "kms.cn-hangzhou.aliyuncs.com",
            ),
            (
                kms(&policy, None, region, vpc),
                "kms-vpc.cn-hangzhou.aliyuncs.com",
            ),
            (
                kms_instance(&policy, "kst-x.cryptoservice.kms.aliyuncs.com"),
                "kst-x.cryptoservice.kms.aliyuncs.com",
            ),
            (
                sts(&policy, None, region, public),
                "sts.cn-hangzhou.aliyuncs.com",
            ),
            (
                sts(&policy, None, region, vpc),
                "sts-vpc.cn-hangzhou.aliyuncs.com",
            ),
            (sts(&policy, None, "ap-south-1", vpc), "sts.aliyuncs.com"),
            (global_sts(&policy), "sts.aliyuncs.com"),
        ];
        for (found, expected) in table {
            assert_eq!(host(found), expected);
        }
    }

    #[test]
    fn a_region_cannot_smuggle_a_host() {
        let policy = EndpointPolicy::new([], true).unwrap();
        for region in ["x.evil.com/#", "evil.com/?", "a@evil.com:1", "", "cn-x\\"] {
            let refused = Err(EndpointError::Region);
            assert_eq!(oos(&policy, None, region, Network::Public), refused);
            assert_eq!(sts(&policy, None, region, Network::Vpc), refused);
            assert_eq!(kms(&policy, None, region, Network::Vpc), refused);
        }
    }

    #[test]
    fn one_service_does_not_pass_for_another() {
        let policy = EndpointPolicy::default();
        let kms = Some("https://kms.cn-hangzhou.aliyuncs.com");
        assert!(oos(&policy, kms, "cn-hangzhou", Network::Public).is_err());
        assert!(sts(&policy, kms, "cn-hangzhou", Network::Public).is_err());
    }

    #[test]
    fn an_instance_is_known_by_its_domain() {
        let policy = EndpointPolicy::default();
        let url = "https://kst-x.cryptoservice.kms.aliyuncs.com";
        for host in [url, &url["https://".len()..]] {
            assert!(is_kms_instance(&kms_instance(&policy, host).unwrap()));
        }
        let shared = kms(&policy, None, "cn-hangzhou", Network::Public).unwrap();
        assert!(!is_kms_instance(&shared));
        for host in [
            "cryptoservice.kms.aliyuncs.com",
            "a.b.cryptoservice.kms.aliyuncs.com",
            "kst-x.cryptoservice.kms.aliyuncs.com.evil.com",
            "kst-x.cryptoservice.kms.aliyuncs.com@evil.com",
            "evil.com/kst-x.cryptoservice.kms.aliyuncs.com",
            "evil.com#.cryptoservice.kms.aliyuncs.com",
            "-.cryptoservice.kms.aliyuncs.com",
        ] {
            assert!(kms_instance(&policy, host).is_err(), "{host}");
        }
    }
}
