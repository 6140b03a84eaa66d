//! Rows in the order of their scores: the sorted scores of each class, walked together by groups of equal scores.

use rayon::prelude::*;

use super::pointwise::is_click;

/// A score as an integer that sorts and ties as the score does.
pub(super) type Key = u32;

/// The bit of a float's sign; set in the key of a score from 0 up.
const SIGN: Key = 1 << 31;

/// `score` must be a number; −0 and 0 tie.
pub(super) fn key(score: f32) -> Key {
    let bits = (score + 0.0).to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

/// The score of a key.
fn score(key: Key) -> f32 {
    f32::from_bits(if key & SIGN == 0 { !key } else { key ^ SIGN })
}

/// The sorted scores of clicks and of the other rows.
#[derive(Debug, Default)]
pub(super) struct Ranking {
    positives: Vec<Key>,
    negatives: Vec<Key>,
}

/// All rows of one score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tie {
    key: Key,
    pub(super) positives: u64,
    pub(super) negatives: u64,
    /// The clicks of lower scores.
    pub(super) positives_below: u64,
    /// The other rows of lower scores.
    pub(super) negatives_below: u64,
}

impl Tie {
    pub(super) fn score(&self) -> f32 {
        score(self.key)
    }
}

impl Ranking {
    pub(super) fn of(logits: &[f32], labels: &[f32]) -> Self {
        let mut ranking = Self::default();
        for (&logit, &label) in logits.iter().zip(labels) {
            let class = if is_click(label) { &mut ranking.positives } else { &mut ranking.negatives };
            class.push(key(logit));
        }
        ranking.positives.par_sort_unstable();
        ranking.negatives.par_sort_unstable();
        ranking
    }

    pub(super) fn positives(&self) -> u64 {
        self.positives.len() as u64
    }

    pub(super) fn negatives(&self) -> u64 {
        self.negatives.len() as u64
    }

    pub(super) fn rows(&self) -> u64 {
        self.positives() + self.negatives()
    }

    pub(super) fn ties(&self) -> impl Iterator<Item = Tie> {
        ties(&self.positives, &self.negatives)
    }
}

/// Walks two sorted lists by groups of equal keys, upwards.
pub(super) fn ties(positives: &[Key], negatives: &[Key]) -> impl Iterator<Item = Tie> {
    let (mut positive, mut negative) = (0, 0);
    std::iter::from_fn(move || {
        let lowest = match (positives.get(positive), negatives.get(negative)) {
            (Some(&left), Some(&right)) => left.min(right),
            (Some(&only), None) | (None, Some(&only)) => only,
            (None, None) => return None,
        };
        let (positives_below, negatives_below) = (positive, negative);
        positive += leading(&positives[positive..], lowest);
        negative += leading(&negatives[negative..], lowest);
        Some(Tie {
            key: lowest,
            positives: (positive - positives_below) as u64,
            negatives: (negative - negatives_below) as u64,
            positives_below: positives_below as u64,
            negatives_below: negatives_below as u64,
        })
    })
}

/// How many keys at the start equal `key`.
fn leading(keys: &[Key], key: Key) -> usize {
    keys.iter().take_while(|&&other| other == key).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_scores_do() {
        let scores = [f32::NEG_INFINITY, -2.5, -f32::MIN_POSITIVE, 0.0, f32::MIN_POSITIVE, 1.0, f32::INFINITY];
        assert!(scores.map(key).is_sorted());
        assert_eq!(key(-0.0), key(0.0));
        assert!(scores.iter().all(|number| score(key(*number)).total_cmp(number).is_eq()));
    }

    #[test]
    fn ties_count_both_classes_at_and_below_each_score() {
        let ranking = Ranking::of(&[2.0, 1.0, 1.0, -3.0, 2.0, 1.0], &[1.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
        let counts = ranking.ties().map(|tie| [tie.positives, tie.negatives, tie.positives_below, tie.negatives_below]);
        assert_eq!(counts.collect::<Vec<_>>(), [[0, 1, 0, 0], [1, 2, 0, 1], [2, 0, 1, 3]]);
    }

    #[test]
    fn no_row_has_no_tie() {
        assert_eq!(Ranking::default().ties().count(), 0);
    }
}
