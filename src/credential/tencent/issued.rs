//! Temporary credentials as Tencent Cloud's token and metadata services write them.

use jiff::Timestamp;
use secrecy::SecretString;
use serde::Deserialize;

use crate::credential::Credentials;
use crate::credential::issued::{Issued, secret, usable};

/// The token service's, without their end.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TencentKey {
    tmp_secret_id: String,
    #[serde(deserialize_with = "secret")]
    tmp_secret_key: SecretString,
    #[serde(deserialize_with = "secret")]
    token: SecretString,
}

/// The metadata service's. A flattened [`TencentKey`] would be buffered by the decoder, which wipes nothing.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TencentIssued {
    tmp_secret_id: String,
    #[serde(deserialize_with = "secret")]
    tmp_secret_key: SecretString,
    #[serde(deserialize_with = "secret")]
    token: SecretString,
    expired_time: i64,
}

// === impl TencentKey ===

impl TencentKey {
    /// The credentials, if they can be used `now` and end at `ends`, in seconds.
    ///
    /// # Errors
    /// As [`Issued::into_credentials`].
    pub(crate) fn into_credentials(
        self,
        ends: i64,
        now: Timestamp,
    ) -> Result<Credentials, &'static str> {
        let ends = Timestamp::from_second(ends).ok();
        usable(
            self.tmp_secret_id,
            self.tmp_secret_key,
            self.token,
            ends,
            now,
        )
    }
}

// === impl TencentIssued ===

impl Issued for TencentIssued {
    fn into_credentials(self, now: Timestamp) -> Result<Credentials, &'static str> {
        let key = TencentKey {
            tmp_secret_id: self.tmp_secret_id,
            tmp_secret_key: self.tmp_secret_key,
            token: self.token,
        };
        key.into_credentials(self.expired_time, now)
    }
}
