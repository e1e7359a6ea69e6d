//! `storectl health`.

use serde_json::json;
use store::Store;

use crate::answer::{Answer, good};
use crate::failure::Result;
use crate::place::Place;
use crate::table::visible;

pub(crate) async fn run(store: &dyn Store, place: &Place) -> Result<Answer> {
    let health = store.health().await?;
    let latency_ms = health.latency.as_secs_f64() * 1000.0;
    let server = visible(&health.server);
    let text = format!(
        "{place}: {server} {} in {latency_ms:.1} ms",
        good("answers")
    );
    let document = json!({
        "store": place.to_string(),
        "server": health.server,
        "latency_ms": (latency_ms * 1000.0).round() / 1000.0,
    });
    Ok(Answer::new(&document, text))
}
