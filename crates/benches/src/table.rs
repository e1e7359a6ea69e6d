//! The table on the terminal.

use comfy_table::{CellAlignment, Table, presets};

use crate::results::{Results, Row};

/// A row for each implementation in each case.
pub(crate) fn render(results: &Results) -> String {
    let mut text = String::new();
    let mut servers: Vec<(&str, &str)> = Vec::new();
    for row in &results.rows {
        let server = (row.backend.as_str(), row.server.as_str());
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    for (backend, server) in servers {
        let of = |row: &&Row| row.backend == backend && row.server == server;
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header([
            "scenario",
            "tasks",
            "rows",
            "",
            "ops/s",
            "p50 µs",
            "p99 µs",
            "CPU µs/op",
            "ops:raw",
            "p99:raw",
            "CPU:raw",
            "ops:peer",
            "CPU:peer",
        ]);
        for row in results.rows.iter().filter(of) {
            table.add_row(cells(row));
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        if let Some(column) = table.column_mut(3) {
            column.set_cell_alignment(CellAlignment::Left);
        }
        text.push_str(&format!("\n{server} ({backend})\n{}\n", table.trim_fmt()));
    }
    for absent in &results.absent {
        text.push_str(&format!(
            "not measured: {} on {}: {}\n",
            absent.implementation, absent.backend, absent.reason
        ));
    }
    text
}

fn cells(row: &Row) -> Vec<String> {
    let ratios = row.ratios;
    let ratio = |ratio: Option<f64>| ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"));
    vec![
        row.scenario.clone(),
        row.concurrency.to_string(),
        thousands(row.rows as f64),
        row.implementation.clone(),
        thousands(row.ops_per_s),
        micros(row.p50_us),
        micros(row.p99_us),
        format!("{:.1}", row.client_cpu_us_per_op),
        ratio(ratios.ops_to_raw),
        ratio(ratios.p99_to_raw),
        ratio(ratios.cpu_to_raw),
        ratio(ratios.ops_to_peer),
        ratio(ratios.cpu_to_peer),
    ]
}

/// Microseconds: with decimals where they are few.
fn micros(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.2}")
    } else {
        thousands(value)
    }
}

/// A whole number with commas.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas() {
        for (number, text) in [
            (0.0, "0"),
            (999.4, "999"),
            (1_000.0, "1,000"),
            (1.2e6, "1,200,000"),
        ] {
            assert_eq!(thousands(number), text);
        }
    }
}
