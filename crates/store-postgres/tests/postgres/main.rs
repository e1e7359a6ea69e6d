//! What only PostgreSQL does: connecting, pooling, bootstrapping, adoption, and plans.

#![allow(clippy::unwrap_used)]

use std::future::Future;
use std::pin::Pin;

use libtest_mimic::{Arguments, Completion, Trial};

#[path = "../support/mod.rs"]
mod support;

mod adoption;
mod bootstrap;
mod connecting;
mod failing;
mod observing;
mod plans;
mod pooling;
mod transfer;

/// A test, and the variables that it needs.
struct Test {
    name: &'static str,
    needs: &'static [&'static str],
    run: fn() -> Pin<Box<dyn Future<Output = ()>>>,
}

/// A test that needs a server.
const fn on_server(name: &'static str, run: fn() -> Pin<Box<dyn Future<Output = ()>>>) -> Test {
    Test {
        name,
        needs: &[support::POSTGRES_URL],
        run,
    }
}

/// A test that needs a server with TLS and the authority of its certificate.
const fn on_tls_server(name: &'static str, run: fn() -> Pin<Box<dyn Future<Output = ()>>>) -> Test {
    Test {
        name,
        needs: &[support::POSTGRES_URL, support::POSTGRES_CA],
        run,
    }
}

fn main() {
    let all = [
        adoption::TESTS,
        bootstrap::TESTS,
        connecting::TESTS,
        failing::TESTS,
        observing::TESTS,
        plans::TESTS,
        pooling::TESTS,
        transfer::TESTS,
    ];
    let trials = all.into_iter().flatten().map(|test| {
        let (needs, run) = (test.needs, test.run);
        Trial::ignorable_test(test.name, move || {
            for name in needs {
                if let Err(reason) = support::variable(name) {
                    return Ok(Completion::ignored_with(reason));
                }
            }
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()?;
            runtime.block_on(run());
            Ok(Completion::Completed)
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}
