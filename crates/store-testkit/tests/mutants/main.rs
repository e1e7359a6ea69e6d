//! Proof that the cases can fail: stores that each break one promise, and the cases that notice.
//!
//! `cargo test -p store-testkit --test mutants` ends with a table of which case caught which mutant.

mod bugs;
mod jts;
mod login;
mod lti;
mod mutant;
mod rest;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Arguments, Failed, Trial};
use store_testkit::{Outcome, Status, case_names, check};

use crate::bugs::{Bug, FOUND_BY_THE_MODEL, MUTANTS};
use crate::mutant::Mutated;

/// The cases that caught each mutant.
type Caught = Arc<Mutex<BTreeMap<usize, Vec<&'static str>>>>;

fn failures(outcomes: Vec<Outcome>) -> Vec<(&'static str, String)> {
    let failed = |outcome: Outcome| match outcome.status {
        Status::Failed(reason) => Some((outcome.case, reason)),
        Status::Passed | Status::Skipped(_) => None,
    };
    outcomes.into_iter().filter_map(failed).collect()
}

/// A store behind the same wrapper but without a bug passes, so that it is the bugs that are caught.
fn healthy() -> Result<(), Failed> {
    let failures = failures(check(Box::new(Mutated(Bug::None)), |_| true));
    match failures.first() {
        None => Ok(()),
        Some((case, reason)) => Err(format!("{case} fails without a bug: {reason}").into()),
    }
}

fn caught(number: usize, caught: &Caught) -> Result<(), Failed> {
    let (bug, _, modules) = MUTANTS[number];
    for module in modules {
        let known = case_names().any(|case| case.split("::").next() == Some(module));
        assert!(known, "no cases are about {module}");
    }
    let wanted = |case: &str| {
        modules
            .iter()
            .any(|module| case.split("::").next() == Some(module))
    };
    let failures = failures(check(Box::new(Mutated(bug)), wanted));
    if failures.is_empty() {
        return Err(format!("{bug:?} passes all cases of {modules:?}").into());
    }
    let cases = failures.into_iter().map(|(case, _)| case).collect();
    let mut caught = caught.lock().unwrap_or_else(PoisonError::into_inner);
    caught.insert(number, cases);
    Ok(())
}

/// Random sequences find the bug too, and tell a short way to it.
fn found_by_the_model(bug: Bug) -> Result<(), Failed> {
    let outcomes = check(Box::new(Mutated(bug)), |case| case.starts_with("model::"));
    match failures(outcomes).first() {
        None => Err(format!("{bug:?} passes all random sequences").into()),
        Some((_, reason)) if reason.contains("minimal failing input") => Ok(()),
        Some((case, reason)) => Err(format!("{case} did not shrink: {reason}").into()),
    }
}

fn main() {
    let arguments = Arguments::from_args();
    let found = Caught::default();
    let mut trials = vec![Trial::test("without a bug", healthy)];
    for (number, (bug, _, _)) in MUTANTS.iter().enumerate() {
        let found = Arc::clone(&found);
        trials.push(Trial::test(format!("{bug:?}"), move || {
            caught(number, &found)
        }));
    }
    for bug in FOUND_BY_THE_MODEL {
        let find = move || found_by_the_model(bug);
        trials.push(Trial::test(format!("model finds {bug:?}"), find));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    let found = found.lock().unwrap_or_else(PoisonError::into_inner);
    let mut out = std::io::stdout().lock();
    for (number, cases) in &*found {
        let (_, what, _) = MUTANTS[*number];
        let more = match cases.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        writeln!(out, "{what:<64} caught by {}{more}", cases[0]).expect("stdout takes it");
    }
    drop(out);
    conclusion.exit()
}
