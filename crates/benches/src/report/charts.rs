//! What is drawn of a server's results.

use super::svg::{Caption, Mark, bars, lines};
use super::text::number;
use crate::case::{Case, Kind};
use crate::results::{Row, scenario_order};

/// What growth may cost at most.
const GROWTH: f64 = 1.3;
/// At how many tasks the CPU is shown.
const CPU_TASKS: usize = 16;

/// The implementations, and how each is coloured.
pub(super) fn implementations(rows: &[&Row]) -> Vec<(String, String)> {
    let mut names: Vec<&str> = Vec::new();
    for row in rows {
        if !names.contains(&row.implementation.as_str()) {
            names.push(&row.implementation);
        }
    }
    let mut peers = 0;
    let coloured = names.into_iter().map(|name| {
        let class = match name {
            "raw" => "raw".to_owned(),
            "ours" => "ours".to_owned(),
            _ => {
                peers += 1;
                format!("peer{peers}")
            }
        };
        (name.to_owned(), class)
    });
    coloured.collect()
}

type Names = [(String, String)];

/// What a chart shows of a row.
type Shown = fn(&Row) -> f64;

fn find<'a>(
    rows: &[&'a Row],
    scenario: &str,
    implementation: &str,
    concurrency: usize,
) -> Option<&'a Row> {
    let found = rows.iter().find(|row| {
        row.scenario == scenario
            && row.implementation == implementation
            && row.concurrency == concurrency
    });
    found.copied()
}

