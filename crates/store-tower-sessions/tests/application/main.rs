//! The facade's example `axum`, run as processes and asked over TCP, on every backend.

#![allow(clippy::unwrap_used)]

#[path = "../../../store/examples/axum.rs"]
mod axum_example;
mod client;
#[path = "../backends/places.rs"]
mod places;
mod server;
mod stories;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use places::{Backend, Place};

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A story, its name, and whether it needs servers that share a backend.
type Story = (&'static str, bool, fn(Arc<Place>) -> Running);

fn main() {
    // This program is also the application, for the processes that the stories start.
    if std::env::var_os(server::SERVE).is_some() {
        return axum_example::main().expect("the application runs");
    }
    let trials = Backend::ALL.into_iter().flat_map(|backend| {
        stories::STORIES.iter().map(move |&(name, shared, story)| {
            let name = format!("{}::{name}", backend.name());
            Trial::ignorable_test(name, move || match backend.server() {
                Err(reason) => Ok(Completion::ignored_with(reason)),
                Ok(_) if shared && backend == Backend::Memory => Ok(Completion::ignored_with(
                    "a store in memory is its process's own",
                )),
                Ok(_) => run(backend, story).map(|()| Completion::Completed),
            })
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

fn run(backend: Backend, story: fn(Arc<Place>) -> Running) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let place = Arc::new(backend.place().await);
        // A task of its own, so that the place is removed even if the story panics.
        let ended = tokio::spawn(story(Arc::clone(&place))).await;
        place.remove().await;
        ended.map_err(|_| Failed::from("the story panicked"))
    })
}
