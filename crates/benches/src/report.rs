//! `report.html`: one file that needs nothing else, for light screens and dark ones.

mod charts;
mod svg;
mod text;

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use self::text::{escaped, micros, number};
use crate::check::{self, Verdict};
use crate::results::{Results, Row};

const STYLE: &str = include_str!("../data/report.css");

/// The page.
pub(crate) fn render(results: &Results) -> String {
    let verdicts = check::judge(results);
    let mut page = String::new();
    let servers = servers(results);
    let names: Vec<_> = servers.iter().map(|(_, server)| escaped(server)).collect();
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Speed of the stores</title>\n<style>\n{STYLE}</style>\n\
         <header>\n<h1>Speed of the stores</h1>\n<p>On {}. Implementations took turns in one run on each server, \
         so only the ratios between them mean anything; they are medians of the ratios of each round. A peer is the best of them.</p>\n",
        names.join(", ")
    );
    page.push_str(&summary(&verdicts));
    page.push_str("</header>\n<main>\n");
    for (backend, server) in servers {
        let of = |row: &&Row| row.backend == backend && row.server == server;
        let rows: Vec<&Row> = results.rows.iter().filter(of).collect();
        let mine: Vec<_> = verdicts
            .iter()
            .filter(|verdict| verdict.backend == backend)
            .collect();
        section(&mut page, server, &rows, &mine);
    }
    absent(&mut page, results);
    page.push_str("</main>\n</html>\n");
    page
}

pub(crate) fn write(results: &Results, path: &Path) -> Result<()> {
    std::fs::write(path, render(results)).with_context(|| format!("writing {}", path.display()))
}

