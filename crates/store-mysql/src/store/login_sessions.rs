//! Login sessions with row locks.

use std::time::Duration;

use async_trait::async_trait;
use mysql_async::Row;
use store_core::{
    Error, ErrorKind, LockDecision, LockOutcome, LockState, LockToken, LoginData, LoginSession,
    LoginSessionId, LoginSessionStore, MAX_PAYLOAD_BYTES, Result, Timestamp, encode, expiry,
    judge_lock,
};

use super::{MySqlStore, at};
use crate::execute::{Answer, Batch, Then};
use crate::mapping;

/// How often a step is looked at again because somebody else changed the session in between.
const LOOKS: u32 = 8;

#[async_trait]
impl LoginSessionStore for MySqlStore {
    async fn create_login_session(
        &self,
        id: &LoginSessionId,
        data: LoginData,
        lifetime: Duration,
    ) -> Result<LoginSession> {
        const OPERATION: &str = "create_login_session";
        let now = self.now();
        let expires_at = expiry(now, lifetime).map_err(|error| at(OPERATION, error))?;
        let json =
            encode("data", &data, MAX_PAYLOAD_BYTES).map_err(|error| at(OPERATION, error))?;
        let queries = &self.queries().login;
        let (key, json) = (id.into(), (&json).into());
        let insert = [key, json, expires_at.into()];
        let replace = [json, expires_at.into(), key, now.into()];
        let created = self.insert(
            OPERATION,
            (&queries.create_login_session, &insert),
            (&queries.replace_login_session, &replace),
        );
        if !created.await? {
            let message = "a login session with this id exists";
            return Err(at(OPERATION, Error::new(ErrorKind::AlreadyExists, message)));
        }
        Ok(LoginSession {
            id: id.clone(),
            data,
            expires_at,
            version: 1,
        })
    }

    async fn load_login_session(&self, id: &str) -> Result<Option<LoginSession>> {
        let stored = self.stored("load_login_session", id).await?;
        Ok(stored.map(|stored| stored.session))
    }

    async fn save_login_session(
        &self,
        session: &LoginSession,
        lifetime: Option<Duration>,
        fence: Option<&LockToken>,
    ) -> Result<u64> {
        const OPERATION: &str = "save_login_session";
        for _ in 0..LOOKS {
            let saved = self.save(OPERATION, session, lifetime, fence).await?;
            if let Some(version) = saved {
                return Ok(version);
            }
            let id = session.id.as_str();
            let stored = self.fenced(OPERATION, id, fence).await?;
            if stored.session.version != session.version {
                let message = "the session was changed since it was loaded: load it again";
                return Err(at(OPERATION, Error::new(ErrorKind::Conflict, message)));
            }
        }
        Err(restless(OPERATION))
    }

    async fn set_login_properties(
        &self,
        id: &str,
        properties: LoginData,
        fence: Option<&LockToken>,
    ) -> Result<u64> {
        const OPERATION: &str = "set_login_properties";
        if !LoginSessionId::accepts(id) {
            return Err(unknown(OPERATION));
        }
        // What is wrong by itself need not wait for a look at the rest.
        encode("data", &properties, MAX_PAYLOAD_BYTES).map_err(|error| at(OPERATION, error))?;
        self.change(OPERATION, id, fence, |data| {
            data.extend(properties.clone());
        })
        .await
    }

    async fn unset_login_properties(
        &self,
        id: &str,
        names: &[&str],
        fence: Option<&LockToken>,
    ) -> Result<u64> {
        const OPERATION: &str = "unset_login_properties";
        if !LoginSessionId::accepts(id) {
            return Err(unknown(OPERATION));
        }
        self.change(OPERATION, id, fence, |data| {
            data.retain(|name, _| !names.contains(&name.as_str()));
        })
        .await
    }

