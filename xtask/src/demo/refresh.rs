//! A login session whose token five workers want to refresh.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use store_core::{
    ErrorKind, LockOutcome, LoginData, LoginSession, LoginSessionId, LoginSessionStoreExt, Store,
};
use tokio::sync::Barrier;

use super::story::{Broken, Story, masked, seen};
use super::world::{World, at_once};

const WORKERS: usize = 5;
/// How long a worker waits for the lock, in real time. Somebody is done long before.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn tell(story: &mut Story<'_>, world: &World) -> Result<LoginSessionId, Broken> {
    story.chapter("A login's access token runs out, and five workers notice at once");
    let session = log_in(story, world).await?;
    five_workers(story, world, &session).await?;

    story.chapter("A worker dies holding the lock, or seems to");
    stale_holder(story, world, &session.id).await?;
    Ok(session.id)
}

/// The identity provider. It takes each refresh token once.
#[derive(Debug, Default)]
struct Provider {
    refreshes: AtomicU32,
}

impl Provider {
    fn refresh(&self) -> Result<LoginData> {
        self.refreshes.fetch_add(1, Ordering::SeqCst);
        tokens()
    }
}

fn tokens() -> Result<LoginData> {
    let tokens = json!({
        "access_token": format!("at_{:016x}{:016x}", getrandom::u64()?, getrandom::u64()?),
        "refresh_token": format!("rt_{:016x}{:016x}", getrandom::u64()?, getrandom::u64()?),
    });
    tokens.as_object().cloned().context("an object was written")
}

/// The token of this name.
fn token(session: &LoginSession, name: &str) -> Result<String> {
    let token = session.data.get(name).and_then(Value::as_str);
    let token = token.with_context(|| format!("the session holds no {name}"))?;
    Ok(token.to_owned())
}

async fn log_in(story: &mut Story<'_>, world: &World) -> Result<LoginSession, Broken> {
    let create = async {
        let mut data = tokens()?;
        data.insert("theme".to_owned(), json!("dark"));
        let lifetime = Duration::from_secs(8 * 3600);
        let id = LoginSessionId::generate();
        let session = world
            .store
            .create_login_session(&id, data, lifetime)
            .await?;
        let text = format!(
            "access token {}, for 8 hours",
            masked(&token(&session, "access_token")?)
        );
        Ok(seen(session.version == 1, text).giving(session))
    };
    story
        .step(
            "keep the login's tokens",
            "it is stored as version 1",
            create,
        )
        .await
}

/// What a worker ends with.
struct Worker {
    refreshed: bool,
    access_token: String,
}

/// Gets an access token that is not the one that ran out.
async fn work(
    store: Arc<dyn Store>,
    stale: LoginSession,
    provider: Arc<Provider>,
    all_tried: Arc<Barrier>,
) -> Result<Worker> {
    let id = stale.id.as_str();
    let refresh_token = token(&stale, "refresh_token")?;
    let first = store.lock_login_session(id, &refresh_token).await;
    // Nobody goes on before everybody has tried, so that all of them really compete.
    all_tried.wait().await;
    let outcome = match first? {
        LockOutcome::Held { .. } => {
            store
                .lock_login_session_within(id, &refresh_token, PATIENCE)
                .await?
        }
        outcome => outcome,
    };
    match outcome {
        LockOutcome::Acquired { token: lock, .. } => {
            let fresh = provider.refresh()?;
            store.set_login_properties(id, fresh, Some(&lock)).await?;
            store.unlock_login_session(id, &lock).await?;
            let session = store.load_login_session(id).await?;
            let session = session.context("the session is gone")?;
            Ok(Worker {
                refreshed: true,
                access_token: token(&session, "access_token")?,
            })
        }
        LockOutcome::Superseded { session } => Ok(Worker {
            refreshed: false,
            access_token: token(&session, "access_token")?,
        }),
        LockOutcome::Held { .. } => bail!("the lock was never released"),
    }
}

