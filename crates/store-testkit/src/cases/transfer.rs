//! Records that move from one store to another, as they are.

use std::sync::Arc;

use store_core::{
    CleanupKind, Client, ClientWithDeployments, ErrorKind, LockOutcome, NonceStore, Placement,
    Record, RecordKind, Renewal, SessionPolicy, StateProofStatus, Store,
};
use store_memory::MemoryStore;

use crate::cases::cases;
use crate::concurrency::{at_once, in_turn};
use crate::expect::{refused, refused_input, same_session};
use crate::world::{World, ms, secs};

mod records;

use records::{changed, export, export_all, fill, foreign, import_all, memory, same, with_expiry};

cases!(transfer:
    every_kind_leaves_as_it_is, every_kind_arrives_as_it_is, what_arrived_is_used_like_any_other,
    pages_hold_every_record_once, no_records_make_an_empty_page, a_place_that_no_page_gave_is_refused,
    expired_is_not_exported, expired_is_left_out, an_expired_row_makes_room,
    offered_again_it_is_present, what_is_there_stays, an_identity_that_is_taken_stays,
    missing_deployments_are_added, replays_are_recognised_after_a_move, a_consumed_nonce_stays_consumed,
    locks_do_not_move, policies_revoke_nothing, added_once_by_many_at_the_same_moment,
    what_arrived_is_cleaned_up, payloads_over_the_limit_are_refused, refused_once_closed,
);

async fn every_kind_leaves_as_it_is(w: World) {
    let store = w.store().await;
    fill(&w, &*store).await;
    let exported = export_all(&*store).await;
    assert_eq!(exported.len(), 30, "five of each of six kinds");
    let target = memory(&w);
    import_all(&target, &exported, Placement::Added).await;
    same(&export_all(&target).await, &exported);
    for n in 0..5 {
        let id = w.make().lti_session(n).id.to_string();
        let kept = store.get_lti_session(&id).await.unwrap().unwrap();
        let moved = export(&target, RecordKind::Sessions, 9).await;
        let found = moved.iter().any(|record| match record {
            Record::Session(session) => **session == *kept,
            _ => false,
        });
        assert!(found, "session {n} left with its expiry and content");
    }
}

async fn every_kind_arrives_as_it_is(w: World) {
    let records = foreign(&w).await;
    let store = w.store().await;
    import_all(&*store, &records, Placement::Added).await;
    same(&export_all(&*store).await, &records);
}

async fn what_arrived_is_used_like_any_other(w: World) {
    let records = foreign(&w).await;
    let store = w.store().await;
    import_all(&*store, &records, Placement::Added).await;
    for record in &records {
        match record {
            Record::Client(moved) => {
                let id = moved.client.id.to_string();
                let found = store.get_client(&id).await.unwrap();
                assert_eq!(found.as_ref(), Some(moved));
                for deployment in &moved.deployments {
                    let config = store.get_launch_config(
                        moved.client.iss.as_str(),
                        moved.client.client_id.as_str(),
                        deployment.deployment_id.as_str(),
                    );
                    let config = config.await.unwrap().expect("a launch finds it");
                    assert_eq!(config.jwks_url, moved.client.jwks_url);
                }
                let again = store.add_client(crate::fixtures::without_id(&moved.client));
                refused(again.await, ErrorKind::AlreadyExists);
            }
            Record::Session(session) => {
                let found = store.get_lti_session(&session.id.to_string()).await;
                same_session(found.unwrap(), session);
            }
            Record::Nonce(nonce) => {
                let again = store.store_nonce(&nonce.nonce, None).await;
                refused(again, ErrorKind::AlreadyExists);
            }
            Record::RegistrationSession(id, session) => {
                let taken = store.take_registration_session(&id.to_string()).await;
                assert_eq!(taken.unwrap().as_ref(), Some(session));
            }
            Record::JtsSession(stored) => {
                let session = &stored.session;
                let found = store.get_jts_session(session.aid.as_str()).await;
                assert_eq!(found.unwrap().as_ref(), Some(session));
                let listed = store.list_jts_sessions(session.prn.as_str()).await.unwrap();
                assert!(listed.contains(session));
                let count = store.count_jts_sessions(session.prn.as_str()).await;
                assert_eq!(count.unwrap(), listed.len() as u64);
                assert!(store.touch_jts_session(session.aid.as_str()).await.unwrap());
                let deleted = store.delete_jts_sessions(session.prn.as_str()).await;
                assert_eq!(deleted.unwrap(), listed.len() as u64);
            }
            Record::LoginSession(session) => {
                let found = store.load_login_session(session.id.as_str()).await;
                assert_eq!(found.unwrap().as_ref(), Some(session));
                let saved = store.save_login_session(session, None, None).await;
                assert_eq!(saved.unwrap(), session.version + 1);
            }
        }
    }
}

