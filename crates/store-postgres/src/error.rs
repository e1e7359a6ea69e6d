//! The one place where the driver's errors become ours.
//!
//! Nothing of a value gets through: a server quotes values in the messages of classes 22 and 23 and in
//! details, so those are left out.

use std::error::Error as _;
use std::fmt;
use std::io;

use deadpool_postgres::PoolError;
use deadpool_postgres::TimeoutType;
use store_core::{Error, ErrorKind};
use tokio_postgres::Error as DriverError;
use tokio_postgres::error::{DbError, SqlState};

use crate::queries::Access;

/// A failed statement, and what to do about its connection.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// The server said that nothing happened, or nothing was to happen: the statement can be sent
    /// again.
    pub(crate) retry: bool,
    pub(crate) evict: Evict,
}

/// Which connections to let go of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evict {
    Nothing,
    This,
    All,
}

/// What the server said, without values.
#[derive(Debug)]
struct ServerError {
    code: String,
    message: String,
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.code)
    }
}

impl std::error::Error for ServerError {}

fn server_error(error: &DbError) -> ServerError {
    let code = error.code().code().to_owned();
    let message = match &code[..2] {
        "22" => "the server refused a value".to_owned(),
        // What triggers and functions raise.
        "P0" => "a function or trigger raised an error".to_owned(),
        "23" => match error.constraint() {
            Some(constraint) => format!("constraint `{constraint}` does not hold"),
            None => "a constraint does not hold".to_owned(),
        },
        _ => error.message().to_owned(),
    };
    ServerError { code, message }
}

/// An error of a statement that was sent.
pub(crate) fn statement(error: &DriverError, access: Access) -> Failure {
    match error.as_db_error() {
        Some(db) => reported(db, access),
        None => lost(error, access),
    }
}

/// An error that the server reported.
fn reported(db: &DbError, access: Access) -> Failure {
    use ErrorKind as Kind;
    let code = db.code();
    let (kind, retryable, hint) = match *code {
        SqlState::UNIQUE_VIOLATION => (Kind::AlreadyExists, false, ""),
        SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED => {
            (Kind::Unavailable, true, "")
        }
        SqlState::LOCK_NOT_AVAILABLE | SqlState::QUERY_CANCELED => (Kind::Timeout, true, ""),
        SqlState::READ_ONLY_SQL_TRANSACTION => (
            Kind::Unavailable,
            true,
            "; the server is read-only: name all hosts in the URL with target_session_attrs=read-write",
        ),
        SqlState::UNDEFINED_TABLE | SqlState::INVALID_SCHEMA_NAME => (
            Kind::SchemaMissing,
            false,
            "; call bootstrap() once with a role that may create tables, or check the schema and table_prefix options",
        ),
        SqlState::INVALID_CATALOG_NAME => (
            Kind::SchemaMissing,
            false,
            "; create the database, then call bootstrap()",
        ),
        SqlState::UNDEFINED_COLUMN | SqlState::DATATYPE_MISMATCH | SqlState::UNDEFINED_FUNCTION => {
            (
                Kind::SchemaMismatch,
                false,
                "; call bootstrap() with a role that may alter tables",
            )
        }
        SqlState::INSUFFICIENT_PRIVILEGE => (
            Kind::PermissionDenied,
            false,
            "; the application's role needs SELECT, INSERT, UPDATE and DELETE on the store's tables, and bootstrap() the right to create and alter them",
        ),
        SqlState::INVALID_SQL_STATEMENT_NAME | SqlState::DUPLICATE_PSTATEMENT => (
            Kind::Backend,
            false,
            "; a pooler hands statements to other server connections: add pgbouncer=true to the URL",
        ),
        SqlState::PROTOCOL_VIOLATION if db.message().contains("startup parameter") => (
            Kind::Backend,
            false,
            "; a pooler stands before the server: add pgbouncer=true to the URL",
        ),
        SqlState::TOO_MANY_CONNECTIONS
        | SqlState::CANNOT_CONNECT_NOW
        | SqlState::ADMIN_SHUTDOWN
        | SqlState::CRASH_SHUTDOWN
        | SqlState::IDLE_SESSION_TIMEOUT => (Kind::Unavailable, true, ""),
        // Said of a prepared statement when a column's type was changed, before it runs.
        SqlState::FEATURE_NOT_SUPPORTED if db.message().starts_with("cached plan") => {
            (Kind::Unavailable, true, "")
        }
        _ => match &code.code()[..2] {
            "08" => (Kind::Unavailable, true, ""),
            "22" => (Kind::InvalidInput, false, ""),
            "28" => (Kind::PermissionDenied, false, "; check user and password"),
            _ => (Kind::Backend, false, ""),
        },
    };
    // A server that shuts down may have committed already and then waited for a replica, and a pooler
    // that lost or gave up on its server (class 08) does not know.
    let broken = is_shutdown(code) || code.code().starts_with("08");
    let unsure = access == Access::Write && broken;
    let kind = if unsure { Kind::Indeterminate } else { kind };
    let server = server_error(db);
    let message = format!("{}{hint}", server.message);
    let mut error = Error::new(kind, message)
        .with_code(server.code.clone())
        .with_source(server);
    if retryable && !unsure {
        error = error.retryable();
    }
    Failure {
        retry: error.is_retryable() && kind != Kind::Timeout,
        evict: match *code {
            SqlState::READ_ONLY_SQL_TRANSACTION => Evict::All,
            SqlState::IDLE_SESSION_TIMEOUT | SqlState::FEATURE_NOT_SUPPORTED => Evict::This,
            _ if broken => Evict::This,
            _ => Evict::Nothing,
        },
        error,
    }
}

