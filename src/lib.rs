//! Click-through-rate models: trained, evaluated and applied from raw files by one binary.
//!
//! The line through the code, one module a stage, each importing only what stands before it:
//!
//! | stage | module | turns |
//! |---|---|---|
//! | data | [`data`] | bytes into rows of cells |
//! | features | [`features`] | rows into ids, ids into batches |
//! | embedding | [`embedding`] | a batch into vectors, gradients into changed rows |
//! | layers, models | [`layers`], [`models`] | vectors into logits |
//! | training | [`training`] | batches into trained weights |
//! | metrics | [`metrics`] | logits and labels into numbers |
//! | report | [`report`] | numbers into tables, JSON, plots and pages |
//! | cli | [`cli`] | a command line into all of the above; `cli/train.rs` shows the whole line |
//!
//! [`schema`], [`seed`] and [`ranges`] are leaves that every module may use; [`device`] names burn's devices,
//! `vectorized` compiles loops for AVX2, and [`allocator`] is the binary's.

pub mod allocator;
pub mod cli;
pub mod config;
pub mod data;
pub mod device;
pub mod embedding;
pub mod features;
pub mod layers;
pub mod metrics;
pub mod models;
pub mod ranges;
pub mod report;
pub mod schema;
pub mod seed;
pub mod training;
mod vectorized;
