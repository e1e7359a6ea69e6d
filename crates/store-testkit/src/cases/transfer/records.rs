//! What the cases move, and how.

use store_core::{
    Placement, Record, RecordKind, SessionPolicy, StateProof, Store, Timestamp, TransferStore,
};
use store_memory::MemoryStore;

use crate::fixtures::object;
use crate::world::{World, ms, secs};

/// Every kind of record, some of each.
pub(super) async fn fill(w: &World, store: &dyn Store) {
    let make = w.make();
    for n in 0..5 {
        let client = store.add_client(make.client(n)).await.unwrap();
        for m in 0..n {
            let deployment = make.deployment(m);
            let id = client.id.to_string();
            store.add_deployment(&id, deployment).await.unwrap();
        }
        let session = make.lti_session(n);
        let lifetime = Some(secs(60 + n));
        store.add_lti_session(&session, lifetime).await.unwrap();
        let nonce = make.nonce(n);
        store.store_nonce(&nonce, lifetime).await.unwrap();
        if n % 2 == 0 {
            assert!(store.consume_nonce(nonce.as_str()).await.unwrap());
        }
        let registration = make.registration(n, w.after(secs(90 + n)));
        let id = make.uuid(100 + n);
        let set = store.set_registration_session(id, &registration).await;
        set.unwrap();
        let created = store.create_jts_session(make.jts_session(n), SessionPolicy::AllowAll);
        let mut session = created.await.unwrap().session;
        w.advance(ms(1));
        for _ in 0..n {
            let proof = session.current_state_proof.as_str();
            let rotated = store.rotate_state_proof(session.aid.as_str(), proof).await;
            session = rotated.unwrap();
        }
        let id = make.login_id(n);
        let created = store.create_login_session(&id, make.login_data(), secs(120 + n));
        created.await.unwrap();
        for change in 0..n {
            let data = object(serde_json::json!({"change": change, "é": "𝄞"}));
            let set = store.set_login_properties(id.as_str(), data, None).await;
            set.unwrap();
        }
    }
}

pub(super) async fn export(store: &dyn TransferStore, kind: RecordKind, limit: u32) -> Vec<Record> {
    let mut records = Vec::new();
    let mut after = None;
    loop {
        let page = store.export_records(kind, after.as_deref(), limit).await;
        let page = page.unwrap();
        let most = usize::try_from(limit.max(1)).unwrap();
        assert!(page.records.len() <= most, "the page is over its limit");
        assert!(
            !page.records.is_empty() || page.next.is_none(),
            "an empty page says that there is more"
        );
        records.extend(page.records);
        after = page.next;
        if after.is_none() {
            return records;
        }
    }
}

pub(super) async fn export_all(store: &dyn TransferStore) -> Vec<Record> {
    let mut records = Vec::new();
    for kind in RecordKind::ALL {
        let of_kind = export(store, kind, 100).await;
        assert!(of_kind.iter().all(|record| record.kind() == kind));
        records.extend(of_kind);
    }
    records
}

pub(super) async fn import_all(store: &dyn TransferStore, records: &[Record], expected: Placement) {
    for record in records {
        let placed = store.import_record(record).await.unwrap();
        assert_eq!(placed, expected, "a record of {}", record.kind());
    }
}

/// The same records in any order. Their `Debug` hides what may differ, so the kind is told.
#[track_caller]
pub(super) fn same(found: &[Record], expected: &[Record]) {
    for record in expected {
        let times = found.iter().filter(|found| *found == record).count();
        assert_eq!(
            times,
            1,
            "a record of {} is there {times} times",
            record.kind()
        );
    }
    assert_eq!(found.len(), expected.len(), "there are other records");
}

pub(super) fn memory(w: &World) -> MemoryStore {
    MemoryStore::new(w.settings().clone())
}

/// Records of every kind, from a store of the same clock.
pub(super) async fn foreign(w: &World) -> Vec<Record> {
    let source = memory(w);
    fill(w, &source).await;
    export_all(&source).await
}

/// The same record with another expiry.
pub(super) fn with_expiry(mut record: Record, expires_at: Timestamp) -> Record {
    match &mut record {
        Record::Client(_) => {}
        Record::Session(session) => session.expires_at = expires_at,
        Record::Nonce(nonce) => nonce.expires_at = expires_at,
        Record::RegistrationSession(_, session) => session.expires_at = expires_at,
        Record::JtsSession(stored) => stored.session.expires_at = expires_at,
        Record::LoginSession(session) => session.expires_at = expires_at,
    }
    record
}

/// The same record with another content.
pub(super) fn changed(w: &World, record: &Record) -> Record {
    match record.clone() {
        Record::Client(mut moved) => {
            moved.client.jwks_url = "https://elsewhere.example/jwks".parse().unwrap();
            Record::Client(moved)
        }
        Record::Session(mut session) => {
            session.value.is_admin = !session.value.is_admin;
            Record::Session(session)
        }
        Record::Nonce(mut nonce) => {
            nonce.consumed = !nonce.consumed;
            Record::Nonce(nonce)
        }
        Record::RegistrationSession(id, mut session) => {
            session.expires_at = w.after(secs(1_000));
            Record::RegistrationSession(id, session)
        }
        Record::JtsSession(mut stored) => {
            stored.session.current_state_proof = StateProof::generate();
            Record::JtsSession(stored)
        }
        Record::LoginSession(mut session) => {
            session.version += 1;
            Record::LoginSession(session)
        }
    }
}
