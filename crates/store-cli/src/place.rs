//! Which store is meant, and how it is named without its password.

use std::path::{Path, PathBuf};
use std::{env, fmt, fs, io};

use crate::cli::Common;
use crate::failure::{Failure, Result};

/// A URL that may hold a password, which `Debug` therefore doesn't show.
#[derive(Clone)]
pub(crate) struct StoreUrl(String);

impl From<String> for StoreUrl {
    fn from(url: String) -> Self {
        Self(url)
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreUrl(…)")
    }
}

/// What kind of store a URL names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    Memory,
    Postgres,
    MySql,
    Dynamo,
}

/// A store, by its URL.
pub(crate) struct Place {
    pub(crate) backend: Backend,
    url: String,
}

/// Where a command line or the environment may name a store.
struct Names {
    flag: &'static str,
    variable: &'static str,
    file_variable: &'static str,
}

const STORE: Names = Names {
    flag: "--url",
    variable: "STORE_URL",
    file_variable: "STORE_URL_FILE",
};
const SOURCE: Names = Names {
    flag: "--from",
    variable: "STORE_FROM_URL",
    file_variable: "STORE_FROM_URL_FILE",
};

impl Place {
    /// The store that a command is about.
    pub(crate) fn of_store(common: &Common) -> Result<Self> {
        Self::find(&STORE, common.url.as_ref(), common.url_file.as_deref())
    }

    /// The store that an import reads.
    pub(crate) fn of_source(url: Option<&StoreUrl>, file: Option<&Path>) -> Result<Self> {
        Self::find(&SOURCE, url, file)
    }

    fn find(names: &Names, url: Option<&StoreUrl>, file: Option<&Path>) -> Result<Self> {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty());
        if let Some(StoreUrl(url)) = url {
            if has_password(url) {
                anstream::eprintln!(
                    "{}: {} has a password, which the list of processes shows; use {} or {}-file",
                    crate::answer::warning(),
                    names.flag,
                    names.variable,
                    names.flag,
                );
            }
            return Self::new(url);
        }
        if let Some(file) = file {
            return Self::new(&read(file)?);
        }
        if let Some(url) = set(names.variable) {
            let url = url
                .into_string()
                .map_err(|_| Failure::usage(format!("{} is not UTF-8", names.variable)))?;
            return Self::new(&url);
        }
        if let Some(file) = set(names.file_variable) {
            return Self::new(&read(&PathBuf::from(file))?);
        }
        let (flag, variable, file_variable) = (names.flag, names.variable, names.file_variable);
        let what = if flag == SOURCE.flag {
            "no store to import from is named"
        } else {
            "no store is named"
        };
        Err(Failure::usage(what).hint(format!(
            "set {variable} or {file_variable}, or give {flag}-file or {flag}, for instance {flag} postgres://user@host/database"
        )))
    }

    /// The store that `url` names.
    pub(crate) fn new(url: &str) -> Result<Self> {
        let url = url.trim();
        let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
        let (backend, compiled_in, feature) = match scheme {
            "memory" => (Backend::Memory, true, "memory"),
            "postgres" | "postgresql" => {
                (Backend::Postgres, cfg!(feature = "postgres"), "postgres")
            }
            "mysql" | "mariadb" => (Backend::MySql, cfg!(feature = "mysql"), "mysql"),
            "dynamodb" => (Backend::Dynamo, cfg!(feature = "dynamo"), "dynamo"),
            // A malformed URL is not shown: what looks like its scheme may be a password.
            _ => {
                return Err(Failure::usage("the store's URL is of no kind that is known").hint(
                    "write postgres://user:password@host/database, mysql://user:password@host/database or dynamodb://region?prefix=…",
                ));
            }
        };
        if !compiled_in {
            let message = format!("this storectl was built without {scheme}://");
            let hint = format!("install it with: cargo install store-cli --features {feature}");
            return Err(Failure::usage(message).hint(hint));
        }
        let url = match scheme {
            "mariadb" => format!("mysql:{rest}"),
            _ => url.to_owned(),
        };
        Ok(Self { backend, url })
    }

    /// The URL with its password, for connecting.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Refuses a store in memory, which `what` makes no sense on.
    pub(crate) fn not_memory(&self, what: &str) -> Result<()> {
        if self.backend != Backend::Memory {
            return Ok(());
        }
        let message = format!(
            "{what} makes no sense on memory:, which begins empty and ends with this command"
        );
        Err(Failure::usage(message)
            .hint("name a store that lasts: postgres://, mysql:// or dynamodb://"))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.url))
    }
}

