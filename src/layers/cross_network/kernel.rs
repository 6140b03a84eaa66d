//! The numbers of a cross layer on the CPU: a product by the `gemm` crate, block by block, and one pass for all the rest.
//!
//! Blocks depend on the shapes alone, and each number is summed in one order, so the bits don't depend on threads.

use rayon::prelude::*;

use crate::layers::hidden::{
    kernel::{Sizes, add_blocks, input_gradient, weight_gradient},
    product::{Matrix, Target, product},
};

/// What a layer reads.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// `x`: `[batch, width]`
    pub hidden: &'a [f32],
    /// What the product is multiplied with, DCNv2's `x₀`: `[batch, width]`
    pub first: &'a [f32],
    /// What `W` multiplies, `x` or `x V`: `[batch, rank]`
    pub given: &'a [f32],
    /// `W`: `[rank, width]`
    pub weight: &'a [f32],
    /// `[width]`
    pub bias: &'a [f32],
}

impl Inputs<'_> {
    fn check(&self, sizes: Sizes) {
        let Sizes { batch, units: width, .. } = sizes;
        sizes.check(self.given, self.weight, self.bias.len());
        let lengths = [self.hidden.len(), self.first.len()];
        assert_eq!(lengths, [batch * width; 2], "hidden and first are [{batch}, {width}]");
    }
}

/// `x₀ ⊙ (given W + b) + x`, and `given W + b` for the way back; `sizes` are those of the product.
///
/// # Shapes
/// - returns: `[batch, width]` twice
///
/// # Panics
/// If the lengths don't fit the shapes of [`Inputs`].
pub fn forward(sizes: Sizes, inputs: Inputs) -> [Vec<f32>; 2] {
    inputs.check(sizes);
    let (rows, width) = (sizes.block_rows(), sizes.units);
    let mut product_and_bias = vec![0.0; sizes.batch * width];
    let mut output = vec![0.0; sizes.batch * width];
    let weight = Matrix::new(inputs.weight, width);
    let read = inputs.given.par_chunks(rows * sizes.input).zip(inputs.first.par_chunks(rows * width));
    let read = read.zip(inputs.hidden.par_chunks(rows * width));
    let written = product_and_bias.par_chunks_mut(rows * width).zip(output.par_chunks_mut(rows * width));
    written.zip(read).for_each(|((products, output), ((given, first), hidden))| {
        product(Target::Over(products), Matrix::new(given, sizes.input), weight, width, sizes.batch.div_ceil(rows));
        let rows = products.chunks_exact_mut(width).zip(output.chunks_exact_mut(width));
        for ((products, output), (first, hidden)) in rows.zip(first.chunks_exact(width).zip(hidden.chunks_exact(width)))
        {
            products.iter_mut().zip(inputs.bias).for_each(|(product, bias)| *product += bias);
            for (((output, product), first), hidden) in output.iter_mut().zip(products).zip(first).zip(hidden) {
                *output = *first * *product + *hidden;
            }
        }
    });
    [output, product_and_bias]
}

/// What [`backward`] finds beside what it leaves in its arguments.
#[derive(Clone, Debug)]
pub struct LayerGradients {
    /// `[batch, rank]`; absent where `given` is `hidden`, whose gradient then holds it.
    pub given: Option<Vec<f32>>,
    /// `[rank, width]`
    pub weight: Vec<f32>,
    /// `[width]`
    pub bias: Vec<f32>,
}

/// The gradients of [`forward`], which leaves those of hidden in `gradient` and those of first in `product_and_bias`.
///
/// # Shapes
/// - product_and_bias: `[batch, width]`, what [`forward`] returned
/// - gradient: `[batch, width]`, of the output
///
/// # Panics
/// If the lengths don't fit these shapes.
pub fn backward(
    sizes: Sizes,
    inputs: Inputs,
    given_is_hidden: bool,
    product_and_bias: &mut [f32],
    gradient: &mut [f32],
) -> LayerGradients {
    inputs.check(sizes);
    let Sizes { batch, units: width, .. } = sizes;
    let lengths = [product_and_bias.len(), gradient.len()];
    assert_eq!(lengths, [batch * width; 2], "product and gradient are [{batch}, {width}]");
    let rows = sizes.block_rows();
    let mut by_product = vec![0.0; batch * width];
    let mut sums = vec![0.0; batch.div_ceil(rows) * width];
    let transposed = Matrix::new(inputs.weight, width).transposed();
    let written = by_product.par_chunks_mut(rows * width).zip(sums.par_chunks_mut(width));
    let written = written.zip(product_and_bias.par_chunks_mut(rows * width).zip(gradient.par_chunks_mut(rows * width)));
    let tasks = written.zip(inputs.first.par_chunks(rows * width));
    tasks.for_each(|(((by_product, sums), (products, gradient)), first)| {
        let places = by_product.chunks_exact_mut(width).zip(products.chunks_exact_mut(width));
        let places = places.zip(gradient.chunks_exact(width).zip(first.chunks_exact(width)));
        for ((by_product, products), (gradient, first)) in places {
            let sums_and_products = sums.iter_mut().zip(by_product.iter_mut().zip(products));
            for ((sum, (by_product, product)), (gradient, first)) in sums_and_products.zip(gradient.iter().zip(first)) {
                *by_product = *gradient * *first;
                *product *= *gradient;
                *sum += *by_product;
            }
        }
        if given_is_hidden {
            let target = Target::Added(gradient);
            product(target, Matrix::new(by_product, width), transposed, width, batch.div_ceil(rows));
        }
    });
    LayerGradients {
        given: (!given_is_hidden).then(|| input_gradient(sizes, inputs.weight, &by_product)),
        weight: weight_gradient(sizes, inputs.given, &by_product),
        bias: add_blocks(&sums, width),
    }
}
