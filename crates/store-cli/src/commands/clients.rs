//! `storectl clients`.

use clap::Subcommand;
use serde_json::json;
use store::{ClientUpdate, ClientWithDeployments, ErrorKind, LtiStore, NewClient, NewDeployment};

use crate::answer::Answer;
use crate::commands::deployments;
use crate::confirm::confirm;
use crate::failure::{Failure, Result};
use crate::table::{count, pairs, rendered, table, visible};
use crate::views::ClientView;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List all clients, in the order of adding.
    List,
    /// Show a client and its deployments.
    Show {
        /// Its id, as `clients list` shows it.
        id: String,
    },
    /// Register the tool with a platform (an LMS).
    Add(Add),
    /// Change what is given of a client and leave the rest.
    Update(Update),
    /// Remove a client together with its deployments. Asks first.
    Remove {
        /// Its id, as `clients list` shows it.
        id: String,
        /// Don't ask.
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(clap::Args)]
pub(crate) struct Add {
    /// A name for people.
    #[arg(long)]
    name: String,
    /// The platform's issuer identifier, as ID tokens have it in `iss`.
    #[arg(long)]
    iss: String,
    /// The client id that the platform gave the tool.
    #[arg(long)]
    client_id: String,
    /// The platform's OIDC authentication endpoint.
    #[arg(long, value_name = "URL")]
    auth_url: String,
    /// The platform's OAuth 2.0 token endpoint.
    #[arg(long, value_name = "URL")]
    token_url: String,
    /// Where the platform publishes its keys.
    #[arg(long, value_name = "URL")]
    jwks_url: String,
    /// A deployment to add with it, by the platform's id (may be repeated); `default` stands for all
    /// that are not listed.
    #[arg(long, value_name = "DEPLOYMENT_ID")]
    deployment: Vec<String>,
}

#[derive(clap::Args)]
pub(crate) struct Update {
    /// Its id, as `clients list` shows it.
    id: String,
    #[command(flatten)]
    fields: Fields,
}

#[derive(clap::Args)]
#[group(required = true, multiple = true)]
struct Fields {
    /// A name for people.
    #[arg(long)]
    name: Option<String>,
    /// The platform's issuer identifier.
    #[arg(long)]
    iss: Option<String>,
    /// The client id that the platform gave the tool.
    #[arg(long)]
    client_id: Option<String>,
    /// The platform's OIDC authentication endpoint.
    #[arg(long, value_name = "URL")]
    auth_url: Option<String>,
    /// The platform's OAuth 2.0 token endpoint.
    #[arg(long, value_name = "URL")]
    token_url: Option<String>,
    /// Where the platform publishes its keys.
    #[arg(long, value_name = "URL")]
    jwks_url: Option<String>,
}

pub(crate) async fn run(store: &(impl LtiStore + ?Sized), command: Command) -> Result<Answer> {
    match command {
        Command::List => list(store).await,
        Command::Show { id } => Ok(shown(&find(store, &id).await?)),
        Command::Add(args) => add(store, args).await,
        Command::Update(args) => update(store, args).await,
        Command::Remove { id, yes } => remove(store, &id, yes).await,
    }
}

/// The client with this id, which must exist.
pub(crate) async fn find(
    store: &(impl LtiStore + ?Sized),
    id: &str,
) -> Result<ClientWithDeployments> {
    store.get_client(id).await?.ok_or_else(|| unknown(id))
}

/// There is no client with this id.
pub(crate) fn unknown(id: &str) -> Failure {
    let message = format!("there is no client with the id {}", visible(id));
    Failure::not_found(message).hint("`storectl clients list` shows the ids")
}

async fn list(store: &(impl LtiStore + ?Sized)) -> Result<Answer> {
    let clients = store.list_clients().await?;
    let mut rows = table(&["id", "name", "iss", "client id"]);
    for client in &clients {
        rows.add_row([
            client.id.to_string(),
            visible(client.name.as_str()),
            visible(client.iss.as_str()),
            visible(client.client_id.as_str()),
        ]);
    }
    let text = if clients.is_empty() {
        "there is no client; `storectl clients add` registers one".to_owned()
    } else {
        rendered(rows, None)
    };
    let views: Vec<ClientView<'_>> = clients.iter().map(Into::into).collect();
    Ok(Answer::new(&json!({ "clients": views }), text))
}

fn shown(found: &ClientWithDeployments) -> Answer {
    let client = &found.client;
    let mut text = pairs(&[
        ("id", client.id.to_string()),
        ("name", visible(client.name.as_str())),
        ("iss", visible(client.iss.as_str())),
        ("client id", visible(client.client_id.as_str())),
        ("auth url", visible(client.auth_url.as_str())),
        ("token url", visible(client.token_url.as_str())),
        ("jwks url", visible(client.jwks_url.as_str())),
    ]);
    text.push('\n');
    text += &deployments::listed(&found.deployments);
    Answer::new(&json!({ "client": ClientView::from(found) }), text)
}

