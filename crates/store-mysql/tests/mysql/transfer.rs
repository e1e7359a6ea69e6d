//! Records move to this store and on from it as they are.

use std::sync::Arc;
use std::time::Duration;

use store_core::{
    Clock, DeploymentStore, ErrorKind, ManualClock, Placement, Record, RecordKind, SchemaStore,
    SessionPolicy, Settings, Store, Timestamp, TransferStore,
};
use store_memory::MemoryStore;
use store_testkit::fixtures::Fixtures;

use crate::{Outcome, Server, Test};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "transfer::records_stay_as_they_are",
        run: |server| Box::pin(records_stay_as_they_are(server)),
    },
    Test {
        name: "transfer::what_is_there_is_kept",
        run: |server| Box::pin(what_is_there_is_kept(server)),
    },
];

const DAY: Duration = Duration::from_secs(86_400);

/// Some records of each kind, with a history.
async fn fill(store: &dyn Store, clock: &ManualClock) {
    let make = Fixtures::new("transfer");
    for n in 0..5 {
        let client = store.add_client(make.client(n)).await.unwrap();
        for m in 0..n {
            let id = client.id.to_string();
            store.add_deployment(&id, make.deployment(m)).await.unwrap();
        }
        let session = make.lti_session(n);
        store.add_lti_session(&session, Some(DAY)).await.unwrap();
        let registration = make.registration(n, clock.now().checked_add(DAY).unwrap());
        let set = store.set_registration_session(make.uuid(n), &registration);
        set.await.unwrap();
        let nonce = make.nonce(n);
        store.store_nonce(&nonce, Some(DAY)).await.unwrap();
        if n % 2 == 0 {
            assert!(store.consume_nonce(nonce.as_str()).await.unwrap());
        }
        let created = store.create_jts_session(make.jts_session(n), SessionPolicy::AllowAll);
        let mut session = created.await.unwrap().session;
        for _ in 0..n {
            clock.advance(Duration::from_secs(1));
            let (aid, proof) = (session.aid.as_str(), session.current_state_proof.as_str());
            session = store.rotate_state_proof(aid, proof).await.unwrap();
        }
        let id = make.login_id(n);
        let created = store.create_login_session(&id, make.login_data(), DAY);
        let mut session = created.await.unwrap();
        for _ in 0..n {
            let saved = store.save_login_session(&session, None, None);
            session.version = saved.await.unwrap();
        }
        let locked = store.lock_login_session(id.as_str(), "refresh-0").await;
        locked.unwrap();
    }
}

async fn all(store: &dyn TransferStore, kind: RecordKind, limit: u32) -> Vec<Record> {
    let mut records = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = store.export_records(kind, after.as_deref(), limit).await;
        let page = page.unwrap();
        assert!(page.records.len() <= limit as usize);
        assert!(page.next.is_none() || !page.records.is_empty());
        records.extend(page.records);
        after = page.next;
        if after.is_none() {
            return records;
        }
    }
}

async fn import(store: &dyn TransferStore, records: &[Record], expected: Placement) {
    for record in records {
        let placed = store.import_record(record).await.unwrap();
        assert_eq!(placed, expected, "{record:?}");
    }
}

fn settings() -> (Arc<ManualClock>, Settings) {
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix_millis(
        1_900_000_000_123,
    )));
    let settings = Settings {
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        ..Settings::default()
    };
    (clock, settings)
}

