//! The limit on MySQL and MariaDB: the stores' statements by hand, on the bare driver's pool. What is read stays bytes.

mod statements;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use async_trait::async_trait;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Pool, Row, Value};
use store_core::{LockToken, StateProof};
use time::OffsetDateTime;

use self::statements as sql;
use crate::case::Case;
use crate::subject::Subject;
use crate::world::Turn;

/// So many hours from now.
pub(super) fn hours(hours: u64) -> Value {
    after(Duration::from_secs(hours * 3600))
}

fn now() -> Value {
    after(Duration::ZERO)
}

fn after(duration: Duration) -> Value {
    let instant = OffsetDateTime::now_utc() + duration;
    Value::Date(
        u16::try_from(instant.year()).unwrap_or_default(),
        instant.month().into(),
        instant.day(),
        instant.hour(),
        instant.minute(),
        instant.second(),
        // Columns have milliseconds.
        u32::from(instant.millisecond()) * 1_000,
    )
}

pub(super) struct Raw {
    pool: Pool,
}

impl Raw {
    pub(super) fn new(pool: Pool) -> Self {
        Self { pool }
    }
}

/// What a statement finds.
async fn read(conn: &mut Conn, sql: &str, params: Vec<Value>) -> Result<Row> {
    let row: Option<Row> = conn.exec_first(sql, params).await?;
    row.context("the row is not there")
}

/// Runs a statement, which changes one row or has failed.
async fn write(conn: &mut Conn, sql: &str, params: Vec<Value>) -> Result<()> {
    let changed = conn.exec_iter(sql, params).await?.affected_rows();
    ensure!(changed == 1, "{changed} rows changed");
    Ok(())
}

/// Runs several statements in one text and returns the first row that any finds.
async fn together(conn: &mut Conn, text: String) -> Result<Row> {
    let mut result = conn.query_iter(text).await?;
    let mut first = None;
    while !result.is_empty() || first.is_none() {
        let rows: Vec<Row> = result.collect().await?;
        first = first.or(rows.into_iter().next());
        if result.is_empty() {
            break;
        }
    }
    result.drop_result().await?;
    first.context("the row is not there")
}

/// Fills in parameters that need no escaping.
fn filled(sql: &str, params: &[&str]) -> String {
    let mut parts = sql.split('?');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for (part, param) in parts.zip(params) {
        text.extend(["'", param, "'", part]);
    }
    text
}

async fn rotate(conn: &mut Conn, case: Case, aid: &str, seen: &str, fresh: &str) -> Result<()> {
    let now = now().as_sql(true);
    let now = now.trim_matches('\'');
    let name = match case {
        Case::RotateProof => filled(sql::NAME_SESSION, &[aid]),
        _ => filled(sql::NAME_SESSION_BY_PROOF, &[seen]),
    };
    let text = [
        "BEGIN".to_owned(),
        name,
        filled(sql::LOCK_SESSION, &[seen, now]),
        filled(sql::RETIRE_PREVIOUS, &[seen, now]),
        filled(sql::ROTATE, &[fresh, now, now, seen, now]),
        "COMMIT".to_owned(),
    ]
    .join(";");
    black_box(together(conn, text).await?);
    Ok(())
}

