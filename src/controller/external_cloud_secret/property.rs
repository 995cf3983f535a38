//! `remoteRef.property`: one part of a JSON value.
//!
//! A literal top-level key comes first, else the text is a path of keys and array indices joined by
//! dots, in which `\.` is a dot of a key. What is found is passed on byte for byte: a string without
//! its quotes, anything else as the JSON text it is. Nothing of a value enters an error.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// The longest property, in bytes.
pub const LONGEST: usize = 1_024;
/// The most steps of a path.
pub const DEEPEST: usize = 64;

/// Why a property gave no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PropertyError {
    /// The value is not a JSON object or array.
    #[error("the value is not JSON")]
    NotJson,
    /// There is no such key or index.
    #[error("the value has no such property")]
    Missing,
    /// The property is there and null.
    #[error("the property is null")]
    Null,
    /// The text is longer or deeper than allowed.
    #[error("the property is longer than 1024 bytes or deeper than 64 steps")]
    TooLong,
}

/// Reads `property` of the JSON document `value`.
pub fn extract(value: &[u8], property: &str) -> Result<Vec<u8>, PropertyError> {
    if property.len() > LONGEST {
        return Err(PropertyError::TooLong);
    }
    let root: &RawValue = serde_json::from_slice(value).map_err(|_| PropertyError::NotJson)?;
    if let Some(found) = object(root).and_then(|map| map.get(property).copied()) {
        return text(found);
    }
    let steps = steps(property);
    if steps.len() > DEEPEST {
        return Err(PropertyError::TooLong);
    }
    let mut here = root;
    for step in &steps {
        here = child(here, step).ok_or(PropertyError::Missing)?;
    }
    text(here)
}

fn child<'a>(value: &'a RawValue, step: &str) -> Option<&'a RawValue> {
    if let Some(map) = object(value) {
        return map.get(step).copied();
    }
    let items: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
    items.get(step.parse::<usize>().ok()?).copied()
}

fn object(value: &RawValue) -> Option<BTreeMap<Cow<'_, str>, &RawValue>> {
    serde_json::from_str(value.get()).ok()
}

fn text(value: &RawValue) -> Result<Vec<u8>, PropertyError> {
    match value.get().as_bytes().first() {
        Some(b'"') => serde_json::from_str::<String>(value.get())
            .map(String::into_bytes)
            .map_err(|_| PropertyError::NotJson),
        Some(b'n') => Err(PropertyError::Null),
        _ => Ok(value.get().as_bytes().to_vec()),
    }
}

fn steps(property: &str) -> Vec<String> {
    let mut steps = vec![String::new()];
    let mut chars = property.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.next_if_eq(&'.').is_some() => push(&mut steps, '.'),
            '.' => steps.push(String::new()),
            other => push(&mut steps, other),
        }
    }
    steps
}

fn push(steps: &mut [String], c: char) {
    if let Some(last) = steps.last_mut() {
        last.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(document: &str, property: &str) -> Result<String, PropertyError> {
        extract(document.as_bytes(), property).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn a_literal_key_comes_before_a_walk() {
        assert_eq!(
            of(r#"{"a.b":"literal","a":{"b":"walked"}}"#, "a.b").unwrap(),
            "literal"
        );
        assert_eq!(of(r#"{"a":{"b":"walked"}}"#, "a.b").unwrap(), "walked");
    }

    #[test]
    fn walks_pass_escaped_dots_and_array_indices() {
        let document = r#"{"a":[{"b.c":"x"},{"d":"y"}]}"#;
        assert_eq!(of(document, r"a.0.b\.c").unwrap(), "x");
        assert_eq!(of(document, "a.1.d").unwrap(), "y");
        assert_eq!(of("[1,2]", "1").unwrap(), "2");
    }

    #[test]
    fn what_is_not_a_string_passes_byte_for_byte() {
        let document = r#"{"n":1.10,"big":123456789012345678901234567890,"o":{"k": 1},"t":true}"#;
        assert_eq!(of(document, "n").unwrap(), "1.10");
        assert_eq!(
            of(document, "big").unwrap(),
            "123456789012345678901234567890"
        );
        assert_eq!(of(document, "o").unwrap(), r#"{"k": 1}"#);
        assert_eq!(of(document, "t").unwrap(), "true");
        assert_eq!(of(r#"{"s":"a\n\u00e9"}"#, "s").unwrap(), "a\né");
    }

    #[test]
    fn a_miss_is_an_error_and_never_an_empty_string() {
        assert_eq!(of(r#"{"a":1}"#, "b"), Err(PropertyError::Missing));
        assert_eq!(of(r#"{"a":1}"#, "a.b"), Err(PropertyError::Missing));
        assert_eq!(of("[1]", "1"), Err(PropertyError::Missing));
        assert_eq!(of(r#"{"a":null}"#, "a"), Err(PropertyError::Null));
        assert_eq!(of("plain text", "a"), Err(PropertyError::NotJson));
    }

    #[test]
    fn hostile_depth_is_an_error() {
        let deep = "[".repeat(100_000);
        assert_eq!(of(&deep, "0"), Err(PropertyError::NotJson));
        assert_eq!(of("{}", &"a.".repeat(65)), Err(PropertyError::TooLong));
        assert_eq!(of("{}", &"a".repeat(1_025)), Err(PropertyError::TooLong));
    }
}
