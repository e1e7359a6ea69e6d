#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod expiry;
mod loaded;
mod merge;
mod store;
mod written;

pub use store::TowerSessionStore;
