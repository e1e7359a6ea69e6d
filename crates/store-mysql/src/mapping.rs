//! Between the driver's values and the domain's types.
//!
//! Rows come in two protocols: a prepared statement's values are typed, those of a text are text.

use mysql_async::{Row, Value};
use serde::de::DeserializeOwned;
use store_core::{
    Client, Deployment, Error, ErrorKind, Expiring, Json, JtsSession, LaunchConfig, LtiSession,
    Result, StoredNonce, Text, TextKind, Timestamp, parse_uuid,
};
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};
use uuid::Uuid;

/// A parameter of a statement. It borrows what the caller has, so that it costs nothing to make one,
/// or to make one that is not used.
#[derive(Clone, Copy)]
pub(crate) enum Param<'a> {
    Null,
    /// Text, JSON or a digest.
    Bytes(&'a [u8]),
    /// An id in its canonical text.
    Id(Uuid),
    /// A `DATETIME(3)` in UTC.
    At(Timestamp),
    Signed(i64),
    Unsigned(u64),
}

impl Param<'_> {
    /// As the driver has it.
    pub(crate) fn value(self) -> Value {
        match self {
            Self::Null => Value::NULL,
            Self::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
            Self::Id(id) => {
                let mut buffer = Uuid::encode_buffer();
                Value::Bytes(id.hyphenated().encode_lower(&mut buffer).as_bytes().into())
            }
            Self::At(instant) => date(instant),
            Self::Signed(number) => Value::Int(number),
            Self::Unsigned(number) => Value::UInt(number),
        }
    }
}

fn date(instant: Timestamp) -> Value {
    let instant = OffsetDateTime::from(instant);
    Value::Date(
        u16::try_from(instant.year()).unwrap_or_default(),
        instant.month().into(),
        instant.day(),
        instant.hour(),
        instant.minute(),
        instant.second(),
        instant.microsecond(),
    )
}

impl<'a> From<&'a str> for Param<'a> {
    fn from(text: &'a str) -> Self {
        Self::Bytes(text.as_bytes())
    }
}

impl<'a> From<&'a String> for Param<'a> {
    fn from(text: &'a String) -> Self {
        Self::Bytes(text.as_bytes())
    }
}

impl<'a, K: TextKind> From<&'a Text<K>> for Param<'a> {
    fn from(text: &'a Text<K>) -> Self {
        Self::Bytes(text.as_str().as_bytes())
    }
}

impl From<Uuid> for Param<'_> {
    fn from(id: Uuid) -> Self {
        Self::Id(id)
    }
}

impl From<Timestamp> for Param<'_> {
    fn from(instant: Timestamp) -> Self {
        Self::At(instant)
    }
}

impl From<bool> for Param<'_> {
    fn from(yes: bool) -> Self {
        Self::Unsigned(yes.into())
    }
}

impl From<u32> for Param<'_> {
    fn from(number: u32) -> Self {
        Self::Unsigned(number.into())
    }
}

impl From<u64> for Param<'_> {
    fn from(number: u64) -> Self {
        Self::Unsigned(number)
    }
}

impl From<i64> for Param<'_> {
    fn from(number: i64) -> Self {
        Self::Signed(number)
    }
}

impl<'a, T: Into<Param<'a>>> From<Option<T>> for Param<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Param::Null, Into::into)
    }
}

/// Stored data that does not decode: names table and key, never the payload.
pub(crate) fn corrupt(table: &str, key: impl std::fmt::Display) -> Error {
    let message = format!("the row of `{table}` with key `{key}` does not decode");
    Error::new(ErrorKind::Corrupt, message)
}

fn other_type(row: &Row, index: usize) -> Error {
    let columns = row.columns_ref();
    let name = columns
        .get(index)
        .map_or("?".into(), |column| column.name_str());
    let message = format!("column `{name}` holds a value of another type");
    Error::new(ErrorKind::Corrupt, message)
}

fn value(row: &Row, index: usize) -> &Value {
    row.as_ref(index).unwrap_or(&Value::NULL)
}

/// A column's bytes, or `None` if it is null.
pub(crate) fn bytes(row: &Row, index: usize) -> Result<Option<&[u8]>> {
    match value(row, index) {
        Value::NULL => Ok(None),
        Value::Bytes(bytes) => Ok(Some(bytes)),
        _ => Err(other_type(row, index)),
    }
}

/// A column's text, or `None` if it is null.
pub(crate) fn optional_str(row: &Row, index: usize) -> Result<Option<&str>> {
    let text = bytes(row, index)?.map(std::str::from_utf8).transpose();
    text.map_err(|_| other_type(row, index))
}

