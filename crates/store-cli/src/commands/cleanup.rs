//! `storectl cleanup`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde::Serialize;
use store::{CleanupKind, CleanupStore};

use crate::answer::{Answer, Exit, bad, good};
use crate::cli::duration;
use crate::failure::Result;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::table::{count, rendered, table};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many rows a statement deletes at most.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// Stop before the next batch when this much time has passed, with exit code 3 if something
    /// expired may be left [default: no limit].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    budget: Option<Duration>,
    /// Rest this long between batches, for the sake of others on the server.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "0s")]
    pause: Duration,
    /// Clean up only this kind (may be repeated).
    #[arg(long, value_enum)]
    kind: Vec<Kind>,
}

/// The kinds, as the command line spells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Kind {
    Nonces,
    Sessions,
    RegistrationSessions,
    JtsSessions,
    LoginSessions,
}

impl From<Kind> for CleanupKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Nonces => Self::Nonces,
            Kind::Sessions => Self::Sessions,
            Kind::RegistrationSessions => Self::RegistrationSessions,
            Kind::JtsSessions => Self::JtsSessions,
            Kind::LoginSessions => Self::LoginSessions,
        }
    }
}

/// Why it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Ended {
    Finished,
    BudgetRanOut,
    Interrupted,
}

#[derive(Debug, Serialize)]
struct Report {
    ended: Ended,
    total: u64,
    deleted: BTreeMap<CleanupKind, u64>,
}

pub(crate) async fn run(
    store: &(impl CleanupStore + ?Sized),
    args: &Args,
    quiet: bool,
    interrupt: &Interrupt,
) -> Result<Answer> {
    let kinds: Vec<CleanupKind> = if args.kind.is_empty() {
        CleanupKind::ALL.to_vec()
    } else {
        let named: Vec<CleanupKind> = args.kind.iter().map(|kind| (*kind).into()).collect();
        CleanupKind::ALL
            .into_iter()
            .filter(|kind| named.contains(kind))
            .collect()
    };
    let mut report = Report {
        ended: Ended::Finished,
        total: 0,
        deleted: kinds.iter().map(|kind| (*kind, 0)).collect(),
    };
    let mut progress = Progress::new("cleanup", quiet);
    let deadline = args.budget.map(|budget| Instant::now() + budget);
    let mut signal = None;
    'all: for kind in kinds {
        loop {
            signal = interrupt.requested();
            if signal.is_some() {
                report.ended = Ended::Interrupted;
                break 'all;
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                report.ended = Ended::BudgetRanOut;
                break 'all;
            }
            let deleted = store.delete_expired(kind, args.batch).await?;
            report.total += deleted;
            *report.deleted.entry(kind).or_default() += deleted;
            progress.at(|| {
                let of_kind = report.deleted.get(&kind).copied().unwrap_or_default();
                format!("{} deleted, {of_kind} of them {kind}", report.total)
            });
            if deleted < u64::from(args.batch) {
                break;
            }
            let mut interrupt = interrupt.clone();
            tokio::select! {
                () = tokio::time::sleep(args.pause) => {}
                _ = interrupt.wait() => {}
            }
        }
    }
    drop(progress);
    let exit = match (report.ended, signal) {
        (Ended::Finished, _) => Exit::Done,
        (Ended::BudgetRanOut, _) => Exit::Incomplete,
        (Ended::Interrupted, signal) => Exit::Interrupted(signal.unwrap_or_default()),
    };
    Ok(Answer::new(&report, text(&report)).exit(exit))
}

fn text(report: &Report) -> String {
    let mut rows = table(&["kind", "deleted"]);
    for (kind, deleted) in &report.deleted {
        rows.add_row([kind.to_string(), deleted.to_string()]);
    }
    let number = count(report.total, "row was", "rows were");
    let ended = match report.ended {
        Ended::Finished => format!("{number} deleted, {}", good("nothing expired is left")),
        Ended::BudgetRanOut => format!(
            "{number} deleted, {}",
            bad("then the budget ran out: run it again")
        ),
        Ended::Interrupted => format!(
            "{number} deleted, {}",
            bad("then it was interrupted: run it again")
        ),
    };
    format!("{}\n{ended}\n", rendered(rows, Some(1)))
}

#[cfg(test)]
mod tests {
    use store::memory::MemoryStore;
    use store::{ManualClock, NonceStore, Settings};

    use super::*;

    async fn littered(nonces: u32) -> MemoryStore {
        let clock = ManualClock::default();
        let settings = Settings {
            clock: std::sync::Arc::new(clock.clone()),
            ..Settings::default()
        };
        let store = MemoryStore::new(settings);
        for number in 0..nonces {
            let nonce = format!("n{number}").parse().unwrap();
            store.store_nonce(&nonce, None).await.unwrap();
        }
        clock.advance(Duration::from_secs(10_000));
        store
    }

    fn args(budget: Option<Duration>) -> Args {
        Args {
            batch: 2,
            budget,
            pause: Duration::ZERO,
            kind: vec![Kind::Nonces],
        }
    }

    #[tokio::test]
    async fn batches_go_on_until_nothing_is_left() {
        let store = littered(5).await;
        let answer = run(&store, &args(None), true, &Interrupt::never())
            .await
            .unwrap();
        assert_eq!(answer.exit, Exit::Done);
        assert_eq!(answer.document()["deleted"]["nonces"], 5);
        assert_eq!(answer.document()["ended"], "finished");
    }

    #[tokio::test]
    async fn a_budget_and_an_interrupt_stop_between_batches() {
        let store = littered(5).await;
        let spent = args(Some(Duration::ZERO));
        let answer = run(&store, &spent, true, &Interrupt::never())
            .await
            .unwrap();
        assert_eq!(answer.exit, Exit::Incomplete);
        assert!(answer.text().contains("budget"));
        let answer = run(&store, &args(None), true, &Interrupt::already())
            .await
            .unwrap();
        assert_eq!(answer.exit, Exit::Interrupted(2));
        assert_eq!(answer.document()["total"], 0);
    }
}
