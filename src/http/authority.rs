//! Private certificate authorities: the only roots that one endpoint's certificate may come from.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use ring::digest;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::provider::hex::hex;

/// The most certificates that one authority may have.
const MOST_CERTIFICATES: usize = 32;

/// The certificates of a private authority. Equal ones have equal digests.
#[derive(Clone, PartialEq, Eq)]
pub struct Authority {
    name: String,
    certificates: Vec<CertificateDer<'static>>,
    digest: [u8; 32],
    expiry: Option<Timestamp>,
}

/// Why a text is no authority. It repeats nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// The text is not PEM.
    #[error("is not PEM: paste the whole chain, each BEGIN and END line included")]
    NotPem,
    /// There is no certificate in it.
    #[error("holds no certificate")]
    Empty,
    /// There are too many.
    #[error("holds more than 32 certificates")]
    TooMany,
    /// One of them is no X.509 certificate.
    #[error("holds something that is marked as a certificate and is none")]
    NotACertificate,
}

// === impl Authority ===

impl Authority {
    /// The authority that the certificates in `pem` make up. Anything else in it is passed over.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn from_pem(pem: &str) -> Result<Self, AuthorityError> {
        let certificates = CertificateDer::pem_slice_iter(pem.as_bytes())
            .take(MOST_CERTIFICATES + 1)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| AuthorityError::NotPem)?;
        if certificates.is_empty() {
            return Err(AuthorityError::Empty);
        }
        if certificates.len() > MOST_CERTIFICATES {
            return Err(AuthorityError::TooMany);
        }
        let mut roots = rustls::RootCertStore::empty();
        for certificate in &certificates {
            let added = roots.add(certificate.clone());
            added.map_err(|_| AuthorityError::NotACertificate)?;
        }
        let mut hash = digest::Context::new(&digest::SHA256);
        for certificate in &certificates {
            hash.update(&certificate.len().to_be_bytes());
            hash.update(certificate);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(hash.finish().as_ref());
        let expiry = certificates
            .iter()
            .filter_map(|certificate| not_after(certificate))
            .min();
        Ok(Self {
            name: format!("sha256:{}", hex(&digest[..8])),
            certificates,
            digest,
            expiry,
        })
    }

    /// The same, under a name that people know it by.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Its name, for metrics: what it was named, else the beginning of its digest.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The certificates in DER, in their order.
    pub(super) fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// What tells it from others.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// When the first of its certificates expires.
    pub fn expiry(&self) -> Option<Timestamp> {
        self.expiry
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({} certificates)", self.certificates.len())
    }
}

/// The end of a certificate's validity (RFC 5280, section 4.1), for people to be warned by: whether it is
/// valid is for the TLS library to say.
fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let (SEQUENCE, certificate, _) = element(certificate)? else {
        return None;
    };
    let (SEQUENCE, mut rest, _) = element(certificate)? else {
        return None;
    };
    if let (VERSION, _, after) = element(rest)? {
        rest = after;
    }
    // The serial number, the signature's algorithm and the issuer.
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (SEQUENCE, validity, _) = element(rest)? else {
        return None;
    };
    let (_, _, after) = element(validity)?;
    let (tag, time, _) = element(after)?;
    instant(tag, std::str::from_utf8(time).ok()?)
}

/// The tag and content of the first DER element, and what comes after it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = digits.iter().try_fold(0_usize, |length, digit| {
                length.checked_mul(256)?.checked_add(usize::from(*digit))
            })?;
            (length, rest)
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((*tag, content, after))
}

/// `YYMMDDhhmmssZ` (years from 1950) or `YYYYMMDDhhmmssZ`.
fn instant(tag: u8, text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match tag {
        0x17 => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i16 = year.parse().ok()?;
            (year + if year < 50 { 2000 } else { 1900 }, rest)
        }
        0x18 => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<i8>().ok();
    if rest.len() != 10 {
        return None;
    }
    let time = DateTime::new(year, part(0)?, part(2)?, part(4)?, part(6)?, part(8)?, 0).ok()?;
    Offset::UTC.to_timestamp(time).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PEM: &str = include_str!("../provider/alibaba/ca/cn-hangzhou.pem");

    #[test]
    fn a_chain_is_read_whole_and_expires_with_its_first() {
        let authority = Authority::from_pem(PEM).unwrap();
        assert_eq!(authority.certificates().len(), 2);
        assert_eq!(
            authority.expiry().unwrap().to_string(),
            "2041-07-03T06:55:29Z"
        );
        let second = PEM
            .split_inclusive("-----END CERTIFICATE-----")
            .nth(1)
            .unwrap();
        let other = Authority::from_pem(second).unwrap();
        assert_eq!(other.expiry().unwrap().to_string(), "2042-02-19T06:28:02Z");
        assert_ne!(other.digest(), authority.digest());
    }

    #[test]
    fn what_is_around_the_certificates_does_not_matter() {
        let padded = format!("# a comment\r\n{}\n", PEM.replace('\n', "\r\n"));
        assert_eq!(Authority::from_pem(&padded), Authority::from_pem(PEM));
    }

    #[test]
    fn a_text_that_is_no_authority_is_refused_with_a_reason() {
        let block = |text: &str| {
            format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
        };
        let table = [
            (String::new(), AuthorityError::Empty),
            ("canary".to_owned(), AuthorityError::Empty),
            (block("canary!"), AuthorityError::NotPem),
            (PEM.replace("-----END", "-----"), AuthorityError::NotPem),
            (block("Y2FuYXJ5"), AuthorityError::NotACertificate),
            (PEM.repeat(17), AuthorityError::TooMany),
        ];
        for (text, expected) in table {
            let refused = Authority::from_pem(&text).unwrap_err();
            assert_eq!(refused, expected);
            assert!(!refused.to_string().contains("canary"));
        }
    }

    #[test]
    fn both_spellings_of_a_date_are_read() {
        let shown = |tag, text| instant(tag, text).map(|time| time.to_string());
        let expected = |text: &str| Some(text.to_owned());
        assert_eq!(
            shown(0x17, "491231235959Z"),
            expected("2049-12-31T23:59:59Z")
        );
        assert_eq!(
            shown(0x17, "500101000000Z"),
            expected("1950-01-01T00:00:00Z")
        );
        assert_eq!(
            shown(0x18, "20500101000000Z"),
            expected("2050-01-01T00:00:00Z")
        );
        for text in [
            "",
            "Z",
            "500101000000",
            "501301000000Z",
            "5001010000Z",
            "+10101000000Z",
        ] {
            assert_eq!(instant(0x17, text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_of_dates_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = not_after(&bytes);
        }

        #[test]
        fn no_text_makes_the_reader_of_dates_panic(text in ".{0,20}") {
            let _ = (instant(0x17, &text), instant(0x18, &text));
        }
    }
}
