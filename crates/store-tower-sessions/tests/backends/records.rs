//! Creating, loading, saving and deleting records.

use std::collections::HashMap;
use std::time::Duration;

use store::CleanupKind;
use store_tower_sessions::TowerSessionStore;
use time::OffsetDateTime;
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::{Error, ExpiredDeletion};
use tower_sessions::{CachingSessionStore, MemoryStore, SessionStore};

use crate::{Case, Given};

pub(crate) const CASES: &[Case] = &[
    ("records::created_ones_are_loaded", |g| Box::pin(created(g))),
    ("records::create_never_overwrites", |g| {
        Box::pin(never_overwrites(g))
    }),
    ("records::an_id_is_given_once", |g| Box::pin(given_once(g))),
    ("records::a_deleted_one_is_not_saved", |g| {
        Box::pin(deleted_not_saved(g))
    }),
    ("records::an_expired_one_is_not_saved", |g| {
        Box::pin(expired_not_saved(g))
    }),
    ("records::an_unknown_one_is_not_saved", |g| {
        Box::pin(unknown_not_saved(g))
    }),
    ("records::saving_moves_the_expiry", |g| {
        Box::pin(moves_expiry(g))
    }),
    ("records::a_past_expiry_ends_the_session", |g| {
        Box::pin(past_expiry(g))
    }),
    ("records::the_latest_expiry_is_kept", |g| {
        Box::pin(latest_expiry(g))
    }),
    ("records::deleting_again_is_fine", |g| {
        Box::pin(deletes_again(g))
    }),
    ("records::properties_come_back_as_they_were", |g| {
        Box::pin(odd_properties(g))
    }),
    ("records::what_no_store_takes_is_refused", |g| {
        Box::pin(refused(g))
    }),
    ("records::expired_ones_are_deleted_and_nothing_else", |g| {
        Box::pin(expired_are_deleted(g))
    }),
    ("records::a_cache_can_stand_in_front", |g| {
        Box::pin(behind_a_cache(g))
    }),
    ("records::a_closed_store_is_an_error", |g| {
        Box::pin(closed(g))
    }),
];

pub(crate) fn record(properties: &[(&str, i64)]) -> Record {
    let property = |(name, value): &(&str, i64)| ((*name).to_owned(), (*value).into());
    Record {
        id: Id::default(),
        data: properties.iter().map(property).collect(),
        expiry_date: OffsetDateTime::now_utc() + Duration::from_secs(1800),
    }
}

/// What is stored under this id, without what only the adapter needs.
pub(crate) async fn stored(given: &Given, id: Id) -> Option<HashMap<String, serde_json::Value>> {
    let session = given.store.load_login_session(&id.to_string()).await;
    session
        .unwrap()
        .map(|session| session.data.into_iter().collect())
}

async fn created(given: Given) {
    let mut record = record(&[("user", 1)]);
    let data = record.data.clone();
    given.sessions.create(&mut record).await.unwrap();
    let loaded = given.sessions.load(&record.id).await.unwrap().unwrap();
    assert_eq!(
        (loaded.id, loaded.expiry_date),
        (record.id, record.expiry_date)
    );
    assert_eq!(loaded.data.get("user"), data.get("user"));
    assert_eq!(stored(&given, record.id).await, Some(data));
    assert_eq!(given.sessions.load(&Id::default()).await.unwrap(), None);
}

async fn never_overwrites(given: Given) {
    let (mut first, mut second) = (record(&[("user", 1)]), record(&[("user", 2)]));
    given.sessions.create(&mut first).await.unwrap();
    second.id = first.id;
    given.sessions.create(&mut second).await.unwrap();
    assert_ne!(first.id, second.id);
    for (record, user) in [(&first, 1), (&second, 2)] {
        assert_eq!(stored(&given, record.id).await.unwrap()["user"], user);
    }
}

