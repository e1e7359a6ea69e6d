//! Moving records from and to other stores.

use std::sync::Arc;
use std::time::Duration;

use store_core::{
    ClientWithDeployments, DeploymentStore as _, ErrorKind, JtsSessionStore as _, Placement,
    Record, RecordKind, SessionPolicy, Settings, StateProofStatus, Store, StoredJtsSession,
    Timestamp, TransferStore, proof_digest,
};
use store_memory::MemoryStore;
use store_testkit::fixtures::Fixtures;

use crate::support::Server;
use crate::{Test, everywhere};

pub(crate) const TESTS: &[Test] = &[
    everywhere("records_move_there_and_back_as_they_are", |server| {
        Box::pin(records_move_there_and_back_as_they_are(server))
    }),
    everywhere("a_cut_off_import_is_completed", |server| {
        Box::pin(a_cut_off_import_is_completed(server))
    }),
    everywhere("a_client_with_many_deployments_is_imported", |server| {
        Box::pin(a_client_with_many_deployments_is_imported(server))
    }),
    everywhere("an_anchor_id_is_imported_once", |server| {
        Box::pin(an_anchor_id_is_imported_once(server))
    }),
    everywhere("made_up_places_are_refused", |server| {
        Box::pin(made_up_places_are_refused(server))
    }),
];

/// Records of all kinds, some of them consumed, rotated or locked.
async fn fill(store: &dyn Store) {
    let make = Fixtures::new("transfer");
    let hour = Duration::from_secs(3600);
    for number in 0..7 {
        let client = store.add_client(make.client(number)).await.unwrap();
        let id = client.id.to_string();
        for deployment in 0..number {
            let added = store.add_deployment(&id, make.deployment(deployment)).await;
            added.unwrap();
        }
        let session = make.lti_session(number);
        store.add_lti_session(&session, None).await.unwrap();
        let nonce = make.nonce(number);
        store.store_nonce(&nonce, None).await.unwrap();
        if number % 2 == 0 {
            assert!(store.consume_nonce(nonce.as_str()).await.unwrap());
        }
        let registration =
            make.registration(number, Timestamp::from_unix_millis(4_000_000_000_000));
        let set = store.set_registration_session(make.uuid(number), &registration);
        set.await.unwrap();
        let new = make.jts_session(number / 2);
        let created = store.create_jts_session(new, SessionPolicy::AllowAll).await;
        let mut session = created.unwrap().session;
        for _ in 0..number {
            let (aid, proof) = (&session.aid, &session.current_state_proof);
            let rotated = store.rotate_state_proof(aid.as_str(), proof.as_str()).await;
            session = rotated.unwrap();
        }
        let id = make.login_id(number);
        let created = store.create_login_session(&id, make.login_data(), hour);
        created.await.unwrap();
        for _ in 0..number {
            let set = store.set_login_properties(id.as_str(), make.login_data(), None);
            set.await.unwrap();
        }
        let locked = store.lock_login_session(id.as_str(), "refresh-0").await;
        locked.unwrap();
    }
}

