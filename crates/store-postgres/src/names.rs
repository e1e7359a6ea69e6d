//! Where the tables are and what they are called.

use store_core::{Error, Result};

/// The schema, the prefix and the names of the tables.
///
/// By default the tables are the npm originals' own, found through the connection's `search_path`.
/// Two sets of tables in one schema need different prefixes, because PostgreSQL keeps indexes in the
/// schema's namespace too.
///
/// ```
/// use store_postgres::TableNames;
///
/// let names = TableNames {
///     schema: Some("auth".to_owned()),
///     jts_sessions: "my_sessions".to_owned(),
///     ..TableNames::default()
/// };
/// # let _ = names;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableNames {
    /// The schema, which bootstrap creates if it is missing. `None` by default: the first of the
    /// connection's `search_path`.
    pub schema: Option<String>,
    /// Put before the name of every table and index. Empty by default.
    pub prefix: String,
    /// `clients` by default.
    pub clients: String,
    /// `deployments` by default.
    pub deployments: String,
    /// `nonces` by default.
    pub nonces: String,
    /// `sessions` by default: the LTI sessions.
    pub sessions: String,
    /// `registration_sessions` by default.
    pub registration_sessions: String,
    /// `jts_sessions` by default.
    pub jts_sessions: String,
    /// `jts_retired_state_proofs` by default.
    pub jts_retired_state_proofs: String,
    /// `login_sessions` by default.
    pub login_sessions: String,
    /// `store_migrations` by default: which migrations are applied.
    pub store_migrations: String,
}

impl Default for TableNames {
    fn default() -> Self {
        Self {
            schema: None,
            prefix: String::new(),
            clients: "clients".to_owned(),
            deployments: "deployments".to_owned(),
            nonces: "nonces".to_owned(),
            sessions: "sessions".to_owned(),
            registration_sessions: "registration_sessions".to_owned(),
            jts_sessions: "jts_sessions".to_owned(),
            jts_retired_state_proofs: "jts_retired_state_proofs".to_owned(),
            login_sessions: "login_sessions".to_owned(),
            store_migrations: "store_migrations".to_owned(),
        }
    }
}

/// The longest table name whose index names still fit PostgreSQL's 63 bytes.
const MAX_TABLE_NAME: usize = 44;

impl TableNames {
    /// Each table: the name that statements refer to it by, and what it is called.
    pub(crate) fn tables(&self) -> [(&'static str, &str); 9] {
        [
            ("clients", &self.clients),
            ("deployments", &self.deployments),
            ("nonces", &self.nonces),
            ("sessions", &self.sessions),
            ("registration_sessions", &self.registration_sessions),
            ("jts_sessions", &self.jts_sessions),
            ("jts_retired_state_proofs", &self.jts_retired_state_proofs),
            ("login_sessions", &self.login_sessions),
            ("store_migrations", &self.store_migrations),
        ]
    }

    /// Checks that all names are identifiers and differ.
    pub(crate) fn validate(&self) -> Result<()> {
        if let Some(schema) = &self.schema {
            identifier("schema", schema, 63)?;
        }
        let mut seen = Vec::new();
        for (_, name) in self.tables() {
            identifier(
                "table name",
                &format!("{}{name}", self.prefix),
                MAX_TABLE_NAME,
            )?;
            if seen.contains(&name) {
                let message = format!("two tables are called `{name}`");
                return Err(Error::invalid("table name", message));
            }
            seen.push(name);
        }
        Ok(())
    }

    /// Replaces `{clients}` and the like by quoted table names, and `{index:name}` and
    /// `{index:table:suffix}` by quoted index names, in a statement of this crate's.
    pub(crate) fn fill(&self, sql: &str) -> String {
        let mut filled = String::with_capacity(sql.len() + 64);
        let mut rest = sql;
        while let Some((before, tail)) = rest.split_once('{') {
            let (placeholder, after) = tail.split_once('}').unwrap_or((tail, ""));
            filled.push_str(before);
            filled.push_str(&self.resolve(placeholder));
            rest = after;
        }
        filled.push_str(rest);
        filled
    }

    fn resolve(&self, placeholder: &str) -> String {
        let prefix = &self.prefix;
        match placeholder.split(':').collect::<Vec<_>>()[..] {
            ["index", name] => format!("\"{prefix}{name}\""),
            ["index", table, suffix] => {
                format!("\"idx_{}_{suffix}\"", self.table(table))
            }
            _ => self.qualified(placeholder),
        }
    }

    /// What a table is called, with the prefix, without quotes.
    pub(crate) fn table(&self, table: &str) -> String {
        let tables = self.tables();
        let found = tables.iter().find(|(key, _)| *key == table);
        let (_, name) = found.expect("statements name only tables that exist");
        format!("{}{name}", self.prefix)
    }

    /// The quoted name of a table, with its schema.
    pub(crate) fn qualified(&self, table: &str) -> String {
        let name = self.table(table);
        match &self.schema {
            Some(schema) => format!("\"{schema}\".\"{name}\""),
            None => format!("\"{name}\""),
        }
    }
}

fn identifier(field: &'static str, name: &str, limit: usize) -> Result<()> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let ends_well = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if starts_well && ends_well && name.len() <= limit {
        return Ok(());
    }
    let message = format!(
        "{field} `{}` must be 1 to {limit} ASCII letters, digits or underscores and not start with a digit",
        name.escape_debug()
    );
    Err(Error::invalid(field, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_filled_in() {
        let names = TableNames {
            schema: Some("auth".to_owned()),
            prefix: "app_".to_owned(),
            ..TableNames::default()
        };
        assert_eq!(
            names.fill("CREATE INDEX {index:a_idx} ON {nonces} (x); {index:jts_sessions:prn}"),
            r#"CREATE INDEX "app_a_idx" ON "auth"."app_nonces" (x); "idx_app_jts_sessions_prn""#
        );
        assert_eq!(TableNames::default().fill("{clients}"), "\"clients\"");
    }

    #[test]
    fn names_are_validated_as_identifiers() {
        assert!(TableNames::default().validate().is_ok());
        for bad in ["", "1a", "a b", "a\"b", "naïve", &"a".repeat(45)] {
            let names = TableNames {
                clients: bad.to_owned(),
                ..TableNames::default()
            };
            assert!(names.validate().is_err(), "{bad}");
        }
        let twice = TableNames {
            clients: "nonces".to_owned(),
            ..TableNames::default()
        };
        assert!(twice.validate().is_err());
    }
}
