//! What the tests reported: conformance cases from the report file, the rest from libtest's result lines.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::AddAssign;

use comfy_table::{CellAlignment, Table, presets};
use serde::{Deserialize, Deserializer};

/// One line of the report file: a conformance case that ran, or was skipped, on one server by one lane.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Case {
    backend: String,
    /// Empty where there was none to run against.
    #[serde(deserialize_with = "none_is_empty")]
    server: String,
    lane: String,
    case: String,
    status: Status,
    reason: Option<String>,
}

fn none_is_empty<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Option::<String>::deserialize(from).map(Option::unwrap_or_default)
}

impl Case {
    pub(crate) fn backend(&self) -> &str {
        &self.backend
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Passed,
    Failed,
    Skipped,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Counts {
    pub(crate) fn ran(self) -> u64 {
        self.passed + self.failed
    }

    fn count(&mut self, status: Status) {
        match status {
            Status::Passed => self.passed += 1,
            Status::Failed => self.failed += 1,
            Status::Skipped => self.skipped += 1,
        }
    }

    fn row(self, name: [&str; 3]) -> Vec<String> {
        let counts = [self.ran(), self.passed, self.failed, self.skipped];
        name.iter()
            .map(|text| (*text).to_owned())
            .chain(counts.map(|count| count.to_string()))
            .collect()
    }

    /// The closing line of a test run.
    pub(crate) fn closing_line(self) -> String {
        let mut line = format!("{} passed, {} failed", self.passed, self.failed);
        if self.skipped > 0 {
            let _ = write!(line, ", {} skipped", self.skipped);
        }
        line
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// The counts of a `test result: ok. 3 passed; 0 failed; 1 ignored; ...` line, which libtest and libtest-mimic print.
pub(crate) fn result_line(line: &str) -> Option<Counts> {
    let (_, rest) = line.split_once("test result: ")?;
    let (_, rest) = rest.split_once(". ")?;
    let mut counts = Counts::default();
    let mut known = 0;
    for part in rest.split(';') {
        let mut words = part.split_whitespace();
        let (Some(number), Some(what)) = (words.next(), words.next()) else {
            continue;
        };
        let field = match what {
            "passed" => &mut counts.passed,
            "failed" => &mut counts.failed,
            "ignored" => &mut counts.skipped,
            _ => continue,
        };
        *field = number.parse().ok()?;
        known += 1;
    }
    (known == 3).then_some(counts)
}

/// What a whole run reported.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) cases: Vec<Case>,
    /// All of libtest's result lines, the conformance cases among them.
    pub(crate) libtest: Counts,
    /// Failures that no result line counts: a build that failed, a test program that crashed.
    pub(crate) uncounted_failures: u64,
    /// Lines of the report file that say nothing known.
    pub(crate) unreadable: usize,
}

impl Report {
    /// Takes in the report file's text.
    pub(crate) fn read_cases(&mut self, text: &str) {
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match serde_json::from_str(line) {
                Ok(case) => self.cases.push(case),
                Err(_) => self.unreadable += 1,
            }
        }
    }

    fn conformance(&self) -> Counts {
        let mut counts = Counts::default();
        for case in &self.cases {
            counts.count(case.status);
        }
        counts
    }

    /// Unit, documentation and integration tests.
    fn other(&self) -> Counts {
        let cases = self.conformance();
        Counts {
            passed: self.libtest.passed.saturating_sub(cases.passed),
            failed: self.libtest.failed.saturating_sub(cases.failed) + self.uncounted_failures,
            skipped: self.libtest.skipped.saturating_sub(cases.skipped),
        }
    }

    pub(crate) fn total(&self) -> Counts {
        let mut total = self.conformance();
        total += self.other();
        total
    }

    /// The table, and below it what failed and why what was skipped was skipped.
    pub(crate) fn render(&self) -> String {
        let mut lanes: BTreeMap<[&str; 3], Counts> = BTreeMap::new();
        let mut skips: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
        let mut failures = String::new();
        for case in &self.cases {
            lanes
                .entry([&case.backend, &case.server, &case.lane])
                .or_default()
                .count(case.status);
            let reason = case.reason.as_deref();
            match case.status {
                Status::Passed => {}
                Status::Failed => {
                    let reason = reason
                        .and_then(|reason| reason.lines().next())
                        .unwrap_or_default();
                    let _ = writeln!(
                        failures,
                        "  {}, {}, {}: {} {reason}",
                        case.backend, case.server, case.lane, case.case
                    );
                }
                Status::Skipped => {
                    let reason = reason.unwrap_or("no reason given");
                    *skips
                        .entry((&case.backend, &case.lane, reason))
                        .or_default() += 1;
                }
            }
        }
        let other = self.other();

        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header([
            "backend",
            "server",
            "lane",
            "cases run",
            "passed",
            "failed",
            "skipped",
        ]);
        for (name, counts) in lanes {
            table.add_row(counts.row(name));
        }
        table.add_row(other.row(["other tests", "", ""]));
        for column in table.column_iter_mut().skip(3) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let mut text = format!("{}\n", table.trim_fmt());

        if !failures.is_empty() {
            let _ = write!(text, "failed conformance cases:\n{failures}");
        }
        if !skips.is_empty() || other.skipped > 0 {
            text.push_str("skipped:\n");
        }
        for ((backend, lane, reason), count) in skips {
            let _ = writeln!(text, "  {count} of {backend}, {lane}: {reason}");
        }
        if other.skipped > 0 {
            let _ = writeln!(
                text,
                "  {} other tests: each says why where it is defined",
                other.skipped
            );
        }
        if self.unreadable > 0 {
            let _ = writeln!(
                text,
                "note: {} lines of the report file were not understood",
                self.unreadable
            );
        }
        if self.conformance().ran() > self.libtest.ran() {
            text.push_str(
                "note: more conformance cases were reported than test programs counted\n",
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = r#"
{"backend":"postgres","server":"PostgreSQL 15.18","lane":"direct","case":"nonces::consumed_once","status":"passed","reason":null,"ms":12}
{"backend":"postgres","server":"PostgreSQL 15.18","lane":"direct","case":"nonces::expired","status":"failed","reason":"left: 1\nright: 2","ms":3}
{"backend":"postgres","server":"PostgreSQL 15.18","lane":"pgbouncer","case":"bootstrap::role","status":"skipped","reason":"needs DDL","ms":0}
{"backend":"memory","server":"memory","lane":"direct","case":"nonces::consumed_once","status":"passed","ms":1,"later":true}
{"backend":"torn
"#;

    fn report() -> Report {
        let mut report = Report {
            libtest: Counts {
                passed: 5,
                failed: 2,
                skipped: 1,
            },
            ..Report::default()
        };
        report.read_cases(LINES);
        report
    }

    #[test]
    fn result_lines_are_recognised() {
        let line = "test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.10s";
        let counts = Counts {
            passed: 3,
            failed: 2,
            skipped: 1,
        };
        assert_eq!(result_line(line), Some(counts));
        assert_eq!(result_line(&format!("\u{1b}[32m{line}")), Some(counts));
        for other in [
            "",
            "test nonces::consumed_once ... ok",
            "test result: ok.",
            "test result: ok. x passed; 0 failed; 0 ignored",
        ] {
            assert_eq!(result_line(other), None, "{other}");
        }
    }

    #[test]
    fn every_test_counts_once() {
        let report = report();
        assert_eq!(report.unreadable, 1);
        assert_eq!(
            report.other(),
            Counts {
                passed: 3,
                failed: 1,
                skipped: 0
            }
        );
        assert_eq!(report.total(), report.libtest);
        assert_eq!(
            report.total().closing_line(),
            "5 passed, 2 failed, 1 skipped"
        );
        assert_eq!(
            Counts {
                passed: 1,
                ..Counts::default()
            }
            .closing_line(),
            "1 passed, 0 failed"
        );
    }

    #[test]
    fn the_table_has_a_row_for_each_lane_and_the_reasons_below() {
        let text = report().render();
        let rows: Vec<Vec<_>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert!(
            rows.contains(&vec!["memory", "memory", "direct", "1", "1", "0", "0"]),
            "{text}"
        );
        assert!(
            rows.contains(&vec![
                "postgres",
                "PostgreSQL",
                "15.18",
                "direct",
                "2",
                "1",
                "1",
                "0"
            ]),
            "{text}"
        );
        assert!(
            rows.contains(&vec!["other", "tests", "4", "3", "1", "0"]),
            "{text}"
        );
        assert!(
            text.contains("  1 of postgres, pgbouncer: needs DDL\n"),
            "{text}"
        );
        assert!(
            text.contains("  postgres, PostgreSQL 15.18, direct: nonces::expired left: 1\n"),
            "{text}"
        );
        assert!(text.contains("1 lines of the report file"), "{text}");
    }

    #[test]
    fn a_failure_that_nothing_counts_is_one_of_the_others() {
        let report = Report {
            uncounted_failures: 1,
            ..Report::default()
        };
        assert_eq!(report.total().closing_line(), "0 passed, 1 failed");
    }
}
