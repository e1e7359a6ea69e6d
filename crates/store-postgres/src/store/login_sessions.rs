//! Login sessions with row locks.

use std::time::Duration;

use async_trait::async_trait;
use store_core::{
    Error, ErrorKind, LockDecision, LockOutcome, LockState, LockToken, LoginData, LoginSession,
    LoginSessionId, LoginSessionStore, MAX_PAYLOAD_BYTES, Result, Timestamp, encode, expiry,
    judge_lock,
};
use tokio_postgres::Row;

use super::{PostgresStore, at};
use crate::mapping::{self, At, JsonText};

/// How often a step is looked at again because somebody else changed the session in between.
const LOOKS: u32 = 8;

#[async_trait]
impl LoginSessionStore for PostgresStore {
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
        let query = &self.queries().login.create_login_session;
        let answer = self
            .run(
                OPERATION,
                query,
                &[&id.as_str(), &JsonText(&json), &At(expires_at), &At(now)],
            )
            .await?;
        if answer.changed == 0 {
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
        let json =
            encode("data", &properties, MAX_PAYLOAD_BYTES).map_err(|error| at(OPERATION, error))?;
        let query = &self.queries().login.set_login_properties;
        let limit = i64::try_from(MAX_PAYLOAD_BYTES).unwrap_or(i64::MAX);
        let token = fence.map(|token| token.as_str());
        for _ in 0..LOOKS {
            let answer = self
                .run(
                    OPERATION,
                    query,
                    &[&id, &At(self.now()), &token, &JsonText(&json), &limit],
                )
                .await?;
            if let Some(row) = answer.rows.first() {
                return version(row, 0).map_err(|error| at(OPERATION, error));
            }
            // The server measures its own spelling, which has spaces, so that close to the limit the
            // whole has to be looked at here.
            let mut session = self.fenced(OPERATION, id, fence).await?.session;
            session.data.extend(properties.clone());
            if let Some(version) = self.save(OPERATION, &session, None, fence).await? {
                return Ok(version);
            }
        }
        Err(restless(OPERATION))
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
        // No property has a name with U+0000, and the server would refuse it.
        let names: Vec<&str> = names
            .iter()
            .copied()
            .filter(|name| !name.contains('\0'))
            .collect();
        let query = &self.queries().login.unset_login_properties;
        for _ in 0..LOOKS {
            let fence_text = fence.map(|token| token.as_str());
            let answer = self
                .run(
                    OPERATION,
                    query,
                    &[&id, &At(self.now()), &fence_text, &names],
                )
                .await?;
            if let Some(row) = answer.rows.first() {
                return version(row, 0).map_err(|error| at(OPERATION, error));
            }
            self.fenced(OPERATION, id, fence).await?;
        }
        Err(restless(OPERATION))
    }

    async fn extend_login_session(&self, id: &str, lifetime: Duration) -> Result<Timestamp> {
        const OPERATION: &str = "extend_login_session";
        let now = self.now();
        let expires_at = expiry(now, lifetime).map_err(|error| at(OPERATION, error))?;
        if !LoginSessionId::accepts(id) {
            return Err(unknown(OPERATION));
        }
        let query = &self.queries().login.extend_login_session;
        let answer = self
            .run(OPERATION, query, &[&id, &At(now), &At(expires_at)])
            .await?;
        if answer.changed == 0 {
            return Err(unknown(OPERATION));
        }
        Ok(expires_at)
    }

    async fn destroy_login_session(&self, id: &str) -> Result<bool> {
        if !LoginSessionId::accepts(id) {
            return Ok(false);
        }
        let query = &self.queries().login.destroy_login_session;
        let answer = self
            .run("destroy_login_session", query, &[&id, &At(self.now())])
            .await?;
        Ok(answer.changed > 0)
    }