    async fn extend_login_session(&self, id: &str, lifetime: Duration) -> Result<Timestamp> {
        const OPERATION: &str = "extend_login_session";
        let now = self.now();
        let expires_at = expiry(now, lifetime).map_err(|error| at(OPERATION, error))?;
        if !LoginSessionId::accepts(id) {
            return Err(unknown(OPERATION));
        }
        let query = &self.queries().login.extend_login_session;
        let params = [expires_at.into(), id.into(), now.into()];
        let answer = self.run(OPERATION, query, &params).await?;
        if answer.matched == 0 {
            return Err(unknown(OPERATION));
        }
        Ok(expires_at)
    }

    async fn destroy_login_session(&self, id: &str) -> Result<bool> {
        if !LoginSessionId::accepts(id) {
            return Ok(false);
        }
        let query = &self.queries().login.destroy_login_session;
        let params = [id.into(), self.now().into()];
        let answer = self.run("destroy_login_session", query, &params).await?;
        Ok(answer.changed > 0)
    }

    async fn lock_login_session(&self, id: &str, expected: &str) -> Result<LockOutcome> {
        const OPERATION: &str = "lock_login_session";
        if !LoginSessionId::accepts(id) {
            return Err(unknown(OPERATION));
        }
        let settings = self.settings();
        let property = settings.lock_verification_property.as_str();
        let queries = &self.queries().login;
        let decide = |seen: Vec<Answer>| {
            // As of the row's lock, for which it may have waited.
            let now = self.now();
            let until = now.checked_add(settings.max_lock_time);
            let until = until.unwrap_or(Timestamp::MAX);
            let Stored { session, lock } = first(seen, id)?.ok_or_else(|| unknown(OPERATION))?;
            let lock = lock.map(|(_, lock)| lock);
            Ok(
                match judge_lock(&session.data, property, expected, lock, now) {
                    LockDecision::Superseded => Then::Leave(LockOutcome::Superseded { session }),
                    LockDecision::Held(until) => Then::Leave(LockOutcome::Held { until }),
                    LockDecision::Free => {
                        let token = LockToken::generate();
                        let params = [(&token).into(), until.into(), id.into()];
                        Then::Commit(
                            Batch::new(&queries.lock_login_session, &params),
                            LockOutcome::Acquired {
                                token,
                                session,
                                until,
                            },
                        )
                    }
                },
            )
        };
        let look = Batch::new(&queries.lock_row, &[id.into(), self.now().into()]);
        let outcome = self.inner.executor.look_then(look, decide).await;
        outcome.map_err(|error| at(OPERATION, error))
    }

    async fn unlock_login_session(&self, id: &str, token: &LockToken) -> Result<()> {
        const OPERATION: &str = "unlock_login_session";
        if !LoginSessionId::accepts(id) {
            return Err(unknown(OPERATION));
        }
        let query = &self.queries().login.unlock_login_session;
        let params = [id.into(), self.now().into(), token.into()];
        let answer = self.run(OPERATION, query, &params).await?;
        if answer.changed == 0 {
            self.fenced(OPERATION, id, Some(token)).await?;
            return Err(restless(OPERATION));
        }
        Ok(())
    }
}

/// A session as it is stored, with its lock.
pub(super) struct Stored {
    pub(super) session: LoginSession,
    lock: Option<(LockToken, LockState)>,
}

impl MySqlStore {
    /// The compare-and-swap on the version: the new one, or `None` if no row was the one seen.
    async fn save(
        &self,
        operation: &'static str,
        session: &LoginSession,
        lifetime: Option<Duration>,
        fence: Option<&LockToken>,
    ) -> Result<Option<u64>> {
        let now = self.now();
        let expires_at = lifetime.map(|lifetime| expiry(now, lifetime)).transpose();
        let expires_at = expires_at.map_err(|error| at(operation, error))?;
        let json = encode("data", &session.data, MAX_PAYLOAD_BYTES)
            .map_err(|error| at(operation, error))?;
        let token = fence.into();
        let params = [
            (&json).into(),
            expires_at.into(),
            (&session.id).into(),
            now.into(),
            token,
            token,
            session.version.into(),
        ];
        let query = &self.queries().login.save_login_session;
        let answer = self.run(operation, query, &params).await?;
        Ok((answer.matched > 0).then(|| session.version.saturating_add(1)))
    }

