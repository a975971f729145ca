//! Medians and quartiles of a few runs.

use serde::Serialize;

/// The middle of some values and how far they spread.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Summary {
    /// Half of the values lie below.
    pub(crate) median: f64,
    /// A quarter of the values lies below.
    pub(crate) p25: f64,
    /// Three quarters of the values lie below.
    pub(crate) p75: f64,
}

impl Summary {
    /// Of finite values, in any order; `None` if there are none.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |quantile| quantile_of(&sorted, quantile);
        Some(Self { median: at(0.5)?, p25: at(0.25)?, p75: at(0.75)? })
    }
}

/// The quantile of ascending values, between two of them in proportion (Hyndman and Fan,
/// 1996, definition 7).
fn quantile_of(sorted: &[f64], quantile: f64) -> Option<f64> {
    let position = quantile * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (*sorted.get(position.floor() as usize)?, *sorted.get(position.ceil() as usize)?);
    Some(below + (above - below) * position.fract())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same from a step function made long: each gap between two values in four equal steps.
    fn naive(values: &[f64], quarters: usize) -> f64 {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let steps = sorted.windows(2).flat_map(|pair| {
            let (from, to) = (pair[0], pair[1]);
            (0..4).map(move |step| from + (to - from) * f64::from(step) / 4.0)
        });
        let steps: Vec<_> = steps.chain(sorted.last().copied()).collect();
        steps[quarters * (sorted.len() - 1)]
    }

    #[test]
    fn small_sets() {
        assert_eq!(Summary::of(&[]), None);
        assert_eq!(Summary::of(&[3.0]), Some(Summary { median: 3.0, p25: 3.0, p75: 3.0 }));
        assert_eq!(Summary::of(&[4.0, 1.0]), Some(Summary { median: 2.5, p25: 1.75, p75: 3.25 }));
        let five = Summary::of(&[5.0, 1.0, 4.0, 2.0, 3.0]);
        assert_eq!(five, Some(Summary { median: 3.0, p25: 2.0, p75: 4.0 }));
    }

    proptest! {
        #[test]
        fn quartiles_are_those_of_the_naive_definition(values in prop::collection::vec(0.0..1e9, 1..40)) {
            let summary = Summary::of(&values).expect("there are some");
            for (got, quarters) in [(summary.p25, 1), (summary.median, 2), (summary.p75, 3)] {
                let wanted = naive(&values, quarters);
                prop_assert!((got - wanted).abs() <= 1e-6 * wanted.max(1.0), "{got} {wanted}");
            }
        }
    }
}
