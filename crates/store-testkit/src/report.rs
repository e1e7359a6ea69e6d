//! The lines that `STORE_TEST_REPORT` asks for, one for each case.

use std::fs::OpenOptions;
use std::io::Write;

use serde::Serialize;

use crate::runner::{Outcome, Status};

/// The environment variable that names the file to append to.
const VARIABLE: &str = "STORE_TEST_REPORT";

#[derive(Serialize)]
struct Line<'a> {
    backend: &'a str,
    server: Option<&'a str>,
    lane: &'a str,
    case: &'a str,
    status: &'a str,
    reason: Option<&'a str>,
    ms: u128,
}

/// Appends what came of a case, if a report is wanted.
///
/// # Panics
/// If the file can't be written: a report with holes would be worse than none.
pub(crate) fn append(backend: &str, lane: &str, server: Option<&str>, outcome: &Outcome) {
    let Some(path) = std::env::var_os(VARIABLE) else {
        return;
    };
    let (status, reason) = match &outcome.status {
        Status::Passed => ("passed", None),
        Status::Failed(reason) => ("failed", Some(reason.as_str())),
        Status::Skipped(reason) => ("skipped", Some(reason.as_str())),
    };
    let line = Line {
        backend,
        server,
        lane,
        case: outcome.case,
        status,
        reason,
        ms: outcome.took.as_millis(),
    };
    let mut line = serde_json::to_string(&line).expect("a line of text has a JSON form");
    line.push('\n');
    // One write to a file opened for appending: lines of several processes don't interleave.
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .unwrap_or_else(|error| panic!("can't append to {VARIABLE}={}: {error}", path.display()));
}
