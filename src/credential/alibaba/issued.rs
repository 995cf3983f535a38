//! Temporary credentials as Alibaba Cloud's token and metadata services write them.

use jiff::Timestamp;
use secrecy::SecretString;
use serde::Deserialize;

use crate::credential::Credentials;
use crate::credential::issued::{Issued, secret, usable};

/// Credentials as they were issued.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AlibabaIssued {
    access_key_id: String,
    #[serde(deserialize_with = "secret")]
    access_key_secret: SecretString,
    #[serde(deserialize_with = "secret")]
    security_token: SecretString,
    expiration: String,
}

// === impl AlibabaIssued ===

impl Issued for AlibabaIssued {
    fn into_credentials(self, now: Timestamp) -> Result<Credentials, &'static str> {
        let ends = self.expiration.parse().ok();
        let token = self.security_token;
        usable(self.access_key_id, self.access_key_secret, token, ends, now)
    }
}
