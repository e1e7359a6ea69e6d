//! `storectl status`.

use serde_json::json;
use store::{MigrationState, Store};

use crate::answer::{Answer, Exit, bad, good};
use crate::failure::Result;
use crate::place::Place;
use crate::table::{rendered, table, visible};

pub(crate) async fn run(store: &dyn Store, place: &Place) -> Result<Answer> {
    let status = store.schema_status().await?;
    let mut rows = table(&["migration", "state", "applied"]);
    for migration in &status.migrations {
        rows.add_row([
            visible(&format!("{:04}_{}", migration.version, migration.name)),
            state(migration.state).to_owned(),
            migration
                .applied_at
                .map(|at| at.to_string())
                .unwrap_or_default(),
        ]);
    }
    let has = |state| {
        status
            .migrations
            .iter()
            .any(|migration| migration.state == state)
    };
    let mut text = String::new();
    if !status.migrations.is_empty() {
        text += &rendered(rows, None);
        text.push('\n');
    }
    let current = status.is_current();
    text += &format!("{place}: ");
    text += &if current && has(MigrationState::Unknown) {
        bad("current, and newer than this storectl knows")
    } else if current {
        good("current")
    } else if has(MigrationState::Changed) {
        bad(
            "not current: a migration was applied with other content; use the storectl that applied it, or restore the database",
        )
    } else {
        bad("not current: run `storectl bootstrap`")
    };
    text.push('\n');
    let document = json!({
        "store": place.to_string(),
        "current": current,
        "migrations": status.migrations,
    });
    let exit = if current {
        Exit::Done
    } else {
        Exit::Incomplete
    };
    Ok(Answer::new(&document, text).exit(exit))
}

fn state(state: MigrationState) -> &'static str {
    match state {
        MigrationState::Applied => "applied",
        MigrationState::Pending => "pending",
        MigrationState::Changed => "changed",
        MigrationState::Unknown => "unknown",
    }
}
