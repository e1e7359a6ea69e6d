//! The one place where the driver's errors become ours.
//!
//! Nothing of a value gets through: a server quotes values in many of its messages, so only those of
//! codes that are known to name no more than users and tables are shown.

use std::fmt;

use mysql_async::{
    DriverError, Error as DriverFailure, IoError, ServerError as Reported, TlsError,
};
use store_core::{Error, ErrorKind};

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

/// A foreign key has no row to refer to.
pub(crate) const NO_REFERENCED_ROW: u16 = 1452;

/// The servers' error codes that mean something to us. MySQL's up to 4031 are listed in its reference,
/// "Server Error Message Reference"; those of MariaDB from 1900 in "MariaDB Error Codes".
mod code {
    /// Access denied to a database.
    pub(super) const DBACCESS_DENIED: u16 = 1044;
    /// Access denied: user or password.
    pub(super) const ACCESS_DENIED: u16 = 1045;
    /// Galera: the node is not ready for queries.
    pub(super) const NODE_NOT_READY: u16 = 1047;
    /// Unknown database.
    pub(super) const BAD_DB: u16 = 1049;
    /// Server shutdown in progress.
    pub(super) const SERVER_SHUTDOWN: u16 = 1053;
    /// Unknown column.
    pub(super) const BAD_FIELD: u16 = 1054;
    /// MariaDB: the row was changed since the transaction began.
    pub(super) const CHECKREAD: u16 = 1020;
    /// The table was altered meanwhile, or a prepared statement has to be prepared again for that.
    pub(super) const TABLE_DEF_CHANGED: u16 = 1412;
    pub(super) const NEED_REPREPARE: u16 = 1615;
    /// Too many connections.
    pub(super) const CON_COUNT: u16 = 1040;
    /// Duplicate entry for a unique key. Quotes the value.
    pub(super) const DUP_ENTRY: u16 = 1062;
    /// Host is blocked because of many connection errors, or is not allowed to connect.
    pub(super) const HOST_IS_BLOCKED: u16 = 1129;
    pub(super) const HOST_NOT_PRIVILEGED: u16 = 1130;
    /// Command denied on a table, or on a column.
    pub(super) const TABLEACCESS_DENIED: u16 = 1142;
    pub(super) const COLUMNACCESS_DENIED: u16 = 1143;
    /// No such table.
    pub(super) const NO_SUCH_TABLE: u16 = 1146;
    /// The table has no index of this name.
    pub(super) const NO_SUCH_KEY: u16 = 1176;
    /// The user has too many connections.
    pub(super) const TOO_MANY_USER_CONNECTIONS: u16 = 1203;
    /// Lock wait timeout exceeded.
    pub(super) const LOCK_WAIT_TIMEOUT: u16 = 1205;
    /// Deadlock found; the transaction was rolled back.
    pub(super) const LOCK_DEADLOCK: u16 = 1213;
    /// A user's limit of a resource is used up.
    pub(super) const USER_LIMIT_REACHED: u16 = 1226;
    /// Access denied: a privilege is missing.
    pub(super) const SPECIFIC_ACCESS_DENIED: u16 = 1227;
    /// The server runs with an option, `--read-only`, that keeps it from executing the statement.
    pub(super) const OPTION_PREVENTS_STATEMENT: u16 = 1290;
    /// The statement was interrupted (`KILL QUERY`).
    pub(super) const QUERY_INTERRUPTED: u16 = 1317;
    /// A value is too long for its column, outside of its range, or wrong for its type.
    pub(super) const DATA_TOO_LONG: u16 = 1406;
    pub(super) const OUT_OF_RANGE: u16 = 1264;
    pub(super) const WRONG_VALUE: u16 = 1366;
    pub(super) const NO_REFERENCED_ROW: u16 = super::NO_REFERENCED_ROW;
    /// Access denied: the user needs a password, or another plugin.
    pub(super) const ACCESS_DENIED_NO_PASSWORD: u16 = 1698;
    /// The transaction, or the server, is read-only.
    pub(super) const READ_ONLY_TRANSACTION: u16 = 1792;
    pub(super) const READ_ONLY_MODE: u16 = 1836;
    /// MariaDB: the connection was killed.
    pub(super) const CONNECTION_KILLED: u16 = 1927;
    /// MariaDB and MySQL: the statement ran longer than `max_statement_time`, `max_execution_time`.
    pub(super) const STATEMENT_TIMEOUT: u16 = 1969;
    pub(super) const QUERY_TIMEOUT: u16 = 3024;
    /// `NOWAIT` met a lock, or the wait for a `GET_LOCK` was a deadlock.
    pub(super) const LOCK_NOWAIT: u16 = 3572;
    /// The account is locked, or its password has expired.
    pub(super) const ACCOUNT_LOCKED: u16 = 3118;
    pub(super) const PASSWORD_EXPIRED: u16 = 1862;
    /// The client was idle for longer than `wait_timeout`.
    pub(super) const CLIENT_INTERACTION_TIMEOUT: u16 = 4031;
}

