//! Login sessions with row locks.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use store_core::{
    CleanupKind, Error, ErrorKind, LockDecision, LockOutcome, LockState, LockToken, LoginData,
    LoginSession, LoginSessionId, LoginSessionStore, MAX_PAYLOAD_BYTES, Result, Timestamp, encode,
    expiry, judge_lock,
};

use super::{DynamoStore, within};
use crate::execute::{Answer, Operation};
use crate::mapping::{self, Item, at, item, n, s};
use crate::queries;
use crate::write::Write;

#[async_trait]
impl LoginSessionStore for DynamoStore {
    async fn create_login_session(
        &self,
        id: &LoginSessionId,
        data: LoginData,
        lifetime: Duration,
    ) -> Result<LoginSession> {
        within("create_login_session", async {
            let operation = self.begin().await?;
            let now = self.now();
            let expires_at = expiry(now, lifetime)?;
            let json = encode("data", &data, MAX_PAYLOAD_BYTES)?;
            let key = queries::login_session(id.as_str());
            let mut item = item([
                ("id", s(id.as_str())),
                ("payload", s(json)),
                ("verify", self.verification(&data)),
                ("rev", n(1)),
            ]);
            queries::expire(&mut item, CleanupKind::LoginSessions, &key, expires_at);
            let put = Write::put(key, item).when(queries::ABSENT_OR_EXPIRED);
            if !operation.write(put.now(now)).await?.happened() {
                let message = "a login session with this id exists";
                return Err(Error::new(ErrorKind::AlreadyExists, message));
            }
            Ok(LoginSession {
                id: id.clone(),
                data,
                expires_at,
                version: 1,
            })
        })
        .await
    }

    async fn load_login_session(&self, id: &str) -> Result<Option<LoginSession>> {
        within("load_login_session", async {
            let operation = self.begin().await?;
            let stored = self.stored(&operation, id).await?;
            Ok(stored.map(|stored| stored.session))
        })
        .await
    }

    async fn save_login_session(
        &self,
        session: &LoginSession,
        lifetime: Option<Duration>,
        fence: Option<&LockToken>,
    ) -> Result<u64> {
        within("save_login_session", async {
            let mut operation = self.begin().await?;
            loop {
                let stored = match self.save(&operation, session, lifetime, fence).await? {
                    Saved::As(version) => return Ok(version),
                    Saved::Not(stored) => standing(stored, fence)?,
                };
                if stored.session.version != session.version {
                    let message = "the session was changed since it was loaded: load it again";
                    return Err(Error::new(ErrorKind::Conflict, message));
                }
                operation.look_again().await?;
            }
        })
        .await
    }

    async fn set_login_properties(
        &self,
        id: &str,
        properties: LoginData,
        fence: Option<&LockToken>,
    ) -> Result<u64> {
        within("set_login_properties", async {
            encode("data", &properties, MAX_PAYLOAD_BYTES)?;
            let change = |data: &mut LoginData| data.extend(properties.clone());
            self.change(id, fence, change).await
        })
        .await
    }

    async fn unset_login_properties(
        &self,
        id: &str,
        names: &[&str],
        fence: Option<&LockToken>,
    ) -> Result<u64> {
        within("unset_login_properties", async {
            let change = |data: &mut LoginData| {
                for name in names {
                    data.remove(*name);
                }
            };
            self.change(id, fence, change).await
        })
        .await
    }

    async fn extend_login_session(&self, id: &str, lifetime: Duration) -> Result<Timestamp> {
        within("extend_login_session", async {
            let operation = self.begin().await?;
            let now = self.now();
            let expires_at = expiry(now, lifetime)?;
            if !LoginSessionId::accepts(id) {
                return Err(unknown());
            }
            let update = Write::update(queries::login_session(id), queries::EXTEND)
                .when(queries::LIVE)
                .now(now)
                .with(":expires_at", at(expires_at))
                .with(":reap_at", queries::reap_at(expires_at));
            if operation.write(update).await?.happened() {
                return Ok(expires_at);
            }
            Err(unknown())
        })
        .await
    }