pub(crate) fn str(row: &Row, index: usize) -> Result<&str> {
    optional_str(row, index)?.ok_or_else(|| other_type(row, index))
}

/// Takes a column's text out of the row, or `None` if it is null.
fn take_string(row: &mut Row, index: usize) -> Result<Option<String>> {
    let text = match row.take(index) {
        None | Some(Value::NULL) => return Ok(None),
        Some(Value::Bytes(bytes)) => String::from_utf8(bytes).ok(),
        Some(_) => None,
    };
    text.map(Some).ok_or_else(|| other_type(row, index))
}

/// Takes a column's text out of the row.
pub(crate) fn text<K: TextKind>(row: &mut Row, index: usize) -> Result<Text<K>> {
    optional_text(row, index)?.ok_or_else(|| other_type(row, index))
}

/// Takes a column's text out of the row, or `None` if it is null.
pub(crate) fn optional_text<K: TextKind>(row: &mut Row, index: usize) -> Result<Option<Text<K>>> {
    Ok(take_string(row, index)?.map(Text::from_stored))
}

/// A column's number, or `None` if it is null.
pub(crate) fn optional_number(row: &Row, index: usize) -> Result<Option<i64>> {
    let number = match value(row, index) {
        Value::NULL => return Ok(None),
        Value::Int(number) => Some(*number),
        Value::UInt(number) => i64::try_from(*number).ok(),
        Value::Bytes(bytes) => std::str::from_utf8(bytes)
            .ok()
            .and_then(|text| text.parse().ok()),
        _ => None,
    };
    number.map(Some).ok_or_else(|| other_type(row, index))
}

pub(crate) fn number(row: &Row, index: usize) -> Result<i64> {
    optional_number(row, index)?.ok_or_else(|| other_type(row, index))
}

/// A column's instant, or `None` if it is null.
pub(crate) fn optional_timestamp(row: &Row, index: usize) -> Result<Option<Timestamp>> {
    let instant = match value(row, index) {
        Value::NULL => return Ok(None),
        Value::Date(year, month, day, hour, minute, second, micros) => instant(
            i32::from(*year),
            *month,
            *day,
            (*hour, *minute, *second),
            *micros,
        ),
        Value::Bytes(bytes) => parse_instant(bytes),
        _ => None,
    };
    instant.map(Some).ok_or_else(|| other_type(row, index))
}

pub(crate) fn timestamp(row: &Row, index: usize) -> Result<Timestamp> {
    optional_timestamp(row, index)?.ok_or_else(|| other_type(row, index))
}

fn instant(
    year: i32,
    month: u8,
    day: u8,
    (hour, minute, second): (u8, u8, u8),
    micros: u32,
) -> Option<Timestamp> {
    let date = Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok()?;
    let time = Time::from_hms_micro(hour, minute, second, micros).ok()?;
    Some(PrimitiveDateTime::new(date, time).assume_utc().into())
}

/// From `2030-01-02 03:04:05.678`, with or without the fraction or the time.
fn parse_instant(text: &[u8]) -> Option<Timestamp> {
    let part = |from: usize, to: usize| -> Option<u32> {
        std::str::from_utf8(text.get(from..to)?).ok()?.parse().ok()
    };
    if text.len() == 10 {
        let day = [text, b" 00:00:00"].concat();
        return parse_instant(&day);
    }
    let small = |from: usize, to: usize| part(from, to).and_then(|n| u8::try_from(n).ok());
    let micros = match text.get(20..) {
        None | Some([]) => 0,
        Some(fraction) => {
            let digits = u32::try_from(fraction.len()).ok().filter(|n| *n <= 6)?;
            part(20, text.len())? * 10_u32.pow(6 - digits)
        }
    };
    instant(
        i32::try_from(part(0, 4)?).ok()?,
        small(5, 7)?,
        small(8, 10)?,
        (small(11, 13)?, small(14, 16)?, small(17, 19)?),
        micros,
    )
}

/// A payload of the row of `table` with this key.
pub(crate) fn payload<T: DeserializeOwned>(
    row: &Row,
    index: usize,
    table: &str,
    key: &str,
) -> Result<T> {
    let json = bytes(row, index)?.unwrap_or_default();
    serde_json::from_slice(json).map_err(|_| corrupt(table, key))
}

pub(crate) fn uuid(row: &Row, index: usize, table: &str) -> Result<Uuid> {
    let text = str(row, index)?;
    parse_uuid(text).ok_or_else(|| corrupt(table, text.escape_debug()))
}

