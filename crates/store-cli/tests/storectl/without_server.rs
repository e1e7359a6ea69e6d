//! What needs no server: help, completions, manual pages, printed definitions, refusals.

use std::io::Write as _;
use std::process::Stdio;

use libtest_mimic::Trial;

use crate::alone;
use crate::support::{Run, storectl};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        alone("help tells the exit codes", help),
        alone("completions and manual pages", completions_and_manual_pages),
        alone("definitions are printed", definitions),
        alone("wrong calls are refused", wrong_calls),
        alone("memory is refused where it makes no sense", memory),
        alone("the URL comes from a file or standard input", url_sources),
        alone("a password in an argument is warned of", warning),
    ]
}

fn help() {
    Run::alone(&["--help"]).said(0, &["Exit codes:", "STORE_URL_FILE", "postgres://"]);
    Run::alone(&["import", "--help"]).said(0, &["A record differs if", "--replace"]);
    Run::alone(&["--version"]).said(0, &[env!("CARGO_PKG_VERSION")]);
}

fn completions_and_manual_pages() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let run = Run::alone(&["completions", shell]);
        run.said(0, &["cleanup", "url-file"]);
    }
    Run::alone(&["man"]).said(0, &[".TH storectl 1", "Exit codes"]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    Run::alone(&["man", "--dir", path]).said(0, &[path]);
    for page in ["storectl.1", "storectl-import.1", "storectl-clients-add.1"] {
        let text = std::fs::read_to_string(dir.path().join(page)).unwrap();
        assert!(text.len() > 500, "{page}");
    }
}

fn definitions() {
    let print = |url, format: &[&str]| {
        let run = Run::alone(&[&["bootstrap", "--print", "--url", url], format].concat());
        assert_eq!(run.code, 0, "{run:?}");
        run.out
    };
    // Nobody is there.
    let postgres = print("postgres://u@127.0.0.1:1/db", &[]);
    assert!(postgres.contains("CREATE TABLE") && postgres.contains("jts_sessions"));
    let mysql = print("mysql://u@127.0.0.1:1/db", &[]);
    assert!(mysql.contains("CREATE TABLE") && mysql.contains("login_sessions"));
    let dynamo = "dynamodb://eu-west-1?endpoint=http://127.0.0.1:1&prefix=a-";
    let template: serde_json::Value = serde_json::from_str(&print(dynamo, &[])).unwrap();
    assert!(template["Resources"]["AuthStore"].is_object());
    for (format, part) in [
        ("terraform", "resource \"aws_dynamodb_table\""),
        ("iam-application", "dynamodb:GetItem"),
        ("iam-bootstrap", "dynamodb:CreateTable"),
        ("cloudformation", "a-auth_store"),
    ] {
        assert!(
            print(dynamo, &["--format", format]).contains(part),
            "{format}"
        );
    }
    let run = Run::alone(&["bootstrap", "--print", "--url", dynamo, "--json"]);
    assert_eq!(run.json()["format"], "cloudformation");
    let wrong = [
        "bootstrap",
        "--print",
        "--format",
        "terraform",
        "--url",
        "mysql://u@h/db",
    ];
    Run::alone(&wrong).said(2, &["only the format sql"]);
}

