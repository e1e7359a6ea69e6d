//! What a request changed joins what others changed meanwhile.

use std::collections::HashMap;

use serde_json::{Value, json};
use tower_sessions::SessionStore;
use tower_sessions::session::{Id, Record};

use crate::records::{record, stored};
use crate::{Case, Given};

pub(crate) const CASES: &[Case] = &[
    ("changes::of_different_properties_all_stay", |g| {
        Box::pin(different_properties(g))
    }),
    ("changes::of_one_property_the_last_stays", |g| {
        Box::pin(one_property(g))
    }),
    ("changes::a_removal_stays", |g| Box::pin(removal(g))),
    ("changes::none_undoes_nothing", |g| Box::pin(none(g))),
    ("changes::changed_saved_and_changed_back", |g| {
        Box::pin(changed_back(g))
    }),
    ("changes::made_after_creating", |g| {
        Box::pin(after_creating(g))
    }),
    ("changes::a_cleared_session_is_replaced", |g| {
        Box::pin(cleared(g))
    }),
    ("changes::of_twenty_requests_at_once_all_stay", |g| {
        Box::pin(twenty_at_once(g))
    }),
    ("changes::a_deletion_in_between_wins", |g| {
        Box::pin(deletion_between(g))
    }),
    ("changes::through_the_stores_own_methods_stay", |g| {
        Box::pin(own_methods(g))
    }),
];

async fn create(given: &Given, properties: &[(&str, i64)]) -> Id {
    let mut record = record(properties);
    given.sessions.create(&mut record).await.unwrap();
    record.id
}

async fn load(given: &Given, id: Id) -> Record {
    given.sessions.load(&id).await.unwrap().unwrap()
}

async fn save(given: &Given, record: &Record) {
    given.sessions.save(record).await.unwrap();
}

fn set(record: &mut Record, name: &str, value: i64) {
    record.data.insert(name.to_owned(), value.into());
}

async fn assert_stored(given: &Given, id: Id, expected: Value) {
    let stored = stored(given, id).await.unwrap();
    assert_eq!(json!(stored), expected);
}

async fn different_properties(given: Given) {
    let id = create(&given, &[("same", 1)]).await;
    let (mut one, mut other) = (load(&given, id).await, load(&given, id).await);
    set(&mut one, "cart", 1);
    set(&mut other, "theme", 2);
    save(&given, &one).await;
    save(&given, &other).await;
    assert_stored(&given, id, json!({"same": 1, "cart": 1, "theme": 2})).await;
    // Both go on, and neither's second save undoes the other's first.
    set(&mut one, "cart", 3);
    save(&given, &one).await;
    set(&mut other, "theme", 4);
    save(&given, &other).await;
    assert_stored(&given, id, json!({"same": 1, "cart": 3, "theme": 4})).await;
}

async fn one_property(given: Given) {
    let id = create(&given, &[("user", 1)]).await;
    let (mut one, mut other) = (load(&given, id).await, load(&given, id).await);
    set(&mut one, "user", 2);
    set(&mut other, "user", 3);
    save(&given, &one).await;
    save(&given, &other).await;
    assert_stored(&given, id, json!({"user": 3})).await;
}

async fn removal(given: Given) {
    let id = create(&given, &[("flash", 1), ("user", 1)]).await;
    let (mut one, mut other) = (load(&given, id).await, load(&given, id).await);
    one.data.remove("flash");
    set(&mut other, "user", 2);
    save(&given, &one).await;
    save(&given, &other).await;
    assert_stored(&given, id, json!({"user": 2})).await;
}

async fn none(given: Given) {
    let id = create(&given, &[("user", 1)]).await;
    let (idle, mut busy) = (load(&given, id).await, load(&given, id).await);
    set(&mut busy, "user", 2);
    save(&given, &busy).await;
    save(&given, &idle).await;
    assert_stored(&given, id, json!({"user": 2})).await;
    let session = given.store.load_login_session(&id.to_string()).await;
    assert_eq!(session.unwrap().map(|session| session.version), Some(2));
}

async fn changed_back(given: Given) {
    let id = create(&given, &[("busy", 0)]).await;
    // Alone, then with somebody else's save in between, before, and both.
    for (before, between) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut record = load(&given, id).await;
        let mut other = load(&given, id).await;
        if before {
            set(&mut other, "other", 1);
            save(&given, &other).await;
        }
        set(&mut record, "busy", 1);
        save(&given, &record).await;
        assert_eq!(stored(&given, id).await.unwrap()["busy"], 1);
        if between {
            set(&mut other, "other", 2);
            save(&given, &other).await;
        }
        set(&mut record, "busy", 0);
        save(&given, &record).await;
        assert_eq!(stored(&given, id).await.unwrap()["busy"], 0);
    }
    assert_stored(&given, id, json!({"busy": 0, "other": 2})).await;
}

async fn after_creating(given: Given) {
    let mut record = record(&[("user", 1)]);
    given.sessions.create(&mut record).await.unwrap();
    let mut other = load(&given, record.id).await;
    set(&mut other, "cart", 1);
    save(&given, &other).await;
    set(&mut record, "user", 2);
    save(&given, &record).await;
    assert_stored(&given, record.id, json!({"user": 2, "cart": 1})).await;
}

async fn cleared(given: Given) {
    let id = create(&given, &[("user", 1), ("cart", 1)]).await;
    let mut record = load(&given, id).await;
    record.data = HashMap::from([("theme".to_owned(), 1.into())]);
    let mut other = load(&given, id).await;
    set(&mut other, "cart", 2);
    save(&given, &other).await;
    save(&given, &record).await;
    assert_stored(&given, id, json!({"theme": 1})).await;
}

async fn twenty_at_once(given: Given) {
    let id = create(&given, &[]).await;
    let tasks: Vec<_> = (0..20)
        .map(|n| {
            let sessions = given.sessions.clone();
            tokio::spawn(async move {
                let mut record = sessions.load(&id).await.unwrap().unwrap();
                set(&mut record, &format!("p{n}"), n);
                sessions.save(&record).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(stored(&given, id).await.unwrap().len(), 20);
}

async fn deletion_between(given: Given) {
    let id = create(&given, &[("user", 1)]).await;
    let (mut one, mut other) = (load(&given, id).await, load(&given, id).await);
    set(&mut one, "cart", 1);
    save(&given, &one).await;
    given.sessions.delete(&id).await.unwrap();
    for record in [&mut one, &mut other] {
        set(record, "user", 2);
        assert!(given.sessions.save(record).await.is_err());
    }
    assert_eq!(stored(&given, id).await, None);
}

async fn own_methods(given: Given) {
    let id = create(&given, &[("user", 1)]).await;
    let mut record = load(&given, id).await;
    let token = json!({"refresh_token": "r2"}).as_object().unwrap().clone();
    let id_text = id.to_string();
    let others = given.store.set_login_properties(&id_text, token, None);
    others.await.unwrap();
    set(&mut record, "user", 2);
    save(&given, &record).await;
    assert_stored(&given, id, json!({"user": 2, "refresh_token": "r2"})).await;
}
