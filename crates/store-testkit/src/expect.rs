//! Assertions that cases share.

use std::sync::Arc;

use store_core::{Error, ErrorKind, Expiring, LtiSession, Result};

/// The error of a call that must be refused with this kind.
#[track_caller]
pub(crate) fn refused<T>(result: Result<T>, kind: ErrorKind) -> Error {
    match result {
        Ok(_) => panic!("succeeded where it must fail with \"{kind}\""),
        Err(error) => {
            assert_eq!(error.kind(), kind, "the wrong kind of error: {error}");
            error
        }
    }
}

/// Input that must be refused with a message that names the field.
#[track_caller]
pub(crate) fn refused_input<T>(result: Result<T>) -> Error {
    let error = refused(result, ErrorKind::InvalidInput);
    assert!(error.field().is_some(), "no field is named: {error}");
    assert!(!error.is_retryable(), "the same input is refused again");
    error
}

/// How many succeeded, when each of the others must have failed with this kind.
#[track_caller]
pub(crate) fn successes<T>(results: impl IntoIterator<Item = Result<T>>, kind: ErrorKind) -> usize {
    let mut successes = 0;
    for result in results {
        match result {
            Ok(_) => successes += 1,
            Err(error) => assert_eq!(error.kind(), kind, "the wrong kind of error: {error}"),
        }
    }
    successes
}

/// How many of the answers are `true`, when no call may fail.
#[track_caller]
pub(crate) fn trues(results: impl IntoIterator<Item = Result<bool>>) -> usize {
    let answers = results.into_iter().map(|result| match result {
        Ok(answer) => answer,
        Err(error) => panic!("a call failed: {error}"),
    });
    answers.filter(|&answer| answer).count()
}

/// The LTI session that was found. Its `Debug` shows nothing, so compare its JSON when it differs.
#[track_caller]
pub(crate) fn same_session(found: Option<Arc<Expiring<LtiSession>>>, expected: &LtiSession) {
    let found = found.expect("the session is found");
    if found.value != *expected {
        let json = |session| serde_json::to_value(session).expect("a session has a JSON form");
        assert_eq!(json(&found.value), json(expected));
        panic!("the sessions differ in more than their JSON");
    }
}
