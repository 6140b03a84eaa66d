//! Matrix products by the `gemm` crate, which burn's CPU backend uses too, on checked slices.

#![expect(
    unsafe_code,
    reason = "the crate takes pointers; `hidden` in benches/layers.rs measures what our own blocks bring"
)]

use std::ops::Range;

/// A matrix in memory, or its transpose.
#[derive(Clone, Copy, Debug)]
pub(in crate::layers) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    /// The distance of two rows, then of two columns.
    strides: [usize; 2],
}

impl<'a> Matrix<'a> {
    /// Rows of `columns` numbers, one behind the other.
    pub(in crate::layers) fn new(values: &'a [f32], columns: usize) -> Self {
        assert_eq!(values.len() % columns, 0, "expected whole rows of {columns}, found {} numbers", values.len());
        Self { values, rows: values.len() / columns, columns, strides: [columns, 1] }
    }

    pub(in crate::layers) fn transposed(self) -> Self {
        let [row, column] = self.strides;
        Self { rows: self.columns, columns: self.rows, strides: [column, row], ..self }
    }

    /// Some of the rows.
    pub(super) fn rows(self, range: Range<usize>) -> Self {
        assert!(
            range.end <= self.rows && range.start < range.end,
            "expected some of {} rows, found {range:?}",
            self.rows
        );
        let values = self.values.get(range.start * self.strides[0]..).unwrap_or(&[]);
        Self { values, rows: range.len(), ..self }
    }

    /// Whether every place lies in `values`.
    fn is_inside(&self) -> bool {
        let [row, column] = self.strides;
        let last = self.rows.saturating_sub(1) * row + self.columns.saturating_sub(1) * column;
        self.rows == 0 || self.columns == 0 || last < self.values.len()
    }
}

/// Where a product goes.
pub(in crate::layers) enum Target<'a> {
    Over(&'a mut [f32]),
    /// Added to what is there.
    Added(&'a mut [f32]),
}

/// Writes `left right` over `output` or adds it, whose rows have `columns` numbers; one of `tasks` such products at a time.
///
/// # Panics
/// If the sizes don't fit.
pub(in crate::layers) fn product(
    output: Target<'_>,
    left: Matrix<'_>,
    right: Matrix<'_>,
    columns: usize,
    tasks: usize,
) {
    let (output, is_added) = match output {
        Target::Over(output) => (output, false),
        Target::Added(output) => (output, true),
    };
    assert_eq!(left.columns, right.rows, "the product's inner sizes are equal");
    assert_eq!(right.columns, columns, "the right matrix has the output's columns");
    assert_eq!(output.len(), left.rows * columns, "the output is [{}, {columns}]", left.rows);
    assert!(left.is_inside() && right.is_inside(), "a matrix lies in its memory");
    let stride = |stride: usize| isize::try_from(stride).expect("a stride in memory fits 63 bits");
    let ([left_row, left_column], [right_row, right_column]) = (left.strides.map(stride), right.strides.map(stride));
    let has_idle_threads = rayon::current_num_threads() > tasks;
    // SAFETY: all places that the sizes and strides reach were just checked to lie in the slices; the output is borrowed for
    // us alone. `products_are_their_definition` walks odd sizes.
    unsafe {
        gemm::gemm(
            left.rows,
            columns,
            left.columns,
            output.as_mut_ptr(),
            1,
            stride(columns),
            is_added,
            left.values.as_ptr(),
            left_column,
            left_row,
            right.values.as_ptr(),
            right_column,
            right_row,
            if is_added { 1.0 } else { 0.0 },
            1.0,
            false,
            false,
            false,
            if has_idle_threads { gemm::Parallelism::Rayon(0) } else { gemm::Parallelism::None },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{mix, unit};

    #[expect(clippy::cast_possible_truncation, reason = "what f32 is for")]
    fn numbers(stream: u64, count: usize) -> Vec<f32> {
        (0..count as u64).map(|index| (2.0 * unit(mix(stream, index)) - 1.0) as f32).collect()
    }

    /// 1e-4: sums of at most 130 products of numbers below 1, each rounded to 6e-8 of sums below 130.
    #[test]
    fn products_are_their_definition() {
        for [rows, inner, columns] in [[1, 1, 1], [3, 5, 7], [65, 130, 17], [17, 2, 65], [1, 9, 33], [33, 9, 1]] {
            let (left, right) = (numbers(1, rows * inner), numbers(2, inner * columns));
            let (left_turned, right_turned) = (turned(&left, inner), turned(&right, columns));
            let lefts = [Matrix::new(&left, inner), Matrix::new(&left_turned, rows).transposed()];
            let rights = [Matrix::new(&right, columns), Matrix::new(&right_turned, inner).transposed()];
            for (left_matrix, right_matrix) in lefts.into_iter().flat_map(|left| rights.map(|right| (left, right))) {
                let mut output = vec![f32::NAN; rows * columns];
                product(Target::Over(&mut output), left_matrix, right_matrix, columns, 1);
                let mut added = vec![2.0; rows * columns];
                product(Target::Added(&mut added), left_matrix, right_matrix, columns, 1);
                for (place, (found, added)) in output.iter().zip(&added).enumerate() {
                    let (row, column) = (place / columns, place % columns);
                    let term = |at: usize| f64::from(left[row * inner + at]) * f64::from(right[at * columns + column]);
                    let expected: f64 = (0..inner).map(term).sum();
                    assert!((f64::from(*found) - expected).abs() < 1e-4, "expected {expected}, found {found}");
                    assert!(
                        (f64::from(*added) - 2.0 - expected).abs() < 1e-4,
                        "expected 2 more than {expected}, found {added}"
                    );
                }
            }
        }
    }

    fn turned(values: &[f32], columns: usize) -> Vec<f32> {
        let rows = values.len() / columns;
        (0..values.len()).map(|place| values[place % rows * columns + place / rows]).collect()
    }

    #[test]
    #[should_panic(expected = "the output is [2, 3]")]
    fn an_output_of_another_size_is_refused() {
        product(Target::Over(&mut [0.0; 5]), Matrix::new(&[0.0; 8], 4), Matrix::new(&[0.0; 12], 3), 3, 1);
    }
}
