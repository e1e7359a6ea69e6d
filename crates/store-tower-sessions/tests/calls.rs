//! Which calls of the store an operation makes, and what it does when they fail.

#![allow(clippy::unwrap_used)]

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use store_core::{
    Error, ErrorKind, LockOutcome, LockToken, LoginData, LoginSession, LoginSessionId,
    LoginSessionStore, Result, Settings, Timestamp,
};
use store_memory::MemoryStore;
use store_tower_sessions::TowerSessionStore;
use time::OffsetDateTime;
use tower_sessions::SessionStore;
use tower_sessions::session::{Id, Record};

/// A store that notes what is called and fails when told.
struct Scripted {
    inner: MemoryStore,
    calls: Mutex<Vec<&'static str>>,
    /// How the next calls of create and save fail, if they do, and whether they are done all the same.
    failures: Mutex<VecDeque<(ErrorKind, bool)>>,
}

impl Scripted {
    fn note(&self, call: &'static str) {
        self.calls.lock().unwrap().push(call);
    }

    fn failure(&self) -> Option<(ErrorKind, bool)> {
        self.failures.lock().unwrap().pop_front()
    }
}

fn fail<T>(kind: ErrorKind) -> Result<T> {
    Err(Error::new(kind, "as the script says"))
}

#[async_trait]
impl LoginSessionStore for Scripted {
    async fn create_login_session(
        &self,
        id: &LoginSessionId,
        data: LoginData,
        lifetime: Duration,
    ) -> Result<LoginSession> {
        self.note("create");
        if let Some((kind, _)) = self.failure() {
            return fail(kind);
        }
        self.inner.create_login_session(id, data, lifetime).await
    }

    async fn load_login_session(&self, id: &str) -> Result<Option<LoginSession>> {
        self.note("load");
        self.inner.load_login_session(id).await
    }

    async fn save_login_session(
        &self,
        session: &LoginSession,
        lifetime: Option<Duration>,
        fence: Option<&LockToken>,
    ) -> Result<u64> {
        self.note("save");
        let failure = self.failure();
        if let Some((kind, false)) = failure {
            return fail(kind);
        }
        let saved = self
            .inner
            .save_login_session(session, lifetime, fence)
            .await;
        failure.map_or(saved, |(kind, _)| fail(kind))
    }

    async fn set_login_properties(
        &self,
        id: &str,
        properties: LoginData,
        fence: Option<&LockToken>,
    ) -> Result<u64> {
        self.note("set");
        self.inner.set_login_properties(id, properties, fence).await
    }

    async fn unset_login_properties(
        &self,
        id: &str,
        names: &[&str],
        fence: Option<&LockToken>,
    ) -> Result<u64> {
        self.note("unset");
        self.inner.unset_login_properties(id, names, fence).await
    }

    async fn extend_login_session(&self, id: &str, lifetime: Duration) -> Result<Timestamp> {
        self.note("extend");
        self.inner.extend_login_session(id, lifetime).await
    }

    async fn destroy_login_session(&self, id: &str) -> Result<bool> {
        self.note("destroy");
        self.inner.destroy_login_session(id).await
    }

    async fn lock_login_session(&self, id: &str, expected: &str) -> Result<LockOutcome> {
        self.note("lock");
        self.inner.lock_login_session(id, expected).await
    }

    async fn unlock_login_session(&self, id: &str, token: &LockToken) -> Result<()> {
        self.note("unlock");
        self.inner.unlock_login_session(id, token).await
    }
}

struct Bench {
    store: Arc<Scripted>,
    sessions: TowerSessionStore<Scripted>,
}

impl Bench {
    fn new() -> Self {
        let store = Arc::new(Scripted {
            inner: MemoryStore::new(Settings::default()),
            calls: Mutex::default(),
            failures: Mutex::default(),
        });
        let sessions = TowerSessionStore::new(Arc::clone(&store));
        Self { store, sessions }
    }