async fn pages_hold_every_record_once(w: World) {
    let store = w.store().await;
    fill(&w, &*store).await;
    for kind in RecordKind::ALL {
        let all = export(&*store, kind, 1_000).await;
        assert_eq!(all.len(), 5, "{kind}");
        for limit in [0, 1, 2, 4, 5, 6] {
            same(&export(&*store, kind, limit).await, &all);
        }
    }
}

async fn no_records_make_an_empty_page(w: World) {
    let store = w.store().await;
    for kind in RecordKind::ALL {
        let page = store.export_records(kind, None, 10).await.unwrap();
        assert_eq!((page.records.len(), page.next), (0, None), "{kind}");
    }
}

async fn a_place_that_no_page_gave_is_refused(w: World) {
    let store = w.store().await;
    for kind in [RecordKind::Clients, RecordKind::Sessions] {
        let page = store.export_records(kind, Some("no uuid"), 10).await;
        refused_input(page);
    }
}

async fn expired_is_not_exported(w: World) {
    let store = w.store().await;
    fill(&w, &*store).await;
    let all = export_all(&*store).await;
    let expires_at = |record: &Record| record.expires_at();
    let sessions = all.iter().filter(|r| r.kind() == RecordKind::Sessions);
    let first = sessions.filter_map(expires_at).min().unwrap();
    w.advance_to_just_before(first);
    assert_eq!(export(&*store, RecordKind::Sessions, 2).await.len(), 5);
    w.advance(ms(1));
    assert_eq!(export(&*store, RecordKind::Sessions, 2).await.len(), 4);
    w.advance(secs(8 * 24 * 3600));
    for kind in RecordKind::ALL {
        let left = export(&*store, kind, 2).await.len();
        assert_eq!(
            left,
            if kind == RecordKind::Clients { 5 } else { 0 },
            "{kind}"
        );
    }
}

async fn expired_is_left_out(w: World) {
    let records = foreign(&w).await;
    let store = w.store().await;
    let last = records.iter().filter_map(Record::expires_at).max().unwrap();
    w.advance_to(last);
    for record in &records {
        let placed = store.import_record(record).await.unwrap();
        let expected = match record {
            Record::Client(_) => Placement::Added,
            _ => Placement::Expired,
        };
        assert_eq!(placed, expected, "a record of {}", record.kind());
    }
    w.rewind(secs(8 * 24 * 3600));
    let kept = export_all(&*store).await;
    assert_eq!(kept.len(), 5, "only the clients were added");
}

async fn an_expired_row_makes_room(w: World) {
    let store = w.store().await;
    let mut records = foreign(&w).await;
    records.retain(|record| record.expires_at().is_some());
    import_all(&*store, &records, Placement::Added).await;
    w.advance(secs(8 * 24 * 3600));
    let later: Vec<_> = records
        .into_iter()
        .map(|record| with_expiry(record, w.after(secs(60))))
        .collect();
    import_all(&*store, &later, Placement::Added).await;
    same(&export_all(&*store).await, &later);
}

async fn offered_again_it_is_present(w: World) {
    let records = foreign(&w).await;
    let store = w.store().await;
    import_all(&*store, &records, Placement::Added).await;
    import_all(&*store, &records, Placement::Present).await;
    same(&export_all(&*store).await, &records);
}

async fn what_is_there_stays(w: World) {
    let records = foreign(&w).await;
    let store = w.store().await;
    import_all(&*store, &records, Placement::Added).await;
    let others: Vec<_> = records.iter().map(|record| changed(&w, record)).collect();
    import_all(&*store, &others, Placement::Differs).await;
    same(&export_all(&*store).await, &records);
    for other in &others {
        if let Record::JtsSession(stored) = other {
            let proof = stored.session.current_state_proof.as_str();
            let status = store.validate_state_proof(proof).await.unwrap();
            assert_eq!(status, StateProofStatus::Unknown);
        }
    }
}

