//! `cargo xtask tidy`: the rules of this repository that compilers don't know.

mod layout;
mod manifests;
mod text;

use std::fmt;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// A breach of a rule: where, which rule, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    line: usize,
    rule: String,
    remedy: String,
}

impl Finding {
    fn new(path: &str, line: usize, rule: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            rule: rule.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {}; {}",
            self.path, self.line, self.rule, self.remedy
        )
    }
}

/// A file of the repository, by its path from the root. Without text where it is no regular file or not UTF-8.
#[derive(Debug)]
struct Source {
    path: String,
    text: Option<String>,
}

/// Prints each finding; true if there is none.
pub(crate) fn run(workspace: &Workspace) -> Result<bool> {
    let files = files(workspace)?;
    let mut findings = Vec::new();
    for file in &files {
        if let Some(text) = &file.text {
            text::check(&file.path, text, &mut findings);
        }
    }
    text::check_links(&files, &mut findings);
    layout::check(&files, &mut findings);
    manifests::check(workspace, &files, &mut findings)?;

    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    for finding in &findings {
        println!("{finding}");
    }
    println!("tidy: {} files, {} findings", files.len(), findings.len());
    Ok(findings.is_empty())
}

/// What git tracks, and what it would if it were added. Without git, as in an unpacked archive, all there is.
fn files(workspace: &Workspace) -> Result<Vec<Source>> {
    let git = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(workspace.root())
        .output();
    let mut names: Vec<String> = match git {
        Ok(output) if output.status.success() => String::from_utf8(output.stdout)
            .context("a file's name is not UTF-8")?
            .split_terminator('\0')
            .map(str::to_owned)
            .collect(),
        _ => {
            println!("tidy: git lists no files here, taking all but build output");
            let mut names = Vec::new();
            walk(workspace, "", &mut names)?;
            names
        }
    };
    names.sort();
    names.dedup();
    let files = names.into_iter().filter_map(|path| {
        let full = workspace.root().join(&path);
        // A file that was deleted, but not yet committed as such, is still listed.
        let kind = fs::symlink_metadata(&full).ok()?.file_type();
        let text = kind.is_file().then(|| fs::read_to_string(&full).ok());
        Some(Source {
            path,
            text: text.flatten(),
        })
    });
    Ok(files.collect())
}

fn walk(workspace: &Workspace, below: &str, names: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(workspace.root().join(below))? {
        let entry = entry?;
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        if !entry.file_type()?.is_dir() {
            names.push(name);
        } else if name != ".git" && entry.path() != workspace.target() {
            walk(workspace, &format!("{name}/"), names)?;
        }
    }
    Ok(())
}
