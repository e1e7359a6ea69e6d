//! Where the tables are and what they are called.

use store_core::{Error, Result};

/// The database, the prefix and the names of the tables.
///
/// By default the tables are the npm originals' own, in the database that the connection names.
///
/// ```
/// use store_mysql::TableNames;
///
/// let names = TableNames {
///     database: Some("auth".to_owned()),
///     jts_sessions: "my_sessions".to_owned(),
///     ..TableNames::default()
/// };
/// # let _ = names;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableNames {
    /// The database, which bootstrap creates if it is missing. `None` by default: the one in the URL.
    pub database: Option<String>,
    /// Put before the name of every table and foreign key. Empty by default.
    pub prefix: String,
    /// `clients` by default.
    pub clients: String,
    /// `deployments` by default.
    pub deployments: String,
    /// `nonces` by default.
    pub nonces: String,
    /// `sessions` by default: the LTI sessions.
    pub sessions: String,
    /// `registrationSessions` by default, as the npm original has it on MySQL.
    pub registration_sessions: String,
    /// `jts_sessions` by default.
    pub jts_sessions: String,
    /// `jts_retired_state_proofs` by default.
    pub jts_retired_state_proofs: String,
    /// `jts_turns` by default: what logins under a session policy take turns on.
    pub jts_turns: String,
    /// `login_sessions` by default.
    pub login_sessions: String,
    /// `store_migrations` by default: which migrations are applied.
    pub store_migrations: String,
}

impl Default for TableNames {
    fn default() -> Self {
        Self {
            database: None,
            prefix: String::new(),
            clients: "clients".to_owned(),
            deployments: "deployments".to_owned(),
            nonces: "nonces".to_owned(),
            sessions: "sessions".to_owned(),
            registration_sessions: "registrationSessions".to_owned(),
            jts_sessions: "jts_sessions".to_owned(),
            jts_retired_state_proofs: "jts_retired_state_proofs".to_owned(),
            jts_turns: "jts_turns".to_owned(),
            login_sessions: "login_sessions".to_owned(),
            store_migrations: "store_migrations".to_owned(),
        }
    }
}

/// The longest name that MySQL lets a table or database have.
const MAX_IDENTIFIER: usize = 64;
/// The longest prefix whose foreign keys' names still fit.
const MAX_PREFIX: usize = 28;

impl TableNames {
    /// Each table: the name that statements refer to it by, and what it is called.
    pub(crate) fn tables(&self) -> [(&'static str, &str); 10] {
        [
            ("clients", &self.clients),
            ("deployments", &self.deployments),
            ("nonces", &self.nonces),
            ("sessions", &self.sessions),
            ("registration_sessions", &self.registration_sessions),
            ("jts_sessions", &self.jts_sessions),
            ("jts_retired_state_proofs", &self.jts_retired_state_proofs),
            ("jts_turns", &self.jts_turns),
            ("login_sessions", &self.login_sessions),
            ("store_migrations", &self.store_migrations),
        ]
    }

    /// Checks that all names are identifiers and differ, also where case does not count.
    pub(crate) fn validate(&self) -> Result<()> {
        if let Some(database) = &self.database {
            identifier("database", database, MAX_IDENTIFIER)?;
        }
        if !self.prefix.is_empty() {
            identifier("table_prefix", &self.prefix, MAX_PREFIX)?;
        }
        let mut seen = Vec::new();
        for (_, name) in self.tables() {
            let whole = format!("{}{name}", self.prefix);
            identifier("table name", &whole, MAX_IDENTIFIER)?;
            let name = name.to_ascii_lowercase();
            if seen.contains(&name) {
                let message = format!("two tables are called `{name}`");
                return Err(Error::invalid("table name", message));
            }
            seen.push(name);
        }
        Ok(())
    }

    /// Replaces `{clients}` and the like by quoted table names, and `{constraint:name}` by the quoted
    /// name of a foreign key, in a statement of this crate's.
    pub(crate) fn fill(&self, sql: &str) -> String {
        let mut filled = String::with_capacity(sql.len() + 64);
        let mut rest = sql;
        while let Some((before, tail)) = rest.split_once('{') {
            let (placeholder, after) = tail.split_once('}').unwrap_or((tail, ""));
            filled.push_str(before);
            match placeholder.split_once(':') {
                Some((_, constraint)) => {
                    filled.push_str(&format!("`{}`", self.constraint(constraint)));
                }
                None => filled.push_str(&self.qualified(placeholder)),
            }
            rest = after;
        }
        filled.push_str(rest);
        filled
    }

    /// What a foreign key is called. Their names are the database's, unlike those of indexes.
    pub(crate) fn constraint(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// What a table is called, with the prefix, without quotes.
    pub(crate) fn table(&self, table: &str) -> String {
        let tables = self.tables();
        let found = tables.iter().find(|(key, _)| *key == table);
        let (_, name) = found.expect("statements name only tables that exist");
        format!("{}{name}", self.prefix)
    }

    /// The quoted name of a table, with its database.
    pub(crate) fn qualified(&self, table: &str) -> String {
        let name = self.table(table);
        match &self.database {
            Some(database) => format!("`{database}`.`{name}`"),
            None => format!("`{name}`"),
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
            database: Some("auth".to_owned()),
            prefix: "app_".to_owned(),
            ..TableNames::default()
        };
        assert_eq!(
            names.fill("ALTER TABLE {nonces} DROP FOREIGN KEY {constraint:fk}; {clients}"),
            "ALTER TABLE `auth`.`app_nonces` DROP FOREIGN KEY `app_fk`; `auth`.`app_clients`"
        );
        assert_eq!(TableNames::default().fill("{clients}"), "`clients`");
    }

    #[test]
    fn names_are_validated_as_identifiers() {
        assert!(TableNames::default().validate().is_ok());
        for bad in ["", "1a", "a b", "a`b", "naïve", &"a".repeat(65)] {
            let names = TableNames {
                clients: bad.to_owned(),
                ..TableNames::default()
            };
            assert!(names.validate().is_err(), "{bad}");
        }
        let twice = TableNames {
            clients: "NONCES".to_owned(),
            ..TableNames::default()
        };
        assert!(twice.validate().is_err());
    }
}
