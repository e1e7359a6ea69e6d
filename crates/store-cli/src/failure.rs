//! Why a command failed, and what to do next.

use serde::Serialize;
use store::ErrorKind;

use crate::answer::Exit;
use crate::place::Place;

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// A failed command. Its JSON form is documented in the README.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    /// `usage`, `interrupted`, `io`, or the store's kind of error, such as `schema_missing`.
    pub(crate) kind: Box<str>,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
    /// The store's URL without its password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) store: Option<Box<str>>,
    /// The server's own code, such as an SQLSTATE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<Box<str>>,
    pub(crate) retryable: bool,
    #[serde(skip)]
    pub(crate) exit: Exit,
}

impl Failure {
    pub(crate) fn new(kind: &str, message: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            message: message.into(),
            hint: None,
            store: None,
            code: None,
            retryable: false,
            exit: Exit::Failed,
        }
    }

    /// The command was called in a way that can't work.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        let mut failure = Self::new("usage", message);
        failure.exit = Exit::Usage;
        failure
    }

    /// What was asked for is not there.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new("not_found", message)
    }

    /// The command was interrupted by this signal.
    pub(crate) fn interrupted(signal: u8) -> Self {
        let mut failure = Self::new("interrupted", "interrupted");
        failure.exit = Exit::Interrupted(signal);
        failure
    }

    /// The same failure with what to do next, unless that was said already.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert(hint.into());
        self
    }

    /// The same failure, said of a store, unless it was never asked. The URL may be what is wrong then,
    /// and not be told apart from its password.
    pub(crate) fn at(mut self, place: &Place) -> Self {
        if self.exit == Exit::Failed {
            self.store.get_or_insert_with(|| place.to_string().into());
        }
        self
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        let kind = error.kind();
        Self {
            kind: kind.as_str().replace(' ', "_").into(),
            message: error.to_string(),
            hint: hint(&error).map(str::to_owned),
            store: None,
            code: error.code().map(Into::into),
            retryable: error.is_retryable(),
            exit: match kind {
                ErrorKind::InvalidInput => Exit::Usage,
                _ => Exit::Failed,
            },
        }
    }
}

/// No such database, as PostgreSQL and MySQL say it.
const NO_DATABASE: [&str; 2] = ["3D000", "1049"];

fn hint(error: &store::Error) -> Option<&'static str> {
    let dynamo = error.backend() == "dynamo";
    let no_database = error.code().is_some_and(|code| NO_DATABASE.contains(&code));
    Some(match error.kind() {
        ErrorKind::SchemaMissing if no_database => {
            "create the database as its administrator, then run `storectl bootstrap`"
        }
        ErrorKind::SchemaMissing => {
            "run `storectl bootstrap`, or let the administrator run what `storectl bootstrap --print` prints"
        }
        ErrorKind::SchemaMismatch => {
            "`storectl status` tells which migration differs; or it is the wrong database, schema or prefix"
        }
        ErrorKind::PermissionDenied if dynamo => {
            "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; `storectl bootstrap --print --format iam-application` prints the rights that are needed"
        }
        ErrorKind::PermissionDenied if error.operation() == "health" => {
            "mend the URL, or let the server's administrator create the user or change its password"
        }
        ErrorKind::PermissionDenied => {
            "use a role with more rights, or let the administrator run what `storectl bootstrap --print` prints"
        }
        ErrorKind::Unavailable | ErrorKind::Timeout if dynamo => {
            "mend region and endpoint in the URL, or wait until DynamoDB answers: `storectl health` tells"
        }
        ErrorKind::Unavailable | ErrorKind::Timeout => {
            "start the server, or mend host, port and TLS parameters in the URL; `storectl health` tells when it answers"
        }
        ErrorKind::PoolExhausted => "lower --concurrency, or raise max_connections in the URL",
        ErrorKind::Indeterminate => "look whether it happened before doing it again",
        ErrorKind::InvalidInput if error.field() == Some("url") => {
            "mend the URL: `storectl help` shows how it is written"
        }
        _ => return None,
    })
}
