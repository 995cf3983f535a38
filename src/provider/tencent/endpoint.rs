//! Where Tencent Cloud's services are: host names by service, site, network and region.
//!
//! The host decides no more than the way: which region's data is meant is said in a header.

use crate::provider::endpoint::{
    Endpoint, EndpointError, EndpointPolicy, Network, Service, is_region,
};

/// SSM, by the "Request structure" page of its API reference: the nearest, the international site's, the
/// one inside VPCs, and one for each region.
pub const SSM: Service = Service {
    name: "ssm",
    hosts: &[
        "ssm.tencentcloudapi.com",
        "ssm.intl.tencentcloudapi.com",
        "ssm.internal.tencentcloudapi.com",
        "ssm.{region}.tencentcloudapi.com",
    ],
};

/// STS, by the same page of its own reference.
pub const STS: Service = Service {
    name: "sts",
    hosts: &[
        "sts.tencentcloudapi.com",
        "sts.intl.tencentcloudapi.com",
        "sts.internal.tencentcloudapi.com",
        "sts.{region}.tencentcloudapi.com",
    ],
};

/// What the names of finance regions end in. These are apart from all others: each has hosts of its own.
const FINANCE: &str = "-fsi";

/// The sites, which share no accounts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Site {
    /// cloud.tencent.com.
    #[default]
    China,
    /// tencentcloud.com.
    International,
}

/// Where SSM is: `explicit` if there is one, else what region, site and network give.
///
/// # Errors
/// When the region is malformed or a zone, or the final URL is off the policy.
pub fn ssm(
    policy: &EndpointPolicy,
    explicit: Option<&str>,
    region: &str,
    (site, network): (Site, Network),
) -> Result<Endpoint, EndpointError> {
    check_region(region)?;
    given_or_near(policy, explicit, &SSM, region, (site, network))
}

/// Where STS is: `explicit` if there is one, else what region, site and network give.
///
/// # Errors
/// When the region is malformed or a zone, or the final URL is off the policy.
pub fn sts(
    policy: &EndpointPolicy,
    explicit: Option<&str>,
    region: &str,
    (site, network): (Site, Network),
) -> Result<Endpoint, EndpointError> {
    check_region(region)?;
    given_or_near(policy, explicit, &STS, region, (site, network))
}

/// What the calls at `endpoint` are counted by besides the account: the region, where it is one of the
/// vendor's hosts, all of which serve every region; else the host and the region, for nobody knows what
/// else it counts.
pub fn counted_by(endpoint: &Endpoint, region: &str) -> String {
    let vendors = EndpointPolicy::default().check(endpoint.as_str(), &SSM);
    match vendors {
        Ok(_) => region.to_owned(),
        Err(_) => format!("{region} at {}", endpoint.host()),
    }
}

/// Whether `endpoint` is an STS of the vendor, whose word can be taken.
pub fn is_vendors_sts(endpoint: &Endpoint) -> bool {
    EndpointPolicy::default()
        .check(endpoint.as_str(), &STS)
        .is_ok()
}

fn given_or_near(
    policy: &EndpointPolicy,
    explicit: Option<&str>,
    service: &Service,
    region: &str,
    (site, network): (Site, Network),
) -> Result<Endpoint, EndpointError> {
    if let Some(url) = explicit {
        return policy.check(url, service);
    }
    let near = match (site, network) {
        _ if region.ends_with(FINANCE) => format!(".{region}"),
        (_, Network::Vpc) => ".internal".to_owned(),
        (Site::International, Network::Public) => ".intl".to_owned(),
        (Site::China, Network::Public) => String::new(),
    };
    let url = format!("https://{}{near}.tencentcloudapi.com", service.name);
    policy.check(&url, service)
}

