//! Records cut down to digests, so that many of them can be compared.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use store::{Record, Timestamp};

/// The first half of a SHA-256.
pub(super) type Half = [u8; 16];

/// What place a record takes, what it says, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Print {
    pub(super) place: Half,
    pub(super) content: Half,
    pub(super) expires_at: Option<Timestamp>,
}

impl Print {
    pub(super) fn of(record: &Record) -> Self {
        let (place, content) = match record {
            Record::Client(client) => (json!(client.client.id), json!(client)),
            Record::Session(session) => (json!(session.id), json!(session.value)),
            Record::Nonce(nonce) => (json!(nonce.nonce), json!(nonce.consumed)),
            Record::RegistrationSession(id, session) => (json!(id), json!(session)),
            Record::JtsSession(stored) => (
                json!(stored.session.aid),
                json!([stored.session, stored.retired_proofs]),
            ),
            Record::LoginSession(session) => (json!(session.id), json!(session)),
        };
        let expires_at = record.expires_at();
        Self {
            place: half(&place),
            content: half(&json!([content, expires_at])),
            expires_at,
        }
    }
}

fn half(value: &Value) -> Half {
    let mut hasher = Sha256::new();
    feed(value, &mut hasher);
    let digest: [u8; 32] = hasher.finalize().into();
    let mut half = Half::default();
    half.copy_from_slice(&digest[..16]);
    half
}

/// Feeds a value so that equal values, in whatever order their names are, give equal digests.
fn feed(value: &Value, hasher: &mut Sha256) {
    match value {
        Value::Null => hasher.update(b"n"),
        Value::Bool(value) => hasher.update([b'b', u8::from(*value)]),
        Value::Number(number) => {
            hasher.update(b"d");
            text(&canonical(number), hasher);
        }
        Value::String(value) => {
            hasher.update(b"s");
            text(value, hasher);
        }
        Value::Array(values) => {
            hasher.update(b"a");
            hasher.update((values.len() as u64).to_le_bytes());
            for value in values {
                feed(value, hasher);
            }
        }
        Value::Object(map) => {
            hasher.update(b"o");
            hasher.update((map.len() as u64).to_le_bytes());
            let mut names: Vec<&String> = map.keys().collect();
            names.sort_unstable();
            for name in names {
                text(name, hasher);
                feed(&map[name], hasher);
            }
        }
    }
}

fn text(text: &str, hasher: &mut Sha256) {
    hasher.update((text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}

/// Stores keep a number's value, not its spelling: `1e3` may come back as `1000`.
fn canonical(number: &serde_json::Number) -> String {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number.as_f64() {
        Some(float) if !number.is_i64() && !number.is_u64() && float.abs() <= EXACT => {
            format!("{float}")
        }
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_equal_digests() {
        let parsed = |text: &str| half(&serde_json::from_str(text).unwrap());
        assert_eq!(
            parsed(r#"{"a": 1e3, "b": []}"#),
            parsed(r#"{"b":[],"a":1000}"#)
        );
        assert_ne!(parsed(r#"["a", "b"]"#), parsed(r#"["ab"]"#));
        assert_ne!(parsed(r#"[["a"], "b"]"#), parsed(r#"[["a", "b"]]"#));
        assert_ne!(parsed("0.1"), parsed("0.2"));
        assert_ne!(parsed("9007199254740993"), parsed("9007199254740992"));
    }
}
