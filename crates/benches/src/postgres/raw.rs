//! The limit on PostgreSQL: the stores' statements by hand, on a pool of the bare driver. What is read stays bytes.

use std::error::Error as StdError;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use async_trait::async_trait;
use bytes::{BufMut, BytesMut};
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use store_core::{LockToken, StateProof};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Config, NoTls, Row};

use super::raw::statements::Statements;
use crate::case::Case;
use crate::subject::Subject;
use crate::world::Turn;

mod statements;

const CONNECTIONS: usize = 10;

/// JSON text as a parameter of type `jsonb`.
#[derive(Debug)]
pub(super) struct Jsonb<'a>(&'a str);

pub(super) fn jsonb(json: &str) -> Jsonb<'_> {
    Jsonb(json)
}

impl ToSql for Jsonb<'_> {
    fn to_sql(
        &self,
        _ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        out.put_u8(1);
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSONB
    }

    to_sql_checked!();
}

/// So many hours from now.
pub(super) fn timestamp(hours: u64) -> SystemTime {
    SystemTime::now() + Duration::from_secs(hours * 3600)
}

/// Fills in the names of tables.
pub(super) fn fill(sql: &str, schema: &str) -> String {
    sql.replace('{', &format!("{schema}.")).replace('}', "")
}

pub(super) struct Raw {
    pool: Pool,
    statements: Statements,
}

impl Raw {
    pub(super) fn new(config: Config, schema: &str) -> Result<Self> {
        let recycling = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let pool = Pool::builder(Manager::from_config(config, NoTls, recycling))
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .build()?;
        Ok(Self {
            pool,
            statements: Statements::new(schema),
        })
    }
}

/// What a statement finds.
async fn read(
    connection: &Object,
    sql: &str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Option<Row>> {
    let statement = connection.prepare_cached(sql).await?;
    Ok(connection.query_opt(&statement, params).await?)
}

/// How many rows a statement changes: one, or it has failed.
async fn write(connection: &Object, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<()> {
    let statement = connection.prepare_cached(sql).await?;
    let changed = connection.execute(&statement, params).await?;
    ensure!(changed == 1, "{changed} rows changed");
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
        let sql = &self.statements;
        let now = SystemTime::now();
        let connection = &self.pool.get().await?;
        let none: Option<&str> = None;
        match case {
            Case::GetLtiSession => {
                let id = world.lti[turn.any()].uuid;
                let row = read(connection, &sql.get_lti_session, &[&id, &now]).await?;
                black_box(row.context("the session is not there")?);
            }
            Case::AddLtiSession => {
                let (id, data, until) = (turn.new_uuid(), jsonb(&world.lti_json), timestamp(24));
                write(
                    connection,
                    &sql.add_lti_session,
                    &[&id, &data, &until, &now],
                )
                .await?;
            }
            Case::Nonce => {
                let (nonce, until) = (turn.new_nonce(), now + Duration::from_secs(600));
                write(connection, &sql.store_nonce, &[&nonce, &until, &now]).await?;
                write(connection, &sql.consume_nonce, &[&nonce, &now]).await?;
            }
            Case::GetLaunchConfig => {
                let wanted = &world.launch_configs[turn.launch_config()];
                let (iss, client_id) = (wanted.iss.as_str(), wanted.client_id.as_str());
                let deployment = wanted.deployment_id.as_str();
                let params: [&(dyn ToSql + Sync); 3] = [&iss, &client_id, &deployment];
                let row = read(connection, &sql.get_launch_config, &params).await?;
                black_box(row.context("the launch config is not there")?);
            }
            Case::GetCachedLaunchConfig => bail!("the bare driver has no cache"),
            Case::ValidateProof => {
                let proof = world.jts[turn.any()].proof();
                let row = read(connection, &sql.find_by_current_proof, &[&proof, &now]).await?;
                black_box(row.context("the proof is not there")?);
            }
            Case::RotateProof | Case::RenewProof => {
                let key = &world.jts[turn.own()];
                let (seen, fresh) = (key.proof(), StateProof::generate());
                let aid = (case == Case::RotateProof).then_some(key.aid.as_str());
                let params: [&(dyn ToSql + Sync); 4] = [&seen, &fresh.as_str(), &now, &aid];
                let row = read(connection, &sql.rotate, &params).await?;
                black_box(row.context("the proof is not current")?);
                key.set_proof(fresh.as_str());
            }
            Case::TouchJts => {
                let aid = &world.jts[turn.own()].aid;
                write(connection, &sql.touch_jts_session, &[aid, &now]).await?;
            }
            Case::LoadLogin => {
                let id = world.logins[turn.any()].id.as_str();
                let row = read(connection, &sql.load_login_session, &[&id, &now]).await?;
                black_box(row.context("the login session is not there")?);
            }
            Case::SaveLogin => {
                let key = &world.logins[turn.own()];
                let version = i64::try_from(key.version())?;
                let data = jsonb(&world.login_json);
                let until: Option<SystemTime> = None;
                let params: [&(dyn ToSql + Sync); 6] =
                    [&key.id.as_str(), &now, &none, &version, &data, &until];
                let row = read(connection, &sql.save_login_session, &params).await?;
                black_box(row.context("the version is another")?);
                key.set_version(key.version() + 1);
            }
            Case::LockLogin => {
                let key = &world.logins[turn.own()];
                let id = key.id.as_str();
                let token = LockToken::generate();
                let (token, until) = (token.as_str(), now + Duration::from_secs(10));
                let (property, expected) = ("refresh_token", world.refresh_token());
                let params: [&(dyn ToSql + Sync); 6] =
                    [&id, &now, &token, &until, &property, &expected];
                let row = read(connection, &sql.lock_login_session, &params).await?;
                black_box(row.context("the lock is held")?);
                let version = i64::try_from(key.version())?;
                let data = jsonb(&world.login_json);
                let until: Option<SystemTime> = None;
                let params: [&(dyn ToSql + Sync); 6] = [&id, &now, &token, &version, &data, &until];
                let row = read(connection, &sql.save_login_session, &params).await?;
                black_box(row.context("the version is another")?);
                key.set_version(key.version() + 1);
                write(connection, &sql.unlock_login_session, &[&id, &now, &token]).await?;
            }
        }
        Ok(())
    }

    async fn clean_up(&self) -> Result<u64> {
        let connection = self.pool.get().await?;
        let statement = connection
            .prepare_cached(&self.statements.delete_expired)
            .await?;
        Ok(connection
            .execute(&statement, &[&SystemTime::now()])
            .await?)
    }

    async fn close(&self) {
        self.pool.close();
    }
}
