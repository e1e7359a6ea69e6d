//! Trying again what may be tried again.

use std::time::Duration;

use store::{Backoff, Error, ErrorKind};

const ATTEMPTS: usize = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What `attempt` comes to, made again for as long as that may help. It must do no harm twice, as
/// reading and [`import_record`](store::TransferStore::import_record) do.
pub(super) async fn patiently<T>(
    mut attempt: impl AsyncFnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    for _ in 1..ATTEMPTS {
        match attempt().await {
            Err(error) if error.is_retryable() || error.kind() == ErrorKind::Indeterminate => {
                backoff.sleep().await;
            }
            answer => return answer,
        }
    }
    attempt().await
}
