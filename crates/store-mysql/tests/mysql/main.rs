//! What only MySQL and MariaDB do: connecting, pooling, bootstrapping, adoption, plans, and a soak.

#![allow(clippy::unwrap_used)]
#![allow(
    clippy::print_stdout,
    reason = "tests tell why they were skipped, and what a soak did"
)]

use std::future::Future;
use std::pin::Pin;

use libtest_mimic::{Arguments, Completion, Trial};
use support::{Database, PRODUCTS, Product, variable};

#[path = "../support/mod.rs"]
mod support;

mod adoption;
mod bootstrap;
mod connecting;
mod failing;
mod npm;
mod plans;
mod pooling;
mod soak;
mod transfer;
mod whole_server;

/// A server to test on.
#[derive(Clone, Debug)]
struct Server {
    product: Product,
    url: String,
}

impl Server {
    async fn database(&self) -> Database {
        Database::create(&self.url).await
    }

    /// The server's URL with further parameters.
    fn url_with(&self, parameters: &str) -> String {
        let joint = if self.url.contains('?') { '&' } else { '?' };
        format!("{}{joint}{parameters}", self.url)
    }
}

/// What came of a test: why it could not be run, if it could not.
type Outcome = Result<(), String>;

/// A test, which runs on each server.
struct Test {
    name: &'static str,
    run: fn(Server) -> Pin<Box<dyn Future<Output = Outcome>>>,
}

fn trials(tests: &[&'static [Test]]) -> Vec<Trial> {
    let each = |test: &'static Test| {
        PRODUCTS.iter().map(move |product| {
            Trial::ignorable_test(format!("{} {}", product.name, test.name), move || {
                let url = match variable(product.url) {
                    Ok(url) => url,
                    Err(reason) => return Ok(Completion::ignored_with(reason)),
                };
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
                    .enable_all()
                    .build()?;
                let server = Server {
                    product: *product,
                    url,
                };
                match runtime.block_on((test.run)(server)) {
                    Ok(()) => Ok(Completion::Completed),
                    Err(reason) => {
                        println!("skipped: {reason}");
                        Ok(Completion::ignored_with(reason))
                    }
                }
            })
        })
    };
    tests.iter().copied().flatten().flat_map(each).collect()
}

fn main() {
    let mut arguments = Arguments::from_args();
    let together = [
        adoption::TESTS,
        bootstrap::TESTS,
        connecting::TESTS,
        failing::TESTS,
        npm::TESTS,
        plans::TESTS,
        pooling::TESTS,
        transfer::TESTS,
    ];
    let passed = !libtest_mimic::run(&arguments, trials(&together)).has_failed();
    // These change settings of the whole server, or want it for themselves.
    arguments.test_threads = Some(1);
    let alone = [whole_server::TESTS, soak::TESTS];
    let passed = !libtest_mimic::run(&arguments, trials(&alone)).has_failed() && passed;
    std::process::exit(i32::from(!passed));
}
