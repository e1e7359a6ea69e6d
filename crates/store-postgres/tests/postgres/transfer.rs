//! Moving records: what was moved is the same, and what is in the way stays.

use std::time::Duration;

use store_core::{
    ClientStore, DeploymentStore, ErrorKind, JtsSessionStore, Placement, Record, RecordKind,
    Renewal, SchemaStore, SessionPolicy, Settings, Store, Timestamp, TransferStore,
};
use store_memory::MemoryStore;
use store_testkit::fixtures::Fixtures;

use crate::support::{POSTGRES_URL, Schema, variable};
use crate::{Test, on_server};

pub(crate) const TESTS: &[Test] = &[
    on_server("transfer::records_arrive_as_they_were", || {
        Box::pin(records_arrive_as_they_were())
    }),
    on_server("transfer::what_is_in_the_way_stays", || {
        Box::pin(what_is_in_the_way_stays())
    }),
    on_server("transfer::a_moved_session_goes_on", || {
        Box::pin(a_moved_session_goes_on())
    }),
];

async fn schema() -> Schema {
    Schema::create(&variable(POSTGRES_URL).expect("checked before")).await
}

/// Some records of each kind.
pub(crate) async fn fill(store: &dyn Store) {
    let make = Fixtures::new("transfer");
    let hour = Duration::from_secs(3600);
    for n in 1..=5 {
        let client = store.add_client(make.client(n)).await.unwrap();
        for m in 1..n {
            let id = client.id.to_string();
            store.add_deployment(&id, make.deployment(m)).await.unwrap();
        }
        let session = make.lti_session(n);
        store.add_lti_session(&session, Some(hour)).await.unwrap();
        store.store_nonce(&make.nonce(n), None).await.unwrap();
        if n % 2 == 0 {
            assert!(store.consume_nonce(make.nonce(n).as_str()).await.unwrap());
        }
        let registration = make.registration(n, Timestamp::MAX);
        let set = store.set_registration_session(make.uuid(n), &registration);
        set.await.unwrap();
        let created = store
            .create_jts_session(make.jts_session(n), SessionPolicy::AllowAll)
            .await;
        let mut session = created.unwrap().session;
        for _ in 1..n {
            let (aid, seen) = (session.aid.clone(), session.current_state_proof.clone());
            let rotated = store.rotate_state_proof(aid.as_str(), seen.as_str());
            session = rotated.await.unwrap();
        }
        let id = make.login_id(n);
        let created = store.create_login_session(&id, make.login_data(), hour);
        let mut login = created.await.unwrap();
        for _ in 1..n {
            login.version = store.save_login_session(&login, None, None).await.unwrap();
        }
    }
}

/// All records of a kind, in pages of `limit`.
pub(crate) async fn export(store: &dyn TransferStore, kind: RecordKind, limit: u32) -> Vec<Record> {
    let mut records = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = store.export_records(kind, after.as_deref(), limit).await;
        let page = page.unwrap();
        assert!(page.records.len() <= limit as usize);
        assert!(!page.records.is_empty() || page.next.is_none());
        records.extend(page.records);
        match page.next {
            Some(next) => after = Some(next),
            None => return records,
        }
    }
}

async fn records_arrive_as_they_were() {
    let from = MemoryStore::new(Settings::default());
    fill(&from).await;
    let schema = schema().await;
    let store = schema.open(Settings::default());
    store.bootstrap().await.unwrap();
    let back = MemoryStore::new(Settings::default());
    for kind in RecordKind::ALL {
        let records = export(&from, kind, 1_000).await;
        assert_eq!(records.len(), 5, "{kind}");
        for record in &records {
            let placed = store.import_record(record).await.unwrap();
            assert_eq!(placed, Placement::Added, "{record:?}");
            let placed = store.import_record(record).await.unwrap();
            assert_eq!(placed, Placement::Present, "{record:?}");
        }
        for limit in [1, 2, 1_000] {
            let exported = export(&*store, kind, limit).await;
            assert_eq!(exported, records, "{kind} in pages of {limit}");
        }
        for record in export(&*store, kind, 2).await {
            let placed = back.import_record(&record).await.unwrap();
            assert_eq!(placed, Placement::Added, "{record:?}");
        }
        assert_eq!(export(&back, kind, 1_000).await, records, "{kind}");

        let malformed = match kind {
            RecordKind::Nonces | RecordKind::JtsSessions | RecordKind::LoginSessions => "\0",
            _ => "no id",
        };
        let error = store.export_records(kind, Some(malformed), 1).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidInput, "{kind}");
    }
    schema.drop().await;
}