async fn an_identity_that_is_taken_stays(w: World) {
    let store = w.store().await;
    let there = store.add_client(w.make().client(1)).await.unwrap();
    let offered = |client: Client| {
        Record::Client(ClientWithDeployments {
            client,
            deployments: Vec::new(),
        })
    };
    let same_launch = offered(Client {
        id: w.make().uuid(1),
        ..there.clone()
    });
    let same_id = offered(w.make().client(2).with_id(there.id));
    import_all(&*store, &[same_launch, same_id], Placement::Differs).await;
    assert_eq!(store.list_clients().await.unwrap(), [there]);
}

async fn missing_deployments_are_added(w: World) {
    let source = memory(&w);
    let client = source_client(&w, &source).await;
    let store = w.store().await;
    import_all(&*store, &[Record::Client(client.clone())], Placement::Added).await;
    let config = || {
        let (iss, id) = (client.client.iss.as_str(), client.client.client_id.as_str());
        store.get_launch_config(iss, id, "deployment-7")
    };
    assert!(config().await.unwrap().is_none());

    let mut more = client.clone();
    let added = w.make().deployment(7).with_id(w.make().uuid(7));
    more.deployments.push(added);
    more.deployments.sort_by_key(|deployment| deployment.id);
    let offered = [Record::Client(more.clone())];
    import_all(&*store, &offered, Placement::Added).await;
    assert!(config().await.unwrap().is_some());
    import_all(&*store, &offered, Placement::Present).await;
    // With fewer there is nothing to add, and nothing is removed.
    let fewer = [Record::Client(client.clone())];
    import_all(&*store, &fewer, Placement::Present).await;
    // One that conflicts keeps all of them out.
    let mut other = more.clone();
    other.deployments[0].name = None;
    let new = w.make().deployment(8).with_id(w.make().uuid(8));
    other.deployments.push(new);
    import_all(&*store, &[Record::Client(other)], Placement::Differs).await;
    let found = store.get_client(&client.client.id.to_string()).await;
    assert_eq!(found.unwrap(), Some(more));
}

async fn source_client(w: &World, source: &MemoryStore) -> ClientWithDeployments {
    use store_core::{ClientStore, DeploymentStore};
    let client = source.add_client(w.make().client(1)).await.unwrap();
    let id = client.id.to_string();
    let deployment = w.make().deployment(1);
    source.add_deployment(&id, deployment).await.unwrap();
    source.get_client(&id).await.unwrap().unwrap()
}

async fn replays_are_recognised_after_a_move(w: World) {
    use store_core::JtsSessionStore;
    let source = memory(&w);
    let created = source.create_jts_session(w.make().jts_session(1), SessionPolicy::AllowAll);
    let mut session = created.await.unwrap().session;
    let mut proofs = vec![session.current_state_proof.clone()];
    for _ in 0..3 {
        let proof = proofs.last().unwrap().as_str();
        let rotated = source.rotate_state_proof(session.aid.as_str(), proof).await;
        session = rotated.unwrap();
        proofs.push(session.current_state_proof.clone());
    }
    let store = w.store().await;
    import_all(&*store, &export_all(&source).await, Placement::Added).await;

    let status = async |n: usize| {
        store
            .validate_state_proof(proofs[n].as_str())
            .await
            .unwrap()
    };
    let compromised = StateProofStatus::Compromised {
        aid: session.aid.clone(),
        prn: session.prn.clone(),
    };
    assert_eq!(status(0).await, compromised);
    assert_eq!(status(1).await, compromised);
    let within_grace = StateProofStatus::ValidWithinGrace(Box::new(session.clone()));
    assert_eq!(status(2).await, within_grace);
    assert_eq!(status(3).await, StateProofStatus::Valid(Box::new(session)));
    w.advance(secs(10));
    assert_eq!(status(2).await, compromised, "its grace is over");
    let renewal = store.renew_state_proof(proofs[3].as_str()).await.unwrap();
    assert!(matches!(renewal, Renewal::Rotated(_)), "{renewal:?}");
    let renewal = store.renew_state_proof(proofs[0].as_str()).await.unwrap();
    assert!(
        matches!(renewal, Renewal::Compromised { .. }),
        "{renewal:?}"
    );
}

