//! The one place where the SDK's errors become ours.
//!
//! Nothing of an item gets through: what DynamoDB says of a request that it finds invalid may quote
//! values, so that message is left out.

use std::error::Error as StdError;
use std::fmt;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use store_core::{Error, ErrorKind};

use crate::execute::Access;

// What DynamoDB calls its errors.
const CONDITION_FAILED: &str = "ConditionalCheckFailed";
const NO_TABLE: &str = "ResourceNotFoundException";
const INVALID: &str = "ValidationException";
/// Nothing happened; the same request may be sent again.
const BUSY: &[&str] = &[
    "ProvisionedThroughputExceededException",
    "ProvisionedThroughputExceeded",
    "RequestLimitExceeded",
    "ThrottlingException",
    "ThrottlingError",
    "Throttling",
    "TransactionConflictException",
    "TransactionConflict",
    "TransactionInProgressException",
    "ReplicatedWriteConflictException",
    "LimitExceededException",
    "ResourceInUseException",
];
/// The credentials, or what they may do.
const DENIED: &[&str] = &[
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignatureException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "NotAuthorized",
    "OptInRequired",
    "UnrecognizedClientException",
];

/// A failed request, and whether it may be sent again.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) again: Again,
}

/// Whether a request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    No,
    /// It did not get through; it may be sent a few times more.
    NotSent,
    /// The server was busy and did nothing; it may be sent again for as long as the budget lasts.
    Busy,
    /// It may have happened or not: only what does no harm twice is sent again.
    Unsure,
}

/// An error of a request.
pub(crate) fn request<E, R>(error: &SdkError<E, R>, access: Access) -> Failure
where
    E: ProvideErrorMetadata + StdError + 'static,
    R: fmt::Debug + 'static,
{
    match error {
        SdkError::ServiceError(context) => reported(context.err(), access),
        SdkError::TimeoutError(_) => unanswered(access),
        SdkError::ConstructionFailure(_) => unsent(&chain(error)),
        SdkError::DispatchFailure(failure) => {
            let cause = chain(error);
            // No credentials, a connection that could not be opened: nothing was sent.
            let before_sending = ["connect error", "dns error", "HTTP connect", "credential"];
            if before_sending.iter().any(|sign| cause.contains(sign)) {
                unsent(&cause)
            } else if failure.is_timeout() {
                unanswered(access)
            } else {
                lost(&cause, access)
            }
        }
        _ => lost("the answer can't be read", access),
    }
}

/// An error that DynamoDB reported.
fn reported(error: &impl ProvideErrorMetadata, access: Access) -> Failure {
    let code = error.code().unwrap_or("unknown");
    let said = error.message().unwrap_or("no message");
    if BUSY.contains(&code) {
        let error = Error::new(ErrorKind::Unavailable, format!("DynamoDB is busy: {said}"));
        return Failure {
            error: error.with_code(code).retryable(),
            again: Again::Busy,
        };
    }
    let (kind, message) = match code {
        NO_TABLE => (
            ErrorKind::SchemaMissing,
            "the table does not exist; call bootstrap() once with credentials that may create tables, or check region, prefix and table options".to_owned(),
        ),
        INVALID if speaks_of_keys(said) => (
            ErrorKind::SchemaMismatch,
            "the table has other keys or indexes than ours; check the prefix and table options, or call bootstrap() with a name that is free".to_owned(),
        ),
        INVALID => (ErrorKind::Backend, "DynamoDB refused the request as invalid".to_owned()),
        _ if DENIED.contains(&code) => (
            ErrorKind::PermissionDenied,
            format!("{said}; check the credentials, the clock and the IAM policy"),
        ),
        _ if code.starts_with("Internal") || code.starts_with("ServiceUnavailable") => {
            return lost(&format!("DynamoDB failed ({code})"), access);
        }
        _ => (ErrorKind::Backend, format!("DynamoDB refused the request ({code})")),
    };
    Failure {
        error: Error::new(kind, message).with_code(code),
        again: Again::No,
    }
}

