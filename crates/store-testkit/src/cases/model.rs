//! Random sequences of operations, against the store and against a model of it: the memory store.
//!
//! Both do the same steps at the same times. Ids, proofs and tokens are random in each, so they are
//! compared by the order in which they first appeared. A sequence that tells the two apart is shrunk to a
//! short one.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use proptest_state_machine::ReferenceStateMachine;
use store_core::{CleanupOptions, CleanupStoreExt, ManualClock, Store};
use store_memory::MemoryStore;
use tokio::runtime::Handle;
use tokio::time::timeout;

use self::side::Side;
use self::steps::{JTS, LOGIN, LTI, Machine, Step};
use crate::cases::cases;
use crate::world::{World, secs};

mod lti;
mod side;
mod steps;

cases!(model:
    clients_deployments_and_launch_configs_agree, jts_sessions_agree, login_sessions_agree,
);

/// How many sequences are tried, and of how many steps.
const SEQUENCES: u32 = 64;
const STEPS: std::ops::Range<usize> = 20..80;
/// When to stop trying more sequences, and shrinking one that failed.
const TRYING: Duration = secs(5);
const SHRINKING: Duration = secs(20);
/// Names a seed other than the case's own.
const SEED: &str = "STORE_TEST_SEED";

async fn clients_deployments_and_launch_configs_agree(w: World) {
    agree::<LTI>(w).await;
}

async fn jts_sessions_agree(w: World) {
    agree::<JTS>(w).await;
}

async fn login_sessions_agree(w: World) {
    agree::<LOGIN>(w).await;
}

async fn agree<const FOCUS: u8>(w: World) {
    let seed = match std::env::var(SEED) {
        Ok(seed) => seed.parse().expect("the seed is a number"),
        Err(_) => w.make().seed(),
    };
    let store = w.store().await;
    // Proptest is not asynchronous.
    let handle = Handle::current();
    let tried =
        tokio::task::spawn_blocking(move || try_sequences::<FOCUS>(&handle, &w, &store, seed));
    if let Err(difference) = tried.await.unwrap() {
        panic!("{difference}\n(with {SEED}={seed})");
    }
}

fn try_sequences<const FOCUS: u8>(
    handle: &Handle,
    w: &World,
    store: &Arc<dyn Store>,
    seed: u64,
) -> Result<(), String> {
    let config = Config {
        cases: SEQUENCES,
        max_shrink_iters: 400,
        failure_persistence: None,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let started = Instant::now();
    let (run, failed) = (Cell::new(0), Cell::new(false));
    let strategy = Machine::<FOCUS>::sequential_strategy(STEPS);
    let result = runner.run(&strategy, |(_, steps, seen)| {
        let limit = if failed.get() { SHRINKING } else { TRYING };
        if started.elapsed() > limit {
            return Ok(());
        }
        run.set(run.get() + 1);
        let count = |_: &Step| {
            if let Some(seen) = &seen {
                seen.fetch_add(1, Ordering::SeqCst);
            }
        };
        let sequence = try_sequence(w, store, run.get(), &steps, count);
        match handle.block_on(timeout(secs(20), sequence)) {
            Ok(None) => Ok(()),
            Ok(Some(difference)) => {
                failed.set(true);
                Err(TestCaseError::fail(difference))
            }
            Err(_) => Err(TestCaseError::fail("a step did not finish")),
        }
    });
    result.map_err(|error| error.to_string())
}

/// Does the steps on both sides and tells where they first differ.
async fn try_sequence(
    w: &World,
    store: &Arc<dyn Store>,
    run: u64,
    steps: &[Step],
    count: impl Fn(&Step),
) -> Option<String> {
    // What earlier sequences left in the store has expired by now, and goes.
    w.advance(secs(400 * 24 * 3600));
    store
        .cleanup(&CleanupOptions::default(), &mut |_| ())
        .await
        .unwrap();
    let model: Arc<dyn Store> = Arc::new(MemoryStore::new(w.settings().clone()));
    let mut times = Times::default();
    let mut sides = [
        Side::new(w, model, run),
        Side::new(w, Arc::clone(store), run),
    ];
    for (n, step) in steps.iter().enumerate() {
        count(step);
        times.pass(w, step);
        let [model, store] = &mut sides;
        let (expected, found) = (model.perform(step).await, store.perform(step).await);
        if expected != found {
            let steps = &steps[..=n];
            return Some(format!(
                "after {steps:#?}\nthe model tells {expected:#}\nand the store  {found:#}"
            ));
        }
    }
    for side in &sides {
        side.tidy_up().await;
    }
    None
}

/// Lets time pass, in a way that leaves both sides no choice.
#[derive(Default)]
struct Times {
    expiries: Vec<store_core::Timestamp>,
    creations: Vec<store_core::Timestamp>,
}

impl Times {
    fn pass(&mut self, w: &World, step: &Step) {
        if let Some(lifetime) = step.lifetime() {
            self.expiries.push(w.after(lifetime));
        }
        match step {
            Step::Advance(by) => w.advance(*by),
            Step::Rewind(by) => {
                // What has expired may be gone or not, so it must not live again.
                let clock = ManualClock::at(w.now());
                clock.rewind(*by);
                let back = store_core::Clock::now(&clock)..w.now();
                let revived = |at: &store_core::Timestamp| *at > back.start && *at <= back.end;
                if !self.expiries.iter().any(revived) {
                    w.rewind(*by);
                }
            }
            Step::CreateJts { .. } => {
                // Of sessions created in the same millisecond, the anchor ids choose the oldest.
                while self.creations.contains(&w.now()) {
                    w.advance(Duration::from_millis(1));
                }
                self.creations.push(w.now());
            }
            _ => {}
        }
    }
}
