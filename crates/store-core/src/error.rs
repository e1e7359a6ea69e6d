//! One opaque error with public questions.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

/// The result of a store operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as a caller can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The thing to change does not exist, or has expired.
    NotFound,
    /// A live thing with this key exists already; nothing was overwritten.
    AlreadyExists,
    /// The version or proof that the caller saw is no longer the current one; nothing was changed.
    Conflict,
    /// Somebody else still held the lock when the wait for it was over.
    Locked,
    /// The lock token is no longer the holder's; nothing was changed.
    LockLost,
    /// The input was refused before it reached a server; [`Error::field`] names the field.
    InvalidInput,
    /// The database lacks our tables; the message says which command creates them.
    SchemaMissing,
    /// The database holds tables of another shape, or migrations that differ from ours.
    SchemaMismatch,
    /// Stored data does not decode; the message names table and key, never the payload.
    Corrupt,
    /// The server refused the login, or the role lacks a right.
    PermissionDenied,
    /// The server could not be reached, or is shutting down; nothing was changed.
    Unavailable,
    /// The server or the network took too long; nothing was changed, or a read was given up.
    Timeout,
    /// No connection of the pool became free in time; nothing was sent.
    PoolExhausted,
    /// The connection was lost after the request was sent: the write may or may not have happened.
    Indeterminate,
    /// The store was closed before; nothing was sent.
    Closed,
    /// Anything else that the backend reported.
    Backend,
}

impl ErrorKind {
    /// The kind in words, as error messages and `error.type` attributes show it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not found",
            Self::AlreadyExists => "already exists",
            Self::Conflict => "conflict",
            Self::Locked => "locked",
            Self::LockLost => "lock lost",
            Self::InvalidInput => "invalid input",
            Self::SchemaMissing => "schema missing",
            Self::SchemaMismatch => "schema mismatch",
            Self::Corrupt => "corrupt data",
            Self::PermissionDenied => "permission denied",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::PoolExhausted => "pool exhausted",
            Self::Indeterminate => "indeterminate",
            Self::Closed => "closed",
            Self::Backend => "backend error",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failed store operation.
///
/// It never holds a state proof, lock token, nonce, session payload or password: backends strip
/// their driver's errors of the values those quote before they become a [`source`](StdError::source).
///
/// ```
/// use store_core::{ErrorKind, Issuer};
///
/// let error = Issuer::new("x".repeat(256)).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidInput);
/// assert_eq!(error.field(), Some("iss"));
/// assert_eq!(error.to_string(), "invalid input: iss is 256 characters long, the limit is 255");
/// ```
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    backend: &'static str,
    operation: &'static str,
    message: Cow<'static, str>,
    field: Option<&'static str>,
    code: Option<String>,
    retryable: bool,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; `message` says what happened and, where it can, what to do next.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            backend: "",
            operation: "",
            message: message.into(),
            field: None,
            code: None,
            retryable: false,
            source: None,
        }))
    }

    /// Input refused because of `field`.
    #[must_use]
    pub fn invalid(field: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        let mut error = Self::new(ErrorKind::InvalidInput, message);
        error.0.field = Some(field);
        error
    }

    /// The same error, said of an operation of a backend. What is set already stays.
    #[must_use]
    pub fn at(mut self, backend: &'static str, operation: &'static str) -> Self {
        if self.0.backend.is_empty() {
            self.0.backend = backend;
        }
        if self.0.operation.is_empty() {
            self.0.operation = operation;
        }
        self
    }

    /// The same error with the server's or driver's own code, such as an SQLSTATE.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// The same error, marked as worth trying again.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.0.retryable = true;
        self
    }

    /// The same error with what caused it. The cause must hold nothing secret.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What went wrong, as far as a caller can act on it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The backend that failed, such as `postgres`; empty for input refused before any backend.
    #[must_use]
    pub fn backend(&self) -> &'static str {
        self.0.backend
    }

    /// The operation that failed, such as `rotate_state_proof`; empty outside of one.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The field that was refused, for [`ErrorKind::InvalidInput`].
    #[must_use]
    pub fn field(&self) -> Option<&'static str> {
        self.0.field
    }

    /// The server's or driver's own code, such as the SQLSTATE `40001`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// Whether the same call may succeed if made again, and is safe to make again.
    ///
    /// Set where the driver's error is mapped. It is `false` for [`ErrorKind::Indeterminate`]:
    /// only the caller knows whether a second attempt would do harm.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        if !inner.backend.is_empty() {
            write!(f, "{} {}: ", inner.backend, inner.operation)?;
        }
        write!(f, "{}: {}", inner.kind, inner.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
