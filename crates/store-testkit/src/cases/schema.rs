//! Creating the tables, from any number of processes at once.

use store_core::{ErrorKind, MigrationState};

use super::login_sessions::{create, load, same};
use crate::cases::cases;
use crate::concurrency::at_once;
use crate::operations::call_each;
use crate::world::World;

cases!(schema:
    leaves_a_current_schema;
    needing Schema: status_is_pending_before_and_applied_after, status_can_be_asked_by_anyone,
    bootstrap_again_applies_nothing, bootstrap_again_keeps_all_rows, report_names_each_migration,
    concurrent_bootstraps_all_succeed, concurrent_bootstraps_apply_each_migration_once,
    operations_before_bootstrap_tell_schema_missing, a_store_opened_before_bootstrap_works_after_it,
    definition_is_given,
);

async fn leaves_a_current_schema(w: World) {
    for _ in 0..2 {
        let store = w.open_as_admin().await;
        store.bootstrap().await.unwrap();
        assert!(store.schema_status().await.unwrap().is_current());
    }
}

async fn status_is_pending_before_and_applied_after(w: World) {
    let admin = w.open_as_admin().await;
    let before = admin.schema_status().await.unwrap();
    assert!(!before.is_current() && !before.migrations.is_empty());
    for (n, migration) in before.migrations.iter().enumerate() {
        assert_eq!(
            migration.version as usize,
            n + 1,
            "numbered from 1, in order"
        );
        assert_eq!(
            (migration.state, migration.applied_at),
            (MigrationState::Pending, None)
        );
    }
    admin.bootstrap().await.unwrap();
    let after = admin.schema_status().await.unwrap();
    assert!(after.is_current());
    for (before, after) in before.migrations.iter().zip(&after.migrations) {
        assert_eq!((before.version, &before.name), (after.version, &after.name));
        assert_eq!(after.state, MigrationState::Applied);
        assert!(after.applied_at.is_some());
    }
    assert_eq!(before.migrations.len(), after.migrations.len());
}

async fn status_can_be_asked_by_anyone(w: World) {
    let before = w.open().await.schema_status().await.unwrap();
    assert!(!before.is_current());
    let after = w.store().await.schema_status().await.unwrap();
    assert!(after.is_current());
}

async fn bootstrap_again_applies_nothing(w: World) {
    let first = w.open_as_admin().await.bootstrap().await.unwrap();
    assert!(!first.applied.is_empty());
    assert_eq!(first.adopted, [""; 0], "there was nothing to adopt");
    for _ in 0..2 {
        let again = w.open_as_admin().await.bootstrap().await.unwrap();
        assert_eq!((again.applied.len(), again.adopted.len()), (0, 0));
    }
}

async fn bootstrap_again_keeps_all_rows(w: World) {
    let store = w.store().await;
    let client = store.add_client(w.make().client(1)).await.unwrap();
    let session = create(&w, &store, 1).await;
    w.open_as_admin().await.bootstrap().await.unwrap();
    assert_eq!(store.list_clients().await.unwrap(), [client]);
    same(load(&store, &session).await, &session);
}

async fn report_names_each_migration(w: World) {
    let admin = w.open_as_admin().await;
    let status = admin.schema_status().await.unwrap();
    let named = |version, name: &str| format!("{version:04}_{name}");
    let expected: Vec<_> = status
        .migrations
        .iter()
        .map(|m| named(m.version, &m.name))
        .collect();
    assert_eq!(admin.bootstrap().await.unwrap().applied, expected);
}

async fn concurrent_bootstraps_all_succeed(w: World) {
    bootstrap_at_once(&w).await;
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    same(load(&store, &session).await, &session);
}

async fn concurrent_bootstraps_apply_each_migration_once(w: World) {
    let mut applied = bootstrap_at_once(&w).await;
    applied.sort();
    let status = w.open_as_admin().await.schema_status().await.unwrap();
    assert!(status.is_current());
    assert_eq!(applied.len(), status.migrations.len());
    applied.dedup();
    assert_eq!(applied.len(), status.migrations.len());
}

/// Bootstraps from eight stores at the same moment and returns what all of them applied.
async fn bootstrap_at_once(w: &World) -> Vec<String> {
    let mut admins = Vec::new();
    for _ in 0..8 {
        admins.push(w.open_as_admin().await);
    }
    let bootstraps = admins
        .into_iter()
        .map(|admin| async move { admin.bootstrap().await.unwrap() });
    let reports = at_once(bootstraps).await;
    reports
        .into_iter()
        .flat_map(|report| report.applied)
        .collect()
}

async fn operations_before_bootstrap_tell_schema_missing(w: World) {
    let store = w.open().await;
    for (operation, result) in call_each(&*store, w.make()).await {
        match result {
            Ok(()) => panic!("{operation} succeeded without tables"),
            Err(error) => {
                assert_eq!(
                    error.kind(),
                    ErrorKind::SchemaMissing,
                    "{operation}: {error}"
                );
                let told = error.to_string();
                assert!(told.contains("bootstrap"), "it says what mends it: {told}");
                assert!(!error.is_retryable());
            }
        }
    }
}

async fn a_store_opened_before_bootstrap_works_after_it(w: World) {
    let early = w.open().await;
    assert!(early.list_clients().await.is_err());
    w.bootstrap().await;
    let session = create(&w, &early, 1).await;
    same(load(&early, &session).await, &session);
}

async fn definition_is_given(w: World) {
    let (admin, store) = (w.open_as_admin().await, w.open().await);
    let definition = admin.schema_definition();
    assert!(definition.contains("jts_sessions"), "{definition}");
    assert_eq!(definition, store.schema_definition());
}
