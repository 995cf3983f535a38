//! Arithmetic on what was measured.

/// The value that `percent` of all are at most, by nearest rank: a value that was measured, not one between.
pub fn percentile(values: &[f64], percent: usize) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// Cut to so many decimals: more would only look exact.
pub fn rounded(value: f64, decimals: i32) -> f64 {
    let unit = 10_f64.powi(decimals);
    (value * unit).round() / unit
}

/// A count as a number to divide by.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts here are far below 2 to the power of 52"
)]
pub fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&hundred, 50), Some(50.0));
        assert_eq!(percentile(&hundred, 99), Some(99.0));
        assert_eq!(percentile(&hundred, 100), Some(100.0));
        assert_eq!(percentile(&[7.0, 3.0], 50), Some(3.0));
        assert_eq!(percentile(&[7.0], 1), Some(7.0));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn numbers_are_rounded_not_cut() {
        assert_eq!(rounded(1.236, 2).to_bits(), 1.24_f64.to_bits());
        assert_eq!(rounded(200.0, 2).to_bits(), 200.0_f64.to_bits());
    }
}
