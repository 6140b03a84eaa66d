//! The order of an epoch's rows, by the seed, the epoch and the position alone.

use rand::Rng;
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::seed::Seed;

/// Consecutive rows that stay together until they are in one window.
const BLOCK_ROWS: usize = 4096;

/// The rows of one epoch in shuffled order.
///
/// Up to `window_rows` rows this is a full permutation. Beyond it blocks of consecutive rows are permuted, and the rows within
/// each window of so many blocks; so memory is bounded and reading stays near a window's blocks.
#[derive(Clone, Debug)]
pub(super) struct Shuffle {
    rows: usize,
    seed: Seed,
    epoch: u64,
    block_rows: usize,
    blocks: Vec<u32>,
    blocks_a_window: usize,
    /// The next window's number; the current one's rows, and how many of them are given out.
    window: usize,
    current: Vec<u32>,
    position: usize,
}

impl Shuffle {
    /// From the row at `from` on, as if the rows before it had been given out.
    ///
    /// # Panics
    /// For more than 2³² rows.
    pub(super) fn new(rows: usize, seed: Seed, epoch: u64, window_rows: usize, from: usize) -> Self {
        let (block_rows, blocks_a_window) =
            if rows <= window_rows { (rows.max(1), 1) } else { (BLOCK_ROWS, (window_rows / BLOCK_ROWS).max(1)) };
        let blocks = u32::try_from(rows.div_ceil(block_rows)).expect("an epoch has at most 2^32 blocks");
        assert!(u32::try_from(rows).is_ok(), "an epoch has at most 2^32 rows");
        let mut blocks: Vec<u32> = (0..blocks).collect();
        permute(&mut blocks, &mut seed.stream("shuffle", &[epoch]));
        let current = Vec::new();
        let mut shuffle =
            Self { rows, seed, epoch, block_rows, blocks, blocks_a_window, window: 0, current, position: 0 };
        shuffle.skip(from);
        shuffle
    }

    /// Passes over whole windows without building them.
    fn skip(&mut self, mut from: usize) {
        while let Some(window_rows) = self.window_rows() {
            if from < window_rows {
                self.fill();
                self.position = from;
                return;
            }
            from -= window_rows;
            self.window += 1;
        }
    }

    fn window_blocks(&self) -> &[u32] {
        let first = (self.window * self.blocks_a_window).min(self.blocks.len());
        &self.blocks[first..(first + self.blocks_a_window).min(self.blocks.len())]
    }

    fn window_rows(&self) -> Option<usize> {
        let block_rows = self.block_rows;
        let blocks = self.window_blocks();
        let rows = |block: &u32| self.rows.min((*block as usize + 1) * block_rows) - *block as usize * block_rows;
        (!blocks.is_empty()).then(|| blocks.iter().map(rows).sum())
    }

    /// Makes the next window the current one.
    fn fill(&mut self) {
        let block_rows = self.block_rows;
        let mut current = std::mem::take(&mut self.current);
        current.clear();
        for block in self.window_blocks() {
            let first = *block as usize * block_rows;
            #[expect(clippy::cast_possible_truncation, reason = "there are at most 2^32 rows")]
            current.extend(first as u32..self.rows.min(first + block_rows) as u32);
        }
        permute(&mut current, &mut self.seed.stream("shuffle-window", &[self.epoch, self.window as u64]));
        self.current = current;
        self.position = 0;
        self.window += 1;
    }

    /// Fills `rows` with the next `count` rows; fewer only at the epoch's end.
    pub(super) fn next_rows(&mut self, count: usize, rows: &mut Vec<u32>) {
        rows.clear();
        while rows.len() < count {
            if self.position == self.current.len() {
                if self.window_blocks().is_empty() {
                    return;
                }
                self.fill();
            }
            let taken = (count - rows.len()).min(self.current.len() - self.position);
            rows.extend_from_slice(&self.current[self.position..self.position + taken]);
            self.position += taken;
        }
    }
}

/// Fisher and Yates' shuffle, written out so that a new version of `rand` can't change the order of a resumed run.
fn permute(items: &mut [u32], stream: &mut Xoshiro256PlusPlus) {
    for last in (1..items.len()).rev() {
        let draw = (u128::from(stream.next_u64()) * (last as u128 + 1)) >> 64;
        #[expect(clippy::cast_possible_truncation, reason = "the draw is at most `last`")]
        items.swap(last, draw as usize);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(rows: usize, window_rows: usize, from: usize, epoch: u64, batch: usize) -> Vec<u32> {
        let mut shuffle = Shuffle::new(rows, Seed(3), epoch, window_rows, from);
        let (mut order, mut next) = (Vec::new(), Vec::new());
        loop {
            shuffle.next_rows(batch, &mut next);
            order.extend_from_slice(&next);
            if next.len() < batch {
                return order;
            }
        }
    }

    #[test]
    fn each_epoch_has_its_own_order() {
        assert_eq!(all(1000, 1000, 0, 0, 7), all(1000, 1000, 0, 0, 100));
        assert_ne!(all(1000, 1000, 0, 0, 7), all(1000, 1000, 0, 1, 7));
        assert_ne!(all(1000, 1000, 0, 0, 7), (0..1000).collect::<Vec<u32>>());
    }

    #[test]
    fn windows_mix_the_rows_of_distant_blocks() {
        let order = all(100_000, 20_000, 0, 0, 512);
        let blocks: std::collections::BTreeSet<u32> = order[..512].iter().map(|row| row / 4096).collect();
        assert_eq!(blocks.len(), 4);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_shuffle_keeps_the_multiset_of_rows_and_resumes_anywhere(
            rows in 0_usize..30_000, window_rows in 1_usize..30_000, share in 0.0..1.0, batch in 1_usize..3000,
        ) {
            let order = all(rows, window_rows, 0, 5, batch);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            prop_assert!(sorted.iter().copied().eq(0..u32::try_from(rows).unwrap()));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a test's figures")]
            let from = (rows as f64 * share) as usize;
            prop_assert_eq!(&all(rows, window_rows, from, 5, batch)[..], &order[from..]);
        }
    }
}
