//! Rows that tables keep.

use store_core::{SchemaStore, Settings};

use crate::{Outcome, Server, Test};

pub(crate) const TESTS: &[Test] = &[Test {
    name: "plans::keys_compare_as_bytes_without_padding",
    run: |server| Box::pin(keys_compare_as_bytes_without_padding(server)),
}];

async fn keys_compare_as_bytes_without_padding(server: Server) -> Outcome {
    let database = server.database().await;
    database
        .open(Settings::default())
        .bootstrap()
        .await
        .unwrap();
    let sql = "SELECT COUNT(*) FROM information_schema.COLUMNS
               WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME <> 'store_migrations'
                 AND COLLATION_NAME IS NOT NULL AND DATA_TYPE <> 'longtext'
                 AND COLLATION_NAME NOT IN ('utf8mb4_0900_bin', 'utf8mb4_nopad_bin')";
    assert_eq!(database.query::<u64>(sql).await, [0]);
    database.drop().await;
    Ok(())
}
