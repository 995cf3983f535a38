//! Which URLs may be called: the policy every cloud endpoint must pass, however it was put together.
//!
//! It judges the final, parsed URL and never the parts it was made from. It resolves no names: what
//! a name resolves to is judged by the HTTP client.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use url::Url;

const LONGEST_URL: usize = 512;
const LONGEST_REGION: usize = 40;

/// What the operator's administrator allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointPolicy {
    allowed_suffixes: Vec<String>,
    allow_insecure: bool,
}

/// The hosts of one service. Each pattern is a host name whose label `{region}` stands for any
/// well-formed region and `{instance}` for any label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    /// The service's name for messages, such as `oos`.
    pub name: &'static str,
    /// Its host patterns.
    pub hosts: &'static [&'static str],
}

/// Which side of a cloud's hosts is called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Network {
    /// The hosts of the internet.
    #[default]
    Public,
    /// The hosts that only the cloud's own networks reach.
    Vpc,
}

/// A URL that passed the policy: a scheme and an authority, nothing else.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    origin: Arc<str>,
    authority_at: usize,
}

/// Why a URL was refused. The text says what to change and repeats nothing but host names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The text is not a URL.
    #[error("endpoint is not a URL: write it as https://HOST")]
    NotAUrl,
    /// A region is malformed.
    #[error("region is malformed: write it as the cloud does, such as cn-hangzhou")]
    Region,
    /// A region is the name of a zone in one.
    #[error("{zone} is a zone: its region is {region}")]
    Zone {
        /// What was named.
        zone: String,
        /// Where that is.
        region: String,
    },
    /// The scheme is not https.
    #[error("endpoint must use https")]
    Scheme,
    /// There is a user name or a password.
    #[error("endpoint must not hold a user name or a password")]
    UserInfo,
    /// There is a port.
    #[error("endpoint must not name a port")]
    Port,
    /// There is a path, a query or a fragment.
    #[error("endpoint must end after the host: no path, query or fragment")]
    Trailing,
    /// The host is an IP address.
    #[error("endpoint must name a host, not an IP address")]
    Address,
    /// The host is an address that only instances may ask about themselves.
    #[error("endpoint must not be a link-local or metadata address")]
    Metadata,
    /// The host belongs to another service or to nobody we know.
    #[error(
        "host {host} is not one of {service}'s: use {expected}, or have the operator's \
         --allowed-endpoint-suffixes name its domain"
    )]
    Host {
        /// The refused host.
        host: String,
        /// The service that was to be called.
        service: &'static str,
        /// The service's host patterns.
        expected: String,
    },
    /// An allowed suffix is no domain name.
    #[error("allowed endpoint suffix {0:?} is not a domain name of at least two labels")]
    Suffix(String),
}

// === impl EndpointPolicy ===

impl EndpointPolicy {
    /// A policy that also admits hosts under `allowed_suffixes` (domain names, matched on label
    /// boundaries) and, with `allow_insecure`, any scheme of `http` and `https`, host and port.
    ///
    /// # Errors
    /// [`EndpointError::Suffix`] for a suffix that is no domain name of at least two labels.
    pub fn new(
        allowed_suffixes: impl IntoIterator<Item = String>,
        allow_insecure: bool,
    ) -> Result<Self, EndpointError> {
        let clean = |suffix: String| {
            let domain = suffix.trim().trim_start_matches('.').to_ascii_lowercase();
            let labels = domain.split('.').count();
            if labels >= 2 && domain.split('.').all(is_label) {
                Ok(domain)
            } else {
                Err(EndpointError::Suffix(suffix))
            }
        };
        Ok(Self {
            allowed_suffixes: allowed_suffixes
                .into_iter()
                .map(clean)
                .collect::<Result<_, _>>()?,
            allow_insecure,
        })
    }

    /// Whether plain http and any host are allowed.
    pub fn allows_insecure(&self) -> bool {
        self.allow_insecure
    }

