//! What was measured, as it is written to `results.json`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::measure::Sample;

/// All that one run, or several that were merged, measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) rows: Vec<Row>,
    /// What could not be measured, and why.
    #[serde(default)]
    pub(crate) absent: Vec<Absent>,
}

/// One implementation in one case on one server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) backend: String,
    pub(crate) server: String,
    pub(crate) implementation: String,
    pub(crate) scenario: String,
    pub(crate) concurrency: usize,
    /// How many sessions of each kind were stored at first.
    pub(crate) rows: usize,
    /// Medians of the rounds.
    pub(crate) ops_per_s: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) client_cpu_us_per_op: f64,
    pub(crate) rounds: Vec<Sample>,
    /// The 99th percentile of reads before the cleanup began and while it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reads: Option<Reads>,
    /// The most memory that the process had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rss_mib: Option<f64>,
    #[serde(default)]
    pub(crate) ratios: Ratios,
}

/// How a cleanup affects reads.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reads {
    pub(crate) p99_before_us: f64,
    pub(crate) p99_during_us: f64,
}

/// How a row compares with others of the same case: medians of the ratios of each round.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ratios {
    pub(crate) ops_to_raw: Option<f64>,
    pub(crate) p99_to_raw: Option<f64>,
    pub(crate) cpu_to_raw: Option<f64>,
    /// The peer is the one with the most operations per second.
    pub(crate) ops_to_peer: Option<f64>,
    pub(crate) cpu_to_peer: Option<f64>,
}

/// What could not be measured.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Absent {
    pub(crate) backend: String,
    pub(crate) implementation: String,
    pub(crate) reason: String,
}

/// What rows are compared within.
pub(crate) type Group = (String, String, String, usize, usize);

impl Row {
    /// Takes in what a further round measured.
    pub(crate) fn push(&mut self, round: Sample) {
        self.rounds.push(round);
        let of = |value: fn(&Sample) -> f64| median(self.rounds.iter().map(value));
        self.ops_per_s = of(|round| round.ops_per_s).unwrap_or_default();
        self.p50_us = of(|round| round.p50_us).unwrap_or_default();
        self.p99_us = of(|round| round.p99_us).unwrap_or_default();
        self.client_cpu_us_per_op = of(|round| round.client_cpu_us_per_op).unwrap_or_default();
    }

    pub(crate) fn group(&self) -> Group {
        (
            self.backend.clone(),
            self.server.clone(),
            self.scenario.clone(),
            self.concurrency,
            self.rows,
        )
    }

    pub(crate) fn is_peer(&self) -> bool {
        self.implementation != "ours" && self.implementation != "raw"
    }

    fn to(&self, other: &Self, value: fn(&Sample) -> f64) -> Option<f64> {
        let pairs = self.rounds.iter().zip(&other.rounds);
        median(
            pairs
                .map(|(a, b)| value(a) / value(b))
                .filter(|ratio| ratio.is_finite()),
        )
    }

    fn ratios(&self, raw: Option<&Self>, peer: Option<&Self>) -> Ratios {
        let ops = |round: &Sample| round.ops_per_s;
        let cpu = |round: &Sample| round.client_cpu_us_per_op;
        Ratios {
            ops_to_raw: raw.and_then(|raw| self.to(raw, ops)),
            p99_to_raw: raw.and_then(|raw| self.to(raw, |round| round.p99_us)),
            cpu_to_raw: raw.and_then(|raw| self.to(raw, cpu)),
            ops_to_peer: peer.and_then(|peer| self.to(peer, ops)),
            cpu_to_peer: peer.and_then(|peer| self.to(peer, cpu)),
        }
    }
}

/// By the scenario's number, then by the rest of its name.
pub(crate) fn scenario_order(scenario: &str) -> (u32, String) {
    let name = scenario.trim_start_matches('S');
    let end = name
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(name.len());
    (
        name[..end].parse().unwrap_or(u32::MAX),
        name[end..].to_owned(),
    )
}

/// The middle value, or the mean of the two middle ones.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        even if even % 2 == 0 => Some(f64::midpoint(values[middle - 1], values[middle])),
        _ => Some(values[middle]),
    }
}

impl Results {
    /// The row with this place, which is added if it is new.
    pub(crate) fn row(&mut self, blank: Row) -> &mut Row {
        let place = (blank.group(), blank.implementation.clone());
        let found = self
            .rows
            .iter()
            .position(|row| (row.group(), row.implementation.clone()) == place);
        let index = found.unwrap_or_else(|| {
            self.rows.push(blank);
            self.rows.len() - 1
        });
        &mut self.rows[index]
    }

