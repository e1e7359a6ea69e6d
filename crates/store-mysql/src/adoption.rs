//! Recognising tables that are there already, and what brings those of the npm originals into our form.

use mysql_async::Row;
use store_core::{Error, ErrorKind, Result};

use crate::bootstrap::Session;
use crate::mapping;
use crate::names::TableNames;

mod shapes;

use shapes::Kind::{self, Big, Bytes, Instant, Integer, Json, Key, Long, Short};
use shapes::{Index, Shape, shape};

/// A column as it is.
struct Found {
    name: String,
    data_type: String,
    column_type: String,
    length: i64,
    precision: i64,
    charset: String,
    collation: String,
    nullable: bool,
    default: Option<String>,
    extra: String,
}

fn found(row: &Row) -> Result<Found> {
    let text = |index| {
        Ok(mapping::optional_str(row, index)?
            .unwrap_or_default()
            .to_owned())
    };
    Ok(Found {
        name: text(0)?,
        data_type: text(1)?.to_ascii_lowercase(),
        column_type: text(2)?,
        length: mapping::optional_number(row, 3)?.unwrap_or_default(),
        precision: mapping::optional_number(row, 4)?.unwrap_or_default(),
        charset: text(5)?,
        collation: text(6)?,
        nullable: text(7)? == "YES",
        default: mapping::optional_str(row, 8)?.map(str::to_owned),
        extra: text(9)?.to_ascii_lowercase(),
    })
}

impl Found {
    fn fits(&self, kind: Kind) -> bool {
        let types: &[&str] = match kind {
            Key(_) | Short(_) => &["varchar"],
            Long => &["text", "mediumtext", "longtext"],
            // MariaDB's JSON is text with a check.
            Json => &["json", "longtext"],
            Instant => &["datetime"],
            Integer => &["int"],
            Big => &["bigint"],
            Bytes => &["binary"],
        };
        types.contains(&self.data_type.as_str())
    }

    /// What the column must become, or `None` if it is right.
    fn mended(&self, kind: Kind, binary: &str) -> Option<String> {
        const BINARY: [&str; 2] = ["utf8mb4_0900_bin", "utf8mb4_nopad_bin"];
        let definition = match kind {
            Key(length) => {
                if BINARY.contains(&self.collation.as_str()) && self.length >= length {
                    return None;
                }
                let length = length.max(self.length);
                format!("varchar({length}) CHARACTER SET utf8mb4 COLLATE {binary}")
            }
            Short(length) => {
                if self.charset == "utf8mb4" && self.length >= length {
                    return None;
                }
                format!("varchar({}) CHARACTER SET utf8mb4", length.max(self.length))
            }
            Long if self.charset != "utf8mb4" => {
                format!("{} CHARACTER SET utf8mb4", self.data_type)
            }
            Instant if self.precision < 3 || self.name == "usedAt" && self.has_default() => {
                "datetime(3)".to_owned()
            }
            _ => return None,
        };
        let null = if self.nullable { "NULL" } else { "NOT NULL" };
        let stamped = self
            .default
            .as_deref()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let default = if kind == Instant && stamped.starts_with("current_timestamp") {
            " DEFAULT CURRENT_TIMESTAMP(3)"
        } else {
            ""
        };
        Some(format!("{definition} {null}{default}"))
    }

    /// MariaDB spells the default of a column without one `NULL`.
    fn has_default(&self) -> bool {
        self.default.as_deref().is_some_and(|text| text != "NULL")
    }

    /// Whether an insertion that does not name it fails.
    fn must_be_given(&self) -> bool {
        !self.nullable
            && !self.has_default()
            && !self.extra.contains("auto_increment")
            && !self.extra.contains("generated")
    }
}

const COLUMNS: &str = "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_MAXIMUM_LENGTH,
       DATETIME_PRECISION, CHARACTER_SET_NAME, COLLATION_NAME, IS_NULLABLE, COLUMN_DEFAULT, EXTRA
     FROM information_schema.COLUMNS
     WHERE TABLE_SCHEMA = COALESCE(?, DATABASE()) AND TABLE_NAME = ?";

const TABLE: &str = "SELECT TABLE_TYPE, ENGINE FROM information_schema.TABLES
     WHERE TABLE_SCHEMA = COALESCE(?, DATABASE()) AND TABLE_NAME = ?";

const INDEXES: &str = "SELECT INDEX_NAME, NON_UNIQUE, COLUMN_NAME, SUB_PART
     FROM information_schema.STATISTICS
     WHERE TABLE_SCHEMA = COALESCE(?, DATABASE()) AND TABLE_NAME = ?
     ORDER BY INDEX_NAME, SEQ_IN_INDEX";

const FOREIGN_KEYS: &str = "SELECT k.CONSTRAINT_NAME, k.COLUMN_NAME, k.REFERENCED_TABLE_NAME,
       r.DELETE_RULE
     FROM information_schema.KEY_COLUMN_USAGE k
     JOIN information_schema.REFERENTIAL_CONSTRAINTS r
       ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME
     WHERE k.TABLE_SCHEMA = COALESCE(?, DATABASE()) AND k.TABLE_NAME = ?
       AND k.REFERENCED_TABLE_NAME IS NOT NULL";

