//! `cargo xtask demo --url` on each server that there is.

use std::process::Command;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// The variable with a server's URL, and what keeps the demo's tables apart from those of other tests.
const SERVERS: [(&str, &str); 3] = [
    ("STORE_TEST_POSTGRES_URL", "schema=demo"),
    ("STORE_TEST_MYSQL_URL", "table_prefix=demo_"),
    ("STORE_TEST_MARIADB_URL", "table_prefix=demo_"),
];

fn main() {
    let trials = SERVERS.map(|(variable, apart)| {
        Trial::ignorable_test(format!("demo on {variable}"), move || {
            let Ok(url) = std::env::var(variable) else {
                let reason = format!("{variable} is not set; run `cargo xtask test`");
                return Ok(Completion::ignored_with(reason));
            };
            let joint = if url.contains('?') { '&' } else { '?' };
            let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
                .args(["demo", "--url", &format!("{url}{joint}{apart}")])
                .output()?;
            if output.status.success() {
                return Ok(Completion::Completed);
            }
            let told = [output.stdout, output.stderr].concat();
            Err(Failed::from(String::from_utf8_lossy(&told)))
        })
    });
    // Needs no server: the emulator is a part of the demo.
    let emulator = Trial::test("demo on the DynamoDB emulator", || {
        let mut demo = Command::new(env!("CARGO_BIN_EXE_xtask"));
        let output = demo.args(["demo", "--backend", "dynamo"]).output()?;
        if output.status.success() {
            return Ok(());
        }
        let told = [output.stdout, output.stderr].concat();
        Err(Failed::from(String::from_utf8_lossy(&told)))
    });
    let trials = trials.into_iter().chain([emulator]).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
