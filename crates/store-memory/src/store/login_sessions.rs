//! Login sessions and their locks.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use store_core::{
    CleanupKind, Error, ErrorKind, Expiring, LockDecision, LockOutcome, LockState, LockToken,
    LoginData, LoginSession, LoginSessionId, LoginSessionStore, MAX_PAYLOAD_BYTES, Result,
    Timestamp, encode, expiry, judge_lock,
};

use super::{BACKEND, MemoryStore, State, already_exists, not_found};
use crate::table::Table;

pub(super) type LoginSessions = Table<Arc<str>, Row>;

pub(super) struct Row {
    data: LoginData,
    version: u64,
    lock: Option<Lock>,
}

struct Lock {
    token: LockToken,
    until: Timestamp,
}

impl Row {
    pub(super) fn unlocked(data: LoginData, version: u64) -> Self {
        Self {
            data,
            version,
            lock: None,
        }
    }

    /// Whether a write with this fence may go on. The holder keeps the lock past its end until
    /// somebody takes it over.
    fn admit(&self, fence: Option<&LockToken>) -> Result<()> {
        let holder = self.lock.as_ref().map(|lock| &lock.token);
        if fence.is_none() || fence == holder {
            return Ok(());
        }
        let message = "the lock was released or taken over";
        Err(Error::new(ErrorKind::LockLost, message))
    }

    /// Replaces the data and returns the new version.
    fn replace(&mut self, data: LoginData) -> u64 {
        self.data = data;
        self.version += 1;
        self.version
    }
}

pub(super) fn session(id: &str, row: &Expiring<Row>) -> LoginSession {
    LoginSession {
        id: LoginSessionId::from_stored(id),
        data: row.data.clone(),
        expires_at: row.expires_at,
        version: row.version,
    }
}

pub(super) fn check(data: &LoginData) -> Result<()> {
    encode("data", data, MAX_PAYLOAD_BYTES).map(drop)
}

fn no_session() -> Error {
    not_found("no live login session has this id")
}

impl State {
    fn login_session(&mut self, id: &str, now: Timestamp) -> Result<&mut Row> {
        let row = self.login_sessions.get_mut(id, now);
        row.ok_or_else(no_session)
    }
}

#[async_trait]
impl LoginSessionStore for MemoryStore {
    async fn create_login_session(
        &self,
        id: &LoginSessionId,
        data: LoginData,
        lifetime: Duration,
    ) -> Result<LoginSession> {
        const OPERATION: &str = "create_login_session";
        check(&data).map_err(|error| error.at(BACKEND, OPERATION))?;
        self.adding_step(OPERATION, CleanupKind::LoginSessions, |state, now| {
            let expires_at = expiry(now, lifetime)?;
            let row = Row::unlocked(data.clone(), 1);
            let key = id.as_str().into();
            if !state.login_sessions.add(key, row, expires_at, now) {
                return Err(already_exists("a live login session has this id"));
            }
            Ok(LoginSession {
                id: id.clone(),
                data,
                expires_at,
                version: 1,
            })
        })
    }

    async fn load_login_session(&self, id: &str) -> Result<Option<LoginSession>> {
        self.step("load_login_session", |state, now| {
            let row = state.login_sessions.get(id, now);
            Ok(row.map(|row| session(id, row)))
        })
    }

    async fn save_login_session(
        &self,
        session: &LoginSession,
        lifetime: Option<Duration>,
        fence: Option<&LockToken>,
    ) -> Result<u64> {
        const OPERATION: &str = "save_login_session";
        check(&session.data).map_err(|error| error.at(BACKEND, OPERATION))?;
        self.step(OPERATION, |state, now| {
            let expires_at = lifetime.map(|lifetime| expiry(now, lifetime)).transpose()?;
            let id = session.id.as_str();
            let row = state.login_session(id, now)?;
            row.admit(fence)?;
            if row.version != session.version {
                let message = "the session was changed since it was loaded";
                return Err(Error::new(ErrorKind::Conflict, message));
            }
            let version = row.replace(session.data.clone());
            if let Some(expires_at) = expires_at {
                state.login_sessions.set_expiry(id, expires_at);
            }
            Ok(version)
        })
    }

    async fn set_login_properties(
        &self,
        id: &str,
        properties: LoginData,
        fence: Option<&LockToken>,
    ) -> Result<u64> {
        const OPERATION: &str = "set_login_properties";
        check(&properties).map_err(|error| error.at(BACKEND, OPERATION))?;
        self.step(OPERATION, |state, now| {
            let row = state.login_session(id, now)?;
            row.admit(fence)?;
            let mut data = row.data.clone();
            data.extend(properties);
            check(&data)?;
            Ok(row.replace(data))
        })
    }

    async fn unset_login_properties(
        &self,
        id: &str,
        names: &[&str],
        fence: Option<&LockToken>,
    ) -> Result<u64> {
        self.step("unset_login_properties", |state, now| {
            let row = state.login_session(id, now)?;
            row.admit(fence)?;
            let mut data = row.data.clone();
            data.retain(|name, _| !names.contains(&name.as_str()));
            Ok(row.replace(data))
        })
    }

    async fn extend_login_session(&self, id: &str, lifetime: Duration) -> Result<Timestamp> {
        self.step("extend_login_session", |state, now| {
            let expires_at = expiry(now, lifetime)?;
            state.login_session(id, now)?;
            state.login_sessions.set_expiry(id, expires_at);
            Ok(expires_at)
        })
    }

    async fn destroy_login_session(&self, id: &str) -> Result<bool> {
        self.step("destroy_login_session", |state, now| {
            Ok(state.login_sessions.take(id, now).is_some())
        })
    }

    async fn lock_login_session(&self, id: &str, expected: &str) -> Result<LockOutcome> {
        let settings = self.settings();
        self.step("lock_login_session", |state, now| {
            let row = state.login_sessions.get(id, now).ok_or_else(no_session)?;
            let session = session(id, row);
            let lock = row
                .lock
                .as_ref()
                .map(|lock| LockState { until: lock.until });
            let property = &settings.lock_verification_property;
            match judge_lock(&session.data, property, expected, lock, now) {
                LockDecision::Superseded => Ok(LockOutcome::Superseded { session }),
                LockDecision::Held(until) => Ok(LockOutcome::Held { until }),
                LockDecision::Free => {
                    let token = LockToken::generate();
                    let until = now.checked_add(settings.max_lock_time);
                    let until = until.unwrap_or(Timestamp::MAX);
                    state.login_session(id, now)?.lock = Some(Lock {
                        token: token.clone(),
                        until,
                    });
                    Ok(LockOutcome::Acquired {
                        token,
                        session,
                        until,
                    })
                }
            }
        })
    }

    async fn unlock_login_session(&self, id: &str, token: &LockToken) -> Result<()> {
        self.step("unlock_login_session", |state, now| {
            let row = state.login_session(id, now)?;
            row.admit(Some(token))?;
            row.lock = None;
            Ok(())
        })
    }
}