async fn five_workers(
    story: &mut Story<'_>,
    world: &World,
    session: &LoginSession,
) -> Result<(), Broken> {
    let store = &world.store;
    let refresh = async {
        let provider = Arc::new(Provider::default());
        let all_tried = Arc::new(Barrier::new(WORKERS));
        let workers = at_once(WORKERS, || {
            let (store, stale) = (Arc::clone(store), session.clone());
            work(store, stale, Arc::clone(&provider), Arc::clone(&all_tried))
        });
        let workers = workers.await?.into_iter().collect::<Result<Vec<_>>>()?;
        let refreshes = provider.refreshes.load(Ordering::SeqCst);
        let refreshed = workers.iter().filter(|worker| worker.refreshed).count();
        let fresh = &workers[0].access_token;
        let agree = workers.iter().all(|worker| worker.access_token == *fresh);
        let changed = *fresh != token(session, "access_token")?;
        let text = if agree {
            format!(
                "{refreshes} refresh; {} waited; all have {}",
                WORKERS - refreshed,
                masked(fresh)
            )
        } else {
            format!("{refreshes} refreshes; the workers have different tokens")
        };
        Ok(seen(
            refreshes == 1 && refreshed == 1 && agree && changed,
            text,
        ))
    };
    story
        .step(
            "refresh from five workers",
            "1 refresh; all have its token",
            refresh,
        )
        .await?;

    let load = async {
        let stored = store.load_login_session(session.id.as_str()).await?;
        let stored = stored.context("it is not there")?;
        let theme = stored.data.get("theme").and_then(Value::as_str);
        let text = format!(
            "version {}, theme {}",
            stored.version,
            theme.unwrap_or("lost")
        );
        Ok(seen(stored.version == 2 && theme == Some("dark"), text))
    };
    story
        .step("load the session", "version 2, theme dark", load)
        .await
}

/// A lock outlives its holder a little; then it is taken over, and the late holder can't write.
async fn stale_holder(
    story: &mut Story<'_>,
    world: &World,
    id: &LoginSessionId,
) -> Result<(), Broken> {
    let (store, id) = (&world.store, id.as_str());
    let acquire = async || {
        let session = store
            .load_login_session(id)
            .await?
            .context("it is not there")?;
        let expected = token(&session, "refresh_token")?;
        match store.lock_login_session(id, &expected).await? {
            LockOutcome::Acquired { token, .. } => Ok(token),
            LockOutcome::Held { .. } => bail!("somebody else has the lock"),
            LockOutcome::Superseded { .. } => bail!("somebody else refreshed"),
        }
    };
    let lock = async {
        let token = acquire().await?;
        let text = format!("lock {}, for 10 seconds", masked(token.as_str()));
        Ok(seen(true, text).giving(token))
    };
    let stale = story.step("take the lock", "acquired", lock).await?;

    world.clock.advance(Duration::from_secs(10));
    story.pause("10 seconds pass without a word from the holder");
    let take_over = async {
        let token = acquire().await?;
        let text = format!("lock {}, of another worker", masked(token.as_str()));
        Ok(seen(token != stale, text).giving(token))
    };
    let lock = story
        .step("take it over", "acquired by another worker", take_over)
        .await?;

    let late = async {
        let written = store
            .set_login_properties(id, tokens()?, Some(&stale))
            .await;
        let kind = written.err().map(|error| error.kind());
        let text = kind.map_or("accepted".to_owned(), |kind| format!("refused: {kind}"));
        Ok(seen(kind == Some(ErrorKind::LockLost), text))
    };
    story
        .step("write with the old lock", "refused: lock lost", late)
        .await?;

    let release = async {
        store.unlock_login_session(id, &lock).await?;
        let session = store
            .load_login_session(id)
            .await?
            .context("it is not there")?;
        let text = format!("released; version {} as before", session.version);
        Ok(seen(session.version == 2, text))
    };
    story
        .step(
            "release the new one",
            "released; version 2 as before",
            release,
        )
        .await
}
