//! The training loss.

use burn::tensor::{Tensor, activation};

/// The mean logloss in nats, from logits and so stable: `(1 − y)·z − ln σ(z)`.
///
/// # Shapes
/// - logits, labels: `[batch]`; labels are 0 or 1
/// - returns: `[1]`
pub fn logloss(logits: Tensor<1>, labels: Tensor<1>) -> Tensor<1> {
    // its gradient is right at a logit of exactly 0 too, where those of max and |z| are not
    let log_probability = activation::log_sigmoid(logits.clone());
    (logits.clone() - logits * labels - log_probability).mean()
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
}