async fn given_once(given: Given) {
    let mut first = record(&[("user", 1)]);
    given.sessions.create(&mut first).await.unwrap();
    let id = first.id;
    let late = given.sessions.load(&id).await.unwrap().unwrap();
    given.sessions.delete(&id).await.unwrap();
    // As tower-sessions does when a handler goes on using the session that it flushed.
    first.data.clear();
    given.sessions.create(&mut first).await.unwrap();
    assert_ne!(first.id, id);
    assert!(given.sessions.save(&late).await.is_err());
    assert_eq!(stored(&given, first.id).await, Some(HashMap::new()));
}

fn is_gone(saved: Result<(), Error>) {
    let Err(Error::Backend(message)) = saved else {
        panic!("{saved:?}");
    };
    assert!(message.contains("was deleted or has expired"), "{message}");
}

/// Saves a record as it was loaded, changed, and cleared: whichever way, it is gone.
async fn assert_gone(given: &Given, loaded: Record) {
    let mut changed = loaded.clone();
    changed.data.insert("user".to_owned(), 2.into());
    let mut cleared = loaded.clone();
    cleared.data.clear();
    for record in [&loaded, &changed, &cleared] {
        is_gone(given.sessions.save(record).await);
        assert_eq!(given.sessions.load(&record.id).await.unwrap(), None);
    }
}

async fn deleted_not_saved(given: Given) {
    let mut record = record(&[("user", 1)]);
    given.sessions.create(&mut record).await.unwrap();
    let loaded = given.sessions.load(&record.id).await.unwrap().unwrap();
    given.sessions.delete(&record.id).await.unwrap();
    assert_gone(&given, loaded).await;
}

async fn expired_not_saved(given: Given) {
    let mut record = record(&[("user", 1)]);
    given.sessions.create(&mut record).await.unwrap();
    let loaded = given.sessions.load(&record.id).await.unwrap().unwrap();
    given.clock.advance(Duration::from_secs(1801));
    assert_gone(&given, loaded).await;
}

async fn unknown_not_saved(given: Given) {
    let record = record(&[("user", 1)]);
    assert_gone(&given, record).await;
}

async fn moves_expiry(given: Given) {
    let mut record = record(&[("user", 1)]);
    given.sessions.create(&mut record).await.unwrap();
    let minutes = |n: u64| OffsetDateTime::now_utc() + Duration::from_secs(n * 60);
    // Later, then sooner, without a change and with one.
    for (minute, user) in [(90, 1), (60, 2), (40, 2)] {
        record.expiry_date = minutes(minute);
        record.data.insert("user".to_owned(), user.into());
        given.sessions.save(&record).await.unwrap();
    }
    given.clock.advance(Duration::from_secs(39 * 60));
    assert_eq!(stored(&given, record.id).await.unwrap()["user"], 2);
    given.clock.advance(Duration::from_secs(61));
    assert_eq!(given.sessions.load(&record.id).await.unwrap(), None);
}

async fn past_expiry(given: Given) {
    let past = OffsetDateTime::now_utc() - Duration::from_secs(1);
    let mut stillborn = record(&[("user", 1)]);
    stillborn.expiry_date = past;
    given.sessions.create(&mut stillborn).await.unwrap();
    assert_eq!(stored(&given, stillborn.id).await, None);

    let mut record = record(&[("user", 1)]);
    given.sessions.create(&mut record).await.unwrap();
    record.expiry_date = past;
    given.sessions.save(&record).await.unwrap();
    assert_eq!(stored(&given, record.id).await, None);
}

async fn latest_expiry(given: Given) {
    let mut record = record(&[]);
    record.expiry_date = OffsetDateTime::now_utc().saturating_add(time::Duration::MAX);
    given.sessions.create(&mut record).await.unwrap();
    record.expiry_date = OffsetDateTime::now_utc().saturating_add(time::Duration::MAX);
    given.sessions.save(&record).await.unwrap();
    assert!(given.sessions.load(&record.id).await.unwrap().is_some());
}

