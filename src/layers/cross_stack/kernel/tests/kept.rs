//! What a forward pass leaves for the backward pass.

use std::time::Instant;

use super::*;

#[test]
fn kept_states_give_the_same_bits_as_computing_them_again() {
    for kernels in &all_kernels() {
        for form in forms() {
            for (index, shape) in SHAPES.into_iter().chain([[600, 39, 16, 3]]).enumerate() {
                let case = Case::new(form, index % 2 == 0, shape).narrow();
                let what = format!("{form:?} {shape:?}");
                let (output, gradients) = (case.forward(&**kernels), case.backward(&**kernels));
                let (kept_output, kept) = case.forward_keeping(&**kernels, KEPT_BYTES);
                assert!(!kept.0.is_empty(), "{what}");
                assert_eq!(kept_output, output, "{what}");
                assert!(case.backward_from(&**kernels, &kept) == gradients, "{what}");
                let (bare_output, nothing) = case.forward_keeping(&**kernels, 100);
                assert!(nothing.0.is_empty() && bare_output == output, "{what}");
            }
        }
    }
}

/// Code that is not inlined into the functions with this processor's instructions is ten times as slow, and right; computing the
/// states again is half as much work more.
#[test]
fn computing_states_again_is_not_much_slower_than_keeping_them() {
    for kernels in &all_kernels() {
        let case = Case::new(Form::default(), true, [400, 39, 16, 3]).narrow();
        let (_, kept) = case.forward_keeping(&**kernels, KEPT_BYTES);
        let mut fastest = [f64::INFINITY; 2];
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        alone.install(|| {
            for _ in 0..20 {
                for (fastest, kept) in fastest.iter_mut().zip([&kept, &Kept::NOTHING]) {
                    let start = Instant::now();
                    case.backward_from(&**kernels, kept);
                    *fastest = fastest.min(start.elapsed().as_secs_f64());
                }
            }
        });
        let [reading, computing] = fastest;
        assert!(computing < 4.0 * reading, "expected about 1.5 times {reading} s, found {computing}");
    }
}

/// In f64, whose buffers no other test takes.
#[test]
fn what_kept_buffers_hold_has_no_influence_and_they_do_not_pile_up() {
    let portable = Kernels::<f64, 8>::portable();
    let case = Case::new(Form { product: Product::Gate, ..Form::default() }, false, [40, 5, 3, 2]);
    let (output, gradients) = (case.forward(&portable), case.backward(&portable));
    f64::spare().clear();
    for pass in 0..3 {
        let (found, kept) = case.forward_keeping(&portable, KEPT_BYTES);
        assert_eq!(found, output, "pass {pass}");
        assert!(case.backward_from(&portable, &kept) == gradients, "pass {pass}");
        let blocks = kept.0.len();
        drop(kept);
        let mut spare = f64::spare();
        assert_eq!(spare.len(), blocks, "each step's buffers are the last one's");
        spare.iter_mut().for_each(|block| block.fill(f64::NAN));
    }
    drop(Kept(vec![vec![0.0_f64; KEPT_BYTES / size_of::<f64>()]]));
    assert!(f64::spare().iter().all(|block| block.len() < 8000), "what is large goes back");
}

#[test]
fn what_is_kept_takes_no_more_memory_with_wide_vectors() {
    fn bytes<const WIDTH: usize>(case: &Case<f64>, batch: usize) -> usize {
        let plan = Plan::<f64, WIDTH>::new(case.form, &case.weights(), [batch, case.dim], true, 6);
        batch.div_ceil(plan.block_rows) * kept_packets(&plan) * WIDTH * size_of::<f32>()
    }
    for form in forms() {
        for (batch, dim) in [(4096, 16), (8192, 16), (4096, 32)] {
            let case = Case::new(form, true, [0, 39, dim, 3]);
            let [narrow, wide] = [bytes::<8>(&case, batch), bytes::<16>(&case, batch)];
            assert!(wide <= narrow, "{form:?} {batch} {dim}: {narrow} bytes with eight numbers, {wide} with sixteen");
            let fits = form.is_merged() || (batch, dim) == (4096, 16);
            assert_eq!([narrow, wide].map(|bytes| bytes <= KEPT_BYTES), [fits; 2], "{form:?} {batch} {dim}");
        }
    }
}

#[test]
#[should_panic(expected = "what was kept is of a pass of this shape")]
fn states_of_another_pass_are_refused() {
    let case = Case::new(Form::default(), true, [4, 3, 2, 1]).narrow();
    let (_, kept) = Case::new(Form::default(), true, [4, 3, 2, 2]).narrow().forward_keeping(&**KERNELS, KEPT_BYTES);
    case.backward_from(&**KERNELS, &kept);
}
