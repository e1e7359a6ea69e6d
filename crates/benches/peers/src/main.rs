//! Measures the session stores of the tower-sessions family, as `benches` asks by lines of JSON.
//!
//! They keep bytes under an id. What they keep here is the JSON that our own sessions have, and each operation is the
//! one that comes nearest: touching a session is saving it with another expiry, because they have nothing less.

#[path = "../../src/measure.rs"]
mod measure;
mod stores;

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use measure::{Sample, Work, measure};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use tower_sessions_core::session::{Id, Record};
use tower_sessions_core::{SessionStore, session_store};

use crate::stores::Peer;

const CASES: [&str; 5] = ["S1", "S2", "S7", "S9-load", "S9-save"];

#[derive(Deserialize)]
struct Request {
    case: String,
    tasks: usize,
    seconds: f64,
}

/// What tasks work on.
struct Shared {
    store: Box<dyn SessionStore>,
    lti: Vec<Id>,
    logins: Vec<Id>,
}

struct Task {
    shared: Arc<Shared>,
    case: String,
    lti: Record,
    login: Record,
    rng: fastrand::Rng,
}

/// A record with this JSON, and an id of its own.
pub(crate) fn record(json: &str) -> Result<Record> {
    let data: Map<String, Value> = serde_json::from_str(json)?;
    Ok(Record {
        id: Id::default(),
        data: data.into_iter().collect(),
        expiry_date: OffsetDateTime::now_utc() + Duration::from_secs(24 * 3600),
    })
}

impl Task {
    fn any(&mut self, ids: fn(&Shared) -> &Vec<Id>) -> Id {
        let ids = ids(&self.shared);
        ids[self.rng.usize(0..ids.len())]
    }

    async fn load(&self, id: Id) -> Result<()> {
        let found = self.shared.store.load(&id).await.map_err(unhidden)?;
        std::hint::black_box(found.context("the session is not there")?);
        Ok(())
    }
}

fn unhidden(error: session_store::Error) -> anyhow::Error {
    anyhow::anyhow!("{error}")
}

impl Work for Task {
    async fn once(&mut self) -> Result<()> {
        match self.case.as_str() {
            "S1" => {
                let id = self.any(|shared| &shared.lti);
                self.load(id).await
            }
            "S2" => {
                self.lti.id = Id::default();
                let created = self.shared.store.create(&mut self.lti).await;
                created.map_err(unhidden)
            }
            "S7" => {
                self.lti.id = self.any(|shared| &shared.lti);
                self.lti.expiry_date += Duration::from_millis(1);
                self.shared.store.save(&self.lti).await.map_err(unhidden)
            }
            "S9-load" => {
                let id = self.any(|shared| &shared.logins);
                self.load(id).await
            }
            "S9-save" => {
                self.login.id = self.any(|shared| &shared.logins);
                self.shared.store.save(&self.login).await.map_err(unhidden)
            }
            _ => bail!("there is no such operation"),
        }
    }
}

async fn answer(shared: &Arc<Shared>, line: &str) -> Result<Sample> {
    let request: Request = serde_json::from_str(line)?;
    let (lti, login) = (record(&variable("BENCH_LTI")?)?, record(&variable("BENCH_LOGIN")?)?);
    let tasks = (0..request.tasks).map(|_| Task {
        shared: Arc::clone(shared),
        case: request.case.clone(),
        lti: lti.clone(),
        login: login.clone(),
        rng: fastrand::Rng::new(),
    });
    measure(tasks.collect(), Duration::from_secs_f64(request.seconds)).await
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set"))
}

/// Writes a line, at once.
fn say(line: &Value) -> Result<()> {
    let mut output = std::io::stdout();
    writeln!(output, "{line}")?;
    Ok(output.flush()?)
}

async fn work(peer: &Peer, rows: usize) -> Result<()> {
    let lti: Vec<Id> = (0..rows).map(|_| Id::default()).collect();
    let logins: Vec<Id> = (0..rows).map(|_| Id::default()).collect();
    peer.load(&lti, record(&variable("BENCH_LTI")?)?).await?;
    peer.load(&logins, record(&variable("BENCH_LOGIN")?)?).await?;
    let shared = Arc::new(Shared {
        store: peer.store(),
        lti,
        logins,
    });
    say(&json!({"name": peer.name(), "cases": CASES}))?;
    for line in std::io::stdin().lock().lines() {
        match answer(&shared, &line?).await {
            Ok(sample) => say(&serde_json::to_value(sample)?)?,
            Err(error) => say(&json!({"error": format!("{error:#}")}))?,
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [backend, place, rows] = &arguments[..] else {
        bail!("run by `benches`: BACKEND PLACE ROWS");
    };
    let url = variable("BENCH_URL")?;
    let opened = Peer::open(backend, &url, place).await;
    let peer = match opened {
        Ok(peer) => peer,
        Err(error) => {
            return say(&json!({"name": "tower-sessions", "absent": format!("{error:#}")}));
        }
    };
    let worked = work(&peer, rows.parse()?).await;
    let removed = peer.remove().await;
    worked.and(removed)
}
