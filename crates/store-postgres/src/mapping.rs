//! Between the driver's values and the domain's types.

use std::error::Error as StdError;

use bytes::{BufMut, BytesMut};
use serde::de::DeserializeOwned;
use store_core::{
    Client, Deployment, Error, ErrorKind, Json, JtsSession, LaunchConfig, Result, Text, TextKind,
    Timestamp,
};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;

type BoxError = Box<dyn StdError + Sync + Send>;

/// A parameter. Its `Debug` shows nothing, because the driver logs parameters.
#[derive(Clone, Copy)]
pub(crate) struct Param<'a>(pub(crate) &'a (dyn ToSql + Sync));

impl std::fmt::Debug for Param<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl ToSql for Param<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        self.0.to_sql_checked(ty, out)
    }

    fn accepts(_ty: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A `timestamptz`, which is microseconds from 2000-01-01 in UTC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At(pub(crate) Timestamp);

const MILLIS_TO_2000: i64 = 946_684_800_000;

impl ToSql for At {
    fn to_sql(&self, _ty: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        out.put_i64((self.0.unix_millis() - MILLIS_TO_2000) * 1_000);
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for At {
    fn from_sql(_ty: &Type, raw: &'a [u8]) -> Result<Self, BoxError> {
        let micros = i64::from_be_bytes(raw.try_into()?);
        let millis = micros.div_euclid(1_000).saturating_add(MILLIS_TO_2000);
        Ok(Self(Timestamp::from_unix_millis(millis)))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }
}

/// JSON text as a `jsonb` parameter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JsonText<'a>(pub(crate) &'a str);

impl ToSql for JsonText<'_> {
    fn to_sql(&self, _ty: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        out.put_u8(1);
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSONB
    }

    to_sql_checked!();
}

/// The JSON text of a `jsonb` column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JsonBytes<'a>(pub(crate) &'a [u8]);

impl<'a> FromSql<'a> for JsonBytes<'a> {
    fn from_sql(_ty: &Type, raw: &'a [u8]) -> Result<Self, BoxError> {
        match raw {
            [1, json @ ..] => Ok(Self(json)),
            _ => Err("unknown version of jsonb".into()),
        }
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSONB
    }
}

/// Stored data that does not decode: names table and key, never the payload.
pub(crate) fn corrupt(table: &str, key: impl std::fmt::Display) -> Error {
    let message = format!("the row of `{table}` with key `{key}` does not decode");
    Error::new(ErrorKind::Corrupt, message)
}

/// A column's value, or `Corrupt` if it is of another type.
pub(crate) fn column<'a, T: FromSql<'a>>(row: &'a Row, index: usize) -> Result<T> {
    row.try_get(index).map_err(|_| {
        let name = row.columns().get(index).map_or("?", |column| column.name());
        let message = format!("column `{name}` holds a value of another type");
        Error::new(ErrorKind::Corrupt, message)
    })
}

pub(crate) fn text<K: TextKind>(row: &Row, index: usize) -> Result<Text<K>> {
    column::<&str>(row, index).map(Text::from_stored)
}

pub(crate) fn optional_text<K: TextKind>(row: &Row, index: usize) -> Result<Option<Text<K>>> {
    Ok(column::<Option<&str>>(row, index)?.map(Text::from_stored))
}

pub(crate) fn timestamp(row: &Row, index: usize) -> Result<Timestamp> {
    column::<At>(row, index).map(|at| at.0)
}

/// A payload of the row of `table` with this key.
pub(crate) fn payload<T: DeserializeOwned>(
    row: &Row,
    index: usize,
    table: &str,
    key: &str,
) -> Result<T> {
    let json = column::<JsonBytes<'_>>(row, index)?;
    serde_json::from_slice(json.0).map_err(|_| corrupt(table, key))
}

/// Columns: id, name, iss, client_id, auth_url, token_url, jwks_url.
pub(crate) fn client(row: &Row) -> Result<Client> {
    Ok(Client {
        id: column(row, 0)?,
        name: text(row, 1)?,
        iss: text(row, 2)?,
        client_id: text(row, 3)?,
        auth_url: text(row, 4)?,
        token_url: text(row, 5)?,
        jwks_url: text(row, 6)?,
    })
}

/// Columns from `first`: id, deployment_id, name, description. `None` if the id is null.
pub(crate) fn deployment(row: &Row, first: usize) -> Result<Option<Deployment>> {
    let Some(id) = column::<Option<Uuid>>(row, first)? else {
        return Ok(None);
    };
    Ok(Some(Deployment {
        id,
        deployment_id: text(row, first + 1)?,
        name: optional_text(row, first + 2)?,
        description: optional_text(row, first + 3)?,
    }))
}

/// Columns: iss, client_id, deployment_id, auth_url, token_url, jwks_url.
pub(crate) fn launch_config(row: &Row) -> Result<LaunchConfig> {
    Ok(LaunchConfig {
        iss: text(row, 0)?,
        client_id: text(row, 1)?,
        deployment_id: text(row, 2)?,
        auth_url: text(row, 3)?,
        token_url: text(row, 4)?,
        jwks_url: text(row, 5)?,
    })
}

/// Columns as in `JTS_COLUMNS`.
pub(crate) fn jts_session(row: &Row) -> Result<JtsSession> {
    let aid: Text<_> = text(row, 0)?;
    let metadata = match column::<Option<JsonBytes<'_>>>(row, 12)? {
        Some(JsonBytes(json)) => {
            let decoded = std::str::from_utf8(json).ok().map(Json::parse);
            let Some(Ok(metadata)) = decoded else {
                return Err(corrupt("jts_sessions", &aid));
            };
            Some(metadata)
        }
        None => None,
    };
    // The originals' column can be null, and counts from 1.
    let version = column::<Option<i32>>(row, 4)?.unwrap_or(1);
    Ok(JtsSession {
        prn: text(row, 1)?,
        current_state_proof: text(row, 2)?,
        previous_state_proof: optional_text(row, 3)?,
        state_proof_version: u32::try_from(version).map_err(|_| corrupt("jts_sessions", &aid))?,
        rotation_timestamp: column::<Option<At>>(row, 5)?.map(|at| at.0),
        device_fingerprint: optional_text(row, 6)?,
        created_at: timestamp(row, 7)?,
        expires_at: timestamp(row, 8)?,
        last_active: timestamp(row, 9)?,
        user_agent: optional_text(row, 10)?,
        ip_address: optional_text(row, 11)?,
        metadata,
        aid,
    })
}