/// What the server said, without values.
#[derive(Debug)]
struct ServerError {
    code: u16,
    state: String,
    message: String,
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (error {}, SQLSTATE {})",
            self.message, self.code, self.state
        )
    }
}

impl std::error::Error for ServerError {}

/// An error of a statement that was sent.
pub(crate) fn statement(error: &DriverFailure, access: Access) -> Failure {
    match error {
        DriverFailure::Server(reported) => self::reported(reported, access),
        DriverFailure::Driver(DriverError::ConnectionClosed | DriverError::PacketOutOfOrder)
        | DriverFailure::Io(_) => lost(error, access),
        _ => Failure {
            error: Error::new(ErrorKind::Backend, cause(error)),
            retry: false,
            evict: Evict::This,
        },
    }
}

/// How a code is told, whether the call may succeed if made again, what to do about it, and whether the
/// server's message holds no value.
fn meaning(code: u16) -> (ErrorKind, bool, &'static str, bool) {
    use ErrorKind as Kind;
    use code::*;
    match code {
        DUP_ENTRY => (
            Kind::AlreadyExists,
            false,
            "a unique key does not hold",
            false,
        ),
        NO_REFERENCED_ROW => (Kind::Backend, false, "a foreign key does not hold", false),
        LOCK_DEADLOCK
        | CHECKREAD
        | TABLE_DEF_CHANGED
        | NEED_REPREPARE
        | NODE_NOT_READY
        | SERVER_SHUTDOWN
        | CON_COUNT
        | TOO_MANY_USER_CONNECTIONS
        | CONNECTION_KILLED
        | CLIENT_INTERACTION_TIMEOUT => (Kind::Unavailable, true, "", true),
        LOCK_WAIT_TIMEOUT | QUERY_INTERRUPTED | STATEMENT_TIMEOUT | QUERY_TIMEOUT | LOCK_NOWAIT => {
            (Kind::Timeout, true, "", true)
        }
        OPTION_PREVENTS_STATEMENT | READ_ONLY_TRANSACTION | READ_ONLY_MODE => (
            Kind::Unavailable,
            true,
            "; the server is read-only: connect to the primary, and let its name follow a failover",
            true,
        ),
        NO_SUCH_TABLE => (
            Kind::SchemaMissing,
            false,
            "; call bootstrap() once with a role that may create tables, or check the database and table_prefix options",
            true,
        ),
        BAD_DB => (
            Kind::SchemaMissing,
            false,
            "; create the database, then call bootstrap()",
            true,
        ),
        BAD_FIELD => (
            Kind::SchemaMismatch,
            false,
            "; call bootstrap() with a role that may alter tables",
            true,
        ),
        NO_SUCH_KEY => (
            Kind::SchemaMismatch,
            false,
            "; create the index again, as schema_definition() has it",
            true,
        ),
        TABLEACCESS_DENIED | COLUMNACCESS_DENIED | DBACCESS_DENIED | SPECIFIC_ACCESS_DENIED => (
            Kind::PermissionDenied,
            false,
            "; the application's user needs SELECT, INSERT, UPDATE and DELETE on the store's tables, and bootstrap() the right to create and alter them",
            true,
        ),
        ACCESS_DENIED
        | ACCESS_DENIED_NO_PASSWORD
        | HOST_NOT_PRIVILEGED
        | HOST_IS_BLOCKED
        | ACCOUNT_LOCKED
        | PASSWORD_EXPIRED => (
            Kind::PermissionDenied,
            false,
            "; check user, password and the hosts that the user may connect from",
            true,
        ),
        USER_LIMIT_REACHED => (Kind::Unavailable, true, "", true),
        DATA_TOO_LONG | OUT_OF_RANGE | WRONG_VALUE => (Kind::InvalidInput, false, "", false),
        _ => (Kind::Backend, false, "", false),
    }
}

/// An error that the server reported.
fn reported(reported: &Reported, access: Access) -> Failure {
    let (kind, retryable, hint, showable) = meaning(reported.code);
    let message = match kind {
        _ if showable => format!("{}{hint}", reported.message),
        ErrorKind::InvalidInput => "the server refused a value".to_owned(),
        _ if !hint.is_empty() => hint.to_owned(),
        _ => "the server could not run the statement".to_owned(),
    };
    let server = ServerError {
        code: reported.code,
        state: reported.state.clone(),
        message: message.clone(),
    };
    // What a connection that is being closed had done until then, nobody says.
    let unsure = access == Access::Write
        && matches!(
            reported.code,
            code::SERVER_SHUTDOWN | code::CONNECTION_KILLED
        );
    let kind = if unsure {
        ErrorKind::Indeterminate
    } else {
        kind
    };
    let mut error = Error::new(kind, format!("{message} (error {})", reported.code))
        .with_code(reported.code.to_string())
        .with_source(server);
    if retryable && !unsure {
        error = error.retryable();
    }
    Failure {
        retry: error.is_retryable() && kind != ErrorKind::Timeout
            || reported.code == code::LOCK_WAIT_TIMEOUT,
        evict: match reported.code {
            code::OPTION_PREVENTS_STATEMENT
            | code::READ_ONLY_TRANSACTION
            | code::READ_ONLY_MODE => Evict::All,
            code::SERVER_SHUTDOWN
            | code::CONNECTION_KILLED
            | code::CLIENT_INTERACTION_TIMEOUT
            | code::NODE_NOT_READY => Evict::This,
            _ => Evict::Nothing,
        },
        error,
    }
}