    async fn destroy_login_session(&self, id: &str) -> Result<bool> {
        within("destroy_login_session", async {
            let operation = self.begin().await?;
            if !LoginSessionId::accepts(id) {
                return Ok(false);
            }
            let delete = Write::delete(queries::login_session(id)).when(queries::LIVE);
            Ok(operation.write(delete.now(self.now())).await?.happened())
        })
        .await
    }

    async fn lock_login_session(&self, id: &str, expected: &str) -> Result<LockOutcome> {
        within("lock_login_session", async {
            let mut operation = self.begin().await?;
            if !LoginSessionId::accepts(id) {
                return Err(unknown());
            }
            let settings = self.settings();
            let property = settings.lock_verification_property.as_str();
            let verify = queries::verification(property, Some(expected));
            // The revision of a session that was written under another verification property.
            let mut as_seen = None;
            loop {
                let now = self.now();
                let until = now.checked_add(settings.max_lock_time);
                let until = until.unwrap_or(Timestamp::MAX);
                let token = LockToken::generate();
                let update = Write::update(queries::login_session(id), queries::LOCK)
                    .now(now)
                    .with(":token", s(token.as_str()))
                    .with(":until", at(until))
                    .returning();
                let update = match as_seen {
                    None => update
                        .when(queries::LOCKABLE)
                        .with(":verify", verify.clone()),
                    Some(rev) => update.when(queries::LOCKABLE_AS_SEEN).with(":seen", n(rev)),
                };
                let stored = match operation.write(update).await? {
                    Answer::Done(Some(item)) => {
                        let session = decode(&item, id)?.session;
                        return Ok(LockOutcome::Acquired {
                            token,
                            session,
                            until,
                        });
                    }
                    Answer::Refused(Some(item)) => self.living(Some(item), id)?,
                    Answer::Done(None) | Answer::Refused(None) => {
                        self.stored(&operation, id).await?
                    }
                };
                let Some(Stored { session, lock, .. }) = stored else {
                    return Err(unknown());
                };
                let lock = lock.map(|(_, lock)| lock);
                match judge_lock(&session.data, property, expected, lock, self.now()) {
                    LockDecision::Superseded => return Ok(LockOutcome::Superseded { session }),
                    LockDecision::Held(until) => return Ok(LockOutcome::Held { until }),
                    // It was released since, or was written under another property.
                    LockDecision::Free => as_seen = Some(session.version),
                }
                operation.look_again().await?;
            }
        })
        .await
    }

    async fn unlock_login_session(&self, id: &str, token: &LockToken) -> Result<()> {
        within("unlock_login_session", async {
            let mut operation = self.begin().await?;
            if !LoginSessionId::accepts(id) {
                return Err(unknown());
            }
            loop {
                let update = Write::update(queries::login_session(id), queries::UNLOCK)
                    .when(queries::LOCKED_BY)
                    .now(self.now())
                    .with(":fence", s(token.as_str()));
                let stored = match operation.write(update).await? {
                    Answer::Done(_) => return Ok(()),
                    Answer::Refused(Some(item)) => self.living(Some(item), id)?,
                    Answer::Refused(None) => self.stored(&operation, id).await?,
                };
                standing(stored, Some(token))?;
                operation.look_again().await?;
            }
        })
        .await
    }
}

/// A session as it is stored, with its lock.
pub(super) struct Stored {
    pub(super) session: LoginSession,
    lock: Option<(LockToken, LockState)>,
}

/// What came of a save.
enum Saved {
    As(u64),
    /// Nothing; with the session as it is, if it lives.
    Not(Option<Stored>),
}

