#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod connect;

pub use connect::{connect, connect_with};
pub use store_core::*;
#[cfg(feature = "dynamo")]
pub use store_dynamo as dynamo;
#[cfg(feature = "memory")]
pub use store_memory as memory;
#[cfg(feature = "mysql")]
pub use store_mysql as mysql;
#[cfg(feature = "postgres")]
pub use store_postgres as postgres;
#[cfg(feature = "tower-sessions")]
pub use store_tower_sessions as tower_sessions;
