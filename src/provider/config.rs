//! Why a store's `provider` block cannot work. The text says what to change.

use super::endpoint::EndpointError;
use crate::http::AuthorityError;

/// What is wrong with a provider's configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The URL may not be called.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The certificates are none.
    #[error("instance.caBundle {0}")]
    Authority(#[from] AuthorityError),
    /// The TLS library refuses the certificates.
    #[error("instance.caBundle holds certificates that cannot be used as roots")]
    UnusableAuthority,
    /// No certificates are known for a region's dedicated instances.
    #[error(
        "no certificate chain is built in for dedicated instances of region {region}: put the \
         instance's into instance.caBundle, or name it by instance.caBundleRef; the instance's page \
         in the KMS console has it, and so has CaCertificateChainPem of the API GetKmsInstance"
    )]
    NoAuthority {
        /// The region.
        region: String,
    },
    /// Two dedicated instances are named.
    #[error("endpoint is a dedicated instance's already; leave out endpoint or instance")]
    TwoInstances,
}