    fn script(&self, failures: impl IntoIterator<Item = (ErrorKind, bool)>) {
        self.store.failures.lock().unwrap().extend(failures);
    }

    /// What was called since this was asked last.
    fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.store.calls.lock().unwrap())
    }

    async fn create(&self) -> Record {
        let mut record = Record {
            id: Id::default(),
            data: HashMap::from([("n".to_owned(), 0.into())]),
            expiry_date: OffsetDateTime::now_utc() + Duration::from_secs(60),
        };
        self.sessions.create(&mut record).await.unwrap();
        record
    }

    async fn stored(&self, id: Id) -> LoginData {
        let session = self.store.inner.load_login_session(&id.to_string()).await;
        session.unwrap().unwrap().data
    }
}

fn set(record: &mut Record, name: &str, value: i64) {
    record.data.insert(name.to_owned(), value.into());
}

#[tokio::test]
async fn each_operation_is_one_call() {
    let bench = Bench::new();
    let created = bench.create().await;
    assert_eq!(bench.calls(), ["create"]);
    let mut record = bench.sessions.load(&created.id).await.unwrap().unwrap();
    assert_eq!(bench.calls(), ["load"]);
    bench.sessions.save(&record).await.unwrap();
    assert_eq!(bench.calls(), ["extend"]);
    // Also when a request saves again and again.
    for n in [1, 2, 2] {
        set(&mut record, "n", n);
        bench.sessions.save(&record).await.unwrap();
        assert_eq!(bench.calls(), ["save"]);
    }
    bench.sessions.delete(&record.id).await.unwrap();
    assert_eq!(bench.calls(), ["destroy"]);
}

#[tokio::test]
async fn merging_and_replacing_take_two_more_and_one_more() {
    let bench = Bench::new();
    let mut record = bench.create().await;
    let mut other = bench.sessions.load(&record.id).await.unwrap().unwrap();
    set(&mut record, "n", 1);
    bench.sessions.save(&record).await.unwrap();
    bench.calls();
    set(&mut other, "m", 1);
    bench.sessions.save(&other).await.unwrap();
    assert_eq!(bench.calls(), ["save", "load", "save"]);
    other.data.clear();
    bench.sessions.save(&other).await.unwrap();
    assert_eq!(bench.calls(), ["load", "save"]);
}

#[tokio::test]
async fn a_taken_id_is_not_tried_again() {
    let bench = Bench::new();
    bench.script([(ErrorKind::AlreadyExists, false); 2]);
    let record = bench.create().await;
    assert_eq!(bench.calls().len(), 3);
    assert_eq!(bench.stored(record.id).await["n"], 0);

    bench.script([(ErrorKind::AlreadyExists, false); 100]);
    let mut unlucky = record.clone();
    assert!(bench.sessions.create(&mut unlucky).await.is_err());
    assert_eq!(bench.calls().len(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_keeps_changing_is_given_up() {
    let bench = Bench::new();
    let mut record = bench.create().await;
    bench.calls();
    bench.script([(ErrorKind::Conflict, false); 100]);
    set(&mut record, "n", 1);
    let refused = bench.sessions.save(&record).await.unwrap_err();
    assert_eq!(refused.to_string(), "conflict: as the script says");
    let saves = bench.calls().into_iter().filter(|call| *call == "save");
    assert_eq!(saves.count(), 33);
}

#[tokio::test]
async fn a_save_whose_answer_was_lost_is_not_made_again_but_is_remembered() {
    for took_place in [true, false] {
        let bench = Bench::new();
        let mut record = bench.create().await;
        bench.calls();
        bench.script([(ErrorKind::Indeterminate, took_place)]);
        set(&mut record, "n", 1);
        assert!(bench.sessions.save(&record).await.is_err());
        assert_eq!(bench.calls(), ["save"]);
        // Back to what was loaded: it has to be stored all the same.
        set(&mut record, "n", 0);
        bench.sessions.save(&record).await.unwrap();
        assert_eq!(bench.stored(record.id).await["n"], 0);
    }
}
