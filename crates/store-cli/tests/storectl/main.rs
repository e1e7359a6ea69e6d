//! `storectl` as a program: on every server that `cargo xtask test` provides, without one, and on a
//! terminal.

#![allow(clippy::unwrap_used)]

use libtest_mimic::{Arguments, Completion, Trial};

mod commands;
mod import;
mod misconfigured;
mod support;
mod terminal;
mod without_server;

use support::Server;

/// A test that needs no server.
fn alone(name: &'static str, run: fn()) -> Trial {
    Trial::test(name, move || {
        run();
        Ok(())
    })
}

/// A test on these servers. Without one of them it is ignored, with the reason.
fn on(name: String, servers: Vec<Server>, run: impl FnOnce() + Send + 'static) -> Trial {
    Trial::ignorable_test(name, move || {
        for server in servers {
            if let Err(reason) = server.address() {
                return Ok(Completion::ignored_with(reason));
            }
        }
        run();
        Ok(Completion::Completed)
    })
}

/// A test on each of these servers.
fn on_each(servers: &[Server], name: &str, run: fn(Server)) -> Vec<Trial> {
    let trial = |server: &Server| {
        let server = *server;
        let name = format!("{} {name}", server.name());
        on(name, vec![server], move || run(server))
    };
    servers.iter().map(trial).collect()
}

fn main() {
    let trials = [
        commands::trials(),
        import::trials(),
        misconfigured::trials(),
        terminal::trials(),
        without_server::trials(),
    ];
    let trials = trials.into_iter().flatten().collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
