//! An AWS Lambda function that EventBridge Scheduler or a scheduled rule calls, every few minutes say, to
//! delete what has expired. What it does not get done before its deadline it leaves to the next call.

use std::env;
use std::time::{Duration, SystemTime};

use aws_lambda_events::event::eventbridge::EventBridgeEvent;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use store::{CleanupOptions, CleanupReport, CleanupStoreExt, Store};

/// What the last batch and the answer may take, out of the function's time.
const RESERVE: Duration = Duration::from_secs(5);

/// Cleans up until shortly before the invocation's deadline, and answers what was deleted.
pub(crate) async fn handle(
    store: &dyn Store,
    event: LambdaEvent<EventBridgeEvent>,
) -> Result<CleanupReport, Error> {
    let deadline = SystemTime::UNIX_EPOCH + Duration::from_millis(event.context.deadline);
    let left = deadline
        .duration_since(SystemTime::now())
        .unwrap_or_default();
    let options = CleanupOptions {
        budget: Some(left.saturating_sub(RESERVE)),
        ..CleanupOptions::default()
    };
    Ok(store.cleanup(&options, &mut |_| ()).await?)
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Error> {
    let store = store::connect(&env::var("STORE_URL")?).await?;
    run(service_fn(|event| handle(&*store, event))).await
}
