//! Instructions that pure paths take, counted by valgrind: the same at any load of the machine.
//!
//! This program runs itself under valgrind with a number of repetitions and with twice as many. The difference is
//! what the repetitions take, without what starting takes.

mod pure;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

pub(crate) use self::pure::Pure;

/// How often a path is repeated.
const TIMES: u64 = 500;
/// By how much a count may exceed its baseline: hash maps are seeded at random, and so differ a little.
const TOLERANCE: f64 = 0.03;
const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/instructions.json");

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Instructions {
    /// Make what is counted now the baseline.
    #[arg(long)]
    record: bool,
    #[arg(long, default_value = BASELINE, hide = true)]
    baseline: PathBuf,
}

/// What was counted once, and by which compiler for which processor: another's counts can't be compared.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Baseline {
    compiler: String,
    instructions: BTreeMap<String, u64>,
}

impl Instructions {
    /// Counts, and tells whether nothing takes more than before. Where it can't be told, says why and finds no fault.
    pub(crate) fn run(&self) -> Result<bool> {
        if Command::new("valgrind").arg("--version").output().is_err() {
            println!("skipped: valgrind, which counts the instructions, is not installed");
            return Ok(true);
        }
        let mut counted = BTreeMap::new();
        for pure in Pure::ALL {
            counted.insert(pure.name().to_owned(), count(pure)?);
        }
        let now = Baseline {
            compiler: compiler()?,
            instructions: counted,
        };
        if self.record {
            let text = serde_json::to_string_pretty(&now)?;
            std::fs::write(&self.baseline, text + "\n").context("writing the baseline")?;
            print!("{}", lines(&now, None));
            println!("recorded in {}", self.baseline.display());
            return Ok(true);
        }
        let before = std::fs::read_to_string(&self.baseline).context("reading the baseline")?;
        let before: Baseline = serde_json::from_str(&before).context("reading the baseline")?;
        if before.compiler != now.compiler {
            print!("{}", lines(&now, None));
            println!(
                "not compared: the baseline is of {}, this is {}; --record makes a new one",
                before.compiler, now.compiler
            );
            return Ok(true);
        }
        print!("{}", lines(&now, Some(&before)));
        let worse = worse(&now, &before);
        for (name, ratio) in &worse {
            println!("more than before: {name} takes {ratio:.3} times the instructions");
        }
        Ok(worse.is_empty())
    }
}

fn lines(now: &Baseline, before: Option<&Baseline>) -> String {
    let line = |(name, count): (&String, &u64)| {
        let before = before.and_then(|before| before.instructions.get(name));
        let change = before.map_or(String::new(), |before| {
            let change = (*count as f64 / *before as f64 - 1.0) * 100.0;
            format!("{change:>+8.1} %")
        });
        format!("{name:<28}{count:>10}{change}\n")
    };
    now.instructions.iter().map(line).collect()
}

/// What takes more than it did, or has no baseline.
fn worse<'a>(now: &'a Baseline, before: &Baseline) -> Vec<(&'a str, f64)> {
    let ratio = |(name, count): (&'a String, &u64)| {
        let before = before.instructions.get(name).copied().unwrap_or_default();
        (name.as_str(), *count as f64 / before as f64)
    };
    let ratios = now.instructions.iter().map(ratio);
    ratios
        .filter(|(_, ratio)| *ratio > 1.0 + TOLERANCE)
        .collect()
}

/// The instructions of one repetition.
fn count(pure: Pure) -> Result<u64> {
    let once = collected(pure, TIMES)?;
    let twice = collected(pure, TIMES * 2)?;
    Ok(twice.saturating_sub(once) / TIMES)
}

fn collected(pure: Pure, times: u64) -> Result<u64> {
    let program = std::env::current_exe().context("finding this program")?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["pure", pure.name(), &times.to_string()])
        .output()
        .context("running valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "under valgrind {} failed: {said}",
        pure.name()
    );
    let Some(count) = said.lines().find_map(total) else {
        bail!("valgrind told no count: {said}");
    };
    Ok(count)
}

/// From `==123== Collected : 456`.
fn total(line: &str) -> Option<u64> {
    let (_, count) = line.split_once("Collected :")?;
    count.trim().parse().ok()
}

fn compiler() -> Result<String> {
    let output = Command::new("rustc")
        .arg("--version")
        .output()
        .context("asking rustc")?;
    let version = String::from_utf8_lossy(&output.stdout);
    Ok(format!("{} for {}", version.trim(), std::env::consts::ARCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(some: &[(&str, u64)]) -> Baseline {
        let some = some
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count));
        Baseline {
            compiler: "rustc".to_owned(),
            instructions: some.collect(),
        }
    }

    #[test]
    fn what_takes_more_is_found() {
        let before = counts(&[("a", 1_000), ("b", 1_000), ("c", 1_000)]);
        let now = counts(&[("a", 1_029), ("b", 1_031), ("c", 500), ("d", 1)]);
        let worse: Vec<_> = worse(&now, &before)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(worse, ["b", "d"]);
    }

    #[test]
    fn the_total_is_read() {
        assert_eq!(total("==12== Collected : 3456"), Some(3_456));
        assert_eq!(total("==12== Events    : Ir"), None);
    }

    #[test]
    fn every_path_has_a_baseline() {
        let before: Baseline =
            serde_json::from_str(include_str!("../data/instructions.json")).unwrap();
        let names: Vec<_> = Pure::ALL.iter().map(|pure| pure.name()).collect();
        for name in &names {
            assert!(before.instructions.contains_key(*name), "{name}");
        }
        assert_eq!(before.instructions.len(), names.len());
    }
}
