//! The one integration binary: each links burn.

mod cli;
mod contract;
mod devices;
mod experiment;
mod golden;
mod resume;
mod rooms;
mod support;