/// In the order in which they were measured.
fn servers(results: &Results) -> Vec<(&str, &str)> {
    let mut servers = Vec::new();
    for row in &results.rows {
        let server = (row.backend.as_str(), row.server.as_str());
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    servers
}

fn summary(verdicts: &[Verdict]) -> String {
    if verdicts.is_empty() {
        return "<p>Nothing that has a target was measured.</p>\n".to_owned();
    }
    let missed: Vec<_> = verdicts.iter().filter(|verdict| !verdict.holds()).collect();
    let mut text = format!(
        "<p class=\"score\"><b>{}</b> of {} targets reached.</p>\n",
        verdicts.len() - missed.len(),
        verdicts.len()
    );
    if !missed.is_empty() {
        text.push_str("<details><summary>What is missed</summary><ul>\n");
        for verdict in missed {
            let _ = writeln!(text, "<li>{}</li>", escaped(&verdict.to_string()));
        }
        text.push_str("</ul></details>\n");
    }
    text
}

fn section(page: &mut String, server: &str, rows: &[&Row], verdicts: &[&Verdict]) {
    let implementations = charts::implementations(rows);
    let _ = write!(page, "<section>\n<h2>{}</h2>\n", escaped(server));
    page.push_str("<p class=\"legend\">");
    for (name, class) in &implementations {
        let _ = write!(
            page,
            "<span><i class=\"{class}\"></i>{}</span>",
            escaped(name)
        );
    }
    page.push_str("</p>\n");
    ratios(page, rows, verdicts);
    group(
        page,
        "By concurrency",
        &charts::by_concurrency(rows, &implementations),
    );
    group(
        page,
        "Client CPU per operation",
        &charts::cpu(rows, &implementations),
    );
    group(page, "Growth with rows", &charts::growth(rows));
    group(
        page,
        "Cleaning up, and what readers notice",
        &charts::cleanup(rows, &implementations),
    );
    group(
        page,
        "Starting, and memory",
        &charts::extras(rows, &implementations),
    );
    page.push_str("</section>\n");
}

fn group(page: &mut String, title: &str, cards: &[String]) {
    // Two charts on a card need more room.
    let two = cards.iter().any(|card| card.matches("<svg").count() > 1);
    let class = if two { "pairs" } else { "cards" };
    if cards.is_empty() {
        return;
    }
    let _ = write!(page, "<h3>{title}</h3>\n<div class=\"{class}\">\n");
    for card in cards {
        let _ = writeln!(page, "<figure>{card}</figure>");
    }
    page.push_str("</div>\n");
}

/// How ours compares, a line for each case and concurrency.
fn ratios(page: &mut String, rows: &[&Row], verdicts: &[&Verdict]) {
    let ours: Vec<_> = rows
        .iter()
        .filter(|row| {
            row.implementation == "ours" && crate::case::Case::by_id(&row.scenario).is_some()
        })
        .collect();
    if ours.is_empty() {
        return;
    }
    page.push_str(
        "<h3>Ours, compared</h3>\n<div class=\"wide\"><table>\n<tr><th>scenario<th>tasks<th>ops/s<th>p50 µs<th>p99 µs\
         <th>CPU µs/op<th>ops : raw<th>p99 : raw<th>CPU : raw<th>ops : peer<th>CPU : peer</tr>\n",
    );
    for row in ours {
        let title = crate::case::Case::by_id(&row.scenario).map_or("", crate::case::Case::title);
        let _ = write!(
            page,
            "<tr><th title=\"{}\">{} <small>{}</small><td>{}<td>{}<td>{}<td>{}<td>{:.1}",
            escaped(title),
            escaped(&row.scenario),
            escaped(title),
            row.concurrency,
            number(row.ops_per_s),
            micros(row.p50_us),
            micros(row.p99_us),
            row.client_cpu_us_per_op,
        );
        let ratios = row.ratios;
        for (what, ratio) in [
            ("ops/s to raw", ratios.ops_to_raw),
            ("p99 to raw", ratios.p99_to_raw),
            ("client CPU to raw", ratios.cpu_to_raw),
            ("ops/s to the best peer", ratios.ops_to_peer),
            ("client CPU to the best peer", ratios.cpu_to_peer),
        ] {
            let verdict = verdicts.iter().find(|verdict| {
                verdict.what == what
                    && verdict.scenario == row.scenario
                    && verdict.concurrency == row.concurrency
            });
            let class = match verdict.map(|verdict| verdict.holds()) {
                Some(true) => " class=\"good\"",
                Some(false) => " class=\"bad\"",
                None => "",
            };
            match ratio {
                Some(ratio) => {
                    let _ = write!(page, "<td{class}>{ratio:.2}");
                }
                None => page.push_str("<td class=\"none\">–"),
            }
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table></div>\n");
}

fn absent(page: &mut String, results: &Results) {
    if results.absent.is_empty() {
        return;
    }
    page.push_str("<section>\n<h2>Not measured</h2>\n<ul>\n");
    for absent in &results.absent {
        let _ = writeln!(
            page,
            "<li>{} on {}: {}</li>",
            escaped(&absent.implementation),
            escaped(&absent.backend),
            escaped(&absent.reason)
        );
    }
    page.push_str("</ul>\n</section>\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Sample;
    use crate::results::{Absent, Reads};

    fn row(implementation: &str, scenario: &str, concurrency: usize, rows: usize) -> Row {
        let mut row = Row {
            backend: "postgres".to_owned(),
            server: "PostgreSQL <15>".to_owned(),
            implementation: implementation.to_owned(),
            scenario: scenario.to_owned(),
            concurrency,
            rows,
            ..Row::default()
        };
        row.push(Sample {
            ops_per_s: 12_345.0,
            p50_us: 300.0,
            p99_us: 900.0,
            client_cpu_us_per_op: 12.5,
        });
        row
    }

    fn results() -> Results {
        let mut rows = Vec::new();
        for implementation in ["raw", "ours", "tower-sessions-sqlx-store"] {
            for tasks in [1, 16, 64] {
                rows.push(row(implementation, "S1", tasks, 100));
            }
            let mut cleanup = row(implementation, "S8", 16, 100);
            cleanup.reads = Some(Reads {
                p99_before_us: 500.0,
                p99_during_us: 2_000.0,
            });
            rows.push(cleanup);
            rows.push(row(implementation, "S10", 1, 100));
            let mut memory = row(implementation, "S12", 64, 100);
            memory.rss_mib = Some(21.5);
            rows.push(memory);
            for count in [10, 1_000] {
                rows.push(row(implementation, "S11/S1", 16, count));
            }
        }
        let absent = Absent {
            backend: "postgres".to_owned(),
            implementation: "npm".to_owned(),
            reason: "not <there>".to_owned(),
        };
        let mut results = Results {
            rows,
            absent: vec![absent],
        };
        results.compare();
        results
    }

    #[test]
    fn the_page_shows_everything_and_needs_nothing_else() {
        let page = render(&results());
        for shown in [
            "PostgreSQL &lt;15&gt;",
            "LTI session by id",
            "Growth with rows",
            "Cleaning up",
            "Starting, and memory",
            "not &lt;there&gt;",
            "of 13 targets reached",
        ] {
            assert!(page.contains(shown), "{shown}");
        }
        for foreign in ["http://", "https://", "<script", "<15>", "NaN", "inf"] {
            assert!(!page.contains(foreign), "{foreign}");
        }
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    }

    #[test]
    fn a_page_without_results_says_so() {
        assert!(render(&Results::default()).contains("Nothing that has a target"));
    }
}
