//! Text of a spec as messages quote it. Pure.

/// The longest text that is quoted whole, in characters.
const LONGEST: usize = 100;

/// `text` in quotes: in one line, printable, and cut after 100 characters.
pub fn quoted(text: &str) -> String {
    let rest = text.chars().nth(LONGEST).map_or("", |_| "…");
    let shown = text.chars().take(LONGEST).flat_map(char::escape_debug);
    format!("\"{}{rest}\"", shown.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_text_is_one_printable_line_of_bounded_length() {
        assert_eq!(quoted(r"a.b\.c"), r#""a.b\\.c""#);
        assert_eq!(quoted("a\n\"é\u{202e}"), r#""a\n\"é\u{202e}""#);
        assert_eq!(quoted(&"é".repeat(100)).chars().count(), 102);
        assert_eq!(quoted(&"é".repeat(101)).chars().count(), 103);
        let hostile = quoted(&"\u{202e}".repeat(1_024));
        assert_eq!(hostile.len(), 100 * 8 + "…".len() + 2);
    }
}