/// The columns of a table; none if it is not there.
async fn columns(session: &mut Session<'_>, names: &TableNames, table: &str) -> Result<Vec<Found>> {
    let rows = session.ask(COLUMNS, of(names, table)).await?;
    rows.iter().map(found).collect()
}

fn of(names: &TableNames, table: &str) -> Vec<mysql_async::Value> {
    vec![names.database.as_deref().into(), names.table(table).into()]
}

/// Whether `table` is there and can be taken over; an error if it is there and somebody else's, or
/// holds rows that can't be kept under our keys. Changes nothing.
pub(crate) async fn recognise(
    session: &mut Session<'_>,
    names: &TableNames,
    table: &str,
) -> Result<bool> {
    let there = session.ask(TABLE, of(names, table)).await?;
    let Some(row) = there.first() else {
        return Ok(false);
    };
    let kind = mapping::optional_str(row, 0)?.unwrap_or_default();
    let engine = mapping::optional_str(row, 1)?.unwrap_or_default();
    if kind != "BASE TABLE" || !engine.eq_ignore_ascii_case("InnoDB") {
        return Err(not_ours(
            names,
            table,
            "it is no InnoDB table; change its engine, or",
        ));
    }
    let shape = shape(table);
    let found = columns(session, names, table).await?;
    for (name, kind) in shape.columns {
        let problem = match found.iter().find(|found| found.name == *name) {
            Some(found) if found.fits(*kind) => continue,
            Some(found) => format!("its column `{name}` is {};", found.column_type),
            // Bootstrap adds it.
            None if (table, *name) == ("nonces", "usedAt") => continue,
            None => format!("it has no column `{name}`;"),
        };
        return Err(not_ours(names, table, &problem));
    }
    let ours = |name: &str| shape.columns.iter().any(|(ours, _)| *ours == name);
    if let Some(other) = found
        .iter()
        .find(|found| !ours(&found.name) && found.must_be_given())
    {
        let problem = format!("its column `{}` must be given a value;", other.name);
        return Err(not_ours(names, table, &problem));
    }
    duplicates(session, names, table, &shape).await?;
    orphans(session, names, table, &shape).await?;
    Ok(true)
}

/// Rows that a missing unique key of ours would not let in.
async fn duplicates(
    session: &mut Session<'_>,
    names: &TableNames,
    table: &str,
    shape: &Shape,
) -> Result<()> {
    let missing = lacking(session, names, table, shape).await?;
    for (_, _, columns) in missing.iter().filter(|(_, unique, _)| *unique) {
        let key: Vec<String> = columns
            .iter()
            .map(|name| format!("CAST(CONVERT(`{name}` USING utf8mb4) AS BINARY)"))
            .collect();
        let sql = format!(
            "SELECT COUNT(*) FROM {} GROUP BY {} HAVING COUNT(*) > 1",
            names.qualified(table),
            key.join(", ")
        );
        let rows = session.ask(&sql, Vec::new()).await?;
        if !rows.is_empty() {
            let message = format!(
                "{} values of ({}) occur in more than one row of the table `{}` and would have to be unique; nothing was changed. Delete or change the rows that are too many, then call bootstrap() again",
                rows.len(),
                columns.join(", "),
                names.table(table)
            );
            return Err(Error::new(ErrorKind::SchemaMismatch, message));
        }
    }
    Ok(())
}

/// Rows whose foreign key has no row to refer to, once case and trailing spaces count.
async fn orphans(
    session: &mut Session<'_>,
    names: &TableNames,
    table: &str,
    shape: &Shape,
) -> Result<()> {
    let Some((_, column, other, other_column)) = shape.foreign_key else {
        return Ok(());
    };
    if columns(session, names, other).await?.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "SELECT COUNT(*) FROM {} t WHERE NOT EXISTS (
           SELECT 1 FROM {} o WHERE o.`{other_column}` = t.`{column}`
             AND CAST(CONVERT(o.`{other_column}` USING utf8mb4) AS BINARY)
               = CAST(CONVERT(t.`{column}` USING utf8mb4) AS BINARY))",
        names.qualified(table),
        names.qualified(other)
    );
    let rows = session.ask(&sql, Vec::new()).await?;
    let count = rows.first().map_or(Ok(0), |row| mapping::number(row, 0))?;
    if count == 0 {
        return Ok(());
    }
    let message = format!(
        "{count} rows of the table `{}` have a `{column}` that no row of `{}` has, letter for letter; nothing was changed. Delete or change those rows, then call bootstrap() again",
        names.table(table),
        names.table(other)
    );
    Err(Error::new(ErrorKind::SchemaMismatch, message))
}