async fn all(store: &dyn TransferStore, limit: u32) -> Vec<Record> {
    let mut records = Vec::new();
    for kind in RecordKind::ALL {
        let mut after = None;
        loop {
            let page = store.export_records(kind, after.as_deref(), limit).await;
            let page = page.unwrap();
            assert!(page.records.len() <= limit as usize);
            assert!(!page.records.is_empty() || page.next.is_none());
            assert!(page.records.iter().all(|record| record.kind() == kind));
            records.extend(page.records);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    records.sort_by_key(name);
    records
}

/// What a record is found by.
fn name(record: &Record) -> String {
    let kind = record.kind();
    match record {
        Record::Client(client) => format!("{kind} {}", client.client.id),
        Record::Session(session) => format!("{kind} {}", session.id),
        Record::Nonce(nonce) => format!("{kind} {}", nonce.nonce.as_str()),
        Record::RegistrationSession(id, _) => format!("{kind} {id}"),
        Record::JtsSession(stored) => format!("{kind} {}", stored.session.aid),
        Record::LoginSession(session) => format!("{kind} {}", session.id.as_str()),
    }
}

async fn import(store: &dyn TransferStore, records: &[Record]) -> Vec<Placement> {
    let mut placements = Vec::new();
    for record in records {
        placements.push(store.import_record(record).await.unwrap());
    }
    placements
}

async fn records_move_there_and_back_as_they_are(server: Server) {
    let place = server.place();
    let store = place.store(Settings::default()).await;
    let from = Arc::new(MemoryStore::new(Settings::default()));
    fill(&*from).await;
    let records = all(&*from, 1000).await;
    assert_eq!(records.len(), 6 * 7);
    let imported = import(&*store, &records).await;
    assert!(
        imported
            .iter()
            .all(|placement| *placement == Placement::Added)
    );
    let again = import(&*store, &records).await;
    assert!(
        again
            .iter()
            .all(|placement| *placement == Placement::Present)
    );
    for limit in [1, 2, 1000] {
        assert_eq!(all(&*store, limit).await, records, "pages of {limit}");
    }
    let back = MemoryStore::new(Settings::default());
    import(&back, &all(&*store, 5).await).await;
    assert_eq!(all(&back, 1000).await, records);
    place.remove().await;
    // What was written here in the first place.
    let place = server.place();
    let store = place.store(Settings::default()).await;
    fill(&*store).await;
    let records = all(&*store, 3).await;
    let back = MemoryStore::new(Settings::default());
    let imported = import(&back, &records).await;
    assert!(
        imported
            .iter()
            .all(|placement| *placement == Placement::Added)
    );
    assert_eq!(all(&back, 1000).await, records);
    let chains = records.iter().filter_map(|record| match record {
        Record::JtsSession(stored) => Some(stored.retired_proofs.len()),
        _ => None,
    });
    assert_eq!(chains.sum::<usize>(), 1 + 2 + 3 + 4 + 5 + 6);
    place.remove().await;
}

/// A session that was rotated five times, with its first proof.
async fn rotated() -> (StoredJtsSession, String) {
    let from = MemoryStore::new(Settings::default());
    let make = Fixtures::new("rotated");
    let created = from.create_jts_session(make.jts_session(1), SessionPolicy::AllowAll);
    let mut session = created.await.unwrap().session;
    let first = session.current_state_proof.clone();
    for _ in 0..5 {
        let (aid, proof) = (&session.aid, &session.current_state_proof);
        let rotated = from.rotate_state_proof(aid.as_str(), proof.as_str()).await;
        session = rotated.unwrap();
    }
    let mut records = all(&from, 10).await;
    match records.pop() {
        Some(Record::JtsSession(stored)) => (*stored, first.as_str().to_owned()),
        other => panic!("{other:?}"),
    }
}

async fn a_cut_off_import_is_completed(server: Server) {
    let place = server.place();
    let store = place.store(Settings::default()).await;
    let (stored, first) = rotated().await;
    let record = Record::JtsSession(Box::new(stored.clone()));
    for steps in [1, 2, 3, 5, 8] {
        let import = store.import_record(&record);
        let cut_off = tokio::time::timeout(Duration::from_millis(steps), import).await;
        if cut_off.is_err() {
            // It is there with all of its proofs, or not at all.
            for record in all(&*store, 10).await {
                assert_eq!(record, Record::JtsSession(Box::new(stored.clone())));
            }
        }
    }
    store.import_record(&record).await.unwrap();
    assert_eq!(all(&*store, 10).await, [record]);
    let status = store.validate_state_proof(&first).await.unwrap();
    assert!(matches!(status, StateProofStatus::Compromised { .. }));
    place.remove().await;
}

async fn a_client_with_many_deployments_is_imported(server: Server) {
    let place = server.place();
    let store = place.store(Settings::default()).await;
    let make = Fixtures::new("many");
    let client = make.client(1).with_id(make.uuid(1));
    let deployments = (0..130).map(|n| make.deployment(n).with_id(make.uuid(1_000 + n)));
    let mut deployments: Vec<_> = deployments.collect();
    deployments.sort_by_key(|deployment| deployment.id);
    let offered = |some: &[store_core::Deployment]| {
        Record::Client(ClientWithDeployments {
            client: client.clone(),
            deployments: some.to_vec(),
        })
    };
    for (upto, placement) in [
        (60, Placement::Added),
        (60, Placement::Present),
        (130, Placement::Added),
        (130, Placement::Present),
        (20, Placement::Present),
    ] {
        let placed = store.import_record(&offered(&deployments[..upto])).await;
        assert_eq!(placed.unwrap(), placement, "{upto}");
    }
    assert_eq!(all(&*store, 10).await, [offered(&deployments)]);
    let id = client.id.to_string();
    assert_eq!(store.list_deployments(&id).await.unwrap(), deployments);
    let mut other = client.clone();
    other.id = make.uuid(2);
    let other = Record::Client(ClientWithDeployments {
        client: other,
        deployments: Vec::new(),
    });
    let placed = store.import_record(&other).await.unwrap();
    assert_eq!(placed, Placement::Differs);
    place.remove().await;
}

async fn an_anchor_id_is_imported_once(server: Server) {
    let place = server.place();
    let store = place.store(Settings::default()).await;
    let (stored, _) = rotated().await;
    let of = |principal: &str, proof: &str| {
        let mut session = stored.session.clone();
        session.prn = principal.parse().unwrap();
        session.current_state_proof = proof.parse().unwrap();
        session.previous_state_proof = None;
        Record::JtsSession(Box::new(StoredJtsSession::new(session, [])))
    };
    let imported = import(
        &*store,
        &[
            of("alice", "a"),
            of("bob", "b"),
            of("alice", "a"),
            of("alice", "c"),
        ],
    )
    .await;
    let expected = [
        Placement::Added,
        Placement::Differs,
        Placement::Present,
        Placement::Differs,
    ];
    assert_eq!(imported, expected);
    // Once it is gone, its place is free for whomever.
    let aid = stored.session.aid.as_str();
    assert!(store.delete_jts_session(aid).await.unwrap());
    assert_eq!(import(&*store, &[of("bob", "b")]).await, [Placement::Added]);
    let found = store.get_jts_session(aid).await.unwrap().unwrap();
    assert_eq!(found.prn.as_str(), "bob");
    // A proof that leads to another session stays where it leads.
    let mut session = found.clone();
    session.aid = "aid_other".parse().unwrap();
    let thief = StoredJtsSession::new(session, []);
    let mut retired = thief.clone();
    retired.session.current_state_proof = "d".parse().unwrap();
    retired.retired_proofs = vec![proof_digest("b")];
    for thief in [thief, retired] {
        let placed = store
            .import_record(&Record::JtsSession(Box::new(thief)))
            .await;
        assert_eq!(placed.unwrap(), Placement::Differs);
    }
    let status = store.validate_state_proof("b").await.unwrap();
    assert_eq!(status, StateProofStatus::Valid(Box::new(found)));
    place.remove().await;
}

async fn made_up_places_are_refused(server: Server) {
    let place = server.place();
    let store = place.store(Settings::default()).await;
    let uuid = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    for kind in RecordKind::ALL {
        for after in [
            "",
            " ",
            "#",
            "S# #",
            "N#x #",
            "P# J#",
            &format!("X#{uuid} #"),
        ] {
            let refused = store.export_records(kind, Some(after), 10).await;
            let kind_of = refused.unwrap_err().kind();
            assert_eq!(kind_of, ErrorKind::InvalidInput, "{kind} {after}");
        }
    }
    place.remove().await;
}