async fn records_stay_as_they_are(server: Server) -> Outcome {
    let database = server.database().await;
    let (clock, settings) = settings();
    let there = MemoryStore::new(settings.clone());
    fill(&there, &clock).await;
    let store = database.open(settings.clone());
    store.bootstrap().await.unwrap();
    let back = MemoryStore::new(settings);
    for kind in RecordKind::ALL {
        let records = all(&there, kind, 1_000).await;
        assert_eq!(records.len(), 5, "{kind}");
        import(&*store, &records, Placement::Added).await;
        import(&*store, &records, Placement::Present).await;
        for limit in [1, 2, 5, 1_000] {
            assert_eq!(all(&*store, kind, limit).await, records, "{kind}");
        }
        import(&back, &all(&*store, kind, 2).await, Placement::Added).await;
        assert_eq!(all(&back, kind, 1_000).await, records);
    }
    // A proof that was retired before the move is known as one after it.
    let rotated = all(&there, RecordKind::JtsSessions, 1_000).await;
    let rotated = rotated.iter().filter_map(|record| match record {
        Record::JtsSession(stored) if stored.retired_proofs.len() > 1 => Some(stored),
        _ => None,
    });
    assert_eq!(rotated.count(), 3);
    let sql = "SELECT COUNT(*) FROM jts_retired_state_proofs";
    assert_eq!(database.query::<u64>(sql).await, [6]);

    let junk = store
        .export_records(RecordKind::Sessions, Some("junk"), 1)
        .await;
    assert_eq!(junk.unwrap_err().kind(), ErrorKind::InvalidInput);
    clock.advance(DAY * 8);
    for kind in RecordKind::ALL {
        let records = all(&*store, kind, 2).await;
        assert_eq!(records.is_empty(), kind != RecordKind::Clients, "{kind}");
    }
    database.drop().await;
    Ok(())
}

async fn what_is_there_is_kept(server: Server) -> Outcome {
    let database = server.database().await;
    let (clock, settings) = settings();
    let there = MemoryStore::new(settings.clone());
    fill(&there, &clock).await;
    let store = database.open(settings);
    store.bootstrap().await.unwrap();
    for kind in RecordKind::ALL {
        let records = all(&there, kind, 1_000).await;
        import(&*store, &records, Placement::Added).await;
        let changed: Vec<_> = records.iter().map(changed).collect();
        import(&*store, &changed, Placement::Differs).await;
        assert_eq!(all(&*store, kind, 1_000).await, records, "{kind}");
    }
    // A client's deployments are added one by one.
    let clients = all(&there, RecordKind::Clients, 1_000).await;
    for record in &clients {
        let Record::Client(client) = record else {
            panic!("it is a client")
        };
        let id = client.client.id.to_string();
        for deployment in client.deployments.iter().skip(1) {
            let gone = deployment.id.to_string();
            assert!(store.delete_deployment(&id, &gone).await.unwrap());
        }
        let expected = if client.deployments.len() > 1 {
            Placement::Added
        } else {
            Placement::Present
        };
        import(&*store, std::slice::from_ref(record), expected).await;
    }
    assert_eq!(all(&*store, RecordKind::Clients, 2).await, clients);

    // Whatever has expired is left out, and makes room.
    let kinds = RecordKind::ALL.into_iter().skip(1);
    for kind in kinds {
        clock.rewind(
            clock
                .now()
                .since(Timestamp::from_unix_millis(1_900_000_000_123))
                .unwrap(),
        );
        let records = all(&there, kind, 1_000).await;
        clock.advance(DAY * 8);
        import(&*store, &records, Placement::Expired).await;
        let later: Vec<_> = records.iter().map(later).collect();
        import(&*store, &later, Placement::Added).await;
        assert_eq!(all(&*store, kind, 1_000).await, later, "{kind}");
    }
    database.drop().await;
    Ok(())
}

/// The same with one thing changed.
fn changed(record: &Record) -> Record {
    let mut record = record.clone();
    match &mut record {
        Record::Client(client) => {
            client.client.auth_url = "https://changed.example".parse().unwrap();
        }
        Record::Session(session) => {
            session.value.user.extra.insert("x".into(), 1.into());
        }
        Record::Nonce(nonce) => nonce.consumed = !nonce.consumed,
        Record::RegistrationSession(_, session) => session.registration_token = None,
        Record::JtsSession(stored) => stored.retired_proofs.push([255; 32]),
        Record::LoginSession(session) => session.version += 1,
    }
    record
}

/// The same, but expiring a month later.
fn later(record: &Record) -> Record {
    let mut record = record.clone();
    let expires_at = match &mut record {
        Record::Client(_) => return record,
        Record::Session(session) => &mut session.expires_at,
        Record::Nonce(nonce) => &mut nonce.expires_at,
        Record::RegistrationSession(_, session) => &mut session.expires_at,
        Record::JtsSession(stored) => &mut stored.session.expires_at,
        Record::LoginSession(session) => &mut session.expires_at,
    };
    *expires_at = expires_at.checked_add(DAY * 30).unwrap();
    record
}
