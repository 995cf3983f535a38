//! Patterns with `*`, as permission rules and faults use them.

/// Says whether `text` matches `pattern`, in which `*` stands for any run of characters, `/` included.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        assert!(matches("/shop/*", "/shop/db/password"));
        assert!(matches("*", ""));
        assert!(matches("a*b*c", "a-b-b-c"));
        assert!(matches("oos:Get*", "oos:GetSecretParameter"));
        assert!(!matches("/shop/*", "/shopping"));
        assert!(!matches("a*b", "a-c"));
        assert!(!matches("abc*c", "abc"));
    }

    #[test]
    fn a_pattern_without_a_star_is_exact() {
        assert!(matches("/shop/db", "/shop/db"));
        assert!(!matches("/shop/db", "/shop/db2"));
    }
}
