//! Requests to refresh at once: any new value of an annotation. Pure.

use std::borrow::Cow;

use kube::Resource;

use crate::api::{ExternalCloudSecret, ExternalCloudSecretStatus, names};
use crate::provider::hex::sha256_hex;

/// The longest value that status repeats, in bytes. Annotations may have 256 KiB, and whatever is in
/// status is written, stored and sent to every watcher once more.
const LONGEST: usize = 64;

/// The refresh that `object` asks for: the annotation's value, or where that is longer than 64 bytes
/// what stands for it, which has more bytes than any shorter value.
pub fn refresh_request(object: &impl Resource) -> Option<Cow<'_, str>> {
    let annotations = object.meta().annotations.as_ref()?;
    let value = annotations.get(names::REFRESH_ANNOTATION)?;
    if value.len() <= LONGEST {
        return Some(Cow::Borrowed(value));
    }
    Some(Cow::Owned(format!(
        "sha256:{}",
        sha256_hex(value.as_bytes())
    )))
}

/// The refresh that `object` asks for and `status` does not say was carried out.
pub fn open_request<'a>(
    object: &'a ExternalCloudSecret,
    status: &ExternalCloudSecretStatus,
) -> Option<Cow<'a, str>> {
    let handled = status.last_handled_refresh.as_deref();
    refresh_request(object).filter(|wanted| handled != Some(&**wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ExternalCloudSecretSpec;

    fn asked(value: &str) -> String {
        let mut object = ExternalCloudSecret::new("db", ExternalCloudSecretSpec::default());
        let annotation = (names::REFRESH_ANNOTATION.to_owned(), value.to_owned());
        object.metadata.annotations = Some([annotation].into());
        refresh_request(&object).unwrap().into_owned()
    }

    #[test]
    fn a_short_request_is_repeated_and_a_long_one_stays_short_and_its_own() {
        let longest = "é".repeat(32);
        for short in ["", "1", "2026-01-01T00:00:00Z", &longest] {
            assert_eq!(asked(short), short);
        }
        let huge = "x".repeat(200 << 10);
        let (one, other) = (asked(&format!("{huge}1")), asked(&format!("{huge}2")));
        assert_ne!(one, other);
        for long in [one, other, asked(&"x".repeat(65))] {
            assert!(long.len() <= 71, "{long}");
            assert_ne!(
                asked(&long),
                long,
                "what stands for it is no value of its own"
            );
        }
    }
}
