//! Ctrl-C and SIGTERM: the first stops between two batches, the second at once.

use std::future::pending;

use tokio::sync::watch;

/// Whether the user wants to stop.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt(watch::Receiver<Option<u8>>);

impl Interrupt {
    /// Listens from now on. Who works in `batches` is told that the one under way goes on.
    pub(crate) fn listen(batches: bool) -> Self {
        let (sender, receiver) = watch::channel(None);
        tokio::spawn(async move {
            let first = signal().await;
            if batches {
                anstream::eprintln!("stopping after what is under way; once more stops at once");
            }
            sender.send_replace(Some(first));
            let second = signal().await;
            std::process::exit(128 + i32::from(second));
        });
        Self(receiver)
    }

    /// The signal that came, if one did.
    pub(crate) fn requested(&self) -> Option<u8> {
        *self.0.borrow()
    }

    /// Waits for a signal.
    pub(crate) async fn wait(&mut self) -> u8 {
        match self.0.wait_for(Option::is_some).await {
            Ok(signal) => signal.unwrap_or_default(),
            Err(_) => pending().await,
        }
    }

    #[cfg(test)]
    pub(crate) fn never() -> Self {
        Self(watch::channel(None).1)
    }

    #[cfg(test)]
    pub(crate) fn already() -> Self {
        Self(watch::channel(Some(SIGINT)).1)
    }
}

const SIGINT: u8 = 2;

#[cfg(unix)]
async fn signal() -> u8 {
    use tokio::signal::unix::{SignalKind, signal};
    const SIGTERM: u8 = 15;
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return interrupt().await;
    };
    tokio::select! {
        number = interrupt() => number,
        _ = terminate.recv() => SIGTERM,
    }
}

#[cfg(not(unix))]
async fn signal() -> u8 {
    interrupt().await
}

async fn interrupt() -> u8 {
    match tokio::signal::ctrl_c().await {
        Ok(()) => SIGINT,
        Err(_) => pending().await,
    }
}
