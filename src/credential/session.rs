//! Names of role sessions, by which a cloud's audit log tells who read a secret.

use crate::provider::hex::sha256_hex;

/// The longest session name of both clouds' STS.
const LONGEST: usize = 64;
/// How much of it a digest takes where the parts do not fit.
const DIGEST: usize = 10;

/// The session name of a `ServiceAccount` of a cluster: `CLUSTER.NAMESPACE.NAME`.
///
/// It is 2 to 64 characters of `[A-Za-z0-9.@_-]`. What does not fit, or holds other characters, is
/// cut and replaced, and then ends in a digest of the whole, so that two names never become one.
pub fn session_name(cluster: &str, namespace: &str, service_account: &str) -> String {
    let whole = format!("{cluster}.{namespace}.{service_account}");
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '@' | '_' | '-');
    if whole.len() <= LONGEST && whole.chars().all(allowed) {
        return whole;
    }
    let clean = whole.chars().map(|c| if allowed(c) { c } else { '-' });
    let head: String = clean.take(LONGEST - DIGEST - 1).collect();
    format!("{head}-{}", &sha256_hex(whole.as_bytes())[..DIGEST])
}

/// Whether `name` is a session name.
pub(super) fn is_session_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '@' | '_' | '-');
    (2..=LONGEST).contains(&name.len()) && name.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_kept() {
        assert_eq!(session_name("prod", "shop", "db"), "prod.shop.db");
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        let long = "n".repeat(63);
        let one = session_name("cluster", &long, "reader-a");
        let other = session_name("cluster", &long, "reader-b");
        assert_eq!(one.len(), 64);
        assert!(is_session_name(&one) && is_session_name(&other));
        assert_ne!(one, other);
    }

    #[test]
    fn foreign_characters_are_replaced_and_stay_apart() {
        let one = session_name("prod/é", "shop", "db");
        let other = session_name("prod-é", "shop", "db");
        assert!(is_session_name(&one), "{one}");
        assert_ne!(one, other);
    }
}
