//! tower-sessions' store, on the login sessions of any backend.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use store_core::{
    Backoff, CleanupKind, CleanupOptions, CleanupStore, CleanupStoreExt, Error, ErrorKind,
    LoginData, LoginSession, LoginSessionId, LoginSessionStore, Timestamp,
};
use tower_sessions_core::session::{Id, Record};
use tower_sessions_core::session_store::{ExpiredDeletion, Result, SessionStore};

use crate::error::{gone, mapped};
use crate::expiry::lifetime;
use crate::loaded::{Loaded, joined, split};
use crate::merge::{changed, merged};
use crate::written::{Written, WrittenByRequest};

/// How often a session is tried to be created under one more id.
const IDS: u32 = 8;
/// How often changes are merged anew because somebody else saved in between.
const MERGES: u32 = 32;

/// Keeps the sessions of tower-sessions as login sessions of a store.
///
/// `S` is any store, such as `dyn Store`, `dyn LoginSessionStore` or `PostgresStore`. Clones share it.
/// Each operation is one call of the store, which is one round trip, unless said.
///
/// - **create** stores the session under an id that it chooses itself. It neither overwrites a session
///   nor gives an id a second time, which tower-sessions asks for when a handler goes on using a
///   session that it flushed.
/// - **save** stores what the request changed since it loaded the session. What parallel requests
///   changed in other properties stays; of one property the last value stays. A second and third round
///   trip merge when somebody else did save in between. A session that was not changed only gets its
///   new expiry. A session that was deleted or has expired is an error, never created anew: the request
///   that comes too late fails, and the browser keeps the cookie that it got meanwhile. Only a session
///   that was cleared before it was read is replaced as a whole, in two round trips.
/// - **load** finds no session that is deleted or expired.
/// - **delete** is also fine with a session that is gone.
///
/// A session whose expiry is over is not stored, or deleted if it was. Expiry is kept to the
/// millisecond, and at most 1,000 years ahead.
///
/// # Errors
/// `Encode` for properties that no store takes: over 384 KiB in all, or holding U+0000 (see
/// [`encode`](store_core::encode)); `Decode` if what is stored does not decode; `Backend` for all else,
/// a session that is gone included. The texts are those of the store's errors and hold no secret.
pub struct TowerSessionStore<S: ?Sized> {
    store: Arc<S>,
    written: Arc<WrittenByRequest>,
}

impl<S: ?Sized> TowerSessionStore<S> {
    /// tower-sessions' store on `store`, whose tables are expected to be there.
    #[must_use]
    pub fn new(store: Arc<S>) -> Self {
        Self {
            store,
            written: Arc::default(),
        }
    }
}

impl<S: ?Sized> Clone for TowerSessionStore<S> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            written: Arc::clone(&self.written),
        }
    }
}

impl<S: ?Sized> fmt::Debug for TowerSessionStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TowerSessionStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl<S: LoginSessionStore + ?Sized + 'static> SessionStore for TowerSessionStore<S> {
    async fn create(&self, record: &mut Record) -> Result<()> {
        // A flushed record still has the id that its session had.
        record.id = Id::default();
        let Some(lifetime) = lifetime(record.expiry_date) else {
            return Ok(());
        };
        let (data, _) = split(&record.data);
        let mut ids = 1;
        let created = loop {
            let id = stored_id(record.id);
            let created = self
                .store
                .create_login_session(&id, data.clone(), lifetime)
                .await;
            match created {
                Err(error) if error.kind() == ErrorKind::AlreadyExists && ids < IDS => {
                    record.id = Id::default();
                    ids += 1;
                }
                created => break created.map_err(mapped)?,
            }
        };
        record.expiry_date = created.expires_at.into();
        record.data = joined(created.data, created.version);
        Ok(())
    }

    async fn save(&self, record: &Record) -> Result<()> {
        let Some(lifetime) = lifetime(record.expiry_date) else {
            return self.delete(&record.id).await;
        };
        let (mine, loaded) = split(&record.data);
        let saved = match loaded {
            Some(loaded) => self.save_changes(record.id, mine, &loaded, lifetime).await,
            None => self.replace(record.id, mine, lifetime).await,
        };
        saved.map_err(|error| match error.kind() {
            ErrorKind::NotFound => gone(),
            _ => mapped(error),
        })
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let session = self.store.load_login_session(&id.to_string()).await;
        let session = session.map_err(mapped)?;
        Ok(session.map(|session| Record {
            id: *id,
            data: joined(session.data, session.version),
            expiry_date: session.expires_at.into(),
        }))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        let deleted = self.store.destroy_login_session(&id.to_string()).await;
        deleted.map(|_| ()).map_err(mapped)
    }
}

