//! Running things at the same moment, and giving up on them half-way.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use store_core::Store;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

/// Runs all futures, each in a task of its own, starting at the same moment, and returns their results
/// in order. A panic in one is a panic here, and the others are given up.
pub(crate) async fn at_once<F>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let futures: Vec<F> = futures.into_iter().collect();
    let barrier = Arc::new(Barrier::new(futures.len().max(1)));
    let mut tasks = JoinSet::new();
    for (index, future) in futures.into_iter().enumerate() {
        let barrier = Arc::clone(&barrier);
        tasks.spawn(async move {
            barrier.wait().await;
            (index, future.await)
        });
    }
    let mut results = Vec::new();
    while let Some(joined) = tasks.join_next().await {
        match joined {
            Ok(result) => results.push(result),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Polls a future at most so many times, each time after it asked for it, and then drops it: `None`,
/// unless it finished by then.
pub(crate) async fn give_up_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// The stores in turn, so many in all.
pub(crate) fn in_turn(
    stores: &[Arc<dyn Store>],
    count: usize,
) -> impl Iterator<Item = Arc<dyn Store>> {
    stores.iter().cycle().take(count).cloned()
}
