//! Objects at rest: compressed JSON. An object has little to say that the others do not say too.

use std::sync::Arc;

use lz4_flex::block::{compress_prepend_size_with_dict, decompress_size_prepended_with_dict};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What most objects say, in the order in which they say it. What is packed never leaves the process,
/// so that this may change with any release.
const COMMON: &[u8] = br#"{"apiVersion":"cloudsecrets.dev/v1alpha1","kind":"ExternalCloudSecret","metadata":{"annotations":{"cloudsecrets.dev/refresh":"2026-01-01T00:00:00Z"},"creationTimestamp":"2026-01-01T00:00:00Z","generation":1,"labels":{"app.kubernetes.io/name":"a","app.kubernetes.io/instance":"a","app.kubernetes.io/managed-by":"Helm"},"name":"credentials","namespace":"default","resourceVersion":"1000","uid":"00000000-0000-4000-8000-000000000000"},"spec":{"secretStoreRef":{"kind":"ClusterCloudSecretStore","name":"store"},"refreshInterval":"1h","target":{"name":"credentials","creationPolicy":"Owner"},"data":[{"secretKey":"username","remoteRef":{"key":"/username"}},{"secretKey":"password","remoteRef":{"key":"/password","property":"password"}}]},"status":{"observedGeneration":1,"conditions":[{"lastTransitionTime":"2026-01-01T00:00:00Z","message":"Secret credentials is in place","observedGeneration":1,"reason":"SecretReady","status":"True","type":"Ready"},{"lastTransitionTime":"2026-01-01T00:00:00Z","message":"the last due refresh worked","observedGeneration":1,"reason":"Refreshed","status":"True","type":"Fresh"}],"secretName":"credentials","changedTime":"2026-01-01T00:00:00Z","entries":[{"store":"CloudSecretStore/store","region":"ap-southeast-1","key":"/username","version":"1","changedAt":"2026-01-01T00:00:00Z","digest":"00000000.0"},{"store":"ClusterCloudSecretStore/store","region":"cn-hangzhou","key":"/password","version":"v1","changedAt":"2026-01-01T00:00:00Z","digest":"00000000.0"}],"entriesTotal":1}}"#;

/// Something that JSON can express, in little memory. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Packed(Arc<[u8]>);

// === impl Packed ===

impl Packed {
    /// Packs `thing`, if JSON can express it.
    pub fn new(thing: &impl Serialize) -> Option<Self> {
        let text = serde_json::to_vec(thing).ok()?;
        Some(Self(compress_prepend_size_with_dict(&text, COMMON).into()))
    }

    /// What was packed, if it can be read as a `T`.
    pub fn unpack<T: DeserializeOwned>(&self) -> Option<T> {
        let text = decompress_size_prepended_with_dict(&self.0, COMMON).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked_as_it_was() {
        for text in ["", "a", &"canary".repeat(100_000), "\u{0}\u{fffd}é"] {
            let packed = Packed::new(&text).unwrap();
            assert_eq!(packed.unpack::<String>().unwrap(), text);
            assert!(packed.unpack::<u64>().is_none());
        }
    }

    #[test]
    fn what_every_object_says_takes_little_room() {
        let common: serde_json::Value = serde_json::from_slice(COMMON).unwrap();
        let packed = Packed::new(&common).unwrap();
        let size = packed.0.len();
        assert!(size < COMMON.len() / 4, "{size} bytes");
    }
}
