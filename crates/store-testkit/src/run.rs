//! Running all cases: as the tests of a test binary, or from a program.

use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::backend::{Backend, Lane};
use crate::cases;
use crate::report;
use crate::runner::{LaneRunner, Outcome, Status};

/// Runs all cases against all lanes, as tests that `cargo test` can filter, list and count, and exits.
///
/// Make it the body of the `main` of a test with `harness = false`. The name of a test is
/// `<backend> <lane>::<aggregate>::<promise>`, such as
/// `postgres direct::nonces::consumed_exactly_once`.
///
/// If the environment variable `STORE_TEST_REPORT` names a file, one line of JSON for each case is
/// appended to it.
pub fn run(lanes: Vec<Lane>) -> ! {
    let arguments = Arguments::from_args();
    let trials = lanes.into_iter().flat_map(trials).collect();
    libtest_mimic::run(&arguments, trials).exit()
}

/// Runs the cases that `wanted` picks by name against a backend, one after another, and tells what
/// came of each. For tests of the cases themselves.
pub fn check(backend: Box<dyn Backend>, wanted: impl Fn(&str) -> bool) -> Vec<Outcome> {
    let runner = LaneRunner::new(backend);
    cases::all()
        .filter(|case| wanted(case.name))
        .map(|case| runner.run(case))
        .collect()
}

/// The names of all cases.
pub fn case_names() -> impl Iterator<Item = &'static str> {
    cases::all().map(|case| case.name)
}

fn trials(lane: Lane) -> Vec<Trial> {
    match lane {
        Lane::Run(backend) => {
            let runner = Arc::new(LaneRunner::new(backend));
            let trial = |case| {
                let runner = Arc::clone(&runner);
                let name = name(runner.backend(), runner.lane(), case);
                Trial::ignorable_test(name, move || {
                    let outcome = runner.run(case);
                    let server = runner.server();
                    report::append(runner.backend(), runner.lane(), server, &outcome);
                    conclude(outcome)
                })
            };
            cases::all().map(trial).collect()
        }
        Lane::Skip {
            backend,
            lane,
            reason,
        } => {
            let trial = |case: &'static cases::Case| {
                let outcome = Outcome {
                    case: case.name,
                    status: Status::Skipped(reason.clone()),
                    took: Duration::ZERO,
                };
                Trial::ignorable_test(name(backend, lane, case), move || {
                    report::append(backend, lane, None, &outcome);
                    conclude(outcome)
                })
            };
            cases::all().map(trial).collect()
        }
    }
}

fn name(backend: &str, lane: &str, case: &cases::Case) -> String {
    format!("{backend} {lane}::{}", case.name)
}

fn conclude(outcome: Outcome) -> Result<Completion, Failed> {
    match outcome.status {
        Status::Passed => Ok(Completion::Completed),
        Status::Failed(reason) => Err(reason.into()),
        Status::Skipped(reason) => Ok(Completion::ignored_with(reason)),
    }
}