async fn deletes_again(given: Given) {
    let mut record = record(&[]);
    given.sessions.create(&mut record).await.unwrap();
    given.sessions.delete(&record.id).await.unwrap();
    given.sessions.delete(&record.id).await.unwrap();
    given.sessions.delete(&Id::default()).await.unwrap();
    assert_eq!(given.sessions.load(&record.id).await.unwrap(), None);
}

async fn odd_properties(given: Given) {
    let mut record = record(&[]);
    let nested = serde_json::json!({"a": [1, -2.5, null, true, {"": "ä\u{1F36A}'\"\\"}]});
    for name in [
        "", ".", "$", "$.a", "#name", "a b", "ä", "'", "\"", "\\", "user",
    ] {
        record.data.insert(name.to_owned(), nested.clone());
    }
    let data = record.data.clone();
    given.sessions.create(&mut record).await.unwrap();
    assert_eq!(stored(&given, record.id).await, Some(data.clone()));

    let mut loaded = given.sessions.load(&record.id).await.unwrap().unwrap();
    loaded.data.insert("$".to_owned(), 1.into());
    loaded.data.remove("#name");
    given.sessions.save(&loaded).await.unwrap();
    let stored = stored(&given, record.id).await.unwrap();
    assert_eq!(stored.len(), data.len() - 1);
    assert_eq!((&stored["$"], &stored["$.a"]), (&1.into(), &nested));
}

async fn refused(given: Given) {
    let mut whole = record(&[]);
    given.sessions.create(&mut whole).await.unwrap();
    for value in ["hunter2\0".to_owned(), "hunter2".repeat(60_000)] {
        let mut record = record(&[]);
        record
            .data
            .insert("secret".to_owned(), value.clone().into());
        let created = given.sessions.create(&mut record).await;
        whole.data.insert("secret".to_owned(), value.into());
        for refused in [created, given.sessions.save(&whole).await] {
            let Err(Error::Encode(message)) = refused else {
                panic!("it was taken");
            };
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
    assert_eq!(stored(&given, whole.id).await, Some(HashMap::new()));
}

async fn expired_are_deleted(given: Given) {
    let (mut short, mut long) = (record(&[]), record(&[]));
    short.expiry_date = OffsetDateTime::now_utc() + Duration::from_secs(60);
    given.sessions.create(&mut short).await.unwrap();
    given.sessions.create(&mut long).await.unwrap();
    let nonce = "n-1".parse().unwrap();
    let lifetime = Some(Duration::from_secs(60));
    given.store.store_nonce(&nonce, lifetime).await.unwrap();
    given.clock.advance(Duration::from_secs(61));

    given.sessions.delete_expired().await.unwrap();
    let delete = |kind| given.store.delete_expired(kind, 10);
    assert_eq!(delete(CleanupKind::LoginSessions).await.unwrap(), 0);
    assert_eq!(delete(CleanupKind::Nonces).await.unwrap(), 1);
    assert!(given.sessions.load(&long.id).await.unwrap().is_some());
}

async fn behind_a_cache(given: Given) {
    let cached = CachingSessionStore::new(MemoryStore::default(), given.sessions.clone());
    let mut record = record(&[("user", 1)]);
    cached.create(&mut record).await.unwrap();
    for user in 2..5 {
        let mut loaded = cached.load(&record.id).await.unwrap().unwrap();
        assert_eq!(loaded.data["user"], user - 1);
        loaded.data.insert("user".to_owned(), user.into());
        cached.save(&loaded).await.unwrap();
        assert_eq!(stored(&given, record.id).await.unwrap()["user"], user);
    }
    cached.delete(&record.id).await.unwrap();
    assert_eq!(stored(&given, record.id).await, None);
}

async fn closed(given: Given) {
    let sessions = TowerSessionStore::new(given.store.clone());
    given.store.close().await;
    let refused = sessions.load(&Id::default()).await;
    assert!(matches!(refused, Err(Error::Backend(_))), "{refused:?}");
    assert!(!format!("{sessions:?}").contains("postgres"));
}