    async fn lock_login_session(&self, id: &str, expected: &str) -> Result<LockOutcome> {
        const OPERATION: &str = "lock_login_session";
        let settings = self.settings();
        let property = settings.lock_verification_property.as_str();
        let query = &self.queries().login.lock_login_session;
        for _ in 0..LOOKS {
            // No property holds U+0000, and the server would refuse it.
            if LoginSessionId::accepts(id) && !expected.contains('\0') {
                let now = self.now();
                let until = now.checked_add(settings.max_lock_time);
                let until = until.unwrap_or(Timestamp::MAX);
                let token = LockToken::generate();
                let answer = self
                    .run(
                        OPERATION,
                        query,
                        &[
                            &id,
                            &At(now),
                            &token.as_str(),
                            &At(until),
                            &property,
                            &expected,
                        ],
                    )
                    .await?;
                if let Some(row) = answer.rows.first() {
                    // It may have waited for so long that the lock is over already.
                    if until <= self.now() {
                        continue;
                    }
                    return Ok(LockOutcome::Acquired {
                        token,
                        session: session(row, id).map_err(|error| at(OPERATION, error))?,
                        until,
                    });
                }
            }
            let Some(Stored { session, lock }) = self.stored(OPERATION, id).await? else {
                return Err(unknown(OPERATION));
            };
            let lock = lock.map(|(_, lock)| lock);
            match judge_lock(&session.data, property, expected, lock, self.now()) {
                LockDecision::Superseded => return Ok(LockOutcome::Superseded { session }),
                LockDecision::Held(until) => return Ok(LockOutcome::Held { until }),
                // It was released between the two statements: once more.
                LockDecision::Free => {}
            }
        }
        Err(restless(OPERATION))
    }

    async fn unlock_login_session(&self, id: &str, token: &LockToken) -> Result<()> {
        const OPERATION: &str = "unlock_login_session";
        if !LoginSessionId::accepts(id) {
            return Err(unknown(OPERATION));
        }
        let query = &self.queries().login.unlock_login_session;
        let answer = self
            .run(OPERATION, query, &[&id, &At(self.now()), &token.as_str()])
            .await?;
        if answer.changed == 0 {
            self.fenced(OPERATION, id, Some(token)).await?;
            return Err(restless(OPERATION));
        }
        Ok(())
    }
}

/// A session as it is stored, with its lock.
struct Stored {
    session: LoginSession,
    lock: Option<(LockToken, LockState)>,
}

impl PostgresStore {
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
        let query = &self.queries().login.save_login_session;
        let answer = self
            .run(
                operation,
                query,
                &[
                    &session.id.as_str(),
                    &At(now),
                    &fence.map(|token| token.as_str()),
                    &i64::try_from(session.version).unwrap_or(i64::MAX),
                    &JsonText(&json),
                    &expires_at.map(At),
                ],
            )
            .await?;
        let version = answer.rows.first().map(|row| version(row, 0)).transpose();
        version.map_err(|error| at(operation, error))
    }

    async fn stored(&self, operation: &'static str, id: &str) -> Result<Option<Stored>> {
        if !LoginSessionId::accepts(id) {
            return Ok(None);
        }
        let query = &self.queries().login.load_login_session;
        let answer = self.run(operation, query, &[&id, &At(self.now())]).await?;
        let decode = |row: &Row| {
            let token = mapping::optional_text(row, 3)?;
            let until = mapping::column::<Option<At>>(row, 4)?;
            let lock = token.zip(until.map(|until| LockState { until: until.0 }));
            let session = session(row, id)?;
            Ok(Stored { session, lock })
        };
        let stored = answer.rows.first().map(decode).transpose();
        stored.map_err(|error| at(operation, error))
    }

    /// Why a write found no row to change: none is there, or the fence is down; else what is stored.
    async fn fenced(
        &self,
        operation: &'static str,
        id: &str,
        fence: Option<&LockToken>,
    ) -> Result<Stored> {
        let Some(stored) = self.stored(operation, id).await? else {
            return Err(unknown(operation));
        };
        let holder = stored.lock.as_ref().map(|(token, _)| token);
        if fence.is_some() && fence != holder {
            let message = "the lock was released, or taken over after it expired";
            return Err(at(operation, Error::new(ErrorKind::LockLost, message)));
        }
        Ok(stored)
    }
}

/// Columns: data, expires_at, version.
pub(super) fn session(row: &Row, id: &str) -> Result<LoginSession> {
    Ok(LoginSession {
        id: LoginSessionId::from_stored(id),
        data: mapping::payload(row, 0, "login_sessions", id)?,
        expires_at: mapping::timestamp(row, 1)?,
        version: version(row, 2)?,
    })
}

fn version(row: &Row, index: usize) -> Result<u64> {
    mapping::column::<i64>(row, index).map(i64::unsigned_abs)
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
