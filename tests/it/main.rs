//! The one integration binary: each links burn.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![expect(clippy::unnecessary_debug_formatting, reason = "a path in a config is quoted as Rust quotes it")]

mod adult;
mod challenges;
mod check;
mod cli;
mod compare;
mod configs;
mod contract;
mod data;
mod derived;
mod devices;
mod experiment;
mod folders;
mod golden;
mod pretrained;
mod readme;
mod resume;
mod rooms;
mod safety;
mod snapshots;
mod support;
