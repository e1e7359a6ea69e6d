//! Catches the panics of a case, on whichever thread they happen.
//!
//! A panic in a spawned task is easily lost: nobody joins the task, or the error of the join is
//! ignored. The process's panic hook sees them all, and a mark on each thread tells whose they are.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, Once, PoisonError};

thread_local! {
    static WATCHING: RefCell<Option<Watch>> = const { RefCell::new(None) };
}

/// Collects the messages of the panics on the threads that it was entered on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch(Arc<Mutex<Vec<String>>>);

impl Watch {
    /// Watches the current thread until [`leave`].
    pub(crate) fn enter(&self) {
        install_hook();
        WATCHING.with(|watching| *watching.borrow_mut() = Some(self.clone()));
    }

    /// The messages so far.
    pub(crate) fn messages(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn add(&self, message: String) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(message);
    }
}

/// Ends the watch on the current thread.
pub(crate) fn leave() {
    WATCHING.with(|watching| *watching.borrow_mut() = None);
}

fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            match WATCHING.with(|watching| watching.borrow().clone()) {
                Some(watch) => watch.add(info.to_string()),
                None => previous(info),
            }
        }));
    });
}