/// The indexes of ours that a table lacks.
async fn lacking(
    session: &mut Session<'_>,
    names: &TableNames,
    table: &str,
    shape: &Shape,
) -> Result<Vec<Index>> {
    let mut found: Vec<(String, bool, Vec<String>)> = Vec::new();
    for row in session.ask(INDEXES, of(names, table)).await? {
        let name = mapping::str(&row, 0)?;
        let unique = mapping::number(&row, 1)? == 0;
        let mut column = mapping::optional_str(&row, 2)?
            .unwrap_or_default()
            .to_owned();
        if mapping::optional_number(&row, 3)?.is_some() {
            column.push_str(" in part");
        }
        match found.last_mut().filter(|last| last.0 == name) {
            Some(last) => last.2.push(column),
            None => found.push((name.to_owned(), unique, vec![column])),
        }
    }
    // Cleaning up asks for the index on the expiry by name.
    let by_name = |columns: &[&str]| matches!(columns, ["expiresAt" | "expires_at"]);
    let serves = |(wanted_name, unique, wanted): &Index| {
        found.iter().any(|(name, is_unique, columns)| {
            if *unique {
                *is_unique && columns == wanted
            } else {
                columns.len() >= wanted.len()
                    && columns[..wanted.len()] == **wanted
                    && (!by_name(wanted) || name.eq_ignore_ascii_case(wanted_name))
            }
        })
    };
    let wanted = shape.indexes.iter().filter(|index| !serves(index));
    Ok(wanted.copied().collect())
}

/// The statements that bring a table into our form. None for a table that has it. Each leaves the
/// table usable, and all of them can be asked for again after any of them.
pub(crate) async fn mending(
    session: &mut Session<'_>,
    names: &TableNames,
    table: &str,
) -> Result<Vec<String>> {
    let shape = shape(table);
    let found = columns(session, names, table).await?;
    let binary = if session.is_mariadb() {
        "utf8mb4_nopad_bin"
    } else {
        "utf8mb4_0900_bin"
    };
    let name = names.qualified(table);
    let mut statements = Vec::new();
    // In databases of the original's first versions, whose nonces count as used, as in the original's
    // own migration. The default goes in the next statement.
    if table == "nonces" && !found.iter().any(|found| found.name == "usedAt") {
        statements.push(format!(
            "ALTER TABLE {name} ADD COLUMN usedAt datetime(3) NULL DEFAULT '1970-01-01 00:00:00.000'"
        ));
        statements.push(format!(
            "ALTER TABLE {name} MODIFY COLUMN usedAt datetime(3) NULL"
        ));
    }
    let mut changes = Vec::new();
    for (column, kind) in shape.columns {
        let found = found.iter().find(|found| found.name == *column);
        if let Some(definition) = found.and_then(|found| found.mended(*kind, binary)) {
            changes.push(format!("MODIFY COLUMN `{column}` {definition}"));
        }
    }
    if table == "clients" && !changes.is_empty() {
        // A column that a foreign key refers to can't change. The next migration makes it anew.
        statements.extend(dropped_foreign_keys(session, names, "deployments", None).await?);
    }
    for (index, unique, columns) in lacking(session, names, table, &shape).await? {
        let unique = if unique { "UNIQUE " } else { "" };
        let columns = columns.join("`, `");
        changes.push(format!("ADD {unique}KEY `{index}` (`{columns}`)"));
    }
    if let Some(foreign_key) = shape.foreign_key {
        let (constraint, column, other, other_column) = foreign_key;
        let keys = session.ask(FOREIGN_KEYS, of(names, table)).await?;
        let mut right = false;
        for row in &keys {
            right |= mapping::str(row, 1)? == column
                && mapping::str(row, 2)?.eq_ignore_ascii_case(&names.table(other))
                && mapping::str(row, 3)? == "CASCADE";
        }
        if !right || !changes.is_empty() {
            statements.extend(dropped_foreign_keys(session, names, table, Some(column)).await?);
            changes.push(format!(
                "ADD CONSTRAINT `{}` FOREIGN KEY (`{column}`) REFERENCES {} (`{other_column}`) ON DELETE CASCADE",
                names.constraint(constraint),
                names.qualified(other)
            ));
        }
    }
    if !changes.is_empty() {
        statements.push(format!("ALTER TABLE {name} {}", changes.join(", ")));
    }
    Ok(statements)
}

async fn dropped_foreign_keys(
    session: &mut Session<'_>,
    names: &TableNames,
    table: &str,
    of_column: Option<&str>,
) -> Result<Vec<String>> {
    let name = names.qualified(table);
    let mut statements = Vec::new();
    for row in session.ask(FOREIGN_KEYS, of(names, table)).await? {
        let (constraint, column) = (mapping::str(&row, 0)?, mapping::str(&row, 1)?);
        if of_column.is_none_or(|wanted| wanted == column) {
            statements.push(format!(
                "ALTER TABLE {name} DROP FOREIGN KEY `{constraint}`"
            ));
        }
    }
    Ok(statements)
}

fn not_ours(names: &TableNames, table: &str, problem: &str) -> Error {
    let table = names.table(table);
    let message = format!(
        "the table `{table}` exists and is not the store's: {problem} nothing was changed. Put the store's tables elsewhere with the database or table_prefix option"
    );
    Error::new(ErrorKind::SchemaMismatch, message)
}