#[async_trait]
impl Subject for Raw {
    fn name(&self) -> &'static str {
        "raw"
    }

    fn supports(&self, case: Case) -> bool {
        case != Case::GetCachedLaunchConfig
    }

    async fn once(&self, case: Case, turn: &mut Turn) -> Result<()> {
        let world = Arc::clone(&turn.world);
        let conn = &mut self.pool.get_conn().await?;
        match case {
            Case::GetLtiSession => {
                let id = world.lti[turn.any()].text.as_str();
                let params = vec![id.into(), now()];
                black_box(read(conn, sql::GET_LTI_SESSION, params).await?);
            }
            Case::AddLtiSession => {
                let id = turn.new_uuid().to_string();
                let params = vec![id.into(), world.lti_json.as_str().into(), hours(24)];
                write(conn, sql::ADD_LTI_SESSION, params).await?;
            }
            Case::Nonce => {
                let nonce = turn.new_nonce();
                let until = after(Duration::from_secs(600));
                let params = vec![nonce.as_str().into(), until];
                write(conn, sql::STORE_NONCE, params).await?;
                let now = now();
                let params = vec![now.clone(), nonce.into(), now];
                write(conn, sql::CONSUME_NONCE, params).await?;
            }
            Case::GetLaunchConfig => {
                let wanted = &world.launch_configs[turn.launch_config()];
                let deployment = wanted.deployment_id.as_str();
                let params = vec![
                    wanted.iss.as_str().into(),
                    wanted.client_id.as_str().into(),
                    deployment.into(),
                    deployment.into(),
                ];
                black_box(read(conn, sql::GET_LAUNCH_CONFIG, params).await?);
            }
            Case::GetCachedLaunchConfig => bail!("the bare driver has no cache"),
            Case::ValidateProof => {
                let proof = world.jts[turn.any()].proof();
                let params = vec![proof.into(), now()];
                black_box(read(conn, sql::FIND_BY_CURRENT_PROOF, params).await?);
            }
            Case::RotateProof | Case::RenewProof => {
                let key = &world.jts[turn.own()];
                let (seen, fresh) = (key.proof(), StateProof::generate());
                rotate(conn, case, &key.aid, &seen, fresh.as_str()).await?;
                key.set_proof(fresh.as_str());
            }
            Case::TouchJts => {
                let aid = world.jts[turn.own()].aid.as_str();
                let now = now();
                let params = vec![now.clone(), aid.into(), now];
                // A row that was touched in this millisecond already is found, and not changed.
                conn.exec_drop(sql::TOUCH_JTS_SESSION, params).await?;
            }
            Case::LoadLogin => {
                let id = world.logins[turn.any()].id.as_str();
                let params = vec![id.into(), now()];
                black_box(read(conn, sql::LOAD_LOGIN_SESSION, params).await?);
            }
            Case::SaveLogin => {
                let key = &world.logins[turn.own()];
                save(conn, key, &world.login_json, Value::NULL).await?;
            }
            Case::LockLogin => {
                let key = &world.logins[turn.own()];
                let id = key.id.as_str();
                let token = LockToken::generate();
                let (now_sql, until) = (now().as_sql(true), after(Duration::from_secs(10)));
                let until = until.as_sql(true);
                let look = filled(sql::LOCK_ROW, &[id, now_sql.trim_matches('\'')]);
                black_box(together(conn, format!("BEGIN;{look}")).await?);
                let params = [token.as_str(), until.trim_matches('\''), id];
                let lock = filled(sql::LOCK_LOGIN_SESSION, &params);
                conn.query_drop(format!("{lock};COMMIT")).await?;
                save(conn, key, &world.login_json, token.as_str().into()).await?;
                let params = vec![id.into(), now(), token.as_str().into()];
                write(conn, sql::UNLOCK_LOGIN_SESSION, params).await?;
            }
        }
        Ok(())
    }

    async fn clean_up(&self) -> Result<u64> {
        let mut conn = self.pool.get_conn().await?;
        let done = conn.exec_iter(sql::DELETE_EXPIRED, (now(),)).await?;
        Ok(done.affected_rows())
    }

    async fn close(&self) {
        // Whatever is wrong with the connections, they are not used any more.
        let _ = self.pool.clone().disconnect().await;
    }
}

async fn save(
    conn: &mut Conn,
    key: &crate::world::LoginKey,
    json: &str,
    token: Value,
) -> Result<()> {
    let params = vec![
        json.into(),
        Value::NULL,
        key.id.as_str().into(),
        now(),
        token.clone(),
        token,
        key.version().into(),
    ];
    write(conn, sql::SAVE_LOGIN_SESSION, params).await?;
    key.set_version(key.version() + 1);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_filled_in() {
        assert_eq!(
            filled("a = ? AND b > ?", &["x", "y"]),
            "a = 'x' AND b > 'y'"
        );
        assert_eq!(filled("a", &[]), "a");
    }
}
