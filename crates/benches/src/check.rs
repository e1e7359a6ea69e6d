//! What is to be reached, and what is not.

use std::fmt;

use crate::case::{Case, Kind};
use crate::results::{Results, Row};

/// The concurrencies at which ratios are judged.
const JUDGED: [usize; 2] = [16, 64];
/// How much more an operation may cost among the most sessions than among the fewest.
const GROWTH: f64 = 1.3;
/// On DynamoDB it should not change at all; this is what measuring is unsure by.
const GROWTH_ON_DYNAMO: f64 = 1.1;

/// A target, and what was measured.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) backend: String,
    pub(crate) scenario: String,
    pub(crate) concurrency: usize,
    pub(crate) what: &'static str,
    pub(crate) measured: f64,
    pub(crate) target: f64,
    /// Whether the target is the least that is wanted, or the most.
    pub(crate) at_least: bool,
}

impl Verdict {
    pub(crate) fn holds(&self) -> bool {
        if self.at_least {
            self.measured >= self.target
        } else {
            self.measured <= self.target
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            backend,
            scenario,
            concurrency,
            what,
            measured,
            target,
            ..
        } = self;
        let wanted = if self.at_least { "at least" } else { "at most" };
        let digits = if *target >= 1_000.0 { 0 } else { 2 };
        write!(
            f,
            "{backend} {scenario} at {concurrency} tasks: {what} is {measured:.digits$}, to be {wanted} {target:.digits$}"
        )
    }
}

/// Judges all that has a target.
pub(crate) fn judge(results: &Results) -> Vec<Verdict> {
    let ours = results
        .rows
        .iter()
        .filter(|row| row.implementation == "ours");
    let mut verdicts: Vec<_> = ours.clone().flat_map(row).collect();
    verdicts.extend(growth(ours.collect()));
    verdicts
}

fn on_dynamo(backend: &str) -> bool {
    backend.starts_with("dynamo")
}

fn row(row: &Row) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let mut judge = |what, measured: Option<f64>, target, at_least| {
        verdicts.extend(measured.map(|measured| Verdict {
            backend: row.backend.clone(),
            scenario: row.scenario.clone(),
            concurrency: row.concurrency,
            what,
            measured,
            target,
            at_least,
        }));
    };
    let ratios = row.ratios;
    if row.scenario == "S8" {
        if !on_dynamo(&row.backend) {
            judge("rows a second", Some(row.ops_per_s), 100_000.0, true);
        }
        let slowed = row
            .reads
            .map(|reads| reads.p99_during_us / reads.p99_before_us);
        judge("the p99 of reads during to before", slowed, 2.0, false);
        return verdicts;
    }
    let Some(case) = Case::by_id(&row.scenario) else {
        return verdicts;
    };
    if case.kind() == Kind::Cached {
        let millions = 1.0 / row.client_cpu_us_per_op;
        judge("millions a second on one core", Some(millions), 1.0, true);
        return verdicts;
    }
    if !JUDGED.contains(&row.concurrency) {
        return verdicts;
    }
    let postgres = row.backend == "postgres";
    let (raw, peer) = match case.kind() {
        Kind::Read if postgres => (1.2, 2.0),
        Kind::Read | Kind::Cached => (1.0, 2.0),
        Kind::Write => (0.95, 1.5),
    };
    // Holding a lock takes three operations, of which the save is judged by itself.
    if case != Case::LockLogin {
        judge("ops/s to raw", ratios.ops_to_raw, raw, true);
    }
    if postgres && case.kind() == Kind::Read {
        judge("p99 to raw", ratios.p99_to_raw, 1.0, false);
    }
    let cpu = match case {
        _ if on_dynamo(&row.backend) => 1.1,
        // It decodes 2.5 KB into types.
        Case::GetLtiSession => 1.6,
        _ => 1.2,
    };
    judge("client CPU to raw", ratios.cpu_to_raw, cpu, false);
    judge("ops/s to the best peer", ratios.ops_to_peer, peer, true);
    judge(
        "client CPU to the best peer",
        ratios.cpu_to_peer,
        0.5,
        false,
    );
    verdicts
}