    /// Changes the data of a live session under a lock of its row, and returns the new version.
    ///
    /// The servers' own functions for it differ: paths are quoted in other ways, `JSON_MERGE_PATCH`
    /// takes null for a removal, and the size of the result would be that of the server's spelling.
    async fn change(
        &self,
        operation: &'static str,
        id: &str,
        fence: Option<&LockToken>,
        change: impl Fn(&mut LoginData) + Send + Sync,
    ) -> Result<u64> {
        let queries = &self.queries().login;
        let decide = |seen: Vec<Answer>| {
            let stored = first(seen, id)?.ok_or_else(|| unknown(operation))?;
            let Stored { mut session, .. } = stored.fenced(operation, fence)?;
            change(&mut session.data);
            let json = encode("data", &session.data, MAX_PAYLOAD_BYTES)?;
            let write = Batch::new(&queries.write_data, &[(&json).into(), id.into()]);
            Ok(Then::Commit(write, session.version + 1))
        };
        let look = Batch::new(&queries.lock_row, &[id.into(), self.now().into()]);
        let version = self.inner.executor.look_then(look, decide).await;
        version.map_err(|error| at(operation, error))
    }

    pub(super) async fn stored(&self, operation: &'static str, id: &str) -> Result<Option<Stored>> {
        if !LoginSessionId::accepts(id) {
            return Ok(None);
        }
        let query = &self.queries().login.load_login_session;
        let params = [id.into(), self.now().into()];
        let answer = self.run(operation, query, &params).await?;
        first(vec![answer], id).map_err(|error| at(operation, error))
    }

    /// Why a write found no row to change: none is there, or the fence is down; else what is stored.
    async fn fenced(
        &self,
        operation: &'static str,
        id: &str,
        fence: Option<&LockToken>,
    ) -> Result<Stored> {
        match self.stored(operation, id).await? {
            Some(stored) => stored.fenced(operation, fence),
            None => Err(unknown(operation)),
        }
    }
}

impl Stored {
    /// The same, unless `fence` is no longer the holder's.
    fn fenced(self, operation: &'static str, fence: Option<&LockToken>) -> Result<Self> {
        let holder = self.lock.as_ref().map(|(token, _)| token);
        if fence.is_some() && fence != holder {
            let message = "the lock was released, or taken over after it expired";
            return Err(at(operation, Error::new(ErrorKind::LockLost, message)));
        }
        Ok(self)
    }
}

/// The row that the first statement found.
fn first(answers: Vec<Answer>, id: &str) -> Result<Option<Stored>> {
    let row = answers.into_iter().next().and_then(Answer::first);
    row.map(|mut row| stored(&mut row, id)).transpose()
}

/// Columns: data, expires_at, version, lock_token, locked_until.
pub(super) fn stored(row: &mut Row, id: &str) -> Result<Stored> {
    let token = mapping::optional_text(row, 3)?;
    let until = mapping::optional_timestamp(row, 4)?;
    let session = LoginSession {
        id: LoginSessionId::from_stored(id),
        data: mapping::payload(row, 0, "login_sessions", id)?,
        expires_at: mapping::timestamp(row, 1)?,
        version: mapping::number(row, 2)?.unsigned_abs(),
    };
    Ok(Stored {
        session,
        lock: token.zip(until.map(|until| LockState { until })),
    })
}

fn unknown(operation: &'static str) -> Error {
    let message = "no live login session has this id";
    at(operation, Error::new(ErrorKind::NotFound, message))
}

fn restless(operation: &'static str) -> Error {
    let message = "the session kept changing; try again";
    at(
        operation,
        Error::new(ErrorKind::Conflict, message).retryable(),
    )
}