/// Deletes expired login sessions in batches, and nothing else. Whoever cleans up the store altogether
/// ([`CleanupStoreExt::cleanup`]) has no need of it.
#[async_trait]
impl<S> ExpiredDeletion for TowerSessionStore<S>
where
    S: LoginSessionStore + CleanupStore + ?Sized + 'static,
{
    async fn delete_expired(&self) -> Result<()> {
        let options = CleanupOptions {
            kinds: vec![CleanupKind::LoginSessions],
            ..CleanupOptions::default()
        };
        let cleaned = self.store.cleanup(&options, &mut |_| ()).await;
        cleaned.map(|_| ()).map_err(mapped)
    }
}

impl<S: LoginSessionStore + ?Sized> TowerSessionStore<S> {
    async fn save_changes(
        &self,
        id: Id,
        mine: LoginData,
        loaded: &Loaded<'_>,
        lifetime: Duration,
    ) -> store_core::Result<()> {
        let mut names = changed(loaded.data, &mine);
        let earlier = self.written.get(loaded.token);
        let version = match earlier {
            Some(earlier) => {
                names.extend(earlier.names);
                earlier.version
            }
            None => Some(loaded.version),
        };
        if names.is_empty() {
            let extended = self
                .store
                .extend_login_session(&id.to_string(), lifetime)
                .await;
            return extended.map(|_| ());
        }

        let saved = match version {
            Some(version) => self.swap(id, mine.clone(), version, lifetime).await,
            None => Err(Error::new(
                ErrorKind::Conflict,
                "others' changes are unseen",
            )),
        };
        // Whether or not a write whose answer was lost took place, its names are this request's.
        let written = |version| Written {
            version,
            names: names.clone(),
        };
        self.written
            .set(loaded.token, written(saved.as_ref().ok().copied()));
        match saved {
            Err(error) if error.kind() == ErrorKind::Conflict => {
                let merge = |stored| merged(stored, &mine, &names);
                self.update(id, merge, lifetime).await
            }
            saved => saved.map(|_| ()),
        }
    }

    /// Stores the properties whatever is there, if the session is.
    async fn replace(&self, id: Id, mine: LoginData, lifetime: Duration) -> store_core::Result<()> {
        self.update(id, |_| mine.clone(), lifetime).await
    }

    /// Stores what `change` makes of what is stored.
    async fn update(
        &self,
        id: Id,
        change: impl Fn(LoginData) -> LoginData + Send,
        lifetime: Duration,
    ) -> store_core::Result<()> {
        let mut backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(100));
        let mut attempts = 1;
        loop {
            let stored = self.store.load_login_session(&id.to_string()).await?;
            let Some(stored) = stored else {
                return Err(Error::new(ErrorKind::NotFound, "no such session"));
            };
            let after = change(stored.data);
            match self.swap(id, after, stored.version, lifetime).await {
                Err(error) if error.kind() == ErrorKind::Conflict && attempts < MERGES => {
                    attempts += 1;
                    backoff.sleep().await;
                }
                swapped => return swapped.map(|_| ()),
            }
        }
    }

    /// Replaces the properties if the session still has this version, and tells the new one.
    async fn swap(
        &self,
        id: Id,
        data: LoginData,
        version: u64,
        lifetime: Duration,
    ) -> store_core::Result<u64> {
        let session = LoginSession {
            id: stored_id(id),
            data,
            // A save does not look at it.
            expires_at: Timestamp::MIN,
            version,
        };
        self.store
            .save_login_session(&session, Some(lifetime), None)
            .await
    }
}

/// An id as it is stored: 22 characters of base64url, as in the cookie.
fn stored_id(id: Id) -> LoginSessionId {
    LoginSessionId::from_stored(id.to_string())
}
