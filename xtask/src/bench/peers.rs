//! The programs that measure other stores: built, or a word on why not.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::succeeds;
use crate::services::Supervisor;

/// Where they are, from the workspace's root.
const SOURCES: &str = "crates/benches/peers";
const NPM_FILES: [&str; 2] = ["package.json", "measure.mjs"];

type Provide = fn(&Supervisor) -> Result<PathBuf>;

/// What the measuring program finds them by.
pub(super) fn provide(supervisor: &Supervisor) -> Result<Vec<(&'static str, OsString)>> {
    let mut programs = Vec::new();
    let mut missing = Vec::new();
    let ways: [(&str, Provide); 2] = [("tower-sessions", rust), ("npm originals", npm)];
    for (name, provide) in ways {
        eprintln!("bench: building what measures {name}");
        match provide(supervisor) {
            Ok(program) => programs.push(program),
            Err(error) => {
                supervisor.check_running()?;
                let reason = format!("{error:#}").replace('\n', " ");
                eprintln!("bench: {name} will not be measured: {reason}");
                missing.push(format!("{name}: {reason}"));
            }
        }
    }
    let programs = std::env::join_paths(programs).context("a path has a separator in it")?;
    Ok(vec![
        ("BENCH_PEERS", programs),
        ("BENCH_PEERS_MISSING", missing.join("\n").into()),
    ])
}

fn rust(supervisor: &Supervisor) -> Result<PathBuf> {
    let workspace = supervisor.workspace();
    let target = workspace.target().join("bench-peers");
    let mut build = workspace.cargo();
    build
        .current_dir(workspace.root().join(SOURCES))
        .args(["build", "--release", "--locked", "--target-dir"])
        .arg(&target);
    ensure!(
        succeeds(supervisor, &mut build)?,
        "the program does not build"
    );
    Ok(target.join("release/benches-peers"))
}

fn npm(supervisor: &Supervisor) -> Result<PathBuf> {
    let from = supervisor.workspace().root().join(SOURCES).join("npm");
    let to = supervisor.workspace().target().join("bench-npm");
    fs::create_dir_all(&to).with_context(|| format!("creating {}", to.display()))?;
    for file in NPM_FILES {
        fs::copy(from.join(file), to.join(file)).with_context(|| format!("copying {file}"))?;
    }
    if !installed(&to) {
        let mut install = Command::new("npm");
        install
            .args(["install", "--no-audit", "--no-fund", "--legacy-peer-deps"])
            .current_dir(&to);
        let done = succeeds(supervisor, &mut install).context("npm can't be run")?;
        ensure!(done, "npm could not install the originals");
    }
    Ok(to.join("measure.mjs"))
}

fn installed(directory: &Path) -> bool {
    let there = directory.join("node_modules/@lti-tool/mysql/package.json");
    there.is_file()
}
