//! tower-sessions' expectations, and the promises beyond them, on every backend.

#![allow(clippy::unwrap_used)]

mod browser;
mod changes;
mod middleware;
mod parallel;
mod places;
mod records;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use places::Backend;
use store::{ManualClock, Settings, Store};
use store_tower_sessions::TowerSessionStore;

/// What a case gets.
struct Given {
    /// The store under test.
    sessions: TowerSessionStore<dyn Store>,
    /// What it keeps the sessions in.
    store: Arc<dyn Store>,
    /// Where that takes the time from.
    clock: ManualClock,
}

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A case and its name.
type Case = (&'static str, fn(Given) -> Running);

fn main() {
    let cases = [
        changes::CASES,
        middleware::CASES,
        parallel::CASES,
        records::CASES,
    ];
    let trials = Backend::ALL.into_iter().flat_map(|backend| {
        let cases = cases.into_iter().flatten();
        cases.map(move |&(name, case)| {
            let name = format!("{}::{name}", backend.name());
            Trial::ignorable_test(name, move || match backend.server() {
                Err(reason) => Ok(Completion::ignored_with(reason)),
                Ok(_) => run(backend, case).map(|()| Completion::Completed),
            })
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

fn run(backend: Backend, case: fn(Given) -> Running) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let place = backend.place().await;
        let clock = ManualClock::default();
        let settings = Settings {
            clock: Arc::new(clock.clone()),
            ..Settings::default()
        };
        let store = place.open(settings).await;
        let given = Given {
            sessions: TowerSessionStore::new(Arc::clone(&store)),
            store: Arc::clone(&store),
            clock,
        };
        // A task of its own, so that the place is removed even if the case panics.
        let ended = tokio::spawn(case(given)).await;
        store.close().await;
        place.remove().await;
        ended.map_err(|_| Failed::from("the case panicked"))
    })
}