async fn what_is_in_the_way_stays() {
    let from = MemoryStore::new(Settings::default());
    fill(&from).await;
    let schema = schema().await;
    let store = schema.open(Settings::default());
    store.bootstrap().await.unwrap();
    for kind in RecordKind::ALL {
        for record in export(&from, kind, 1_000).await {
            store.import_record(&record).await.unwrap();
            let mut other = record.clone();
            let mut expired = record;
            match &mut other {
                Record::Client(client) => client.client.name = "other".parse().unwrap(),
                Record::Session(session) => session.value.is_admin ^= true,
                Record::Nonce(nonce) => nonce.consumed ^= true,
                Record::RegistrationSession(_, session) => {
                    session.registration_token = Some("other".to_owned());
                }
                Record::JtsSession(stored) => stored.session.prn = "other".parse().unwrap(),
                Record::LoginSession(session) => session.version += 1,
            }
            let placed = store.import_record(&other).await.unwrap();
            assert_eq!(placed, Placement::Differs, "{other:?}");
            let past = Timestamp::from_unix_millis(1);
            match &mut expired {
                Record::Client(_) => continue,
                Record::Session(session) => session.expires_at = past,
                Record::Nonce(nonce) => nonce.expires_at = past,
                Record::RegistrationSession(_, session) => session.expires_at = past,
                Record::JtsSession(stored) => stored.session.expires_at = past,
                Record::LoginSession(session) => session.expires_at = past,
            }
            let placed = store.import_record(&expired).await.unwrap();
            assert_eq!(placed, Placement::Expired, "{expired:?}");
            // What has expired makes room, with all that belongs to it.
            let tables = [
                "sessions",
                "nonces",
                "registration_sessions",
                "jts_sessions",
                "login_sessions",
            ];
            for table in tables {
                let expire = format!(
                    "UPDATE {}.{table} SET expires_at = 'epoch'::timestamptz",
                    schema.name
                );
                schema.execute(&expire).await;
            }
            let placed = store.import_record(&other).await.unwrap();
            assert_eq!(placed, Placement::Added, "{other:?}");
            let placed = store.import_record(&other).await.unwrap();
            assert_eq!(placed, Placement::Present, "{other:?}");
        }
    }
    clients_meet(&store).await;
    schema.drop().await;
}

async fn clients_meet(store: &store_postgres::PostgresStore) {
    let make = Fixtures::new("clients-meet");
    let added = store.add_client(make.client(1)).await.unwrap();
    let id = added.id.to_string();
    store.add_deployment(&id, make.deployment(1)).await.unwrap();
    let there = store.get_client(&id).await.unwrap().unwrap();

    let mut more = there.clone();
    let deployment = make.deployment(2).with_id(make.uuid(2));
    more.deployments.push(deployment.clone());
    let placed = store.import_record(&Record::Client(more.clone())).await;
    assert_eq!(placed.unwrap(), Placement::Added);
    let now = store.get_client(&id).await.unwrap().unwrap();
    assert_eq!(now.deployments.len(), 2);

    let mut same_endpoints = more.clone();
    same_endpoints.client.id = make.uuid(3);
    let placed = store.import_record(&Record::Client(same_endpoints)).await;
    assert_eq!(placed.unwrap(), Placement::Differs);

    // The deployment's id is one of another client.
    let mut other = there.clone();
    other.client = make.client(2).with_id(make.uuid(4));
    other.deployments = vec![deployment];
    let placed = store.import_record(&Record::Client(other.clone())).await;
    assert_eq!(placed.unwrap(), Placement::Differs);
    let mut alone = other.clone();
    alone.deployments.clear();
    let placed = store.import_record(&Record::Client(alone)).await;
    assert_eq!(placed.unwrap(), Placement::Added);
    let placed = store.import_record(&Record::Client(other)).await;
    assert_eq!(placed.unwrap(), Placement::Differs);
}

/// Its retired proofs are still known, and rotations keep theirs beside them.
async fn a_moved_session_goes_on() {
    let from = MemoryStore::new(Settings::default());
    let make = Fixtures::new("goes-on");
    let created = from
        .create_jts_session(make.jts_session(1), SessionPolicy::AllowAll)
        .await;
    let mut session = created.unwrap().session;
    let mut proofs = Vec::new();
    let aid = session.aid.clone();
    for _ in 0..3 {
        let proof = session.current_state_proof.clone();
        let rotated = from.rotate_state_proof(aid.as_str(), proof.as_str());
        session = rotated.await.unwrap();
        proofs.push(proof);
    }
    let schema = schema().await;
    let store = schema.open(Settings::default());
    store.bootstrap().await.unwrap();
    for record in export(&from, RecordKind::JtsSessions, 1).await {
        store.import_record(&record).await.unwrap();
    }
    for _ in 0..3 {
        let proof = session.current_state_proof.clone();
        let rotated = store.rotate_state_proof(aid.as_str(), proof.as_str());
        session = rotated.await.unwrap();
        proofs.push(proof);
    }
    let records = export(&*store, RecordKind::JtsSessions, 1).await;
    let Some(Record::JtsSession(stored)) = records.first() else {
        panic!("{records:?}");
    };
    assert_eq!(stored.retired_proofs.len(), proofs.len());
    let renewed = store.renew_state_proof(proofs[0].as_str()).await.unwrap();
    assert!(
        matches!(renewed, Renewal::Compromised { .. }),
        "{renewed:?}"
    );
    schema.drop().await;
}