/// The connection broke after the statement was sent.
fn lost(error: &DriverFailure, access: Access) -> Failure {
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
pub(crate) fn connecting(error: &DriverFailure) -> Error {
    match error {
        DriverFailure::Server(reported) => self::reported(reported, Access::Read).error,
        DriverFailure::Driver(DriverError::PoolDisconnected) => closed(),
        DriverFailure::Driver(DriverError::NoClientSslFlagFromServer) => Error::new(
            ErrorKind::Unavailable,
            "the server offers no TLS: switch it on there, or use ssl-mode=DISABLED where the network is yours",
        ),
        DriverFailure::Driver(
            DriverError::UnknownAuthPlugin { .. }
            | DriverError::MysqlOldPasswordDisabled
            | DriverError::CleartextPluginDisabled,
        ) => Error::new(
            ErrorKind::PermissionDenied,
            format!(
                "{}; give the user the plugin caching_sha2_password",
                cause(error)
            ),
        ),
        // A certificate that is refused now will be refused again.
        DriverFailure::Io(IoError::Tls(_)) => unreachable_server(error),
        DriverFailure::Io(IoError::Io(io)) if io.kind() == std::io::ErrorKind::InvalidData => {
            unreachable_server(error)
        }
        _ => unreachable_server(error).retryable(),
    }
}

fn unreachable_server(error: &DriverFailure) -> Error {
    let message = format!("the server can't be reached: {}", cause(error));
    Error::new(ErrorKind::Unavailable, message)
}

/// Whether a connection failed because the server offers no TLS.
pub(crate) fn no_tls(error: &DriverFailure) -> bool {
    matches!(
        error,
        DriverFailure::Driver(DriverError::NoClientSslFlagFromServer)
    )
}

/// Whether a connection failed because of its user or password.
pub(crate) fn refused(error: &DriverFailure) -> bool {
    matches!(error, DriverFailure::Server(reported) if reported.code == code::ACCESS_DENIED)
}

/// No connection became free.
pub(crate) fn exhausted(max_size: usize) -> Error {
    Error::new(
        ErrorKind::PoolExhausted,
        format!("none of the {max_size} connections became free in time; raise max_connections or wait_timeout"),
    )
    .retryable()
}

/// A connection was not opened in time.
pub(crate) fn connect_timeout() -> Error {
    Error::new(
        ErrorKind::Timeout,
        "the server did not accept a connection in time; check host, port and firewall",
    )
    .retryable()
}

/// The store was closed.
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the store was closed; open a new one")
}

/// Text of the driver's own errors and their causes, as far as they hold no values.
fn cause(error: &DriverFailure) -> String {
    match error {
        DriverFailure::Io(IoError::Io(io)) => io.to_string(),
        DriverFailure::Io(IoError::Tls(TlsError::Tls(tls))) => tls.to_string(),
        DriverFailure::Io(IoError::Tls(_)) => "TLS could not be set up".to_owned(),
        DriverFailure::Driver(
            driver @ (DriverError::ConnectionClosed
            | DriverError::PacketOutOfOrder
            | DriverError::PacketTooLarge
            | DriverError::PoolDisconnected
            | DriverError::StmtParamsMismatch { .. }
            | DriverError::UnknownAuthPlugin { .. }
            | DriverError::MysqlOldPasswordDisabled
            | DriverError::CleartextPluginDisabled),
        ) => driver.to_string(),
        DriverFailure::Driver(DriverError::UnexpectedPacket { .. }) => {
            "the server sent a packet that was not expected".to_owned()
        }
        _ => "the driver failed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(code: u16, message: &str) -> DriverFailure {
        DriverFailure::Server(Reported {
            code,
            message: message.to_owned(),
            state: "HY000".to_owned(),
        })
    }

    #[test]
    fn values_stay_out_of_errors() {
        for code in [1062, 1064, 1292, 1366, 1406, 1452, 3140, 4025, 9999] {
            let failure = statement(&server(code, "near 'hunter2'"), Access::Write);
            let shown = format!("{:?} {}", failure.error, failure.error);
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        let missing = statement(&server(1146, "Table 'a.b' doesn't exist"), Access::Read);
        assert!(missing.error.to_string().contains("bootstrap()"));
        assert_eq!(missing.error.code(), Some("1146"));
    }

    #[test]
    fn only_what_did_not_happen_is_sent_again() {
        let of = |code| statement(&server(code, ""), Access::Write);
        assert!(of(1213).retry && of(1205).retry && of(1290).retry && of(4031).retry);
        assert_eq!(of(1290).evict, Evict::All);
        assert_eq!(of(1053).error.kind(), ErrorKind::Indeterminate);
        assert!(!of(1053).retry && !of(1062).retry && !of(1927).retry);
    }
}
