//! Recognising tables that are there already.

use deadpool_postgres::Transaction;
use store_core::{Error, ErrorKind, Result};
use tokio_postgres::types::Type;

use crate::bootstrap::failed;
use crate::mapping;
use crate::names::TableNames;

/// A column, and the types that it may have.
type Column = (&'static str, &'static [&'static str]);

const TEXT: &[&str] = &["character varying", "text"];
const UUID: &[&str] = &["uuid"];
const JSON: &[&str] = &["jsonb"];
const INSTANT: &[&str] = &["timestamp with time zone"];
const INTEGER: &[&str] = &["integer"];

const WITH_PAYLOAD: &[Column] = &[("id", UUID), ("data", JSON), ("expires_at", INSTANT)];

/// The columns that a table must have to be taken over. `nonces.used_at` may be missing: bootstrap
/// adds it.
fn columns(table: &str) -> &'static [Column] {
    match table {
        "clients" => &[
            ("id", UUID),
            ("name", TEXT),
            ("iss", TEXT),
            ("client_id", TEXT),
            ("auth_url", TEXT),
            ("token_url", TEXT),
            ("jwks_url", TEXT),
        ],
        "deployments" => &[
            ("id", UUID),
            ("deployment_id", TEXT),
            ("name", TEXT),
            ("description", TEXT),
            ("client_id", UUID),
        ],
        "nonces" => &[("nonce", TEXT), ("expires_at", INSTANT)],
        "sessions" | "registration_sessions" => WITH_PAYLOAD,
        "jts_sessions" => &[
            ("aid", TEXT),
            ("prn", TEXT),
            ("current_state_proof", TEXT),
            ("previous_state_proof", TEXT),
            ("state_proof_version", INTEGER),
            ("rotation_timestamp", INSTANT),
            ("device_fingerprint", TEXT),
            ("created_at", INSTANT),
            ("expires_at", INSTANT),
            ("last_active", INSTANT),
            ("user_agent", TEXT),
            ("ip_address", TEXT),
            ("metadata", JSON),
        ],
        "jts_retired_state_proofs" => &[
            ("aid", TEXT),
            ("state_proof_version", INTEGER),
            ("digest", &["bytea"]),
        ],
        _ => &[
            ("id", TEXT),
            ("data", JSON),
            ("expires_at", INSTANT),
            ("version", &["bigint"]),
            ("lock_token", TEXT),
            ("locked_until", INSTANT),
        ],
    }
}

/// Whether a relation of this quoted name exists.
pub(crate) async fn exists(transaction: &Transaction<'_>, qualified: &str) -> Result<bool> {
    let rows = transaction
        .query_typed(
            "SELECT to_regclass($1) IS NOT NULL",
            &[(&qualified, Type::TEXT)],
        )
        .await
        .map_err(failed)?;
    rows.first()
        .map_or(Ok(false), |row| mapping::column(row, 0))
}

/// That a table found through the `search_path` is where a new one would be created, or the new ones
/// would hide it.
async fn in_place(transaction: &Transaction<'_>, names: &TableNames, table: &str) -> Result<()> {
    let rows = transaction
        .query_typed(
            "SELECT relnamespace::regnamespace::text FROM pg_class
             WHERE oid = to_regclass($1) AND $2
               AND relnamespace::regnamespace::text IS DISTINCT FROM quote_ident(current_schema())",
            &[
                (&names.qualified(table), Type::TEXT),
                (&names.schema.is_none(), Type::BOOL),
            ],
        )
        .await
        .map_err(failed)?;
    let Some(row) = rows.first() else {
        return Ok(());
    };
    let schema: &str = mapping::column(row, 0)?;
    let table = names.table(table);
    let message = format!(
        "the table `{table}` is in the schema {schema}, and new tables would be created in another; say which with the schema option"
    );
    Err(Error::new(ErrorKind::SchemaMismatch, message))
}

/// The keys that statements rely on: columns, and whether they must be unique.
fn keys(table: &str) -> &'static [(&'static [&'static str], bool)] {
    const ID_AND_EXPIRY: &[(&[&str], bool)] = &[(&["id"], true), (&["expires_at"], false)];
    match table {
        "clients" => &[(&["id"], true), (&["iss", "client_id"], true)],
        "deployments" => &[(&["id"], true), (&["client_id", "deployment_id"], true)],
        "nonces" => &[(&["nonce"], true), (&["expires_at"], false)],
        "jts_sessions" => &[
            (&["aid"], true),
            (&["prn"], false),
            (&["current_state_proof"], false),
            (&["previous_state_proof"], false),
            (&["expires_at"], false),
        ],
        "jts_retired_state_proofs" => &[
            (&["aid", "state_proof_version"], true),
            (&["digest"], false),
        ],
        _ => ID_AND_EXPIRY,
    }
}

/// That a table that was there has the keys that statements rely on, after the migration has added
/// those whose names were free.
pub(crate) async fn has_keys(
    transaction: &Transaction<'_>,
    names: &TableNames,
    table: &str,
) -> Result<()> {
    for (columns, unique) in keys(table) {
        let found = transaction
            .query_typed(
                "SELECT 1 FROM pg_index i
                 WHERE i.indrelid = to_regclass($1) AND i.indisvalid AND i.indpred IS NULL
                   AND (i.indisunique OR NOT $3)
                   AND ARRAY(SELECT a.attname::text
                             FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, place)
                             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                             ORDER BY k.place) = $2",
                &[
                    (&names.qualified(table), Type::TEXT),
                    (columns, Type::TEXT_ARRAY),
                    (unique, Type::BOOL),
                ],
            )
            .await
            .map_err(failed)?;
        if found.is_empty() {
            let (table, columns) = (names.table(table), columns.join(", "));
            let key = if *unique { "unique key" } else { "index" };
            let message = format!(
                "the table `{table}` lacks a {key} on ({columns}), and the store's name for it is taken; nothing was changed. Create it, then call bootstrap() again"
            );
            return Err(Error::new(ErrorKind::SchemaMismatch, message));
        }
    }
    Ok(())
}

/// Whether `table` is there and can be taken over; an error if it is there and somebody else's.
pub(crate) async fn recognise(
    transaction: &Transaction<'_>,
    names: &TableNames,
    table: &str,
) -> Result<bool> {
    let rows = transaction
        .query_typed(
            "SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute
             WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped",
            &[(&names.qualified(table), Type::TEXT)],
        )
        .await
        .map_err(failed)?;
    if rows.is_empty() {
        return Ok(false);
    }
    in_place(transaction, names, table).await?;
    let mut found = Vec::new();
    for row in &rows {
        let name: &str = mapping::column(row, 0)?;
        let ty: &str = mapping::column(row, 1)?;
        found.push((name, ty));
    }
    for (column, types) in columns(table) {
        let problem = match found.iter().find(|(name, _)| name == column) {
            Some((_, ty)) if types.contains(ty) => continue,
            Some((_, ty)) => format!("its column `{column}` is {ty}, not {}", types.join(" or ")),
            None => format!("it has no column `{column}`"),
        };
        let table = names.table(table);
        let message = format!(
            "the table `{table}` exists and is not the store's: {problem}; nothing was changed. Put the store's tables elsewhere with the schema or table_prefix option"
        );
        return Err(Error::new(ErrorKind::SchemaMismatch, message));
    }
    Ok(true)
}
