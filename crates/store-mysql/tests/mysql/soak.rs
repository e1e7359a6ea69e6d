//! Everything at once, for a while: 64 tasks on few rows. `STORE_SOAK_SECONDS` makes it longer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use store_core::{
    CleanupOptions, CleanupStoreExt, ClientStore, DeploymentStore, ErrorKind, JtsSessionStore,
    LaunchConfigStore, Lifecycle, LockOutcome, LoginData, LoginSessionStore, LtiSessionStore,
    NewJtsSession, NonceStore, RegistrationSessionStore, Renewal, Result, SchemaStore,
    SessionPolicy, Settings,
};
use store_mysql::MySqlStore;
use store_testkit::fixtures::Fixtures;

use crate::{Outcome, Server, Test};

pub(crate) const TESTS: &[Test] = &[Test {
    name: "soak::only_errors_that_the_contract_names",
    run: |server| Box::pin(only_errors_that_the_contract_names(server)),
}];

const TASKS: u64 = 64;

/// A generator of numbers that look random (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// How often each kind of thing happened.
type Counts = BTreeMap<String, u64>;

async fn only_errors_that_the_contract_names(server: Server) -> Outcome {
    let seconds = std::env::var("STORE_SOAK_SECONDS").ok();
    let seconds = seconds.map_or(10, |text| text.parse().expect("a number of seconds"));
    let database = server.database().await;
    let settings = Settings {
        rotation_grace: Duration::from_millis(50),
        max_lock_time: Duration::from_millis(30),
        ..Settings::default()
    };
    let store = database.open(settings);
    store.bootstrap().await.unwrap();
    let end = Instant::now() + Duration::from_secs(seconds);
    let tasks = (0..TASKS).map(|task| tokio::spawn(work(Arc::clone(&store), task, end)));
    let tasks: Vec<_> = tasks.collect();
    let mut deleted = 0;
    let options = CleanupOptions {
        batch: 100,
        ..CleanupOptions::default()
    };
    while Instant::now() < end {
        let report = store.cleanup(&options, &mut |_| {}).await;
        deleted += report.expect("cleanup succeeds").total();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut counts = Counts::new();
    for task in tasks {
        for (what, count) in task.await.unwrap() {
            *counts.entry(what).or_default() += count;
        }
    }
    println!(
        "{} soak, {TASKS} tasks, {seconds} s: {} operations, {deleted} rows cleaned up",
        store.health().await.unwrap().server,
        counts.values().sum::<u64>()
    );
    for (what, count) in &counts {
        println!("  {count:>8} {what}");
    }
    store.close().await;
    database.drop().await;
    let unexpected: Vec<_> = counts.keys().filter(|what| what.contains('!')).collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
    Ok(())
}

async fn work(store: Arc<MySqlStore>, task: u64, end: Instant) -> Counts {
    let mut dice = Dice(task);
    let mut counts = Counts::new();
    let mut step = 0;
    while Instant::now() < end {
        step += 1;
        let which = dice.below(14);
        let (name, result) = operation(&store, &mut dice, task, step, which).await;
        let what = match result {
            Ok(()) => name.to_owned(),
            Err(error) => match error.kind() {
                ErrorKind::NotFound
                | ErrorKind::AlreadyExists
                | ErrorKind::Conflict
                | ErrorKind::LockLost => format!("{name}: {}", error.kind()),
                _ => format!("{name}! {error}"),
            },
        };
        *counts.entry(what).or_default() += 1;
    }
    counts
}

async fn operation(
    store: &MySqlStore,
    dice: &mut Dice,
    task: u64,
    step: u64,
    which: u64,
) -> (&'static str, Result<()>) {
    match which {
        0 => ("nonces", nonces(store, dice, task, step).await),
        1 => ("lti sessions", lti_sessions(store, dice).await),
        2 => ("registrations", registrations(store, dice).await),
        3 | 4 => ("logins under a policy", login(store, dice).await),
        5 | 6 => ("renewals", renew(store, dice).await),
        7 => ("rotations", rotate(store, dice).await),
        8 => ("touches", touch(store, dice).await),
        9 => ("logouts", logout(store, dice).await),
        10 => ("login data", login_data(store, dice).await),
        11 => ("login saves", login_saves(store, dice).await),
        12 => ("locks", locks(store, dice).await),
        _ => ("launch configs", launch_configs(store, dice).await),
    }
}

async fn nonces(store: &MySqlStore, dice: &mut Dice, task: u64, step: u64) -> Result<()> {
    let nonce = format!("n{task}-{step}").parse()?;
    let lifetime = Duration::from_millis(1 + dice.below(50));
    store.store_nonce(&nonce, Some(lifetime)).await?;
    store.consume_nonce(nonce.as_str()).await?;
    // One that is stored over and over, live or expired.
    let same = format!("same{}", dice.below(4)).parse()?;
    store.store_nonce(&same, Some(lifetime)).await
}

async fn lti_sessions(store: &MySqlStore, dice: &mut Dice) -> Result<()> {
    let session = Fixtures::new("soak").lti_session(dice.below(8));
    let id = session.id.to_string();
    store.get_lti_session(&id).await?;
    if dice.below(4) == 0 {
        store.delete_lti_session(&id).await?;
    }
    let lifetime = Duration::from_millis(1 + dice.below(50));
    store
        .add_lti_session(&session, Some(lifetime))
        .await
        .map(drop)
}

async fn registrations(store: &MySqlStore, dice: &mut Dice) -> Result<()> {
    let make = Fixtures::new("soak");
    let id = make.lti_session(dice.below(8)).id;
    let until = store_core::Timestamp::from(std::time::SystemTime::now());
    let until = until.checked_add(Duration::from_secs(10));
    let session = make.registration(1, until.expect("before the year 9999"));
    store.take_registration_session(&id.to_string()).await?;
    store.set_registration_session(id, &session).await
}

fn principal(dice: &mut Dice) -> String {
    format!("user{}", dice.below(6))
}

async fn login(store: &MySqlStore, dice: &mut Dice) -> Result<()> {
    let mut session = NewJtsSession::of(principal(dice).parse()?);
    session.lifetime = Some(Duration::from_millis(20 + dice.below(500)));
    let policy = match dice.below(3) {
        0 => SessionPolicy::AllowAll,
        1 => SessionPolicy::Single,
        _ => SessionPolicy::Max(std::num::NonZeroU32::MIN.saturating_add(2)),
    };
    store.create_jts_session(session, policy).await.map(drop)
}

async fn renew(store: &MySqlStore, dice: &mut Dice) -> Result<()> {
    let prn = principal(dice);
    for session in store.list_jts_sessions(&prn).await? {
        let proof = match &session.previous_state_proof {
            Some(previous) if dice.below(4) == 0 => previous,
            _ => &session.current_state_proof,
        };
        store.validate_state_proof(proof.as_str()).await?;
        if let Renewal::Rotated(renewed) = store.renew_state_proof(proof.as_str()).await? {
            assert_ne!(&renewed.current_state_proof, proof);
        }
    }
    Ok(())
}

async fn rotate(store: &MySqlStore, dice: &mut Dice) -> Result<()> {
    let prn = principal(dice);
    for session in store.list_jts_sessions(&prn).await? {
        let (aid, seen) = (session.aid.as_str(), session.current_state_proof.as_str());
        store.rotate_state_proof(aid, seen).await?;
    }
    Ok(())
}

async fn touch(store: &MySqlStore, dice: &mut Dice) -> Result<()> {
    let prn = principal(dice);
    for session in store.list_jts_sessions(&prn).await? {
        store.touch_jts_session(session.aid.as_str()).await?;
    }
    store.count_jts_sessions(&prn).await.map(drop)
}

async fn logout(store: &MySqlStore, dice: &mut Dice) -> Result<()> {
    let prn = principal(dice);
    match dice.below(3) {
        0 => store.delete_jts_sessions(&prn).await.map(drop),
        1 => store.delete_oldest_jts_session(&prn).await.map(drop),
        _ => {
            for session in store.list_jts_sessions(&prn).await? {
                store.delete_jts_session(session.aid.as_str()).await?;
            }
            Ok(())
        }
    }
}

fn login_id(dice: &mut Dice) -> String {
    format!("ls{}", dice.below(6))
}

fn data(value: u64) -> LoginData {
    let data =
        json!({"refresh_token": "r", "a": {"b": [value, null, 1.5]}, "weird \"'.$[]": value});
    data.as_object().cloned().unwrap_or_default()
}

async fn login_data(store: &MySqlStore, dice: &mut Dice) -> Result<()> {
    let id = login_id(dice);
    if dice.below(8) == 0 {
        store.destroy_login_session(&id).await?;
    }
    store
        .set_login_properties(&id, data(dice.below(9)), None)
        .await?;
    store
        .unset_login_properties(&id, &["a", "gone"], None)
        .await?;
    let lifetime = Duration::from_millis(20 + dice.below(200));
    store.extend_login_session(&id, lifetime).await.map(drop)
}

async fn login_saves(store: &MySqlStore, dice: &mut Dice) -> Result<()> {
    let id = login_id(dice);
    let lifetime = Duration::from_millis(20 + dice.below(200));
    match store.load_login_session(&id).await? {
        Some(mut session) => {
            session.data = data(dice.below(9));
            store
                .save_login_session(&session, Some(lifetime), None)
                .await
                .map(drop)
        }
        None => {
            let id = id.parse()?;
            store
                .create_login_session(&id, data(0), lifetime)
                .await
                .map(drop)
        }
    }
}

async fn locks(store: &MySqlStore, dice: &mut Dice) -> Result<()> {
    let id = login_id(dice);
    if let LockOutcome::Acquired { token, session, .. } = store.lock_login_session(&id, "r").await?
    {
        store
            .save_login_session(&session, None, Some(&token))
            .await?;
        store
            .set_login_properties(&id, data(1), Some(&token))
            .await?;
        store.unlock_login_session(&id, &token).await?;
    }
    Ok(())
}

async fn launch_configs(store: &MySqlStore, dice: &mut Dice) -> Result<()> {
    let config = Fixtures::new("soak").launch_config(dice.below(4));
    store.save_launch_config(&config).await?;
    let (iss, client) = (config.iss.as_str(), config.client_id.as_str());
    store
        .get_launch_config(iss, client, config.deployment_id.as_str())
        .await?;
    if dice.below(4) == 0 {
        for client in store.list_clients().await? {
            let id = client.id.to_string();
            store.list_deployments(&id).await?;
            store.delete_client(&id).await?;
        }
    }
    Ok(())
}