fn is_shutdown(code: &SqlState) -> bool {
    matches!(*code, SqlState::ADMIN_SHUTDOWN | SqlState::CRASH_SHUTDOWN)
}

/// The connection broke after the statement was sent.
fn lost(error: &DriverError, access: Access) -> Failure {
    let cause = cause(error);
    let error = match access {
        Access::Read => Error::new(
            ErrorKind::Unavailable,
            format!("the connection was lost: {cause}"),
        )
        .retryable(),
        Access::Write => Error::new(
            ErrorKind::Indeterminate,
            format!(
                "the connection was lost before the answer came, so the write may or may not have happened: {cause}"
            ),
        ),
    };
    Failure {
        retry: access == Access::Read,
        evict: Evict::This,
        error,
    }
}

/// A statement that went unanswered for longer than the statement timeout.
pub(crate) fn unanswered(access: Access) -> Failure {
    let error = match access {
        Access::Read => {
            Error::new(ErrorKind::Timeout, "the server did not answer in time").retryable()
        }
        Access::Write => Error::new(
            ErrorKind::Indeterminate,
            "the server did not answer in time, so the write may or may not have happened",
        ),
    };
    Failure {
        error,
        retry: false,
        evict: Evict::This,
    }
}

/// A connection could not be opened.
pub(crate) fn connecting(error: &DriverError) -> Error {
    if let Some(db) = error.as_db_error() {
        return reported(db, Access::Read).error;
    }
    let cause = cause(error);
    let io_error = error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>());
    let shown = error.to_string();
    if shown.contains("password") || shown.contains("authentication") {
        return Error::new(
            ErrorKind::PermissionDenied,
            format!("{cause}; check user and password"),
        );
    }
    let message = format!("the server can't be reached: {cause}");
    let unavailable = Error::new(ErrorKind::Unavailable, message);
    match io_error {
        // A certificate that is refused now will be refused again.
        Some(io_error) if io_error.kind() == io::ErrorKind::InvalidData => unavailable,
        _ => unavailable.retryable(),
    }
}

/// A connection could not be lent.
pub(crate) fn pool(error: &PoolError, max_size: usize) -> Error {
    match error {
        PoolError::Timeout(TimeoutType::Wait) => Error::new(
            ErrorKind::PoolExhausted,
            format!("none of the {max_size} connections became free in time; raise max_connections or wait_timeout"),
        )
        .retryable(),
        PoolError::Timeout(_) => Error::new(
            ErrorKind::Timeout,
            "the server did not accept a connection in time; check host, port and firewall",
        )
        .retryable(),
        PoolError::Closed => closed(),
        _ => Error::new(ErrorKind::Backend, "the pool can't open connections"),
    }
}

/// The store was closed.
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the store was closed; open a new one")
}

/// Text of the driver's own errors and their causes, which hold no values.
fn cause(error: &DriverError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    text
}