/// Columns: id, name, iss, client_id, auth_url, token_url, jwks_url.
pub(crate) fn client(row: &mut Row) -> Result<Client> {
    Ok(Client {
        id: uuid(row, 0, "clients")?,
        name: text(row, 1)?,
        iss: text(row, 2)?,
        client_id: text(row, 3)?,
        auth_url: text(row, 4)?,
        token_url: text(row, 5)?,
        jwks_url: text(row, 6)?,
    })
}

/// Columns from `first`: id, deployment_id, name, description. `None` if the id is null.
pub(crate) fn deployment(row: &mut Row, first: usize) -> Result<Option<Deployment>> {
    if value(row, first) == &Value::NULL {
        return Ok(None);
    }
    Ok(Some(Deployment {
        id: uuid(row, first, "deployments")?,
        deployment_id: text(row, first + 1)?,
        name: optional_text(row, first + 2)?,
        description: optional_text(row, first + 3)?,
    }))
}

/// Columns: iss, client_id, deployment_id, auth_url, token_url, jwks_url.
pub(crate) fn launch_config(row: &mut Row) -> Result<LaunchConfig> {
    Ok(LaunchConfig {
        iss: text(row, 0)?,
        client_id: text(row, 1)?,
        deployment_id: text(row, 2)?,
        auth_url: text(row, 3)?,
        token_url: text(row, 4)?,
        jwks_url: text(row, 5)?,
    })
}

/// Columns from `first`: data, expiresAt.
pub(crate) fn lti_session(row: &Row, first: usize, id: Uuid) -> Result<Expiring<LtiSession>> {
    let data = bytes(row, first)?.unwrap_or_default();
    let value = LtiSession::from_data(id, data).map_err(|_| corrupt("sessions", id))?;
    let expires_at = timestamp(row, first + 1)?;
    Ok(Expiring { value, expires_at })
}

/// Columns: nonce, expiresAt, whether it was used.
pub(crate) fn nonce(row: &mut Row) -> Result<StoredNonce> {
    Ok(StoredNonce {
        nonce: text(row, 0)?,
        expires_at: timestamp(row, 1)?,
        consumed: number(row, 2)? != 0,
    })
}

/// A column's SHA-256.
pub(crate) fn digest(row: &Row, index: usize) -> Result<[u8; 32]> {
    let digest = bytes(row, index)?.and_then(|digest| digest.try_into().ok());
    digest.ok_or_else(|| other_type(row, index))
}

/// Columns as in `jts_columns`.
pub(crate) fn jts_session(row: &mut Row) -> Result<JtsSession> {
    let aid: Text<_> = text(row, 0)?;
    let metadata = take_string(row, 12)?.map(Json::parse).transpose();
    // The originals' column can be null, and counts from 1.
    let version = optional_number(row, 4)?.unwrap_or(1);
    Ok(JtsSession {
        prn: text(row, 1)?,
        current_state_proof: text(row, 2)?,
        previous_state_proof: optional_text(row, 3)?,
        state_proof_version: u32::try_from(version).map_err(|_| corrupt("jts_sessions", &aid))?,
        rotation_timestamp: optional_timestamp(row, 5)?,
        device_fingerprint: optional_text(row, 6)?,
        created_at: timestamp(row, 7)?,
        expires_at: timestamp(row, 8)?,
        last_active: timestamp(row, 9)?,
        user_agent: optional_text(row, 10)?,
        ip_address: optional_text(row, 11)?,
        metadata: metadata.map_err(|_| corrupt("jts_sessions", &aid))?,
        aid,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_survive_both_protocols() {
        for millis in [0, 1, 999, 951_782_400_000, 253_402_300_799_999] {
            let there = Timestamp::from_unix_millis(millis);
            let Value::Date(year, month, day, hour, minute, second, micros) = date(there) else {
                panic!("an instant is a date");
            };
            let back = instant(year.into(), month, day, (hour, minute, second), micros);
            assert_eq!(back, Some(there));
            let text = date(there).as_sql(false);
            assert_eq!(parse_instant(text.trim_matches('\'').as_bytes()), back);
        }
        let at = |text: &str| parse_instant(text.as_bytes()).map(Timestamp::unix_millis);
        assert_eq!(at("1970-01-01 00:00:01"), Some(1_000));
        assert_eq!(at("1970-01-01 00:00:01.5"), Some(1_500));
        assert_eq!(at("0000-00-00 00:00:00.000"), None);
        assert_eq!(at(""), None);
    }
}
