//! Rules about crates' manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};
use regex::Regex;

use super::{Finding, Source};
use crate::workspace::Workspace;

static LINTS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?m)^\[lints\]\s*^workspace\s*=\s*true\s*$").expect("the pattern is tested")
});

/// Manifests outside of the workspace, with the reason.
const OUTSIDE: &[(&str, &str)] = &[(
    "crates/benches/peers/Cargo.toml",
    "what other stores depend on is none of the workspace's business, and one links another SQLite",
)];

pub(super) fn check(
    workspace: &Workspace,
    files: &[Source],
    findings: &mut Vec<Finding>,
) -> Result<()> {
    for file in files
        .iter()
        .filter(|file| file.path.ends_with("/Cargo.toml"))
        .filter(|file| OUTSIDE.iter().all(|(outside, _)| *outside != file.path))
    {
        if !file.text.as_deref().is_some_and(inherits_lints) {
            findings.push(Finding::new(
                &file.path,
                1,
                "the workspace's lints do not apply",
                "add `[lints]` with `workspace = true`",
            ));
        }
    }
    let metadata = MetadataCommand::new()
        .current_dir(workspace.root())
        .exec()
        .context("asking cargo for the dependencies")?;
    rust_versions(&metadata, findings)
}

fn inherits_lints(manifest: &str) -> bool {
    LINTS.is_match(manifest)
}

/// Each crate declares a Rust version that is enough for all it depends on.
fn rust_versions(metadata: &Metadata, findings: &mut Vec<Finding>) -> Result<()> {
    let resolve = metadata
        .resolve
        .as_ref()
        .context("cargo resolved no dependencies")?;
    let edges: BTreeMap<&PackageId, Vec<&PackageId>> = resolve
        .nodes
        .iter()
        .map(|node| {
            let normal = node.deps.iter().filter(|dependency| {
                dependency
                    .dep_kinds
                    .iter()
                    .any(|kind| kind.kind == DependencyKind::Normal)
                    && !is_optional_member(metadata, &node.id, &dependency.pkg)
            });
            (&node.id, normal.map(|dependency| &dependency.pkg).collect())
        })
        .collect();
    for package in metadata.workspace_packages() {
        let manifest = package
            .manifest_path
            .strip_prefix(&metadata.workspace_root)
            .unwrap_or(&package.manifest_path);
        let manifest = manifest.as_str().to_owned();
        let Some(own) = &package.rust_version else {
            findings.push(Finding::new(
                &manifest,
                1,
                "no rust-version",
                "declare the oldest that builds it",
            ));
            continue;
        };
        let needed = reachable(&package.id, &edges)
            .into_iter()
            .filter_map(|id| {
                let dependency = &metadata[id];
                Some((
                    dependency.rust_version.clone()?,
                    dependency.name.to_string(),
                ))
            })
            .max();
        if let Some((version, name)) = needed.filter(|(version, _)| version > own) {
            findings.push(Finding::new(
                &manifest,
                1,
                format!("rust-version {own} is older than the {version} of its dependency {name}"),
                format!("declare {version}, or take an older {name}"),
            ));
        }
    }
    Ok(())
}

/// Whether `of` takes `member`, a crate of this workspace, only if a feature asks for it. Such a crate declares
/// its own version, which cargo tells those who switch the feature on.
fn is_optional_member(metadata: &Metadata, of: &PackageId, member: &PackageId) -> bool {
    let name = &metadata[member].name;
    metadata.workspace_members.contains(member)
        && metadata[of]
            .dependencies
            .iter()
            .any(|dependency| dependency.optional && dependency.name == **name)
}

fn reachable<'a>(
    from: &'a PackageId,
    edges: &BTreeMap<&'a PackageId, Vec<&'a PackageId>>,
) -> BTreeSet<&'a PackageId> {
    let mut seen = BTreeSet::new();
    let mut next = vec![from];
    while let Some(id) = next.pop() {
        if seen.insert(id) {
            next.extend(edges.get(id).into_iter().flatten());
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lints_are_inherited_or_not() {
        assert!(inherits_lints(
            "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n\n[dependencies]\n"
        ));
        assert!(!inherits_lints(
            "[package]\nname = \"a\"\n\n[dependencies]\n"
        ));
        assert!(!inherits_lints(
            "[lints]\n[dependencies]\nworkspace = true\n"
        ));
    }
}
