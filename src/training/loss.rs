//! The training loss.

use burn::tensor::{Tensor, activation};

use crate::models::{Logits, Towers};

/// The loss of a batch.
#[derive(Clone, Debug)]
pub struct Loss {
    /// `[1]`: the logloss of the logits, which is reported.
    pub logloss: Tensor<1>,
    /// `[1]`: what is descended.
    pub total: Tensor<1>,
}

impl Loss {
    /// The logloss. Where a model's towers lag, DCNv3's Tri-BCE (arXiv 2407.13349, section 4.4):
    /// `L + max(0, L_D − L) L_D + max(0, L_S − L) L_S`, whose factors are constants to the gradient. Where they stand
    /// alone, the sum of their loglosses: each tower's weights are moved, and decay, as if there were no other (but for
    /// `training.clip_norm`, whose norm is that of all gradients).
    ///
    /// With `weights` every logloss is the weighted mean `Σ w l / Σ w` of the batch's rows.
    pub fn new(output: Logits, labels: &Tensor<1>, weights: Option<&Tensor<1>>) -> Self {
        let logloss = |logits| weighted_logloss(logits, labels.clone(), weights.cloned());
        let plain = logloss(output.logits);
        let total = match output.towers {
            Towers::None => plain.clone(),
            Towers::Lagging(towers) => towers.into_iter().map(logloss).fold(plain.clone(), |total, loss| {
                let lag = (loss.clone() - plain.clone()).clamp_min(0.0).detach();
                total + lag * loss
            }),
            Towers::Alone(towers) => Tensor::cat(towers.into_iter().map(logloss).collect(), 0).sum(),
        };
        Self { logloss: plain, total }
    }
}

/// The mean logloss in nats, from logits and so stable: `(1 − y)·z − ln σ(z)`.
///
/// # Shapes
/// - logits, labels: `[batch]`; labels are 0 or 1
/// - returns: `[1]`
pub fn logloss(logits: Tensor<1>, labels: Tensor<1>) -> Tensor<1> {
    weighted_logloss(logits, labels, None)
}

/// As [`logloss`], with the rows' weights divided by their sum, `[batch]`.
fn weighted_logloss(logits: Tensor<1>, labels: Tensor<1>, weights: Option<Tensor<1>>) -> Tensor<1> {
    // its gradient is right at a logit of exactly 0 too, where those of max and |z| are not
    let log_probability = activation::log_sigmoid(logits.clone());
    let losses = logits.clone() - logits * labels - log_probability;
    match weights {
        Some(weights) => (losses * weights).sum(),
        None => losses.mean(),
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn the_loss_of_huge_logits_is_finite() {
        let device = Device::flex();
        let logits = Tensor::<1>::from_floats([1e4, -1e4, 0.0], &device);
        let labels = Tensor::<1>::from_floats([0.0, 0.0, 1.0], &device);
        let loss: f32 = logloss(logits, labels).into_scalar();
        assert!((loss - (1e4 + std::f32::consts::LN_2) / 3.0).abs() < 1e-2, "{loss}");
    }

    #[test]
    fn weights_are_those_of_a_weighted_mean() {
        let device = Device::flex();
        let logits = Tensor::<1>::from_floats([0.5, -1.0, 2.0], &device);
        let labels = Tensor::<1>::from_floats([1.0, 0.0, 0.0], &device);
        let one = |logit: f32, label: f32| (1.0 + (-logit).exp()).ln() + (1.0 - label) * logit;
        let output = Logits { logits, towers: Towers::None };
        let weights = Tensor::<1>::from_floats([0.75, 0.25, 0.0], &device);
        let loss: f32 = Loss::new(output, &labels, Some(&weights)).logloss.into_scalar();
        assert!((loss - (0.75 * one(0.5, 1.0) + 0.25 * one(-1.0, 0.0))).abs() < 1e-6, "{loss}");
    }

    /// A label of 1 and logits of 1, 3 and −1, so that `L = 0.3133`, `L_D = 0.0486` and `L_S = 1.3133`.
    #[test]
    fn a_tower_worse_than_the_logits_is_pulled_by_its_lag_and_a_better_one_is_left() {
        let device = Device::flex().autodiff();
        let [logits, deep, shallow] =
            [1.0_f32, 3.0, -1.0].map(|logit| Tensor::<1>::from_floats([logit], &device).require_grad());
        let output = Logits { logits: logits.clone(), towers: Towers::Lagging(vec![deep.clone(), shallow.clone()]) };
        let loss = Loss::new(output, &Tensor::ones([1], &device), None);
        let near = |found: f32, expected: f32| assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        near(loss.logloss.clone().into_scalar(), 0.3133);
        near(loss.total.clone().into_scalar(), 0.3133 + 1.0 * 1.3133);
        let gradients = loss.total.backward();
        let gradient = |leaf: &Tensor<1>| leaf.grad(&gradients).unwrap().into_scalar::<f32>();
        // σ(z) − 1, times 1, 0 and the lag of 1
        near(gradient(&logits), -0.2689);
        near(gradient(&deep), 0.0);
        near(gradient(&shallow), -0.7311);
    }

    #[test]
    fn towers_that_stand_alone_are_each_trained_and_their_mean_is_reported() {
        let device = Device::flex().autodiff();
        let [first, second] = [3.0_f32, -1.0].map(|logit| Tensor::<1>::from_floats([logit], &device).require_grad());
        let logits = (first.clone() + second.clone()) / 2.0;
        let output = Logits { logits, towers: Towers::Alone(vec![first.clone(), second.clone()]) };
        let loss = Loss::new(output, &Tensor::ones([1], &device), None);
        let near = |found: f32, expected: f32| assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        near(loss.logloss.clone().into_scalar(), 0.3133);
        near(loss.total.clone().into_scalar(), 0.0486 + 1.3133);
        let gradients = loss.total.backward();
        let gradient = |leaf: &Tensor<1>| leaf.grad(&gradients).unwrap().into_scalar::<f32>();
        // σ(z) − 1
        near(gradient(&first), -0.0474);
        near(gradient(&second), -0.7311);
    }
}
