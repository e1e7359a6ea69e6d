//! What a store's error is to tower-sessions.

use std::error::Error as _;

use store_core::{Error, ErrorKind};
use tower_sessions_core::session_store;

/// tower-sessions' errors are text. A store's text holds nothing secret, nor does that of its causes.
pub(crate) fn mapped(error: Error) -> session_store::Error {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    match error.kind() {
        ErrorKind::InvalidInput => session_store::Error::Encode(text),
        ErrorKind::Corrupt => session_store::Error::Decode(text),
        _ => session_store::Error::Backend(text),
    }
}

/// The error of a save that came too late.
pub(crate) fn gone() -> session_store::Error {
    mapped(Error::new(
        ErrorKind::NotFound,
        "the session was deleted or has expired, so its changes were not saved",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_encoding_and_stored_data_is_decoding() {
        let text = |kind| mapped(Error::new(kind, "told")).to_string();
        assert_eq!(
            text(ErrorKind::InvalidInput),
            "Encoding failed with: invalid input: told"
        );
        assert_eq!(
            text(ErrorKind::Corrupt),
            "Decoding failed with: corrupt data: told"
        );
        assert_eq!(text(ErrorKind::Timeout), "timeout: told");
    }

    #[test]
    fn causes_are_told() {
        let error = Error::new(ErrorKind::Unavailable, "no answer").with_source("refused");
        assert_eq!(mapped(error).to_string(), "unavailable: no answer: refused");
    }
}