/// Lets a region pass: a zone of one is the region with a number after it.
fn check_region(region: &str) -> Result<(), EndpointError> {
    if !is_region(region) {
        return Err(EndpointError::Region);
    }
    match region.rsplit_once('-') {
        Some((of, zone)) if of.contains('-') && zone.bytes().all(|b| b.is_ascii_digit()) => {
            Err(EndpointError::Zone {
                zone: region.to_owned(),
                region: of.to_owned(),
            })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: [(Site, Network); 4] = [
        (Site::China, Network::Public),
        (Site::China, Network::Vpc),
        (Site::International, Network::Public),
        (Site::International, Network::Vpc),
    ];

    #[test]
    fn hosts_follow_site_and_network_and_of_the_regions_only_those_apart() {
        let policy = EndpointPolicy::default();
        let near = ["", ".internal", ".intl", ".internal"];
        for (place, near) in PLACES.into_iter().zip(near) {
            for (region, near) in [
                ("ap-guangzhou", near),
                ("ap-shanghai-fsi", ".ap-shanghai-fsi"),
            ] {
                let found = ssm(&policy, None, region, place).unwrap();
                assert_eq!(found.host(), format!("ssm{near}.tencentcloudapi.com"));
                let found = sts(&policy, None, region, place).unwrap();
                assert_eq!(found.host(), format!("sts{near}.tencentcloudapi.com"));
            }
        }
    }

    #[test]
    fn a_zone_is_refused_with_the_region_that_it_is_in() {
        let policy = EndpointPolicy::default();
        for (zone, region) in [
            ("ap-beijing-3", "ap-beijing"),
            ("ap-shanghai-fsi-1", "ap-shanghai-fsi"),
        ] {
            let refused = ssm(&policy, None, zone, PLACES[0]).unwrap_err();
            let text = format!("{zone} is a zone: its region is {region}");
            assert_eq!(refused.to_string(), text);
            let url = Some("https://ssm.tencentcloudapi.com");
            assert!(ssm(&policy, url, zone, PLACES[0]).is_err(), "{zone}");
        }
        assert!(ssm(&policy, None, "na-siliconvalley", PLACES[0]).is_ok());
    }

    #[test]
    fn a_region_cannot_smuggle_a_host() {
        let policy = EndpointPolicy::new([], true).unwrap();
        for region in ["x.evil.com/#-fsi", "evil.com/?", "a@evil.com:1-fsi", ""] {
            let refused = Err(EndpointError::Region);
            assert_eq!(ssm(&policy, None, region, PLACES[0]), refused);
            assert_eq!(sts(&policy, None, region, PLACES[0]), refused);
        }
    }

    #[test]
    fn an_explicit_host_is_one_of_the_services_own() {
        let policy = EndpointPolicy::default();
        let of = |url: &str| ssm(&policy, Some(url), "ap-guangzhou", PLACES[0]);
        for host in ["ssm.ap-beijing", "ssm.intl", "ssm.internal", "ssm"] {
            let url = format!("https://{host}.tencentcloudapi.com");
            assert!(of(&url).is_ok(), "{url}");
        }
        for url in [
            "https://sts.tencentcloudapi.com",
            "https://ssm.tencentcloudapi.com.evil.com",
            "https://ssm.evil.tencentcloudapi.com",
            "https://evil.ssm.tencentcloudapi.com",
            "https://ssm.tencentcloudapi.com/x",
            "http://ssm.tencentcloudapi.com",
        ] {
            assert!(of(url).is_err(), "{url}");
        }
    }

    #[test]
    fn whose_an_identity_is_only_the_vendors_sts_can_say() {
        let policy = EndpointPolicy::new(vec!["example.com".to_owned()], true).unwrap();
        for (url, vendors) in [
            ("https://sts.intl.tencentcloudapi.com", true),
            ("https://sts.example.com", false),
            ("http://sts.tencentcloudapi.com", false),
        ] {
            let endpoint = policy.check(url, &STS).unwrap();
            assert_eq!(is_vendors_sts(&endpoint), vendors, "{url}");
        }
    }
}