async fn a_consumed_nonce_stays_consumed(w: World) {
    let source = memory(&w);
    let (fresh, used) = (w.make().nonce(1), w.make().nonce(2));
    for nonce in [&fresh, &used] {
        source.store_nonce(nonce, None).await.unwrap();
    }
    assert!(source.consume_nonce(used.as_str()).await.unwrap());
    let store = w.store().await;
    import_all(&*store, &export_all(&source).await, Placement::Added).await;
    assert!(!store.consume_nonce(used.as_str()).await.unwrap());
    assert!(store.consume_nonce(fresh.as_str()).await.unwrap());
    assert!(!store.consume_nonce(fresh.as_str()).await.unwrap());
}

async fn locks_do_not_move(w: World) {
    let store = w.store().await;
    let id = w.make().login_id(1);
    let created = store.create_login_session(&id, w.make().login_data(), secs(60));
    created.await.unwrap();
    let lock = store.lock_login_session(id.as_str(), "refresh-0").await;
    assert!(matches!(lock.unwrap(), LockOutcome::Acquired { .. }));
    let records = export_all(&*store).await;
    assert!(store.destroy_login_session(id.as_str()).await.unwrap());
    import_all(&*store, &records, Placement::Added).await;
    let lock = store.lock_login_session(id.as_str(), "refresh-0").await;
    assert!(matches!(lock.unwrap(), LockOutcome::Acquired { .. }));
}

async fn policies_revoke_nothing(w: World) {
    let store = w.store().await;
    let create = async || {
        let created = store.create_jts_session(w.make().jts_session(1), SessionPolicy::AllowAll);
        created.await.unwrap().session
    };
    let (first, second) = (create().await, create().await);
    let records = export_all(&*store).await;
    assert!(store.delete_jts_session(first.aid.as_str()).await.unwrap());
    for record in &records {
        let placed = store.import_record(record).await.unwrap();
        let there = matches!(record, Record::JtsSession(s) if s.session.aid == second.aid);
        let expected = if there {
            Placement::Present
        } else {
            Placement::Added
        };
        assert_eq!(placed, expected);
    }
    let count = store.count_jts_sessions(first.prn.as_str()).await.unwrap();
    assert_eq!(count, 2);
}

async fn added_once_by_many_at_the_same_moment(w: World) {
    let mut records = Vec::new();
    for kind in RecordKind::ALL {
        let all = foreign(&w).await.into_iter();
        // The second client has one deployment, which any server takes in one step with it.
        records.extend(all.filter(|record| record.kind() == kind).nth(1));
    }
    let stores = w.stores(4).await;
    for record in &records {
        let imports = in_turn(&stores, 12).map(|store| {
            let record = record.clone();
            async move { store.import_record(&record).await }
        });
        let placed = at_once(imports).await;
        let times = |wanted: Placement| {
            let same = placed
                .iter()
                .filter(|placed| matches!(placed, Ok(p) if *p == wanted));
            same.count()
        };
        let (added, present) = (times(Placement::Added), times(Placement::Present));
        assert_eq!((added, present), (1, 11), "{}: {placed:?}", record.kind());
    }
}

async fn what_arrived_is_cleaned_up(w: World) {
    let store: Arc<dyn Store> = w.store().await;
    import_all(&*store, &foreign(&w).await, Placement::Added).await;
    w.advance(secs(8 * 24 * 3600));
    for kind in CleanupKind::ALL {
        assert_eq!(store.delete_expired(kind, 100).await.unwrap(), 5, "{kind}");
    }
}

async fn payloads_over_the_limit_are_refused(w: World) {
    let store = w.store().await;
    let too_long = w
        .make()
        .padded_lti_session(1, store_core::MAX_PAYLOAD_BYTES + 1);
    let expires_at = w.after(secs(60));
    let session = store_core::Expiring {
        value: too_long,
        expires_at,
    };
    let placed = store
        .import_record(&Record::Session(Box::new(session)))
        .await;
    refused_input(placed);
}

async fn refused_once_closed(w: World) {
    let records = foreign(&w).await;
    let store = w.store().await;
    store.close().await;
    let page = store.export_records(RecordKind::Clients, None, 1).await;
    refused(page, ErrorKind::Closed);
    refused(store.import_record(&records[0]).await, ErrorKind::Closed);
}
