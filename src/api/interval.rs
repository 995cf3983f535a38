//! Refresh intervals: read from the text that users write, which stays in the object as it is.

use std::time::Duration;

use thiserror::Error;

/// The interval of an object that says none.
pub const DEFAULT: Duration = Duration::from_hours(1);
/// The shortest interval.
pub const FLOOR: Duration = Duration::from_secs(10);
/// The longest interval: a year of 365 days.
pub const CEILING: Duration = Duration::from_hours(8760);

/// Why a text is no refresh interval. The text itself is not repeated: the field holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IntervalError {
    /// It is not made of hours, minutes and seconds, in this order.
    #[error("not a duration of hours, minutes and seconds, such as 90s, 1h or 1h30m")]
    Malformed,
    /// It is below [`FLOOR`].
    #[error("shorter than 10s")]
    TooShort,
    /// It is above [`CEILING`].
    #[error("longer than 8760h")]
    TooLong,
}

/// Reads a refresh interval such as `90s`, `1h30m` or `1.5h`: hours, minutes and seconds, each at
/// most once and in this order, each with up to nine digits and up to nine decimals.
pub fn parse(text: &str) -> Result<Duration, IntervalError> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    for (unit, seconds) in [('h', 3600), ('m', 60), ('s', 1)] {
        if let Some((number, after)) = rest.split_once(unit) {
            total += decimal(number)? * seconds;
            rest = after;
        }
    }
    if text.is_empty() || !rest.is_empty() {
        return Err(IntervalError::Malformed);
    }
    match total {
        t if t < FLOOR => Err(IntervalError::TooShort),
        t if t > CEILING => Err(IntervalError::TooLong),
        t => Ok(t),
    }
}

/// Reads a refresh interval, or gives [`DEFAULT`] where there is none.
pub fn parse_or_default(text: Option<&str>) -> Result<Duration, IntervalError> {
    text.map_or(Ok(DEFAULT), parse)
}

/// A number of seconds such as `1` or `1.5`, without sign or exponent.
fn decimal(number: &str) -> Result<Duration, IntervalError> {
    let (whole, fraction) = match number.split_once('.') {
        Some((_, "")) => return Err(IntervalError::Malformed),
        Some(parts) => parts,
        None => (number, "0"),
    };
    let digits = |s: &str| (1..=9).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return Err(IntervalError::Malformed);
    }
    let whole = whole.parse().map_err(|_| IntervalError::Malformed)?;
    let nanos = format!("{fraction:0<9}")
        .parse()
        .map_err(|_| IntervalError::Malformed)?;
    Ok(Duration::new(whole, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, seconds) in [
            ("10s", 10.0),
            ("90s", 90.0),
            ("1h", 3600.0),
            ("1h30m", 5400.0),
            ("1h0m0s", 3600.0),
            ("1.5h", 5400.0),
            ("0.25m", 15.0),
            ("10.5s", 10.5),
            ("8760h", 31_536_000.0),
            ("999999s", 999_999.0),
        ] {
            let seconds = Duration::from_secs_f64(seconds);
            assert_eq!(parse(text), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_malformed() {
        for text in [
            "",
            "0",
            "10",
            "s",
            "h",
            "10 s",
            " 10s",
            "10s ",
            "-10s",
            "+10s",
            "1h-5m",
            "1d",
            "10S",
            "10ms",
            "1m1h",
            "1s1s",
            "1hh",
            "1.h",
            ".5h",
            "1..5h",
            "1.5.5h",
            "1e3s",
            "٣s",
            "1h5",
            "1234567890s",
            "1.0123456789s",
        ] {
            assert_eq!(parse(text), Err(IntervalError::Malformed), "{text:?}");
        }
    }

    #[test]
    fn floor_and_ceiling_hold() {
        for (text, error) in [
            ("9s", IntervalError::TooShort),
            ("0s", IntervalError::TooShort),
            ("9.999999999s", IntervalError::TooShort),
            ("0.1m", IntervalError::TooShort),
            ("8760h0.1s", IntervalError::TooLong),
            ("999999999h999999999m999999999s", IntervalError::TooLong),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn an_absent_interval_is_an_hour() {
        assert_eq!(parse_or_default(None), Ok(DEFAULT));
        assert_eq!(parse_or_default(Some("10m")), Ok(Duration::from_mins(10)));
        assert_eq!(parse_or_default(Some("")), Err(IntervalError::Malformed));
    }
}