async fn add(store: &(impl LtiStore + ?Sized), args: Add) -> Result<Answer> {
    let client = NewClient {
        name: args.name.parse()?,
        iss: args.iss.parse()?,
        client_id: args.client_id.parse()?,
        auth_url: args.auth_url.parse()?,
        token_url: args.token_url.parse()?,
        jwks_url: args.jwks_url.parse()?,
    };
    let mut deployments = Vec::new();
    for id in &args.deployment {
        let deployment_id = id.parse()?;
        if args.deployment.iter().filter(|other| *other == id).count() > 1 {
            let message = format!("the deployment {} is given twice", visible(id));
            return Err(Failure::usage(message));
        }
        deployments.push(NewDeployment {
            deployment_id,
            name: None,
            description: None,
        });
    }
    let client = store.add_client(client).await.map_err(taken)?;
    let id = client.id.to_string();
    let mut added = ClientWithDeployments {
        client,
        deployments: Vec::new(),
    };
    for deployment in deployments {
        let missing = format!(
            "the client was added as {id}, but not all of its deployments; add them with `storectl deployments add {id}`"
        );
        match store.add_deployment(&id, deployment).await {
            Ok(deployment) => added.deployments.push(deployment),
            Err(error) => {
                let mut failure = Failure::from(error);
                failure.hint = Some(missing);
                return Err(failure);
            }
        }
    }
    Ok(shown(&added))
}

fn taken(error: store::Error) -> Failure {
    let kind = error.kind();
    let failure = Failure::from(error);
    match kind {
        ErrorKind::AlreadyExists => failure.hint(
            "a client has this issuer and client id; `storectl clients list` shows it, `clients update` changes it and `deployments add` adds to it",
        ),
        _ => failure,
    }
}

async fn update(store: &(impl LtiStore + ?Sized), args: Update) -> Result<Answer> {
    let Fields {
        name,
        iss,
        client_id,
        auth_url,
        token_url,
        jwks_url,
    } = args.fields;
    let update = ClientUpdate {
        name: name.map(|text| text.parse()).transpose()?,
        iss: iss.map(|text| text.parse()).transpose()?,
        client_id: client_id.map(|text| text.parse()).transpose()?,
        auth_url: auth_url.map(|text| text.parse()).transpose()?,
        token_url: token_url.map(|text| text.parse()).transpose()?,
        jwks_url: jwks_url.map(|text| text.parse()).transpose()?,
    };
    match store.update_client(&args.id, update).await {
        Ok(_) => Ok(shown(&find(store, &args.id).await?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(unknown(&args.id)),
        Err(error) => Err(taken(error)),
    }
}

async fn remove(store: &(impl LtiStore + ?Sized), id: &str, yes: bool) -> Result<Answer> {
    if !yes {
        let found = find(store, id).await?;
        let name = visible(found.client.name.as_str());
        let deployments = count(found.deployments.len() as u64, "deployment", "deployments");
        confirm(
            &format!("Remove the client {name} ({id}) with {deployments}?"),
            yes,
        )
        .await?;
    }
    if !store.delete_client(id).await? {
        return Err(unknown(id));
    }
    let text = format!("client {id} removed");
    Ok(Answer::new(&json!({ "removed": id }), text))
}

#[cfg(test)]
mod tests {
    use store::Settings;
    use store::memory::MemoryStore;

    use super::*;
    use crate::answer::Exit;

    fn canvas(deployments: &[&str]) -> Add {
        Add {
            name: "Canvas".to_owned(),
            iss: "https://canvas.example".to_owned(),
            client_id: "10000000000001".to_owned(),
            auth_url: "https://canvas.example/auth".to_owned(),
            token_url: "https://canvas.example/token".to_owned(),
            jwks_url: "https://canvas.example/jwks".to_owned(),
            deployment: deployments.iter().map(|id| (*id).to_owned()).collect(),
        }
    }

    #[tokio::test]
    async fn a_client_is_registered_shown_changed_and_removed() {
        let store = MemoryStore::new(Settings::default());
        assert!(list(&store).await.unwrap().text().contains("clients add"));
        let answer = add(&store, canvas(&["1", "default"])).await.unwrap();
        let client = &answer.document()["client"];
        assert_eq!(client["deployments"][1]["deployment_id"], "default");
        let id = client["id"].as_str().unwrap();

        let failure = add(&store, canvas(&[])).await.unwrap_err();
        assert_eq!(
            (&*failure.kind, failure.exit),
            ("already_exists", Exit::Failed)
        );
        let fields = Fields {
            name: Some("Canvas 2".to_owned()),
            iss: None,
            client_id: None,
            auth_url: None,
            token_url: None,
            jwks_url: None,
        };
        let args = Update {
            id: id.to_owned(),
            fields,
        };
        let answer = update(&store, args).await.unwrap();
        assert!(answer.text().contains("Canvas 2") && answer.text().contains("default"));
        assert!(remove(&store, id, true).await.is_ok());
        assert_eq!(
            &*remove(&store, id, true).await.unwrap_err().kind,
            "not_found"
        );
    }

    #[tokio::test]
    async fn what_can_not_be_stored_is_refused_before_anything_is() {
        let store = MemoryStore::new(Settings::default());
        let mut args = canvas(&[]);
        args.jwks_url = "canvas.example/jwks".to_owned();
        let failure = add(&store, args).await.unwrap_err();
        assert_eq!(
            (&*failure.kind, failure.exit),
            ("invalid_input", Exit::Usage)
        );
        let failure = add(&store, canvas(&["1", "1"])).await.unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(
            list(&store).await.unwrap().document()["clients"]
                .as_array()
                .unwrap()
                .is_empty()
        );
    }
}
