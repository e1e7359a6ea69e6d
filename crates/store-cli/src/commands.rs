//! One file for each command.

pub(crate) mod bootstrap;
pub(crate) mod cleanup;
pub(crate) mod clients;
pub(crate) mod completions;
pub(crate) mod deployments;
pub(crate) mod health;
pub(crate) mod import;
pub(crate) mod man;
pub(crate) mod sessions;
pub(crate) mod status;