fn concurrencies(rows: &[&Row], scenario: &str) -> Vec<usize> {
    let of = rows.iter().filter(|row| row.scenario == scenario);
    let mut all: Vec<_> = of.map(|row| row.concurrency).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Throughput and p99 of each case.
pub(super) fn by_concurrency(rows: &[&Row], names: &Names) -> Vec<String> {
    let charts: [(&str, Shown); 2] = [
        ("operations per second", |row| row.ops_per_s),
        ("p99, µs", |row| row.p99_us),
    ];
    let cards = ordered().filter_map(|case| {
        let concurrencies = concurrencies(rows, case.id());
        if concurrencies.is_empty() || case.kind() == Kind::Cached {
            return None;
        }
        let draw = |(unit, shown): (&'static str, Shown)| {
            let groups = concurrencies.iter().map(|&concurrency| {
                let marks = names.iter().filter_map(|(name, class)| {
                    let row = find(rows, case.id(), name, concurrency)?;
                    let says = format!(
                        "{name}, {concurrency} tasks: {} ops/s, p50 {} µs, p99 {} µs",
                        number(row.ops_per_s),
                        number(row.p50_us),
                        number(row.p99_us)
                    );
                    Some(mark(class, shown(row), says))
                });
                let tasks = if concurrency == 1 { "task" } else { "tasks" };
                (format!("{concurrency} {tasks}"), marks.collect())
            });
            let groups: Vec<_> = groups.collect();
            let title = format!("{} · {}", case.id(), case.title());
            bars(&Caption { title, unit }, &groups)
        };
        Some(charts.map(draw).concat())
    });
    cards.collect()
}

/// All cases, by their scenarios.
fn ordered() -> impl Iterator<Item = Case> {
    let mut cases = Case::ALL;
    cases.sort_by_key(|case| scenario_order(case.id()));
    cases.into_iter()
}

fn mark(class: &str, value: f64, says: String) -> Mark {
    Mark {
        class: class.to_owned(),
        value,
        says,
    }
}

pub(super) fn cpu(rows: &[&Row], names: &Names) -> Vec<String> {
    let halves = [
        (
            "Reads",
            ordered()
                .filter(|case| case.kind() == Kind::Read)
                .collect::<Vec<_>>(),
        ),
        (
            "Writes",
            ordered()
                .filter(|case| case.kind() == Kind::Write)
                .collect(),
        ),
    ];
    let cards = halves.into_iter().filter_map(|(title, cases)| {
        let groups = cases.into_iter().filter_map(|case| {
            let tasks = concurrencies(rows, case.id());
            let tasks = tasks
                .iter()
                .find(|tasks| **tasks == CPU_TASKS)
                .or(tasks.first())?;
            let marks = names.iter().filter_map(|(name, class)| {
                let row = find(rows, case.id(), name, *tasks)?;
                let cpu = row.client_cpu_us_per_op;
                Some(mark(
                    class,
                    cpu,
                    format!("{name}: {cpu:.1} µs per operation at {tasks} tasks"),
                ))
            });
            Some((case.id().to_owned(), marks.collect()))
        });
        let groups: Vec<(String, Vec<Mark>)> = groups.collect();
        let title = title.to_owned();
        let unit = "µs of client CPU per operation";
        (!groups.is_empty()).then(|| bars(&Caption { title, unit }, &groups))
    });
    cards.collect()
}

/// The cost of each case with more rows, to what it is with the fewest.
pub(super) fn growth(rows: &[&Row]) -> Vec<String> {
    let mut counts: Vec<_> = rows
        .iter()
        .filter(|row| row.scenario.starts_with("S11/"))
        .map(|row| row.rows)
        .collect();
    counts.sort_unstable();
    counts.dedup();
    if counts.len() < 2 {
        return Vec::new();
    }
    let labels: Vec<_> = counts
        .iter()
        .map(|&rows| super::text::short(rows as f64))
        .collect();
    let cards = ordered().filter_map(|case| {
        let scenario = format!("S11/{}", case.id());
        let found = |name: &str, count: usize| {
            rows.iter().copied().find(|row| {
                row.scenario == scenario && row.implementation == name && row.rows == count
            })
        };
        let line = |name: &str| -> Vec<Option<Mark>> {
            let first = counts.iter().find_map(|&count| found(name, count));
            let cost = |&count: &usize| {
                let row = found(name, count)?;
                let cost = first?.ops_per_s / row.ops_per_s;
                let says = format!(
                    "{name}, {} rows: {} ops/s, {cost:.2} times the cost",
                    number(count as f64),
                    number(row.ops_per_s)
                );
                cost.is_finite().then(|| mark(name, cost, says))
            };
            counts.iter().map(cost).collect()
        };
        let drawn = [line("raw"), line("ours")];
        if drawn.iter().flatten().all(Option::is_none) {
            return None;
        }
        let caption = Caption {
            title: format!("{} · {}", case.id(), case.title()),
            unit: "cost per operation, to that with the fewest rows",
        };
        Some(lines(&caption, &labels, &drawn, Some(GROWTH)))
    });
    cards.collect()
}

pub(super) fn cleanup(rows: &[&Row], names: &Names) -> Vec<String> {
    let done: Vec<_> = names
        .iter()
        .filter_map(|(name, class)| {
            let row = rows
                .iter()
                .find(|row| row.scenario == "S8" && row.implementation == *name)?;
            Some((name, class, *row))
        })
        .collect();
    if done.is_empty() {
        return Vec::new();
    }
    let speed: Vec<_> = done
        .iter()
        .map(|(name, class, row)| {
            let says = format!("{name}: {} rows a second", number(row.ops_per_s));
            (name.to_string(), vec![mark(class, row.ops_per_s, says)])
        })
        .collect();
    let noticed: Vec<_> = done
        .iter()
        .filter_map(|(name, class, row)| {
            let reads = row.reads?;
            let (before, during) = (reads.p99_before_us, reads.p99_during_us);
            let pair = vec![
                mark(
                    &format!("{class} faint"),
                    before,
                    format!("{name}, before: {} µs", number(before)),
                ),
                mark(
                    class,
                    during,
                    format!("{name}, during: {} µs", number(during)),
                ),
            ];
            Some((format!("{name}: before, during"), pair))
        })
        .collect();
    let caption = |title: &str, unit| Caption {
        title: title.to_owned(),
        unit,
    };
    vec![
        bars(
            &caption("S8 · what is cleaned up", "rows per second"),
            &speed,
        ),
        bars(
            &caption("S8 · reads before and during it", "p99 of S1, µs"),
            &noticed,
        ),
    ]
}

pub(super) fn extras(rows: &[&Row], names: &Names) -> Vec<String> {
    let groups = |scenarios: &[(&str, &str)], value: fn(&Row) -> Option<f64>, unit: &str| {
        let groups = scenarios.iter().filter_map(|(scenario, label)| {
            let marks = names.iter().filter_map(|(name, class)| {
                let row = rows
                    .iter()
                    .find(|row| row.scenario == *scenario && row.implementation == *name)?;
                let value = value(row)?;
                Some(mark(class, value, format!("{name}: {value:.1} {unit}")))
            });
            let marks: Vec<_> = marks.collect();
            (!marks.is_empty()).then(|| ((*label).to_owned(), marks))
        });
        groups.collect::<Vec<_>>()
    };
    let starts = [("S10", "without TLS"), ("S10-tls", "with TLS")];
    let starts = groups(&starts, |row| Some(row.p50_us / 1e3), "ms");
    let memory = groups(&[("S12", "64 tasks")], |row| row.rss_mib, "MiB");
    let mut cards = Vec::new();
    if !starts.is_empty() {
        let title = "S10 · from start to first answer".to_owned();
        cards.push(bars(&Caption { title, unit: "ms" }, &starts));
    }
    if !memory.is_empty() {
        let title = "S12 · memory of a process".to_owned();
        cards.push(bars(
            &Caption {
                title,
                unit: "MiB, at most",
            },
            &memory,
        ));
    }
    cards
}
