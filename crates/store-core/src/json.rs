//! JSON that is kept as it came, and the check that every payload passes before it is stored.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::{Error, ErrorKind, Result};

/// The greatest size of a stored payload (an LTI session, registration session or login session's
/// data) in bytes of compact JSON: 384 KiB, which fits a DynamoDB item beside its keys.
pub const MAX_PAYLOAD_BYTES: usize = 384 * 1024;

/// The greatest size of a JTS session's metadata in bytes of compact JSON: 64 KiB.
pub const MAX_METADATA_BYTES: usize = 64 * 1024;

/// A JSON value kept as text, parsed when asked for.
///
/// Equal when the values are, whatever their spelling. A store keeps values, not spellings: the order
/// of names may change, and a whole number that was spelt with an exponent may come back with digits
/// only. `Debug` shows the size only.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    /// The JSON form of `value`.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if it has none.
    pub fn new<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        serde_json::value::to_raw_value(value)
            .map(Self)
            .map_err(|_| Error::invalid("json", "the value has no JSON form"))
    }

    /// The JSON document `text`.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if it is not one JSON document.
    pub fn parse(text: impl Into<String>) -> Result<Self> {
        RawValue::from_string(text.into())
            .map(Self)
            .map_err(|error| {
                let (line, column) = (error.line(), error.column());
                Error::invalid("json", format!("not JSON at line {line}, column {column}"))
            })
    }

    /// The JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The value, as a type of the caller's.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) if the JSON is of another shape.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(self.0.get())
            .map_err(|_| Error::new(ErrorKind::Corrupt, "the JSON is of another shape"))
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str() || {
            let values = (self.to::<Value>(), other.to::<Value>());
            matches!(values, (Ok(a), Ok(b)) if a == b)
        }
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({} bytes)", self.as_str().len())
    }
}

/// The compact JSON of `value`, checked to be storable on every backend. For backends.
///
/// # Errors
/// [`InvalidInput`](ErrorKind::InvalidInput) naming `field` if the JSON is longer than `limit` bytes,
/// or holds what JSON columns refuse or can't give back: the character U+0000, half of a surrogate
/// pair, a number outside of `f64`, or more than 127 levels.
pub fn encode<T: Serialize + ?Sized>(
    field: &'static str,
    value: &T,
    limit: usize,
) -> Result<String> {
    let json = serde_json::to_string(value)
        .map_err(|_| Error::invalid(field, format!("{field} has no JSON form")))?;
    if json.len() > limit {
        let size = json.len();
        let message = format!("{field} is {size} bytes of JSON, the limit is {limit}");
        return Err(Error::invalid(field, message));
    }
    if may_hold_unstorable(&json) && holds_unstorable(&json) {
        let message = format!(
            "{field} holds U+0000, half a surrogate pair, a number outside of f64 or more than 127 levels, which JSON columns refuse"
        );
        return Err(Error::invalid(field, message));
    }
    Ok(json)
}

/// Rules out nearly everything at the speed of the processor's vector instructions: the loops look at
/// all bytes rather than stopping early.
fn may_hold_unstorable(json: &str) -> bool {
    let bytes = json.as_bytes();
    let opens = |chunk: &[u8]| -> u8 {
        chunk
            .iter()
            .map(|byte| u8::from(matches!(byte, b'[' | b'{')))
            .sum()
    };
    let levels: usize = bytes
        .chunks(128)
        .map(|chunk| usize::from(opens(chunk)))
        .sum();
    levels > 127
        || may_hold_exponent(bytes)
        || json.contains('\\')
            && (json.contains("\\u0000") || json.contains("\\ud") || json.contains("\\uD"))
}

/// Whether a number may be spelt with an exponent, and so may be outside of `f64`.
fn may_hold_exponent(json: &[u8]) -> bool {
    const CHUNK: usize = 64;
    let is_exponent = |a: u8, b: u8| a.is_ascii_digit() & (b | 0x20 == b'e');
    (0..json.len()).step_by(CHUNK).any(|start| {
        let chunk = &json[start..json.len().min(start + CHUNK + 1)];
        let pairs = || chunk.iter().zip(chunk.iter().skip(1));
        pairs().fold(false, |found, (a, b)| found | is_exponent(*a, *b))
            && pairs()
                .enumerate()
                .any(|(at, (a, b))| is_exponent(*a, *b) && is_number(&json[..start + at]))
    })
}

/// Whether what `json` ends with can be the start of a number, rather than a part of a token.
fn is_number(json: &[u8]) -> bool {
    let before = json
        .iter()
        .rev()
        .find(|byte| !matches!(byte, b'0'..=b'9' | b'.' | b'-'));
    before.is_none_or(|byte| matches!(byte, b':' | b',' | b'[') || byte.is_ascii_whitespace())
}

fn holds_unstorable(json: &str) -> bool {
    fn holds_nul(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(items) => items.iter().any(holds_nul),
            Value::Object(map) => map
                .iter()
                .any(|(name, value)| name.contains('\0') || holds_nul(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    serde_json::from_str::<Value>(json).map_or(true, |value| holds_nul(&value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_compares_by_value() {
        let compact = Json::parse(r#"{"a":1,"b":[]}"#).unwrap();
        let spaced = Json::parse("{ \"b\": [], \"a\": 1 }").unwrap();
        assert_eq!(compact, spaced);
        assert_ne!(compact, Json::new(&json!({"a": 2})).unwrap());
    }

    #[test]
    fn unstorable_characters_are_refused_and_their_spelling_is_not() {
        assert!(encode("data", &json!({"a": "\0"}), 100).is_err());
        assert!(encode("data", &json!({"\0": 1}), 100).is_err());
        assert!(encode("data", &Json::parse(r#""\ud800""#).unwrap(), 100).is_err());
        assert!(encode("data", &json!("\\u0000 and \\ud800 spelt out"), 100).is_ok());
    }

    #[test]
    fn what_reading_could_not_cope_with_is_refused() {
        let nested = |levels: usize| Json::parse("[".repeat(levels) + &"]".repeat(levels)).unwrap();
        assert!(encode("data", &nested(127), 1_000).is_ok());
        assert!(encode("data", &nested(128), 1_000).is_err());
        assert!(encode("data", &Json::parse("1e131071").unwrap(), 100).is_err());
        assert!(encode("data", &json!([f64::MAX, "9e999"]), 100).is_ok());
        for beside in [r#""9e9""#, r#""9e9\"""#, r#""\\""#, r#"{"9e9":"1e1"}"#] {
            for (number, stored) in [("9e999", false), ("9e9", true), ("999", true)] {
                let json = Json::parse(format!("[{beside},{number}]")).unwrap();
                assert_eq!(encode("data", &json, 100).is_ok(), stored, "{json:?}");
            }
        }
    }

    #[test]
    fn the_limit_is_inclusive() {
        assert!(encode("data", "12345678", 10).is_ok());
        let error = encode("data", "123456789", 10).unwrap_err();
        assert_eq!(error.field(), Some("data"));
    }

    #[test]
    fn debug_shows_the_size_only() {
        let json = Json::new(&json!({"secret": "hunter2"})).unwrap();
        assert_eq!(format!("{json:?}"), "Json(20 bytes)");
    }
}