impl DynamoStore {
    /// Reads, changes and saves the data until nobody came in between.
    async fn change(
        &self,
        id: &str,
        fence: Option<&LockToken>,
        change: impl Fn(&mut LoginData) + Send + Sync,
    ) -> Result<u64> {
        let mut operation = self.begin().await?;
        let mut stored = self.stored(&operation, id).await?;
        loop {
            let mut session = standing(stored, fence)?.session;
            change(&mut session.data);
            stored = match self.save(&operation, &session, None, fence).await? {
                Saved::As(version) => return Ok(version),
                Saved::Not(stored) => stored,
            };
            operation.look_again().await?;
            // Somebody may have come in between while this waited.
            stored = match stored {
                Some(_) => self.stored(&operation, id).await?,
                None => None,
            };
        }
    }

    /// The compare-and-swap on the version.
    async fn save(
        &self,
        operation: &Operation,
        session: &LoginSession,
        lifetime: Option<Duration>,
        fence: Option<&LockToken>,
    ) -> Result<Saved> {
        let now = self.now();
        let expires_at = lifetime.map(|lifetime| expiry(now, lifetime)).transpose()?;
        let json = encode("data", &session.data, MAX_PAYLOAD_BYTES)?;
        let id = session.id.as_str();
        let update = match expires_at {
            None => Write::update(queries::login_session(id), queries::SAVE),
            Some(expires_at) => Write::update(queries::login_session(id), queries::SAVE_AND_EXTEND)
                .with(":expires_at", at(expires_at))
                .with(":reap_at", queries::reap_at(expires_at)),
        };
        let update = update
            .now(now)
            .with(":payload", s(json))
            .with(":verify", self.verification(&session.data))
            .with(":one", n(1))
            .with(":seen", n(session.version));
        let update = match fence {
            None => update.when(queries::SAVABLE),
            Some(token) => update
                .when(queries::SAVABLE_FENCED)
                .with(":fence", s(token.as_str())),
        };
        Ok(match operation.write(update).await? {
            Answer::Done(_) => Saved::As(session.version + 1),
            Answer::Refused(Some(item)) => Saved::Not(self.living(Some(item), id)?),
            Answer::Refused(None) => Saved::Not(self.stored(operation, id).await?),
        })
    }

    async fn stored(&self, operation: &Operation, id: &str) -> Result<Option<Stored>> {
        if !LoginSessionId::accepts(id) {
            return Ok(None);
        }
        let found = operation.get(queries::login_session(id)).await?;
        self.living(found, id)
    }

    fn living(&self, item: Option<Item>, id: &str) -> Result<Option<Stored>> {
        let item = mapping::live(item, self.now())?;
        item.map(|item| decode(&item, id)).transpose()
    }

    /// What the lock compares.
    pub(super) fn verification(&self, data: &LoginData) -> aws_sdk_dynamodb::types::AttributeValue {
        let property = self.settings().lock_verification_property.as_str();
        queries::verification(property, data.get(property).and_then(Value::as_str))
    }
}

pub(super) fn decode(item: &Item, id: &str) -> Result<Stored> {
    let token = match item.contains_key("lock_token") {
        true => Some(LockToken::from_stored(mapping::text(item, "lock_token")?)),
        false => None,
    };
    let until = mapping::optional_instant(item, "locked_until")?;
    let version = mapping::number(item, "rev")?;
    Ok(Stored {
        session: LoginSession {
            id: LoginSessionId::from_stored(id),
            // Whoever knows the id has the session, so that the error names only its hash.
            data: mapping::payload(item, "login_sessions", &queries::login_session(id).pk)?,
            expires_at: mapping::instant(item, "expires_at")?,
            version: version.unsigned_abs(),
        },
        lock: token.zip(until.map(|until| LockState { until })),
    })
}

/// The session, unless it is gone or the fence is down.
fn standing(stored: Option<Stored>, fence: Option<&LockToken>) -> Result<Stored> {
    let stored = stored.ok_or_else(unknown)?;
    let holder = stored.lock.as_ref().map(|(token, _)| token);
    if fence.is_some() && fence != holder {
        let message = "the lock was released, or taken over after it expired";
        return Err(Error::new(ErrorKind::LockLost, message));
    }
    Ok(stored)
}

fn unknown() -> Error {
    let message = "no live login session has this id";
    Error::new(ErrorKind::NotFound, message)
}
