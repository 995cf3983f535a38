//! Keyed digests: how values and identities are compared and remembered without being kept.
//!
//! A digest is HMAC-SHA-256 over a domain and length-prefixed parts, under a random key that lives
//! in the operator's namespace. Without the key a digest says nothing about the value, so it may
//! stand in status and annotations.

use std::fmt;

use ring::hmac;
use ring::rand::SecureRandom;

use crate::provider::hex::hex;

/// Length of a digest key in bytes.
pub const KEY_BYTES: usize = 32;

/// What a digest is about. Two digests of the same parts in different domains differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// All the material of an identity.
    Identity,
    /// A fetched value together with its identity and reference.
    Value,
    /// The rendered spec and values behind a Secret.
    Inputs,
    /// The data of a Secret as written.
    Data,
    /// A reference, and with it where in its interval it is refreshed.
    Phase,
}

/// A keyed digest, cut to 16 bytes: enough that no two of a cluster's values collide.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 16]);

/// The key of all digests of one installation, and a short name for it.
#[derive(Clone)]
pub struct DigestKey {
    key: hmac::Key,
    id: String,
}

// === impl Domain ===

impl Domain {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Identity => b"identity",
            Self::Value => b"value",
            Self::Inputs => b"inputs",
            Self::Data => b"data",
            Self::Phase => b"phase",
        }
    }
}

// === impl Digest ===

impl Digest {
    /// Reads a digest as [`Display`](fmt::Display) writes it.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.is_ascii() {
            return None;
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// The first eight bytes as a number, for phases and tokens.
    pub fn leading_u64(&self) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0[..8]);
        u64::from_be_bytes(first)
    }

    /// The digest as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// === impl DigestKey ===

impl DigestKey {
    /// A key from its raw bytes.
    pub fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, bytes);
        let tag = hmac::sign(&key, b"key-id");
        let id = hex(&tag.as_ref()[..4]);
        Self { key, id }
    }

    /// Random bytes for a new key.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate(
        random: &dyn SecureRandom,
    ) -> Result<[u8; KEY_BYTES], ring::error::Unspecified> {
        let mut bytes = [0; KEY_BYTES];
        random.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// A short public name of the key. A digest written under another key is recognised by it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The digest of `parts` in `domain`. Each part is length-prefixed, so no two lists of parts
    /// share an encoding.
    pub fn digest(&self, domain: Domain, parts: &[&[u8]]) -> Digest {
        let mut context = hmac::Context::with_key(&self.key);
        let mut update = |part: &[u8]| {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        };
        update(domain.label());
        for part in parts {
            update(part);
        }
        let tag = context.sign();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&tag.as_ref()[..16]);
        Digest(bytes)
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DigestKey({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        let key = DigestKey::new(&[7; KEY_BYTES]);
        let one = key.digest(Domain::Value, &[b"ab", b"c"]);
        let other = key.digest(Domain::Value, &[b"a", b"bc"]);
        assert_ne!(one, other);
    }

    #[test]
    fn a_digest_reads_back_as_it_was_written() {
        let digest = DigestKey::new(&[7; KEY_BYTES]).digest(Domain::Value, &[b"a"]);
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        assert_eq!(Digest::parse("xy"), None);
    }

    #[test]
    fn domains_and_keys_separate_digests() {
        let key = DigestKey::new(&[7; KEY_BYTES]);
        let other = DigestKey::new(&[8; KEY_BYTES]);
        assert_ne!(
            key.digest(Domain::Value, &[b"a"]),
            key.digest(Domain::Data, &[b"a"])
        );
        assert_ne!(
            key.digest(Domain::Value, &[b"a"]),
            other.digest(Domain::Value, &[b"a"])
        );
        assert_ne!(key.id(), other.id());
    }
}