/// What an operation costs among the most sessions, to what it costs among the fewest.
fn growth(mut rows: Vec<&Row>) -> Vec<Verdict> {
    rows.retain(|row| row.scenario.starts_with("S11/"));
    rows.sort_by(|a, b| {
        let place = |row: &Row| {
            (
                row.backend.clone(),
                row.server.clone(),
                row.scenario.clone(),
            )
        };
        place(a).cmp(&place(b)).then(a.rows.cmp(&b.rows))
    });
    let series = rows.chunk_by(|a, b| {
        (&a.backend, &a.server, &a.scenario) == (&b.backend, &b.server, &b.scenario)
    });
    let verdicts = series.filter_map(|series| {
        let (first, last) = (series.first()?, series.last()?);
        (last.rows > first.rows).then(|| Verdict {
            backend: last.backend.clone(),
            scenario: last.scenario.clone(),
            concurrency: last.concurrency,
            what: "the cost among the most sessions to that among the fewest",
            measured: first.ops_per_s / last.ops_per_s,
            target: if on_dynamo(&last.backend) {
                GROWTH_ON_DYNAMO
            } else {
                GROWTH
            },
            at_least: false,
        })
    });
    verdicts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Ratios, Reads};

    fn ours(backend: &str, scenario: &str, concurrency: usize, ratios: Ratios) -> Row {
        Row {
            backend: backend.to_owned(),
            implementation: "ours".to_owned(),
            scenario: scenario.to_owned(),
            concurrency,
            ratios,
            ..Row::default()
        }
    }

    fn misses(rows: Vec<Row>) -> Vec<String> {
        let results = Results {
            rows,
            ..Results::default()
        };
        let missed = judge(&results)
            .into_iter()
            .filter(|verdict| !verdict.holds());
        missed.map(|verdict| verdict.to_string()).collect()
    }

    const GOOD: Ratios = Ratios {
        ops_to_raw: Some(1.1),
        p99_to_raw: Some(1.0),
        cpu_to_raw: Some(1.2),
        ops_to_peer: Some(2.0),
        cpu_to_peer: Some(0.4),
    };

    #[test]
    fn reads_are_wanted_faster_on_postgres() {
        let rows = ["postgres", "mysql"].map(|backend| ours(backend, "S5", 16, GOOD));
        let missed = misses(rows.into());
        assert_eq!(
            missed,
            ["postgres S5 at 16 tasks: ops/s to raw is 1.10, to be at least 1.20"]
        );
    }

    #[test]
    fn writes_and_decoding_have_targets_of_their_own() {
        let ratios = Ratios {
            ops_to_raw: Some(0.96),
            cpu_to_raw: Some(1.5),
            ops_to_peer: Some(1.6),
            ..GOOD
        };
        let missed = misses(vec![
            ours("mysql", "S2", 64, ratios),
            ours("mysql", "S1", 64, ratios),
            // One task at a time is measured and not judged.
            ours("mysql", "S1", 1, ratios),
        ]);
        assert_eq!(
            missed,
            [
                "mysql S2 at 64 tasks: client CPU to raw is 1.50, to be at most 1.20",
                "mysql S1 at 64 tasks: ops/s to raw is 0.96, to be at least 1.00",
                "mysql S1 at 64 tasks: ops/s to the best peer is 1.60, to be at least 2.00",
            ]
        );
    }

    #[test]
    fn cleanup_is_judged_by_its_speed_and_by_what_readers_notice() {
        let mut row = ours("postgres", "S8", 16, Ratios::default());
        row.ops_per_s = 90_000.0;
        row.reads = Some(Reads {
            p99_before_us: 500.0,
            p99_during_us: 1_100.0,
        });
        assert_eq!(misses(vec![row.clone()]).len(), 2);
        row.backend = "dynamo".to_owned();
        assert_eq!(misses(vec![row]).len(), 1);
    }

    #[test]
    fn growth_is_judged_from_end_to_end() {
        let row = |rows, ops_per_s| Row {
            rows,
            ops_per_s,
            ..ours("postgres", "S11/S1", 16, Ratios::default())
        };
        assert!(misses(vec![row(10, 100.0), row(1_000, 80.0), row(100, 50.0)]).is_empty());
        assert_eq!(misses(vec![row(10, 100.0), row(1_000, 70.0)]).len(), 1);
    }

    #[test]
    fn what_was_not_measured_is_not_judged() {
        assert!(misses(vec![ours("mysql", "S7", 16, Ratios::default())]).is_empty());
    }
}
