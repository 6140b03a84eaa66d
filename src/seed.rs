//! One seed, from which each consumer draws its own named stream, so that no consumer's draws depend on another's.

use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

/// The seed of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(pub u64);

impl Seed {
    /// A random stream for `consumer` at `position` (an epoch, a step, a field, or nothing).
    pub fn stream(self, consumer: &str, position: &[u64]) -> Xoshiro256PlusPlus {
        Xoshiro256PlusPlus::from_seed(self.digest(consumer, position))
    }

    /// 64 random bits for `consumer` at `position`; cheap enough for one a batch, see [`mix`] for one a row.
    pub fn draw(self, consumer: &str, position: &[u64]) -> u64 {
        let digest = self.digest(consumer, position);
        let (first, _) = digest.split_first_chunk().expect("a digest has 32 bytes");
        u64::from_le_bytes(*first)
    }

    fn digest(self, consumer: &str, position: &[u64]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0.to_le_bytes());
        hasher.update(consumer.as_bytes());
        for part in position {
            hasher.update(&part.to_le_bytes());
        }
        *hasher.finalize().as_bytes()
    }
}

/// Mixes a key with a counter into 64 bits that look random (SplitMix64's finalizer, Steele et al. 2014).
pub fn mix(key: u64, counter: u64) -> u64 {
    let mut bits = key.wrapping_add(counter.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// A number in `[0, 1)` from the upper 53 bits.
pub fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn streams_differ_by_consumer_and_position_and_repeat_by_seed() {
        let first = |seed: u64, name, position: &[u64]| Seed(seed).stream(name, position).next_u64();
        assert_eq!(first(1, "shuffle", &[0]), first(1, "shuffle", &[0]));
        assert_ne!(first(1, "shuffle", &[0]), first(1, "shuffle", &[1]));
        assert_ne!(first(1, "shuffle", &[0]), first(1, "table", &[0]));
        assert_ne!(first(1, "shuffle", &[0]), first(2, "shuffle", &[0]));
    }

    #[test]
    fn unit_stays_below_one() {
        assert!(unit(u64::MAX) < 1.0);
        assert!(unit(0).abs() < f64::EPSILON);
    }
}
