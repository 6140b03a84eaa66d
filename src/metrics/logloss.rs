//! Logloss and probability from a logit, and the entropy that normalizes a logloss.

use super::pointwise::Pointwise;

/// The probability of a click: `1 / (1 + e^−x)`, without overflow.
pub fn probability(logit: f32) -> f64 {
    loss_and_probability(f64::from(logit), false).1
}

/// The mean logloss over the rows, in nats; `None` for no row or a logit that is not finite.
///
/// # Panics
/// If there are not as many labels as logits.
pub fn logloss(logits: &[f32], labels: &[f32]) -> Option<f64> {
    Pointwise::of(logits, labels).mean_logloss().filter(|logloss| logloss.is_finite())
}

/// One row's logloss, `max(x, 0) − x·y + ln(1 + e^−|x|)`, and its probability, from one exponential.
pub(super) fn loss_and_probability(logit: f64, clicked: bool) -> (f64, f64) {
    let decay = (-logit.abs()).exp();
    let target = if clicked { logit } else { 0.0 };
    let probability = if logit < 0.0 { decay / (1.0 + decay) } else { 1.0 / (1.0 + decay) };
    (logit.max(0.0) - target + decay.ln_1p(), probability)
}

/// The entropy of a click rate in nats, `−p·ln p − (1−p)·ln(1−p)`: the logloss of the best constant. `None` at 0 and 1,
/// where it cannot divide.
pub(super) fn entropy(click_rate: f64) -> Option<f64> {
    let inside = click_rate > 0.0 && click_rate < 1.0;
    inside.then(|| -click_rate * click_rate.ln() - (1.0 - click_rate) * (-click_rate).ln_1p())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12 * expected.abs().max(1.0), "expected {expected}, found {found}");
    }

    #[test]
    fn a_logit_of_zero_costs_the_logarithm_of_two() {
        close(logloss(&[0.0, 0.0], &[0.0, 1.0]).unwrap(), std::f64::consts::LN_2);
        close(probability(0.0), 0.5);
    }

    #[test]
    fn logloss_is_minus_the_logarithm_of_the_labels_probability() {
        for logit in [-3.0_f32, -0.5, 0.25, 4.0] {
            close(logloss(&[logit], &[1.0]).unwrap(), -probability(logit).ln());
            close(logloss(&[logit], &[0.0]).unwrap(), -(1.0 - probability(logit)).ln());
        }
    }

    #[test]
    fn logloss_of_a_saturated_logit_is_the_logit() {
        close(logloss(&[-300.0], &[1.0]).unwrap(), 300.0);
        close(logloss(&[300.0], &[0.0]).unwrap(), 300.0);
        close(logloss(&[f32::MAX], &[1.0]).unwrap(), 0.0);
        assert!(probability(-90.0) > 0.0 && probability(f32::MIN).abs() < f64::MIN_POSITIVE);
    }

    #[test]
    fn logloss_of_no_row_or_of_an_infinite_logit_is_undefined() {
        assert_eq!(logloss(&[], &[]), None);
        assert_eq!(logloss(&[f32::INFINITY], &[0.0]), None);
        assert_eq!(logloss(&[f32::NAN], &[0.0]), None);
    }

    #[test]
    fn entropy_is_the_logloss_of_the_best_constant() {
        let logit = (0.25_f32 / 0.75).ln();
        let constant = logloss(&[logit; 4], &[1.0, 0.0, 0.0, 0.0]).unwrap();
        assert!((entropy(0.25).unwrap() - constant).abs() < 1e-7);
        assert_eq!((entropy(0.0), entropy(1.0)), (None, None));
    }
}
