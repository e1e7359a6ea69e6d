use std::time::Duration;

use serde_json::Value;
use store_core::ManualClock;

use super::*;

/// Tells the story on a new memory store with these settings, and returns whether it held and what was printed.
async fn told(format: Format, shared: bool, change: impl FnOnce(&mut Settings)) -> (bool, String) {
    let (mut settings, clock): (Settings, ManualClock) = world::settings();
    change(&mut settings);
    let store = Arc::new(MemoryStore::new(settings));
    let world = World::new(store, clock, Launch::read(None).unwrap(), shared).unwrap();
    let mut out = Vec::new();
    let ok = tell(&world, format, &mut out).await.unwrap();
    (ok, String::from_utf8(out).unwrap())
}

fn failed(document: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(document).unwrap();
    let steps = document["steps"].as_array().unwrap();
    let failed = steps.iter().filter(|step| step["ok"] == false);
    failed
        .map(|step| step["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_step_holds_on_memory() {
    for shared in [false, true] {
        let (ok, text) = told(Format::Json, shared, |_| ()).await;
        let document: Value = serde_json::from_str(&text).unwrap();
        assert!(ok, "{:?}", failed(&text));
        assert_eq!(document["ok"], true);
        assert_eq!(document["failed"], 0);
        assert_eq!(
            document["held"],
            document["steps"].as_array().unwrap().len()
        );
        for step in document["steps"].as_array().unwrap() {
            assert!(step["micros"].is_u64() && step["expected"].is_string());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_does_not_hold_is_reported_and_the_story_goes_on() {
    let no_grace = |settings: &mut Settings| settings.rotation_grace = Duration::ZERO;
    let (ok, text) = told(Format::Json, false, no_grace).await;
    assert!(!ok);
    assert_eq!(failed(&text), ["renew in two tabs at once"]);
    assert!(
        text.contains("error: a tab was taken for a thief"),
        "{text}"
    );
    assert!(text.contains("remove the platform"));

    let long_lock = |settings: &mut Settings| settings.max_lock_time = Duration::from_secs(60);
    let (ok, text) = told(Format::Text, false, long_lock).await;
    assert!(!ok);
    assert!(text.contains("1 of "), "{text}");
    assert!(text.contains("error: somebody else has the lock"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_fails_is_reported() {
    let (settings, clock) = world::settings();
    let store = Arc::new(MemoryStore::new(settings));
    let launch = Launch::read(None).unwrap();
    let world = World::new(store, clock, launch, false).unwrap();
    world.store.close().await;
    let error = tell(&world, Format::Text, &mut Vec::new())
        .await
        .unwrap_err();
    assert!(format!("{error:#}").contains("closed"), "{error:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_secret_is_shown_whole() {
    let (_, text) = told(Format::Json, false, |_| ()).await;
    let long = |word: &str| {
        ["sp_", "lk_", "ls_", "at_", "rt_", "reg_", "n-"]
            .iter()
            .any(|start| word.starts_with(start))
            && word.len() > 12
    };
    let words = text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-')));
    assert_eq!(words.filter(|word| long(word)).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn the_backend_is_what_is_asked_for_or_what_the_url_names() {
    let backend = |backend, url: Option<&str>| {
        let url = url.map(str::to_owned);
        let (launch, json) = (None, false);
        Args {
            backend,
            url,
            launch,
            json,
        }
        .backend()
    };
    let url = "postgres://u:hunter2@h/d";
    assert_eq!(backend(None, None).unwrap(), Backend::Memory);
    assert_eq!(backend(None, Some(url)).unwrap(), Backend::Postgres);
    assert_eq!(
        backend(Some(Backend::Postgres), Some(url)).unwrap(),
        Backend::Postgres
    );
    assert!(backend(Some(Backend::Memory), Some(url)).is_err());
    let error = backend(None, Some("oracle://u:hunter2@h/d")).unwrap_err();
    assert!(!error.to_string().contains("hunter2"));
}
