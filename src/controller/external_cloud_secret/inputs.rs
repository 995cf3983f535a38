//! What a Secret says about how it was made: one annotation with two keyed digests, so that neither
//! a restart nor a look at a Secret needs the cloud.

use std::fmt;

use crate::api::{ExternalCloudSecretSpec, StoreRef};
use crate::digest::{Digest, DigestKey, Domain};
use crate::secret_bytes::SecretBytes;

/// The content of the inputs annotation: the name of the digest key, the digest of the rendered
/// spec and values, and the digest of the data as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inputs {
    key_id: Box<str>,
    rendered: Digest,
    data: Digest,
}

/// One entry's digest as status holds it: the name of the digest key and the digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedDigest(String);

// === impl Inputs ===

impl Inputs {
    /// The annotation for a Secret made of `spec` and `values`, holding `data`.
    pub fn new(key: &DigestKey, inputs: Digest, data: Digest) -> Self {
        Self {
            key_id: key.id().into(),
            rendered: inputs,
            data,
        }
    }

    /// Reads an annotation. Anything else than what this type writes is nothing.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let parsed = Self {
            key_id: parts.next()?.into(),
            rendered: Digest::parse(parts.next()?)?,
            data: Digest::parse(parts.next()?)?,
        };
        (parsed.to_string() == text).then_some(parsed)
    }

    /// Whether it was written under `key`; otherwise it says nothing to us.
    pub fn is_under(&self, key: &DigestKey) -> bool {
        *self.key_id == *key.id()
    }

    /// Whether the Secret was made of these inputs.
    pub fn made_of(&self, key: &DigestKey, inputs: Digest) -> bool {
        self.is_under(key) && self.rendered == inputs
    }

    /// Whether both were written, under one key, with the same data.
    pub fn holds_the_same_as(&self, other: &Self) -> bool {
        self.key_id == other.key_id && self.data == other.data
    }

    /// Whether the Secret was written with this data.
    pub fn holds(&self, key: &DigestKey, data: Digest) -> bool {
        self.is_under(key) && self.data == data
    }
}

impl fmt::Display for Inputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.key_id, self.rendered, self.data)
    }
}

// === impl AppliedDigest ===

impl AppliedDigest {
    /// How `digest` stands in status.
    pub fn format(key: &DigestKey, digest: Digest) -> String {
        format!("{}.{digest}", key.id())
    }

    /// Reads what stands in status, if it was written under `key`.
    pub fn read(key: &DigestKey, text: &str) -> Option<Digest> {
        let (id, digest) = text.split_once('.')?;
        (id == key.id()).then(|| Digest::parse(digest)).flatten()
    }
}

/// A store as status names it, `KIND/NAME`.
pub fn place_of(store: &StoreRef) -> String {
    format!("{}/{}", store.kind().as_str(), store.name)
}

/// The digest of everything that decides what the Secret holds: which values become which keys.
pub fn inputs_digest(
    key: &DigestKey,
    target: &str,
    spec: &ExternalCloudSecretSpec,
    values: &[Digest],
) -> Digest {
    let mut parts: Vec<Vec<u8>> = vec![target.as_bytes().to_vec()];
    for (entry, digest) in spec.data.iter().zip(values) {
        parts.push(entry.secret_key.clone().into_bytes());
        // The reference itself, so that a digest of another one never passes for it.
        let store = spec.store_of(entry).map(place_of);
        parts.push(store.unwrap_or_default().into_bytes());
        parts.push(entry.remote_ref.key.clone().into_bytes());
        for part in [&entry.remote_ref.version, &entry.remote_ref.stage] {
            let text = part.as_ref().map(|text| format!("={text}").into_bytes());
            parts.push(text.unwrap_or_default());
        }
        let property = entry.remote_ref.property.as_ref();
        parts.push(property.map_or_else(Vec::new, |text| format!("={text}").into_bytes()));
        parts.push(digest.as_bytes().to_vec());
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    key.digest(Domain::Inputs, &parts)
}

/// The digest of a Secret's data, given in the order of its keys.
pub fn data_digest<'a>(
    key: &DigestKey,
    data: impl Iterator<Item = (&'a String, &'a [u8])>,
) -> Digest {
    let parts: Vec<&[u8]> = data
        .flat_map(|(name, value)| [name.as_bytes(), value])
        .collect();
    key.digest(Domain::Data, &parts)
}

/// The data a Secret is to hold.
pub type Data = std::collections::BTreeMap<String, SecretBytes>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{DataEntry, RemoteRef};

    fn key(byte: u8) -> DigestKey {
        DigestKey::new(&[byte; 32])
    }

    fn spec(property: Option<&str>) -> ExternalCloudSecretSpec {
        let remote_ref = RemoteRef {
            key: "k".into(),
            property: property.map(str::to_owned),
            ..RemoteRef::default()
        };
        let entry = DataEntry {
            secret_key: "a".into(),
            remote_ref,
            source_ref: None,
        };
        ExternalCloudSecretSpec {
            data: vec![entry],
            ..Default::default()
        }
    }

    #[test]
    fn an_annotation_reads_back_as_it_was_written() {
        let key = key(1);
        let digest = key.digest(Domain::Data, &[b"x"]);
        let inputs = Inputs::new(&key, digest, digest);
        assert_eq!(Inputs::parse(&inputs.to_string()), Some(inputs.clone()));
        assert!(inputs.made_of(&key, digest) && inputs.holds(&key, digest));
        let renamed = Inputs::new(&key, key.digest(Domain::Data, &[b"y"]), digest);
        assert!(renamed != inputs && renamed.holds_the_same_as(&inputs));
        let changed = Inputs::new(&key, digest, key.digest(Domain::Data, &[b"y"]));
        assert!(!changed.holds_the_same_as(&inputs));
        assert_eq!(Inputs::parse("made up"), None);
        assert_eq!(Inputs::parse("a.b.c.d"), None);
    }

    #[test]
    fn another_key_proves_nothing() {
        let digest = key(1).digest(Domain::Data, &[b"x"]);
        let inputs = Inputs::new(&key(1), digest, digest);
        assert!(!inputs.is_under(&key(2)) && !inputs.made_of(&key(2), digest));
        let text = AppliedDigest::format(&key(1), digest);
        assert_eq!(AppliedDigest::read(&key(1), &text), Some(digest));
        assert_eq!(AppliedDigest::read(&key(2), &text), None);
    }

    #[test]
    fn inputs_tell_values_properties_and_targets_apart() {
        let key = key(1);
        let value = key.digest(Domain::Value, &[b"1"]);
        let other = key.digest(Domain::Value, &[b"2"]);
        let base = inputs_digest(&key, "t", &spec(None), &[value]);
        assert_eq!(base, inputs_digest(&key, "t", &spec(None), &[value]));
        assert_ne!(base, inputs_digest(&key, "t", &spec(None), &[other]));
        assert_ne!(base, inputs_digest(&key, "u", &spec(None), &[value]));
        assert_ne!(base, inputs_digest(&key, "t", &spec(Some("")), &[value]));
    }
}
