//! The contract of the authentication state stores as conformance cases that any backend can run.
#![doc = ""]
#![doc = include_str!("../README.md")]

mod backend;
mod cases;
mod concurrency;
mod exercise;
mod expect;
pub mod fixtures;
mod operations;
mod panics;
mod report;
mod run;
mod runner;
mod tracing_capture;
mod world;

pub use backend::{Backend, Lane, Namespace};
pub use exercise::exercise;
pub use run::{case_names, check, run};
pub use runner::{Outcome, Status};
