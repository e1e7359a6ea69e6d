//! What a URL leads to, with whatever features this was built with.

use store::ErrorKind;

async fn refused(url: &str) -> String {
    let refused = store::connect(url).await;
    let Err(error) = refused else {
        panic!("{url} was opened");
    };
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    error.to_string()
}

#[tokio::test]
async fn a_url_of_no_known_kind_is_refused_without_being_shown() {
    for url in ["", "hunter2", "sqlite://hunter2", "hunter2:hunter2@host/db"] {
        let message = refused(url).await;
        assert!(message.contains("postgres://"), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
}

#[cfg(feature = "memory")]
#[tokio::test]
async fn a_store_in_memory_has_no_name() {
    assert!(refused("memory://hunter2").await.contains("`memory:`"));
    let store = store::connect("memory:").await;
    assert_eq!(
        store.ok().map(|store| store.capabilities().durable),
        Some(false)
    );
}

#[tokio::test]
async fn a_missing_feature_is_named() {
    let kinds = [
        ("memory:", "memory", cfg!(feature = "memory")),
        ("postgres://u@h/d", "postgres", cfg!(feature = "postgres")),
        ("mysql://u@h/d", "mysql", cfg!(feature = "mysql")),
        ("dynamodb://eu-west-1", "dynamo", cfg!(feature = "dynamo")),
    ];
    for (url, feature, compiled_in) in kinds {
        if !compiled_in {
            let message = refused(url).await;
            let advice = format!("cargo add store --features {feature}");
            assert!(message.contains(&advice), "{message}");
        }
    }
}
