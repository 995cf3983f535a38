//! Patterns of keys: `*` stands for any characters but `/`, `**` for any characters, and all else for
//! itself. Pure.
//!
//! It never goes back: all ways in which the pattern may still match are followed side by side, so
//! that no pattern takes more steps than its length times that of the text, and one that cannot match
//! any more ends at once.

/// A part of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// This byte.
    Byte(u8),
    /// `*`.
    Segment,
    /// `**`, and any longer run of stars, which can mean nothing more.
    Anything,
}

/// Whether `pattern` covers the whole of `text`.
pub fn covers(pattern: &str, text: &str) -> bool {
    let tokens = tokens(pattern.as_bytes());
    // How many tokens each way has behind it, ascending. No two stars stand side by side, so a way
    // that is at a star is at the token after it as well.
    let mut ways = vec![0];
    let mut next = Vec::new();
    for byte in text.bytes() {
        for at in ways.drain(..) {
            match tokens.get(at) {
                Some(Token::Byte(wanted)) if *wanted == byte => add(&mut next, at + 1),
                Some(Token::Byte(_)) | None => {}
                Some(star) => {
                    if *star == Token::Anything || byte != b'/' {
                        add(&mut next, at);
                    }
                    if tokens.get(at + 1) == Some(&Token::Byte(byte)) {
                        add(&mut next, at + 2);
                    }
                }
            }
        }
        std::mem::swap(&mut ways, &mut next);
        if ways.is_empty() {
            return false;
        }
    }
    let ends = |at: &usize| match tokens.get(*at) {
        None => true,
        Some(Token::Byte(_)) => false,
        Some(_) => at + 1 == tokens.len(),
    };
    ways.iter().any(ends)
}

/// Adds a way, unless it is there: they come in ascending order.
fn add(ways: &mut Vec<usize>, at: usize) {
    if ways.last() != Some(&at) {
        ways.push(at);
    }
}

fn tokens(pattern: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::with_capacity(pattern.len());
    for byte in pattern {
        match (byte, tokens.last_mut()) {
            (b'*', Some(last @ (Token::Segment | Token::Anything))) => *last = Token::Anything,
            (b'*', _) => tokens.push(Token::Segment),
            (byte, _) => tokens.push(Token::Byte(*byte)),
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::covers;

    /// What the stars mean, said as simply as it can be, at an exponential price.
    fn by_definition(pattern: &[u8], text: &[u8]) -> bool {
        match pattern {
            [] => text.is_empty(),
            [b'*', b'*', rest @ ..] => {
                (0..=text.len()).any(|length| by_definition(rest, &text[length..]))
            }
            [b'*', rest @ ..] => {
                let segment = text.iter().take_while(|byte| **byte != b'/').count();
                (0..=segment).any(|length| by_definition(rest, &text[length..]))
            }
            [byte, rest @ ..] => text.first() == Some(byte) && by_definition(rest, &text[1..]),
        }
    }

    /// All texts of at most `longest` of `letters`.
    fn all(letters: &str, longest: usize) -> Vec<String> {
        let mut all = vec![String::new()];
        let mut start = 0;
        for _ in 0..longest {
            let end = all.len();
            for i in start..end {
                let longer = |letter| format!("{}{letter}", all[i]);
                all.extend(letters.chars().map(longer).collect::<Vec<_>>());
            }
            start = end;
        }
        all
    }

    #[test]
    fn every_short_pattern_means_what_the_definition_says() {
        let texts = all("ab/", 4);
        for pattern in all("a*/", 6) {
            for text in &texts {
                let expected = by_definition(pattern.as_bytes(), text.as_bytes());
                assert_eq!(covers(&pattern, text), expected, "{pattern} on {text}");
            }
        }
    }

    #[test]
    fn hostile_patterns_and_keys_end() {
        let long = "a".repeat(512);
        let almost = format!("{}b", "a".repeat(511));
        for stars in ["*a", "**a", "*a*", "a**a", "*****a"] {
            let pattern = format!("{}a", stars.repeat(511 / stars.len()));
            assert!(covers(&pattern, &long), "{stars}");
            assert!(!covers(&pattern, &almost), "{stars}");
        }
        assert!(covers(&"*".repeat(512), &long));
        assert!(!covers(&"*/".repeat(256), &long));
    }
}
