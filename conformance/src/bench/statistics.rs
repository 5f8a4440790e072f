//! Ratios of paired measurements: geometric mean, and an interval by bootstrap.

/// A mean and the interval that holds it with 95 % confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    pub mean: f64,
    pub low: f64,
    pub high: f64,
}

/// How many resamples the bootstrap takes.
const RESAMPLES: usize = 2000;

/// The geometric mean of `ratios`, with its bootstrap interval; `None` without any ratio above 0.
pub fn geometric_mean(ratios: &[f64]) -> Option<Estimate> {
    let logarithms: Vec<f64> = ratios.iter().filter(|ratio| **ratio > 0.0).map(|ratio| ratio.ln()).collect();
    if logarithms.is_empty() {
        return None;
    }
    let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / logarithms.len() as f64;
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| mean(&mut (0..logarithms.len()).map(|_| logarithms[random.below(logarithms.len())])))
        .collect();
    means.sort_by(f64::total_cmp);
    Some(Estimate {
        mean: mean(&mut logarithms.iter().copied()).exp(),
        low: means[RESAMPLES * 25 / 1000].exp(),
        high: means[RESAMPLES * 975 / 1000].exp(),
    })
}

/// The middle value; 0 of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        count if count % 2 == 1 => sorted[count / 2],
        count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
    }
}

/// The same numbers in every run: an interval must not change when nothing was measured again.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ratios_have_no_spread_and_others_lie_inside_theirs() {
        let same = geometric_mean(&[0.25; 5]).unwrap();
        assert!((same.mean - 0.25).abs() < 1e-12 && (same.high - same.low).abs() < 1e-12);
        let spread = geometric_mean(&[0.1, 0.2, 0.4]).unwrap();
        assert!((spread.mean - 0.2).abs() < 1e-12);
        assert!(spread.low < 0.2 && 0.2 < spread.high && spread.low >= 0.1 && spread.high <= 0.4);
        assert_eq!(geometric_mean(&[]), None);
    }

    #[test]
    fn the_median_of_an_even_count_lies_between() {
        assert_eq!((median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0, 2.0, 3.0]), median(&[])), (2.0, 2.5, 0.0));
    }
}
