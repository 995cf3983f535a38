//! How codes come to their classes: what the tables of all clouds share.

use super::Class;

/// Codes and their classes, the first match deciding. A code ending in `*` stands for every code
/// that starts with the rest.
pub type Table = &'static [(&'static str, Class)];

/// The row of `code`, if there is one, in `tables` one after the other.
pub(super) fn find<T: Copy>(tables: &[&[(&str, T)]], code: &str) -> Option<T> {
    let mut rows = tables.iter().copied().flatten();
    let row = rows.find(|(pattern, _)| covers(pattern, code));
    row.map(|(_, found)| *found)
}

fn covers(pattern: &str, code: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => code.starts_with(prefix),
        None => code == pattern,
    }
}

/// The class of a failure whose body is not the cloud's: somebody between us and it answered, so
/// nothing about the request, the identity or its permissions may be concluded.
pub fn by_bare_status(status: u16) -> Class {
    match status {
        408 | 500.. => Class::Unavailable,
        429 => Class::Throttled,
        _ => Class::Protocol,
    }
}