    /// Judges `url` as an endpoint of `service`.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn check(&self, url: &str, service: &Service) -> Result<Endpoint, EndpointError> {
        if url.len() > LONGEST_URL {
            return Err(EndpointError::NotAUrl);
        }
        let url = Url::parse(url).map_err(|_| EndpointError::NotAUrl)?;
        let insecure = self.allow_insecure && url.scheme() == "http";
        if url.scheme() != "https" && !insecure {
            return Err(EndpointError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::UserInfo);
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(EndpointError::Trailing);
        }
        let host = url.host_str().ok_or(EndpointError::NotAUrl)?;
        if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            if is_metadata(address) {
                return Err(EndpointError::Metadata);
            }
            if !self.allow_insecure {
                return Err(EndpointError::Address);
            }
        }
        if !self.allow_insecure {
            if url.port().is_some() {
                return Err(EndpointError::Port);
            }
            if !service.admits(host) && !self.admits_suffix(host) {
                return Err(EndpointError::Host {
                    host: host.to_owned(),
                    service: service.name,
                    expected: service.expected(),
                });
            }
        }
        Ok(Endpoint::new(&url, host))
    }

    fn admits_suffix(&self, host: &str) -> bool {
        let under = |suffix: &String| {
            host.strip_suffix(suffix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        host.split('.').all(is_label) && self.allowed_suffixes.iter().any(under)
    }
}

// === impl Service ===

impl Service {
    fn admits(&self, host: &str) -> bool {
        self.hosts.iter().any(|pattern| {
            let mut labels = host.split('.');
            let admitted = pattern.split('.').all(|expected| match labels.next() {
                Some(label) if expected == "{region}" => is_region(label),
                Some(label) if expected == "{instance}" => is_label(label),
                Some(label) => label == expected,
                None => false,
            });
            admitted && labels.next().is_none()
        })
    }

    fn expected(&self) -> String {
        let hosts = self.hosts.join(" or ").replace("{region}", "REGION");
        hosts.replace("{instance}", "INSTANCE")
    }
}

// === impl Network ===

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "Public",
            Self::Vpc => "Vpc",
        })
    }
}

// === impl Endpoint ===

impl Endpoint {
    fn new(url: &Url, host: &str) -> Self {
        let scheme = url.scheme();
        let origin = match url.port() {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        };
        Self {
            origin: origin.into(),
            authority_at: scheme.len() + 3,
        }
    }

    /// The scheme and authority without a trailing slash, such as `https://sts.aliyuncs.com`.
    pub fn as_str(&self) -> &str {
        &self.origin
    }

    /// Whether it is called by https.
    pub fn is_https(&self) -> bool {
        self.origin.starts_with("https:")
    }

    /// The host, with its port where it is not the scheme's own: the `host` header.
    pub fn host(&self) -> &str {
        &self.origin[self.authority_at..]
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

/// Whether `text` looks like a region: two or three letters, then groups of letters and digits
/// joined by hyphens, at most 40 characters.
pub fn is_region(text: &str) -> bool {
    let mut groups = text.split('-');
    let area = groups.next().unwrap_or_default();
    let lower = |c: char| c.is_ascii_lowercase();
    let group =
        |group: &str| !group.is_empty() && group.chars().all(|c| lower(c) || c.is_ascii_digit());
    text.len() <= LONGEST_REGION
        // Not just any three letters: `oss-cn-hangzhou` would make a customer's bucket of a host.
        && (area.len() == 2 || area == "rus")
        && area.chars().all(lower)
        && text.contains('-')
        && groups.all(group)
}

/// Whether `address` is link-local or the metadata service's, also when it is an IPv4 address in
/// an IPv6 one's clothes.
pub fn is_metadata(address: IpAddr) -> bool {
    const METADATA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
    match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4 == METADATA,
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local() || embedded(v6).is_some_and(|v4| is_metadata(v4.into()))
        }
    }
}

/// The IPv4 address inside a mapped, compatible or translated (`64:ff9b::/96`) IPv6 address.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    const MAPPED: [u16; 6] = [0, 0, 0, 0, 0, 0xffff];
    const COMPATIBLE: [u16; 6] = [0; 6];
    const TRANSLATED: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];
    let segments = address.segments();
    let embeds = [MAPPED, COMPATIBLE, TRANSLATED]
        .iter()
        .any(|prefix| segments.starts_with(prefix));
    let [.., high, low] = segments;
    let bits = (u32::from(high) << 16) | u32::from(low);
    embeds.then(|| Ipv4Addr::from_bits(bits))
}

fn is_label(label: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&label.len())
        && label.chars().all(allowed)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests;
