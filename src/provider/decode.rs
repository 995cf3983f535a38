//! Reading what clouds answer, without a value or a text of theirs ever getting into an error.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use super::Detail;
use crate::secret_bytes::SecretBytes;

/// Where and how an answer is broken. The text of a JSON error is never used: it quotes the body.
pub(super) fn undecodable(error: &serde_json::Error) -> Detail {
    use serde_json::error::Category;
    Detail::Undecodable {
        category: match error.classify() {
            Category::Io => "input",
            Category::Syntax => "syntax",
            Category::Data => "data",
            Category::Eof => "truncated",
        },
        line: error.line(),
        column: error.column(),
    }
}

/// Decodes a text that is a value, absent and null alike being `None`.
pub(super) fn value<'de, D>(decoder: D) -> Result<Option<SecretBytes>, D::Error>
where
    D: Deserializer<'de>,
{
    let text = Option::<String>::deserialize(decoder)?;
    Ok(text.map(SecretBytes::from))
}

/// The bytes behind base64, in which line breaks are allowed: tools that wrap lines made some of the
/// secrets that are there.
pub(super) fn base64(text: &SecretBytes) -> Option<SecretBytes> {
    let breaks = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let joined: Zeroizing<Vec<u8>> = if text.expose().iter().any(breaks) {
        let mut joined = Zeroizing::new(Vec::with_capacity(text.len()));
        joined.extend(text.expose().iter().filter(|byte| !breaks(byte)));
        joined
    } else {
        Zeroizing::new(text.expose().to_vec())
    };
    let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(joined.len())]);
    let length = STANDARD.decode_slice(&*joined, &mut bytes).ok()?;
    bytes.truncate(length);
    Some(SecretBytes::new(std::mem::take(&mut *bytes)))
}