    /// Puts rows in order and computes all ratios anew.
    pub(crate) fn compare(&mut self) {
        self.rows.sort_by_cached_key(|row| {
            let scenario = scenario_order(&row.scenario);
            (
                row.backend.clone(),
                row.server.clone(),
                scenario,
                row.concurrency,
                row.rows,
            )
        });
        let mut groups: BTreeMap<Group, Vec<usize>> = BTreeMap::new();
        for (index, row) in self.rows.iter().enumerate() {
            groups.entry(row.group()).or_default().push(index);
        }
        for members in groups.values() {
            let rows: Vec<Row> = members.iter().map(|&i| self.rows[i].clone()).collect();
            let raw = rows.iter().find(|row| row.implementation == "raw");
            let peers = rows.iter().filter(|row| row.is_peer());
            let peer = peers.max_by(|a, b| a.ops_per_s.total_cmp(&b.ops_per_s));
            for (&index, row) in members.iter().zip(&rows) {
                self.rows[index].ratios = match row.implementation.as_str() {
                    "ours" => row.ratios(raw, peer),
                    "raw" => Ratios::default(),
                    _ => row.ratios(raw, None),
                };
            }
        }
    }

    /// Takes in what another run measured, in place of what is there of the same.
    pub(crate) fn merge(&mut self, other: Self) {
        for row in other.rows {
            let place = self.row(row.clone());
            *place = row;
        }
        self.absent.extend(other.absent);
        self.absent.sort();
        self.absent.dedup();
        self.compare();
    }

    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_str(&text)
            .with_context(|| format!("{} is no results file", path.display()))
    }

    /// Writes all of it, so that whoever reads it meanwhile sees the old or the new.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let within = || format!("writing {}", path.display());
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).with_context(within)?;
        }
        let new = path.with_extension("json.new");
        fs::write(&new, serde_json::to_string_pretty(self)?).with_context(within)?;
        fs::rename(&new, path).with_context(within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(ops: f64, cpu: f64) -> Sample {
        Sample {
            ops_per_s: ops,
            p50_us: 1.0,
            p99_us: 1e6 / ops,
            client_cpu_us_per_op: cpu,
        }
    }

    fn row(implementation: &str, rounds: &[(f64, f64)]) -> Row {
        let mut row = Row {
            backend: "postgres".to_owned(),
            implementation: implementation.to_owned(),
            scenario: "S1".to_owned(),
            concurrency: 16,
            ..Row::default()
        };
        for &(ops, cpu) in rounds {
            row.push(round(ops, cpu));
        }
        row
    }

    #[test]
    fn medians() {
        assert_eq!(median([].into_iter()), None);
        assert_eq!(median([3.0].into_iter()), Some(3.0));
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
    }

    #[test]
    fn scenarios_are_in_order() {
        let mut names = ["S10", "S9-load", "S11/S1", "S6-rotate", "S2", "S6-renew"];
        names.sort_by_key(|name| scenario_order(name));
        assert_eq!(
            names,
            ["S2", "S6-renew", "S6-rotate", "S9-load", "S10", "S11/S1"]
        );
    }

    #[test]
    fn a_row_is_the_median_of_its_rounds() {
        let row = row("raw", &[(100.0, 9.0), (300.0, 7.0), (200.0, 8.0)]);
        assert_eq!((row.ops_per_s, row.client_cpu_us_per_op), (200.0, 8.0));
    }

    #[test]
    fn ratios_are_of_the_same_round_and_of_the_best_peer() {
        let mut results = Results {
            rows: vec![
                // The machine got slower, and both did.
                row("raw", &[(100.0, 10.0), (50.0, 20.0), (50.0, 20.0)]),
                row("ours", &[(110.0, 12.0), (55.0, 24.0), (60.0, 24.0)]),
                row("slow peer", &[(10.0, 90.0), (5.0, 90.0), (5.0, 90.0)]),
                row("fast peer", &[(55.0, 24.0), (55.0, 24.0), (60.0, 24.0)]),
            ],
            ..Results::default()
        };
        results.compare();
        let ours = results.rows[1].ratios;
        assert!((ours.ops_to_raw.unwrap() - 1.1).abs() < 1e-9);
        assert!((ours.cpu_to_raw.unwrap() - 1.2).abs() < 1e-9);
        assert!((ours.ops_to_peer.unwrap() - 1.0).abs() < 1e-9);
        assert_eq!(results.rows[0].ratios, Ratios::default());
        assert_eq!(results.rows[2].ratios.ops_to_peer, None);
        assert!((results.rows[2].ratios.ops_to_raw.unwrap() - 0.1).abs() < 1e-9);
    }

    #[test]
    fn other_runs_are_taken_in() {
        let mut first = Results {
            rows: vec![row("raw", &[(100.0, 1.0)]), row("ours", &[(100.0, 1.0)])],
            ..Results::default()
        };
        let second = Results {
            rows: vec![row("ours", &[(200.0, 1.0)])],
            ..Results::default()
        };
        first.merge(second);
        assert_eq!(first.rows.len(), 2);
        assert_eq!(first.rows[1].ratios.ops_to_raw, Some(2.0));
    }

    #[test]
    fn files_are_read_as_they_were_written() {
        let directory = std::env::temp_dir().join(format!("benches-{}", std::process::id()));
        let path = directory.join("results.json");
        let mut results = Results {
            rows: vec![row("raw", &[(100.0, 1.0)])],
            ..Results::default()
        };
        results.compare();
        results.write(&path).unwrap();
        assert_eq!(Results::read(&path).unwrap(), results);
        fs::remove_dir_all(directory).unwrap();
    }
}
