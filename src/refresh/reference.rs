//! What makes a reference: who reads what from where.

use super::Origin;
use crate::digest::{Digest, DigestKey, Domain};
use crate::provider::RemoteKey;

/// The key of a row at rest. There may be very many, and most name neither version nor stage.
#[derive(Debug)]
pub(super) struct KeptKey {
    name: Box<str>,
    pick: Option<Box<Pick>>,
}

#[derive(Debug)]
struct Pick {
    version: Option<String>,
    stage: Option<String>,
}

// === impl KeptKey ===

impl KeptKey {
    pub fn new(key: RemoteKey) -> Self {
        let RemoteKey {
            key: name,
            version,
            stage,
        } = key;
        let picks = version.is_some() || stage.is_some();
        Self {
            name: name.into(),
            pick: picks.then(|| Box::new(Pick { version, stage })),
        }
    }

    /// The key as it is asked for.
    pub fn asked(&self) -> RemoteKey {
        let pick = self.pick.as_deref();
        RemoteKey {
            key: self.name.to_string(),
            version: pick.and_then(|pick| pick.version.clone()),
            stage: pick.and_then(|pick| pick.stage.clone()),
        }
    }

    /// Whether both are of one secret, be it of other versions or stages.
    pub fn is_sibling_of(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// The parts of a reference, which its digests cover besides the value.
pub(super) fn parts(origin: &Origin, key: &RemoteKey) -> Vec<Vec<u8>> {
    let optional = |part: &Option<String>| match part {
        Some(text) => format!("={text}").into_bytes(),
        None => Vec::new(),
    };
    vec![
        origin.identity.id().0.as_bytes().to_vec(),
        origin.provider.address().as_str().as_bytes().to_vec(),
        key.key.clone().into_bytes(),
        optional(&key.version),
        optional(&key.stage),
    ]
}

/// The digest by which a reference is known, and by which its slots are spread.
pub(super) fn digest(digests: &DigestKey, origin: &Origin, key: &RemoteKey) -> Digest {
    let parts = parts(origin, key);
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    digests.digest(Domain::Phase, &parts)
}
