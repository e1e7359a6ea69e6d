//! `cargo xtask package`: the packages as users get them. Each is built from its own archive, looked into, and followed
//! by its README in a project outside of this workspace.

mod contents;
mod project;
mod readme;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cargo_metadata::{MetadataCommand, Package};
use comfy_table::{CellAlignment, Table, presets};

use self::contents::Contents;
use self::project::Outcome;
use crate::services::{Source, Stop, Supervisor};

const UNPACK_LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Takes two minutes where nothing was built before. Packages and what is built of them stay in target/packages.")]
pub(crate) struct Args {
    /// Take servers from here only.
    #[arg(long, value_enum)]
    services: Option<Source>,
}

impl Args {
    pub(crate) fn with(services: Option<Source>) -> Self {
        Self { services }
    }
}

/// Where packages are made and built: one directory, so that what they depend on is compiled once.
#[derive(Debug)]
struct Packages {
    target: PathBuf,
    list: Vec<Package>,
}

impl Packages {
    fn find(supervisor: &Supervisor) -> Result<Self> {
        let workspace = supervisor.workspace();
        let metadata = MetadataCommand::new()
            .no_deps()
            .current_dir(workspace.root())
            .exec()
            .context("asking cargo for the packages")?;
        let publishable =
            |package: &&Package| package.publish.as_ref().is_none_or(|to| !to.is_empty());
        let list = metadata.workspace_packages().into_iter();
        Ok(Self {
            target: workspace.target().join("packages"),
            list: list.filter(publishable).cloned().collect(),
        })
    }

    /// Where the archives are unpacked, as members of a workspace of their own.
    fn workspace(&self) -> PathBuf {
        self.target.join("unpacked")
    }

    fn unpacked(&self, package: &Package) -> PathBuf {
        self.workspace()
            .join(format!("{}-{}", package.name, package.version))
    }

    /// A command of cargo's that builds as the others do.
    fn cargo(&self, supervisor: &Supervisor) -> Command {
        let mut command = supervisor.workspace().cargo();
        command
            .env("CARGO_TARGET_DIR", &self.target)
            // What nobody debugs is built faster without.
            .env("CARGO_PROFILE_DEV_DEBUG", "false");
        command
    }

    /// Makes all archives and unpacks them.
    ///
    /// Cargo's own verification of several packages at once builds against what it unpacked first under a version, however
    /// often that version is packaged anew, and so is left out.
    fn make(&self, supervisor: &Supervisor) -> Result<bool> {
        let mut command = self.cargo(supervisor);
        command.args([
            "package",
            "--quiet",
            "--allow-dirty",
            "--no-metadata",
            "--no-verify",
        ]);
        for package in &self.list {
            command.args(["--package", package.name.as_str()]);
        }
        if !succeeds(supervisor, &mut command)? {
            return Ok(false);
        }
        let workspace = self.workspace();
        if workspace.exists() {
            fs::remove_dir_all(&workspace)?;
        }
        fs::create_dir_all(&workspace)?;
        let mut manifest = "[workspace]\nresolver = \"3\"\nmembers = [\"*\"]\n\n".to_owned();
        manifest.push_str(&self.patch());
        fs::write(workspace.join("Cargo.toml"), manifest)?;
        copy_lock(supervisor, &workspace)?;
        for package in &self.list {
            let archive = format!("package/{}-{}.crate", package.name, package.version);
            let mut unpack = Command::new("tar");
            unpack
                // With the time of unpacking, by which cargo sees that there is something new.
                .args(["-xmzf"])
                .arg(self.target.join(archive))
                .arg("-C")
                .arg(&workspace);
            supervisor.run(&mut unpack, UNPACK_LIMIT)?;
        }
        Ok(true)
    }

    /// What makes cargo take these packages where a manifest names them.
    fn patch(&self) -> String {
        let mut text = "[patch.crates-io]\n".to_owned();
        for package in &self.list {
            let path = self.unpacked(package);
            let _ = writeln!(text, "{} = {{ path = {path:?} }}", package.name);
        }
        text
    }

    /// Builds all from what is in their archives, with all features. That each builds with its own features only, the
    /// projects that follow the READMEs show.
    fn build(&self, supervisor: &Supervisor) -> Result<bool> {
        let mut command = self.cargo(supervisor);
        command.current_dir(self.workspace()).args([
            "build",
            "--quiet",
            "--workspace",
            "--all-features",
        ]);
        succeeds(supervisor, &mut command)
    }
}

/// Runs a command, showing what it prints.
fn succeeds(supervisor: &Supervisor, command: &mut Command) -> Result<bool> {
    let mut child = supervisor.spawn(command, Stop::Terminate)?;
    let status = child.wait()?;
    supervisor.forget(&child)?;
    Ok(status.success())
}

/// The versions that the tests ran with.
fn copy_lock(supervisor: &Supervisor, to: &Path) -> Result<()> {
    let lock = supervisor.workspace().root().join("Cargo.lock");
    fs::copy(lock, to.join("Cargo.lock"))?;
    Ok(())
}

/// True if every package builds and has what it must, and every README's program ran or is told to be left out.
pub(crate) fn run(supervisor: &Supervisor, args: &Args) -> Result<bool> {
    let began = Instant::now();
    let packages = Packages::find(supervisor)?;
    if !packages.make(supervisor)? {
        println!("package: a package can't be made");
        return Ok(false);
    }
    println!("package: building what is in the archives");
    if !packages.build(supervisor)? {
        println!("package: a package does not build from its archive");
        return Ok(false);
    }
    let made = began.elapsed();

    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["package", "files", "KiB", "README in a project of its own"]);
    let mut problems = Vec::new();
    for package in &packages.list {
        let unpacked = packages.unpacked(package);
        let contents = Contents::of(&unpacked)?;
        contents.check(package, supervisor.workspace().root(), &mut problems)?;
        let outcome = project::follow_readme(supervisor, &packages, package, args.services)?;
        let told = match outcome {
            Outcome::Ran(told) => told,
            Outcome::Without(reason) => format!("no: {reason}"),
            Outcome::Failed(reason) => {
                problems.push(format!("{}: its README's program: {reason}", package.name));
                "FAILED".to_owned()
            }
        };
        table.add_row([
            package.name.to_string(),
            contents.files().to_string(),
            contents.kibibytes().to_string(),
            told,
        ]);
    }
    for column in table.column_iter_mut().skip(1).take(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("\n{}", table.trim_fmt());
    for problem in &problems {
        println!("package: {problem}");
    }
    println!(
        "package: {} packages, {} problems; made and built in {:.1} s, tried in {:.1} s",
        packages.list.len(),
        problems.len(),
        made.as_secs_f64(),
        (began.elapsed() - made).as_secs_f64()
    );
    Ok(problems.is_empty())
}

/// The crate's directory in the workspace.
fn source(package: &Package) -> &Path {
    package
        .manifest_path
        .parent()
        .map_or(Path::new("."), |path| path.as_std_path())
}
