//! Platforms: one that is registered by hand, and one that registers itself.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Map, json};
use store_core::{
    Client, Clock, EndpointUrl, ErrorKind, Name, NewClient, NewDeployment, RegistrationSession,
};
use uuid::Uuid;

use super::story::{Broken, Story, counted, masked, seen};
use super::world::{World, at_once};

pub(super) async fn platform(story: &mut Story<'_>, world: &World) -> Result<Client, Broken> {
    let store = &world.store;
    story.chapter("The tool is registered with a platform");

    let bootstrap = async {
        let report = store.bootstrap().await?;
        let status = store.schema_status().await?;
        let tables = match (status.migrations.len(), report.applied.len()) {
            (0, _) => "this store needs no tables".to_owned(),
            (_, 0) => "the tables are there already".to_owned(),
            (_, applied) => format!("{} applied", counted(applied as u64, "migration")),
        };
        Ok(seen(status.is_current(), tables))
    };
    story
        .step("bootstrap", "every migration is applied", bootstrap)
        .await?;

    let register = async {
        let client = store.add_client(new_client(world)?).await?;
        let stored = store.get_client(&client.id.to_string()).await?;
        let same = stored.is_some_and(|stored| stored.client == client);
        let text = format!("{}; we are its client {}", client.name, client.client_id);
        Ok(seen(same, text).giving(client))
    };
    let client = story
        .step("register the platform", "it is stored as given", register)
        .await?;

    let again = async {
        let error = store.add_client(new_client(world)?).await.err();
        let kind = error.map(|error| error.kind());
        let text = kind.map_or("accepted".to_owned(), |kind| format!("refused: {kind}"));
        Ok(seen(kind == Some(ErrorKind::AlreadyExists), text))
    };
    // Whatever comes of these steps, the caller learns of the client and can remove it.
    let _ = story
        .step("register it again", "refused: already exists", again)
        .await;

    let deployment = async {
        let deployment_id = world.launch.session.platform.deployment_id.as_str();
        let new = NewDeployment {
            deployment_id: deployment_id.parse()?,
            name: None,
            description: None,
        };
        let id = client.id.to_string();
        let added = store.add_deployment(&id, new).await?;
        let listed = store.list_deployments(&id).await?;
        let only = listed.as_slice() == std::slice::from_ref(&added);
        Ok(seen(only, added.deployment_id.as_str()))
    };
    let _ = story
        .step(
            "register a deployment",
            "it is the client's only one",
            deployment,
        )
        .await;
    Ok(client)
}

fn new_client(world: &World) -> Result<NewClient> {
    let platform = &world.launch.session.platform;
    let iss = platform.issuer.trim_end_matches('/');
    // A launch does not say where its platform's endpoints are.
    let endpoint = |path: &str| {
        EndpointUrl::new(format!("{iss}/lti/{path}"))
            .or_else(|_| EndpointUrl::new(format!("https://platform.example/lti/{path}")))
    };
    let name: String = platform.name.chars().take(255).collect();
    Ok(NewClient {
        name: Name::new(name)?,
        iss: platform.issuer.parse()?,
        client_id: world.client_id().parse()?,
        auth_url: endpoint("authorize")?,
        token_url: endpoint("token")?,
        jwks_url: endpoint("jwks")?,
    })
}

pub(super) async fn dynamic(story: &mut Story<'_>, world: &World) -> Result<(), Broken> {
    const TOKEN: &str = "reg_4kP0aVwq7Jm2";
    let store = &world.store;
    story.chapter("Another platform registers itself");

    let keep = async {
        let lifetime = Duration::from_secs(600);
        let expires_at = world.clock.now().checked_add(lifetime);
        let session = RegistrationSession {
            open_id_configuration: open_id_configuration(),
            registration_token: Some(TOKEN.to_owned()),
            expires_at: expires_at.context("the clock shows the year 9999")?,
            extra: Map::new(),
        };
        let (id, abandoned) = (Uuid::new_v4(), Uuid::new_v4());
        store.set_registration_session(id, &session).await?;
        store.set_registration_session(abandoned, &session).await?;
        let stored = store.get_registration_session(&id.to_string()).await?;
        let text = format!("token {}, for 10 minutes", masked(TOKEN));
        Ok(seen(stored.as_ref() == Some(&session), text).giving(id))
    };
    let id = story
        .step("keep its registration token", "it is stored as given", keep)
        .await?;

    let take = async {
        let taken = at_once(2, || {
            let (store, id) = (store.clone(), id.to_string());
            async move { store.take_registration_session(&id).await }
        });
        let taken = taken.await?.into_iter().collect::<Result<Vec<_>, _>>()?;
        let sessions: Vec<_> = taken.into_iter().flatten().collect();
        let tokens = sessions
            .iter()
            .map(|session| session.registration_token.as_deref());
        let whole = tokens.flatten().eq([TOKEN]);
        let text = format!("{} of 2 requests got it", sessions.len());
        Ok(seen(whole, text))
    };
    story
        .step("take it, twice at once", "1 of 2 requests gets it", take)
        .await?;

    let again = async {
        let session = store.take_registration_session(&id.to_string()).await?;
        let text = if session.is_none() {
            "nothing is left"
        } else {
            "it is still there"
        };
        Ok(seen(session.is_none(), text))
    };
    story
        .step("take it once more", "nothing is left", again)
        .await
}

fn open_id_configuration() -> Map<String, serde_json::Value> {
    let configuration = json!({
        "issuer": "https://campus.kelpforest.example",
        "authorization_endpoint": "https://campus.kelpforest.example/lti/authorize",
        "registration_endpoint": "https://campus.kelpforest.example/lti/register",
        "jwks_uri": "https://campus.kelpforest.example/lti/jwks",
        "token_endpoint": "https://campus.kelpforest.example/lti/token",
    });
    configuration.as_object().cloned().unwrap_or_default()
}
