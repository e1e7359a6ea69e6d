//! A launch: from the nonce of the login request to a session.

use anyhow::{Context, Result};
use store_core::{Client, DEFAULT_DEPLOYMENT_ID, LtiSession, NewDeployment, Nonce};
use uuid::Uuid;

use super::story::{Broken, Seen, Story, masked, seen};
use super::world::World;

pub(super) async fn launch(
    story: &mut Story<'_>,
    world: &World,
    client: &Client,
) -> Result<Uuid, Broken> {
    story.chapter(title(&world.launch.session));
    nonce(story, world).await?;
    launch_config(story, world, client).await?;
    session(story, world).await
}

fn title(session: &LtiSession) -> String {
    let who = session.user.name.as_deref().unwrap_or("Somebody");
    let link = session.resource_link.as_ref();
    match link.and_then(|link| link.title.as_deref()) {
        Some(title) => format!("{who} launches “{title}”"),
        None => format!("{who} launches the tool"),
    }
}

async fn nonce(story: &mut Story<'_>, world: &World) -> Result<(), Broken> {
    let store = &world.store;
    let nonce = world.nonce();
    let issue = async {
        store
            .store_nonce(&Nonce::new(nonce.as_str())?, None)
            .await?;
        Ok(seen(true, format!("{}, for 10 minutes", masked(&nonce))))
    };
    story.step("issue a nonce", "it is stored", issue).await?;

    let consume = async {
        let consumed = store.consume_nonce(&nonce).await?;
        let text = if consumed { "accepted" } else { "refused" };
        Ok(seen(consumed, text))
    };
    story.step("consume the nonce", "accepted", consume).await?;

    let replay = async {
        let consumed = store.consume_nonce(&nonce).await?;
        let text = if consumed { "accepted" } else { "refused" };
        Ok(seen(!consumed, text))
    };
    story.step("replay the launch", "refused", replay).await
}

async fn launch_config(
    story: &mut Story<'_>,
    world: &World,
    client: &Client,
) -> Result<(), Broken> {
    const STRANGE: &str = "a-deployment-that-nobody-registered";
    let (store, iss, client_id) = (&world.store, client.iss.as_str(), client.client_id.as_str());
    let deployment_id = world.launch.session.platform.deployment_id.as_str();
    let found = async |asked_for: &str, expected: &str| -> Result<Seen<()>> {
        let config = store.get_launch_config(iss, client_id, asked_for).await?;
        let Some(config) = config else {
            return Ok(seen(false, "none"));
        };
        let right = config.deployment_id.as_str() == expected && config.auth_url == client.auth_url;
        Ok(seen(
            right,
            format!("{}, at {}", config.deployment_id, config.auth_url),
        ))
    };
    let exact = found(deployment_id, deployment_id);
    let expected = format!("{deployment_id}, at the platform's endpoint");
    story
        .step("find the launch config", expected, exact)
        .await?;

    let unknown = async {
        let config = store.get_launch_config(iss, client_id, STRANGE).await?;
        let text = if config.is_none() {
            "none"
        } else {
            "one that should not be"
        };
        Ok(seen(config.is_none(), text))
    };
    // The launch's own deployment may be the default one.
    if deployment_id != DEFAULT_DEPLOYMENT_ID {
        story
            .step("… of a strange deployment", "none", unknown)
            .await?;
    }

    let fallback = async {
        if deployment_id != DEFAULT_DEPLOYMENT_ID {
            let new = NewDeployment {
                deployment_id: DEFAULT_DEPLOYMENT_ID.parse()?,
                name: None,
                description: None,
            };
            store.add_deployment(&client.id.to_string(), new).await?;
        }
        found(STRANGE, DEFAULT_DEPLOYMENT_ID).await
    };
    let expected = "the deployment named default";
    story
        .step("… with a default deployment", expected, fallback)
        .await
}

async fn session(story: &mut Story<'_>, world: &World) -> Result<Uuid, Broken> {
    let store = &world.store;
    let open = async {
        let session = LtiSession::from_launch_payload(&world.launch.payload)?;
        store.add_lti_session(&session, None).await?;
        let text = format!("{}, for 24 hours", masked(&session.id.to_string()));
        Ok(seen(true, text).giving(session))
    };
    let session = story.step("open a session", "it is stored", open).await?;

    let read = async {
        let stored = store.get_lti_session(&session.id.to_string()).await?;
        let stored = stored.context("it is not there")?;
        let same = stored.value == session;
        let text = if same {
            "what was written"
        } else {
            "not what was written"
        };
        Ok(describe(seen(same, text), &stored.value))
    };
    story.step("read it back", "what was written", read).await?;
    Ok(session.id)
}

fn describe(mut seen: Seen<()>, session: &LtiSession) -> Seen<()> {
    let user = &session.user;
    let name = user
        .name
        .as_deref()
        .or(user.id.as_deref())
        .unwrap_or("anonymous");
    seen = seen.detail("user", format!("{name} ({})", user.roles.join(", ")));
    let context = &session.context;
    if !context.id.is_empty() {
        let course = format!("{} {}", context.label, context.title);
        seen = seen.detail("course", course.trim());
    }
    let offered = [
        (
            session.is_assignment_and_grades_available,
            "assignments and grades",
        ),
        (session.is_name_and_roles_available, "names and roles"),
        (session.is_deep_linking_available, "deep linking"),
    ];
    let services: Vec<_> = offered
        .iter()
        .filter(|(is, _)| *is)
        .map(|(_, name)| *name)
        .collect();
    if !services.is_empty() {
        seen = seen.detail("services", services.join(", "));
    }
    let custom: Vec<_> = session
        .custom_parameters
        .keys()
        .map(String::as_str)
        .collect();
    if !custom.is_empty() {
        seen = seen.detail("custom", custom.join(", "));
    }
    seen
}
