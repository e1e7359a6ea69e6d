//! The limit is measured with the stores' own statements: when a store's changes, so must the one that is raw.

use std::fs;
use std::path::Path;

/// Fails for each statement that the store does not have.
pub(crate) fn assert_has(store: &str, statements: &[&str]) {
    let theirs = source(store);
    for statement in statements {
        let statement = plain(statement);
        assert!(
            theirs.contains(&statement),
            "{store} has another statement now than this, which the limit is measured with: {statement}"
        );
    }
}

/// The statements of a store, one after the other.
fn source(store: &str) -> String {
    let src = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(store)
        .join("src");
    let files = [
        "queries.rs",
        "queries/lti.rs",
        "queries/jts.rs",
        "queries/login.rs",
    ];
    let read = |file: &str| fs::read_to_string(src.join(file)).expect("the file is there");
    let code = files.map(read).concat();
    let columns = code
        .split_once("macro_rules! jts_columns")
        .expect("the columns are named")
        .1;
    let columns = columns.split('"').nth(1).expect("the columns are a text");
    let code = code.replace("jts_columns!()", &format!("\"{columns}\""));
    // Parts that are put together are one.
    let mut parts = code.split('"');
    let mut joined = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        if part.trim() != "," {
            joined.push_str(part);
        }
    }
    plain(&joined)
}

/// Without what the two are written differently in: where tables are, types of parameters, and spaces.
fn plain(text: &str) -> String {
    let text = text.replace(['{', '}'], "").replace("::text", "");
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ")
}
