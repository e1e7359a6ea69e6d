//! Servers that the environment names.

use std::collections::BTreeMap;
use std::env;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::server::{Kind, Server, Source, masked};

const LIMIT: Duration = Duration::from_secs(10);

/// None where the variable is not set. A server that is named but does not answer is an error, not a reason to
/// test against another.
pub(super) fn find(kind: &dyn Kind) -> Result<Option<Server>> {
    let get = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let Some(url) = get(kind.url_variable()) else {
        return Ok(None);
    };
    let deadline = Instant::now() + LIMIT;
    let version = loop {
        match kind.probe(&url) {
            Err(_) if Instant::now() < deadline => thread::sleep(Duration::from_millis(200)),
            done => break done,
        }
    };
    let version = version.with_context(|| {
        format!(
            "{} is set to {}, but that server does not answer",
            kind.url_variable(),
            masked(&url)
        )
    })?;
    let variables: BTreeMap<_, _> = kind
        .other_variables()
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), get(name)?)))
        .chain([(kind.url_variable().to_owned(), url)])
        .collect();
    Ok(Some(Server {
        kind: kind.name().to_owned(),
        source: Source::Env,
        version: version.unwrap_or_else(|| format!("{} of unknown version", kind.product())),
        variables,
    }))
}