fn speaks_of_keys(said: &str) -> bool {
    let signs = [
        "key element does not match the schema",
        "specified index",
        "does not have the specified",
        "key schema element",
        "Missing the key",
        "Type mismatch for key",
        "Type mismatch for Index Key",
    ];
    signs.iter().any(|sign| said.contains(sign))
}

/// The request was not sent.
fn unsent(cause: &str) -> Failure {
    if cause.contains("credential") {
        let message = format!("there are no credentials: {cause}");
        return Failure {
            error: Error::new(ErrorKind::PermissionDenied, message),
            again: Again::No,
        };
    }
    let message = format!("DynamoDB can't be reached: {cause}; check region, endpoint and network");
    Failure {
        error: Error::new(ErrorKind::Unavailable, message).retryable(),
        again: Again::NotSent,
    }
}

/// The connection broke after the request was sent, or the server failed.
fn lost(cause: &str, access: Access) -> Failure {
    let error = match access {
        Access::Read => Error::new(ErrorKind::Unavailable, cause.to_owned()).retryable(),
        Access::Write | Access::Idempotent => Error::new(
            ErrorKind::Indeterminate,
            format!("the write may or may not have happened: {cause}"),
        ),
    };
    Failure {
        error,
        again: Again::Unsure,
    }
}

/// No answer came in time.
fn unanswered(access: Access) -> Failure {
    let error = match access {
        Access::Read => {
            Error::new(ErrorKind::Timeout, "DynamoDB did not answer in time").retryable()
        }
        Access::Write | Access::Idempotent => Error::new(
            ErrorKind::Indeterminate,
            "DynamoDB did not answer in time, so the write may or may not have happened",
        ),
    };
    Failure {
        error,
        again: Again::Unsure,
    }
}

/// What a cancelled transaction's reasons come to: which of its writes were refused, or why it has to be
/// sent again.
pub(crate) fn cancelled<'a>(
    codes: impl Iterator<Item = Option<&'a str>>,
) -> Result<Vec<usize>, Failure> {
    let codes: Vec<&str> = codes.map(|code| code.unwrap_or("None")).collect();
    let refused: Vec<usize> = (0..codes.len())
        .filter(|&index| codes[index] == CONDITION_FAILED)
        .collect();
    if !refused.is_empty() {
        return Ok(refused);
    }
    let code = codes.iter().find(|&&code| code != "None");
    let code = code.copied().unwrap_or("TransactionCanceledException");
    let busy = BUSY.contains(&code);
    let message = format!("DynamoDB cancelled the transaction ({code})");
    let kind = if busy {
        ErrorKind::Unavailable
    } else {
        ErrorKind::Backend
    };
    let error = Error::new(kind, message).with_code(code);
    Err(Failure {
        error: if busy { error.retryable() } else { error },
        again: if busy { Again::Busy } else { Again::No },
    })
}

/// A request that could not even be made.
pub(crate) fn unbuildable() -> Error {
    Error::new(ErrorKind::Backend, "a request lacks a part")
}

/// The server kept leaving a part of a batch unread.
pub(crate) fn overloaded() -> Error {
    let message = "DynamoDB is busy: it left a part of a batch unread";
    Error::new(ErrorKind::Unavailable, message).retryable()
}

/// The store was closed.
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the store was closed; open a new one")
}

/// What somebody else was faster at, over and over.
pub(crate) fn restless() -> Error {
    let message = "others kept changing the same things; try again";
    Error::new(ErrorKind::Conflict, message).retryable()
}

/// The texts of errors that came from this side of the network, which hold no values.
fn chain(error: &(dyn StdError + 'static)) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_conditions_are_answers_and_conflicts_are_sent_again() {
        let refused = [
            None,
            Some("ConditionalCheckFailed"),
            Some("TransactionConflict"),
        ];
        assert_eq!(cancelled(refused.into_iter()).unwrap(), [1]);
        let busy = cancelled([Some("None"), Some("TransactionConflict")].into_iter());
        assert_eq!(busy.unwrap_err().again, Again::Busy);
        let wrong = cancelled([Some("ValidationError")].into_iter()).unwrap_err();
        assert_eq!(
            (wrong.again, wrong.error.is_retryable()),
            (Again::No, false)
        );
    }
}
