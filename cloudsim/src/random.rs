//! Random identifiers and credentials.

use base64::{Engine, engine::general_purpose::STANDARD};

const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // The system's generator fails only where the system itself is unusable; predictable credentials would
    // still be refused once they expire, and this is a simulator.
    if getrandom::fill(&mut bytes).is_err() {
        tracing::error!("the system's random generator failed");
    }
    bytes
}

/// A request id in the clouds' form: an upper-case UUID.
pub(crate) fn request_id() -> String {
    let hex = hex::encode_upper(bytes::<16>());
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

/// A random text of `length` (at most 64) letters and digits.
pub(crate) fn alphanumeric(length: usize) -> String {
    bytes::<64>()
        .iter()
        .take(length)
        .map(|byte| char::from(ALPHANUMERIC[usize::from(*byte) % ALPHANUMERIC.len()]))
        .collect()
}

/// A security token: long, and with the characters of base64 that need care in URLs and headers.
pub(crate) fn security_token() -> String {
    format!("CAIS{}+/=", STANDARD.encode(bytes::<420>()))
}
