//! What only DynamoDB does: the table, deletions in several transactions, throttling, and what each
//! operation costs. On the emulator and on DynamoDB Local.
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps fails with a clear enough message"
)]

use std::future::Future;
use std::pin::Pin;

use libtest_mimic::{Arguments, Completion, Trial};
use support::Server;

#[path = "../support/mod.rs"]
mod support;

mod adoption;
mod bootstrap;
mod costs;
mod failing;
mod items;
mod observing;
mod proxy;
mod sweeping;
mod transfer;

type Run = fn(Server) -> Pin<Box<dyn Future<Output = ()>>>;

/// A test, and the servers that it runs on.
struct Test {
    name: &'static str,
    servers: &'static [Server],
    run: Run,
}

/// A test that runs on each server.
const fn everywhere(name: &'static str, run: Run) -> Test {
    Test {
        name,
        servers: &Server::ALL,
        run,
    }
}

/// A test that runs on the emulator only.
const fn on_emulator(name: &'static str, run: Run) -> Test {
    Test {
        name,
        servers: &[Server::Emulator],
        run,
    }
}

fn main() {
    let all = [
        adoption::TESTS,
        bootstrap::TESTS,
        costs::TESTS,
        failing::TESTS,
        items::TESTS,
        observing::TESTS,
        sweeping::TESTS,
        transfer::TESTS,
    ];
    let tests = all.into_iter().flatten();
    let trials = tests.flat_map(|test| {
        test.servers.iter().map(|&server| {
            let run = test.run;
            let name = format!("{}::{}", server.name(), test.name);
            Trial::ignorable_test(name, move || {
                if let Err(reason) = server.endpoint() {
                    return Ok(Completion::ignored_with(reason));
                }
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
                    .enable_all()
                    .build()?;
                runtime.block_on(run(server));
                Ok(Completion::Completed)
            })
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}
