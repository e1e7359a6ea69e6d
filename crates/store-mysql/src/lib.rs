#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod adoption;
mod bootstrap;
mod config;
mod error;
mod execute;
mod mapping;
mod names;
mod pool;
mod queries;
mod store;
mod tls;

pub use config::{Credentials, CredentialsProvider, MySqlConfig, SslCa, SslMode};
pub use names::TableNames;
pub use store::MySqlStore;
