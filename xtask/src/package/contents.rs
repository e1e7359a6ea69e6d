//! What an archive holds.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use cargo_metadata::Package;

use super::source;

const LICENCES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

/// The files of an archive, by their paths in it.
#[derive(Debug, Default)]
pub(super) struct Contents {
    files: BTreeMap<String, Vec<u8>>,
}

impl Contents {
    pub(super) fn of(unpacked: &Path) -> Result<Self> {
        let mut contents = Self::default();
        contents
            .walk(unpacked, "")
            .with_context(|| format!("reading {}", unpacked.display()))?;
        Ok(contents)
    }

    fn walk(&mut self, directory: &Path, below: &str) -> Result<()> {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = format!("{below}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.walk(&entry.path(), &format!("{name}/"))?;
            } else if kind.is_file() {
                // A link would lead nowhere on another machine, and so counts as missing.
                self.files.insert(name, fs::read(entry.path())?);
            }
        }
        Ok(())
    }

    pub(super) fn files(&self) -> usize {
        self.files.len()
    }

    pub(super) fn kibibytes(&self) -> usize {
        self.files
            .values()
            .map(Vec::len)
            .sum::<usize>()
            .div_ceil(1024)
    }

    /// That the README, the licences and the migrations are there, as files.
    pub(super) fn check(
        &self,
        package: &Package,
        root: &Path,
        problems: &mut Vec<String>,
    ) -> Result<()> {
        let mut expect = |name: &str, wanted: &Path| -> Result<()> {
            let wanted =
                fs::read(wanted).with_context(|| format!("reading {}", wanted.display()))?;
            let problem = match self.files.get(name) {
                None => "is missing",
                Some(found) if found.is_empty() => "is empty",
                Some(found) if *found != wanted => "differs from the repository's",
                Some(_) => return Ok(()),
            };
            problems.push(format!("{}: {name} {problem}", package.name));
            Ok(())
        };
        for licence in LICENCES {
            expect(licence, &root.join(licence))?;
        }
        let crate_directory = source(package);
        expect("README.md", &crate_directory.join("README.md"))?;
        let migrations = crate_directory.join("migrations");
        if migrations.is_dir() {
            for entry in fs::read_dir(&migrations)? {
                let entry = entry?;
                let name = format!("migrations/{}", entry.file_name().to_string_lossy());
                expect(&name, &entry.path())?;
            }
        }
        Ok(())
    }
}
