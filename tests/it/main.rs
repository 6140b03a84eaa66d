//! The one integration binary: each links burn.

mod cli;
mod compare;
mod configs;
mod contract;
mod derived;
mod devices;
mod experiment;
mod golden;
mod readme;
mod resume;
mod rooms;
mod snapshots;
mod support;
