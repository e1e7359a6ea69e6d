//! `cargo xtask demo` as a user runs it.
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps fails with a clear enough message"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

fn demo(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("demo").args(args);
    command.output().unwrap()
}

fn launch() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/launch.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// A file with this launch, in a directory that is removed when it is dropped.
fn file(launch: &Value) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mine.json");
    fs::write(&path, launch.to_string()).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}

#[test]
fn the_story_holds_and_is_plain_text_where_there_is_no_terminal() {
    let output = demo(&[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    assert!(text.contains("✓ replay the launch"), "{text}");
    assert!(text.contains(" steps hold in "), "{text}");
}

#[test]
fn a_launch_of_the_users_own_is_told() {
    let mut launch = launch();
    launch["name"] = json!("Wiremu Østergård");
    launch["iss"] = json!("not even a URL");
    let (_directory, path) = file(&launch);
    let output = demo(&["--launch", &path]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("Wiremu Østergård launches"), "{text}");
}

#[test]
fn what_does_not_hold_fails_the_command() {
    let mut launch = launch();
    launch["sub"] = json!("x".repeat(257));
    let (_directory, path) = file(&launch);
    let output = demo(&["--json", "--launch", &path]);
    assert!(!output.status.success());
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["ok"], false);
    let steps = document["steps"].as_array().unwrap();
    let failed = steps.iter().find(|step| step["ok"] == false).unwrap();
    assert_eq!(failed["name"], "sign in on the laptop");
    let seen = failed["seen"].as_str().unwrap();
    assert!(seen.contains("prn is 257 characters long"), "{seen}");
}

#[test]
fn a_file_that_is_no_launch_is_refused_with_what_to_do() {
    let (_directory, path) = file(&json!({"iss": "https://lms.example"}));
    for path in [path.as_str(), "no/such/launch.json"] {
        let output = demo(&["--launch", path]);
        assert!(!output.status.success());
        assert!(output.stdout.is_empty());
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(path), "{text}");
        assert!(text.contains("xtask/demo/launch.json is one"), "{text}");
    }
}
