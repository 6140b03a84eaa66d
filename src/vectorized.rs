//! Loops that are compiled a second time for AVX2, which the processor then takes where it has it.
//!
//! They are loops of plain Rust whose sums keep their order and aren't fused with the products, so both forms give the same
//! bits. Kernels that call for registers by name are written with `layers::lanes` instead.

/// Functions whose body is compiled for the target's baseline and for AVX2. What the body calls has to be inlined always, since only
/// that is compiled with the function's instructions; a closure alone that is called in one place may be relied on to be.
macro_rules! vectorized {
    ($(
        fn $name:ident $(<const $constant:ident: usize>)? ($($argument:ident: $type:ty),* $(,)?) $body:block
    )+) => { $(
        fn $name $(<const $constant: usize>)? ($($argument: $type),*) {
            #[inline(always)]
            fn body $(<const $constant: usize>)? ($($argument: $type),*) $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn avx2 $(<const $constant: usize>)? ($($argument: $type),*) {
                body $(::<$constant>)? ($($argument),*)
            }

            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") {
                #[expect(unsafe_code, reason = "instructions outside of the baseline: fm and ffm of benches/training.rs")]
                // SAFETY: AVX2 was just detected.
                unsafe {
                    avx2 $(::<$constant>)? ($($argument),*);
                }
                return;
            }
            body $(::<$constant>)? ($($argument),*)
        }
    )+ };
}
pub(crate) use vectorized;
