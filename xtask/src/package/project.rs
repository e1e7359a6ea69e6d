//! A project outside of the workspace that does what a package's README says.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use cargo_metadata::Package;
use tokio::runtime::Runtime;

use super::{Packages, copy_lock, readme};
use crate::demo::emulator;
use crate::services::{self, Source, Supervisor};

const LIMIT: Duration = Duration::from_secs(600);

/// Where a README's program keeps its data.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// In its own memory.
    Memory,
    /// On a server of the first of these kinds that there is, apart from other tables by this in the URL.
    Server(&'static [&'static str], &'static str),
    /// On an emulator of DynamoDB in this process.
    Emulator,
}

/// The packages whose README begins with a program.
const PROGRAMS: &[(&str, Place)] = &[
    ("store", Place::Memory),
    ("store-memory", Place::Memory),
    ("store-tower-sessions", Place::Memory),
    (
        "store-postgres",
        Place::Server(&["postgres"], "schema=readme"),
    ),
    (
        "store-mysql",
        Place::Server(&["mysql", "mariadb"], "table_prefix=readme_"),
    ),
    ("store-dynamo", Place::Emulator),
];

/// What came of following a README.
pub(super) enum Outcome {
    /// It built and ran; where, and what it printed.
    Ran(String),
    /// Nothing was run, and why.
    Without(String),
    /// It did not build, or failed.
    Failed(String),
}

/// A place that programs can reach.
struct Reached {
    /// For people.
    name: String,
    variables: Vec<(&'static str, String)>,
    /// Runs the emulator as long as this lives.
    _runtime: Option<Runtime>,
}

/// Writes a project from the README in the archive, builds it against the archives and runs it.
pub(super) fn follow_readme(
    supervisor: &Supervisor,
    packages: &Packages,
    package: &Package,
    source: Option<Source>,
) -> Result<Outcome> {
    let Some((name, place)) = PROGRAMS
        .iter()
        .find(|(name, _)| *name == package.name.as_str())
    else {
        return Ok(Outcome::Without(
            "its README is not about a program".to_owned(),
        ));
    };
    let unpacked = packages.unpacked(package);
    let text = fs::read_to_string(unpacked.join("README.md"))?;
    let (Some(manifest), Some(code)) = (readme::block(&text, "toml"), readme::block(&text, "rust"))
    else {
        return Ok(Outcome::Failed(
            "it needs a block of toml with its dependencies and one of rust".to_owned(),
        ));
    };
    let reached = match reach(supervisor, *place, source) {
        Ok(reached) => reached,
        Err(error) => {
            supervisor.check_running()?;
            return Ok(Outcome::Without(format!("{error:#}")));
        }
    };
    let project = supervisor
        .scratch(&std::env::temp_dir())?
        .join(format!("follows-{name}"));
    write(
        &project,
        &manifest,
        &readme::program(&code),
        supervisor,
        packages,
    )
    .with_context(|| format!("writing {}", project.display()))?;
    let mut command = packages.cargo(supervisor);
    command
        .current_dir(&project)
        .args(["run", "--quiet"])
        .envs(reached.variables);
    Ok(match supervisor.run(&mut command, LIMIT) {
        Ok(printed) => {
            let printed = printed.trim().replace('\n', "; ");
            Outcome::Ran(match printed.as_str() {
                "" => format!("ran on {}", reached.name),
                printed => format!("ran on {}: {printed}", reached.name),
            })
        }
        Err(error) => {
            supervisor.check_running()?;
            Outcome::Failed(format!("{error:#}"))
        }
    })
}

fn write(
    project: &Path,
    manifest: &str,
    program: &str,
    supervisor: &Supervisor,
    packages: &Packages,
) -> Result<()> {
    fs::create_dir_all(project.join("src"))?;
    let name = project.file_name().unwrap_or_default().to_string_lossy();
    let text = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n[workspace]\n\n{manifest}\n{}",
        packages.patch()
    );
    fs::write(project.join("Cargo.toml"), text)?;
    fs::write(project.join("src/main.rs"), program)?;
    copy_lock(supervisor, project)?;
    Ok(())
}

fn reach(supervisor: &Supervisor, place: Place, source: Option<Source>) -> Result<Reached> {
    match place {
        Place::Memory => Ok(Reached {
            name: "memory".to_owned(),
            variables: Vec::new(),
            _runtime: None,
        }),
        Place::Server(kinds, apart) => server(supervisor, kinds, apart, source),
        Place::Emulator => emulator(),
    }
}

fn server(
    supervisor: &Supervisor,
    kinds: &[&str],
    apart: &str,
    source: Option<Source>,
) -> Result<Reached> {
    let mut refusal = None;
    for name in kinds {
        let kind = services::kind(name)?;
        match services::provide(supervisor, &[kind], source) {
            Ok(servers) => {
                let variables = servers.variables();
                // One that can be done without may not be there.
                let Some(url) = variables.get(kind.url_variable()) else {
                    continue;
                };
                let joint = if url.contains('?') { '&' } else { '?' };
                return Ok(Reached {
                    name: kind.product().to_owned(),
                    variables: vec![(readme::URL_VARIABLE, format!("{url}{joint}{apart}"))],
                    _runtime: None,
                });
            }
            Err(error) => refusal = Some(error),
        }
    }
    Err(refusal.unwrap_or_else(|| anyhow::anyhow!("there is no server")))
}

fn emulator() -> Result<Reached> {
    let runtime = Runtime::new()?;
    let config = runtime.block_on(emulator::start())?;
    let endpoint = config.endpoint.context("the emulator has an address")?;
    Ok(Reached {
        name: "an emulator of DynamoDB".to_owned(),
        variables: vec![
            (
                readme::URL_VARIABLE,
                format!("dynamodb://eu-west-1?endpoint={endpoint}&prefix=readme-"),
            ),
            ("AWS_ACCESS_KEY_ID", "readme".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "readme".to_owned()),
        ],
        _runtime: Some(runtime),
    })
}
