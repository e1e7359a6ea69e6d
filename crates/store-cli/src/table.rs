//! Tables and lists for people.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};

/// A table with these headings, without lines, so that other tools can cut it into columns.
pub(crate) fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(headings.iter().map(|heading| heading.to_uppercase()));
    table
}

/// The table as text, the columns from `numbers` on aligned to the right.
pub(crate) fn rendered(mut table: Table, numbers: Option<usize>) -> String {
    for (index, column) in table.column_iter_mut().enumerate() {
        let last = if index == 0 { 0 } else { 1 };
        column.set_padding((last, 1));
        if numbers.is_some_and(|from| index >= from) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let text = table.to_string();
    text.lines().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{}", line.trim_end());
        text
    })
}

/// Names and values, one pair a line.
pub(crate) fn pairs(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    pairs.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name:<width$}  {value}");
        text
    })
}

/// Text from a store, which may come from anybody, without what a terminal would obey.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_format(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Invisible characters, those that turn the direction of text among them.
fn is_format(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// "1 row", "2 rows".
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    let word = if number == 1 { one } else { many };
    format!("{number} {word}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_that_a_store_holds() {
        assert_eq!(visible("a\u{1b}[2Jb\u{202e}"), "a\\u{1b}[2Jb\\u{202e}");
        assert_eq!(visible("Übung 🔑"), "Übung 🔑");
    }

    #[test]
    fn columns_line_up() {
        let mut rows = table(&["kind", "deleted"]);
        rows.add_row(["nonces", "12"]);
        let expected = "KIND    DELETED\nnonces       12\n";
        assert_eq!(rendered(rows, Some(1)), expected);
    }
}