fn wrong_calls() {
    Run::alone(&["status"]).said(2, &["no store is named", "STORE_URL"]);
    Run::alone(&["import", "--url", "mysql://u@h/db"]).said(2, &["STORE_FROM_URL"]);
    let same = [
        "import",
        "--url",
        "mysql://u@h/db",
        "--from",
        "mysql://u@h/db",
    ];
    Run::alone(&same).said(2, &["is the store to import into"]);
    for (url, part) in [
        ("hunter2", "no kind that is known"),
        ("hunter2://u:hunter2@h/db", "no kind that is known"),
        ("postgres://u:hunter2@h:hunter2/db", "port"),
        ("postgres://u:hunter2@h/db?sslmode=hunter2", "sslmode"),
        ("postgres://u:hunter2@/db", "no host"),
        ("mysql://u:hunter2@h", "no database"),
        (
            "mysql://u:hunter2@h/db?max_connections=hunter2",
            "max_connections",
        ),
        ("dynamodb://u:hunter2@eu-west-1", "credentials"),
        ("dynamodb://eu-west-1?endpoint=hunter2", "endpoint"),
        ("dynamodb://eu-west-1?password=hunter2", "no parameter"),
    ] {
        for json in [&[][..], &["--json"]] {
            let run = Run::of(storectl(&[&["status"], json].concat()).env("STORE_URL", url));
            run.said(2, &[part]);
            run.keeps("hunter2");
            assert!(json.is_empty() || run.json()["error"]["message"].is_string());
        }
    }
    let run = Run::alone(&["postgres://u:hunter2@h/db", "status"]);
    run.said(2, &["unrecognized subcommand"]);
    run.keeps("hunter2");
    let run = Run::alone(&["status", "--json", "--nope"]);
    run.said(2, &["--nope"]);
    assert_eq!(run.json()["error"]["kind"], "usage");
    Run::alone(&["cleanup", "--budget", "5"]).said(2, &["5m"]);
    Run::alone(&["sessions", "revoke"]).said(2, &["--principal", "--aid"]);
}

fn memory() {
    let on_memory = |arguments: &[&str]| Run::of(storectl(arguments).env("STORE_URL", "memory:"));
    for command in [
        &["cleanup"][..],
        &["clients", "list"],
        &["deployments", "list", "x"],
        &["sessions", "list", "--principal", "x"],
        &["import", "--from", "postgres://u@h/db"],
    ] {
        on_memory(command).said(2, &["makes no sense on memory:", "a store that lasts"]);
    }
    on_memory(&["bootstrap", "--print"]).said(2, &["needs no tables"]);
    // So that a script that is told the URL runs on it as well.
    on_memory(&["bootstrap"]).said(0, &["nothing was missing"]);
    on_memory(&["status"]).said(0, &["current"]);
    on_memory(&["health"]).said(0, &["answers"]);
    let from = ["import", "--url", "postgres://u@h/db", "--from", "memory:"];
    Run::alone(&from).said(2, &["makes no sense on memory:"]);
}

fn url_sources() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("url");
    let path = file.to_str().unwrap();
    std::fs::write(&file, "memory:\n").unwrap();
    Run::alone(&["health", "--url-file", path]).said(0, &["memory:"]);
    Run::of(storectl(&["health"]).env("STORE_URL_FILE", path)).said(0, &["memory:"]);
    // The variable with the URL comes before the one with the file, an argument before both.
    let mut both = storectl(&["health"]);
    both.env("STORE_URL_FILE", path).env("STORE_URL", "nope");
    Run::of(&mut both).said(2, &["no kind that is known"]);
    Run::of(both.args(["--url", "memory:"])).said(0, &["memory:"]);

    let mut child = storectl(&["health", "--url-file", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"memory:\n").unwrap();
    Run::from(child.wait_with_output().unwrap()).said(0, &["memory:"]);

    std::fs::write(&file, "\n").unwrap();
    Run::alone(&["health", "--url-file", path]).said(2, &["is empty"]);
    std::fs::write(&file, "memory:\nhunter2\n").unwrap();
    Run::alone(&["health", "--url-file", path]).said(2, &["more than one line"]);
    Run::alone(&["health", "--url-file", "/nowhere"]).said(2, &["can't be read"]);
    let twice = ["import", "--url-file", "-", "--from-file", "-"];
    Run::of(storectl(&twice).stdin(Stdio::null())).said(2, &["empty"]);
}

fn warning() {
    let run = Run::alone(&["status", "--url", "postgres://u:hunter2@127.0.0.1:1/db"]);
    run.said(1, &["warning", "the list of processes shows"]);
    run.keeps("hunter2");
    let url = "postgres://u:hunter2@127.0.0.1:1/db";
    let run = Run::of(storectl(&["status"]).env("STORE_URL", url));
    assert!(!run.err.contains("warning"), "{run:?}");
    run.keeps("hunter2");
}
