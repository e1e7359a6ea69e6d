#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod adoption;
mod bootstrap;
mod config;
mod definitions;
mod error;
mod execute;
mod mapping;
mod queries;
mod store;
mod write;

pub use adoption::{ImportCursor, ImportReport};
pub use config::{Billing, Capacity, DynamoConfig, Encryption, TableOptions};
pub use store::DynamoStore;