/// Parameters that may be shown. Others may be passwords.
const SHOWN: &[&str] = &[
    "endpoint",
    "prefix",
    "schema",
    "socket",
    "ssl-mode",
    "sslmode",
    "table",
    "table_prefix",
];

/// A URL without its password: whatever stands before the last `@` is cut down to the user's name.
fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url
            .split(':')
            .next()
            .map(|scheme| format!("{scheme}:"))
            .unwrap_or_default();
    };
    let (user, rest) = match rest.rsplit_once('@') {
        Some((credentials, rest)) => {
            let user = credentials.split(':').next().unwrap_or_default();
            (format!("{user}@"), rest)
        }
        None => (String::new(), rest),
    };
    let (base, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (hosts, path) = match base.split_once('/') {
        Some((hosts, path)) => (hosts, format!("/{path}")),
        None => (base, String::new()),
    };
    let hosts: Vec<_> = hosts.split(',').map(host).collect();
    let query: Vec<_> = query
        .split('&')
        .filter(|pair| SHOWN.contains(&pair.split('=').next().unwrap_or_default()))
        .collect();
    let mark = if query.is_empty() { "" } else { "?" };
    format!(
        "{scheme}://{user}{}{path}{mark}{}",
        hosts.join(","),
        query.join("&")
    )
}

/// A host with its port, if that is one: who forgets the host writes a password there.
fn host(text: &str) -> &str {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(']') && port.parse::<u16>().is_err() => host,
        _ => text,
    }
}

fn has_password(url: &str) -> bool {
    let credentials = url
        .split_once("://")
        .and_then(|(_, rest)| rest.rsplit_once('@'))
        .and_then(|(credentials, _)| credentials.split_once(':'));
    credentials.is_some_and(|(_, password)| !password.is_empty()) || url.contains("password=")
}

fn read(file: &Path) -> Result<String> {
    let text = if file == Path::new("-") {
        io::read_to_string(io::stdin())
    } else {
        fs::read_to_string(file)
    };
    let named = file.display();
    let text =
        text.map_err(|error| Failure::usage(format!("the file {named} can't be read: {error}")))?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    match (lines.next(), lines.next()) {
        (Some(url), None) => Ok(url.to_owned()),
        (None, _) => Err(Failure::usage(format!("the file {named} is empty"))),
        _ => Err(Failure::usage(format!(
            "the file {named} holds more than one line; it must hold one URL"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        for (url, expected) in [
            ("memory:", "memory:"),
            ("postgres://u:hunter2@h:5433/db", "postgres://u@h:5433/db"),
            (
                "postgres://u:hun@ter2@h/db?sslmode=require&password=hunter2",
                "postgres://u@h/db?sslmode=require",
            ),
            (
                "postgres://u:hunter2?a=b@a:1,b:2/db",
                "postgres://u@a:1,b:2/db",
            ),
            ("postgres://u:hunter2", "postgres://u"),
            (
                "postgres://u:hun/ter2@[::1]:5432/db",
                "postgres://u@[::1]:5432/db",
            ),
            (
                "dynamodb://eu-west-1?prefix=a-&x=hunter2",
                "dynamodb://eu-west-1?prefix=a-",
            ),
        ] {
            assert_eq!(shown(url), expected);
        }
    }

    #[test]
    fn passwords_are_noticed() {
        assert!(has_password("postgres://u:p@h/db"));
        assert!(has_password("postgres://h/db?user=u&password=p"));
        assert!(!has_password("postgres://u@h:5432/db"));
        assert!(!has_password(
            "dynamodb://eu-west-1?endpoint=http://localhost:8000"
        ));
    }

    #[test]
    fn what_is_no_store_is_refused_without_quoting_it() {
        let failure = Place::new("hunter2://x").err().unwrap();
        assert!(!format!("{failure:?}").contains("hunter2"));
        assert!(Place::new("memory:").unwrap().not_memory("import").is_err());
        let mariadb = Place::new(" mariadb://u@h/db\n").unwrap();
        assert_eq!(mariadb.url(), "mysql://u@h/db");
    }
}
