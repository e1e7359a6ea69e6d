//! Rules about where things lie.

use std::collections::BTreeSet;

use super::{Finding, Source};

/// The backend that the others are compared with.
const MODEL: &str = "store-postgres";
/// Backends, and the directory below `src` in which each has the model's file names.
const BACKENDS: &[(&str, &str)] = &[
    // It has no driver, and so none of the files about drivers and schemas.
    ("store-memory", "store/"),
    ("store-mysql", ""),
    ("store-dynamo", ""),
];
/// Files that one of the two need not have: the backend, the file, and the reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "store-mysql",
        "adoption/shapes.rs",
        "the originals' tables on MySQL are mended column by column",
    ),
    (
        "store-mysql",
        "execute/batch.rs",
        "the driver sends no prepared statements together, so transactions are texts",
    ),
    (
        "store-mysql",
        "pool/turns.rs",
        "the driver's pool takes connections back by a detour",
    ),
    (
        "store-mysql",
        "pool/lease.rs",
        "the driver's pool knows of no turns",
    ),
    ("store-mysql", "pool/shared.rs", ONE_AT_A_TIME),
    ("store-dynamo", "definitions.rs", DEFINITIONS),
    ("store-dynamo", "write.rs", "writes are values, not text"),
    ("store-dynamo", "names.rs", "there is one table"),
    ("store-dynamo", "pool.rs", "the SDK pools"),
    ("store-dynamo", "pool/shared.rs", "the SDK pools"),
    ("store-dynamo", "tls.rs", "the SDK speaks TLS"),
    ("store-dynamo", "queries/jts.rs", EXPRESSIONS),
    ("store-dynamo", "queries/login.rs", EXPRESSIONS),
    ("store-dynamo", "queries/lti.rs", EXPRESSIONS),
    ("store-dynamo", "queries/transfer.rs", EXPRESSIONS),
    ("store-dynamo", "execute/reads.rs", REQUESTS),
    ("store-dynamo", "execute/writes.rs", REQUESTS),
    ("store-dynamo", "store/import.rs", STEPS),
    ("store-dynamo", "store/jts_pointers.rs", STEPS),
    ("store-dynamo", "store/jts_proofs.rs", STEPS),
    ("store-dynamo", "store/sweep.rs", STEPS),
];
const ONE_AT_A_TIME: &str = "a connection to MySQL answers one statement before it takes the next";
const DEFINITIONS: &str = "tables are defined in other languages than SQL";
const EXPRESSIONS: &str = "expressions are short enough for one file";
const REQUESTS: &str = "each kind of request is a type of its own";
const STEPS: &str = "what is one statement of SQL takes several requests";

pub(super) fn check(files: &[Source], findings: &mut Vec<Finding>) {
    for (backend, below) in BACKENDS {
        let there = sources(files, backend, below);
        if there.is_empty() {
            continue;
        }
        let model = sources(files, MODEL, below);
        let excepted = |file: &&&str| {
            EXCEPTIONS
                .iter()
                .any(|(of, name, _)| of == backend && *name == **file)
        };
        let remedy = "use the same name for the same job, or add an exception with its reason";
        for file in model.difference(&there).filter(|file| !excepted(file)) {
            let path = format!("crates/{backend}/src/{file}");
            findings.push(Finding::new(
                &path,
                1,
                format!("missing, though {MODEL} has it"),
                remedy,
            ));
        }
        for file in there.difference(&model).filter(|file| !excepted(file)) {
            let path = format!("crates/{backend}/src/{file}");
            findings.push(Finding::new(
                &path,
                1,
                format!("{MODEL} has no such file"),
                remedy,
            ));
        }
    }
    for file in files {
        let mut parts = file.path.split('/');
        let (top, third, inside) = (parts.next(), parts.nth(1), parts.next().is_some());
        // Git lists a symbolic link as one path with nothing inside.
        let migrations = third == Some("migrations") && (inside || file.text.is_some());
        let source = third == Some("src") && file.path.ends_with(".sql");
        if top == Some("crates") && (migrations || source) {
            findings.push(Finding::new(
                &file.path,
                1,
                "a migration outside the top-level migrations/",
                "move it there and link to its directory from the crate",
            ));
        }
    }
}

/// The crate's source files, from `src`.
fn sources<'a>(files: &'a [Source], name: &str, below: &str) -> BTreeSet<&'a str> {
    let prefix = format!("crates/{name}/src/");
    files
        .iter()
        .filter_map(|file| file.path.strip_prefix(&prefix))
        .filter(|path| path.starts_with(below))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(paths: &[&str], links: &[&str]) -> Vec<String> {
        let file = |path: &&str, text: Option<String>| Source {
            path: (*path).to_owned(),
            text,
        };
        let files: Vec<_> = paths
            .iter()
            .map(|path| file(path, Some(String::new())))
            .chain(links.iter().map(|path| file(path, None)))
            .collect();
        let mut findings = Vec::new();
        check(&files, &mut findings);
        findings.into_iter().map(|finding| finding.path).collect()
    }

    #[test]
    fn backends_have_the_same_files() {
        let model = [
            "crates/store-postgres/src/lib.rs",
            "crates/store-postgres/src/store/nonces.rs",
        ];
        assert!(found(&model, &[]).is_empty());
        let memory = [
            "crates/store-memory/src/lib.rs",
            "crates/store-memory/src/table.rs",
            "crates/store-memory/src/store/nonces.rs",
        ];
        assert!(found(&[&model[..], &memory].concat(), &[]).is_empty());
        let mysql = [
            "crates/store-mysql/src/lib.rs",
            "crates/store-mysql/src/store/nonce.rs",
        ];
        assert_eq!(
            found(&[&model[..], &mysql].concat(), &[]),
            [
                "crates/store-mysql/src/store/nonces.rs",
                "crates/store-mysql/src/store/nonce.rs"
            ]
        );
    }

    #[test]
    fn migrations_lie_at_the_top() {
        assert!(
            found(
                &["migrations/postgres/0001_a.sql", "crates/a/tests/old.sql"],
                &["crates/a/migrations"]
            )
            .is_empty()
        );
        let inside = ["crates/a/migrations/0001_a.sql", "crates/a/src/a.sql"];
        assert_eq!(found(&inside, &[]), inside);
    }
}
