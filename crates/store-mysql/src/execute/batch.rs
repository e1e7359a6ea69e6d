//! Statements that are sent together, as one text.

use std::fmt::Write as _;

use crate::mapping::Param;
use crate::queries::Query;

const BEGIN: &str = "BEGIN";

/// Statements of a transaction, with their parameters filled in.
pub(crate) struct Batch<'a> {
    /// What telemetry calls it after: the first.
    pub(super) query: &'a Query,
    pub(super) count: usize,
    text: String,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(query: &'a Query, params: &[Param<'_>]) -> Self {
        let mut text = String::with_capacity(1024);
        text.push_str(BEGIN);
        let batch = Self {
            query,
            count: 0,
            text,
        };
        batch.with(query, params)
    }

    /// The same and one more statement.
    pub(crate) fn with(mut self, query: &Query, params: &[Param<'_>]) -> Self {
        self.count += 1;
        self.text.push(';');
        let mut params = params.iter();
        for (index, part) in query.sql.split('?').enumerate() {
            if index > 0 {
                literal(&mut self.text, *params.next().unwrap_or(&Param::Null));
            }
            self.text.push_str(part);
        }
        self
    }

    /// The text that begins the transaction and goes on with the statements.
    pub(super) fn beginning(&self) -> &str {
        &self.text
    }

    /// The text that begins the transaction, and ends it after the statements.
    pub(super) fn whole(mut self) -> Self {
        self.text.push_str(";COMMIT");
        self
    }

    /// The text that ends a transaction that has begun.
    pub(super) fn ending(self) -> String {
        let mut text = self.whole().text;
        text.drain(..=BEGIN.len());
        text
    }
}

/// A value as SQL. Text that is not made of harmless characters alone is written in hexadecimal digits,
/// so that nothing in it can end it.
fn literal(text: &mut String, param: Param<'_>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let bytes = match param {
        Param::Bytes(bytes) => bytes,
        Param::Id(id) => {
            let _ = write!(text, "'{id}'");
            return;
        }
        // Numbers, dates and NULL hold nothing that needs escaping.
        _ => {
            let _ = write!(text, "{}", param.value().as_sql(false));
            return;
        }
    };
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if let (true, Ok(harmless)) = (bytes.iter().all(harmless), std::str::from_utf8(bytes)) {
        text.extend(["'", harmless, "'"]);
        return;
    }
    // Digests are not text.
    if std::str::from_utf8(bytes).is_ok() {
        text.push_str("_utf8mb4 ");
    }
    text.reserve(bytes.len() * 2 + 3);
    text.push_str("x'");
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text.push('\'');
}

#[cfg(test)]
mod tests {
    use store_core::Timestamp;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn values_become_literals_that_nothing_can_break_out_of() {
        let sql = |param: Param<'_>| {
            let mut text = String::new();
            literal(&mut text, param);
            text
        };
        assert_eq!(sql("a'".into()), "_utf8mb4 x'6127'");
        assert_eq!(sql("a\\".into()), "_utf8mb4 x'615c'");
        assert_eq!(sql("a b".into()), "_utf8mb4 x'612062'");
        assert_eq!(sql("sp_A-z0".into()), "'sp_A-z0'");
        assert_eq!(sql("".into()), "''");
        assert_eq!(sql(Param::Bytes(&[0xff, 0])), "x'ff00'");
        assert_eq!(sql(Param::Null), "NULL");
        assert_eq!(sql(Param::Signed(-5)), "-5");
        assert_eq!(
            sql(Param::Id(Uuid::nil())),
            "'00000000-0000-0000-0000-000000000000'"
        );
        let at = Param::At(Timestamp::from_unix_millis(1_893_553_445_006));
        assert_eq!(sql(at), "'2030-01-02 03:04:05.006000'");
    }
}
