//! `storectl deployments`.

use clap::Subcommand;
use serde_json::json;
use store::{Deployment, ErrorKind, LtiStore, NewDeployment};

use crate::answer::Answer;
use crate::commands::clients::{find, unknown};
use crate::confirm::confirm;
use crate::failure::{Failure, Result};
use crate::table::{rendered, table, visible};
use crate::views::DeploymentView;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the deployments of a client.
    List {
        /// The client's id, as `clients list` shows it.
        client: String,
    },
    /// Add a deployment to a client.
    Add {
        /// The client's id, as `clients list` shows it.
        client: String,
        /// The platform's id of it, as launches carry it; `default` stands for all that are not listed.
        deployment_id: String,
        /// A name for people.
        #[arg(long)]
        name: Option<String>,
        /// What it is used for.
        #[arg(long)]
        description: Option<String>,
    },
    /// Remove a deployment of a client. Asks first.
    Remove {
        /// The client's id, as `clients list` shows it.
        client: String,
        /// The deployment: the store's id of it, or the platform's.
        deployment: String,
        /// Don't ask.
        #[arg(long, short)]
        yes: bool,
    },
}

pub(crate) async fn run(store: &(impl LtiStore + ?Sized), command: Command) -> Result<Answer> {
    match command {
        Command::List { client } => {
            let deployments = find(store, &client).await?.deployments;
            let views: Vec<DeploymentView<'_>> = deployments.iter().map(Into::into).collect();
            let document = json!({ "deployments": views });
            Ok(Answer::new(&document, listed(&deployments)))
        }
        Command::Add {
            client,
            deployment_id,
            name,
            description,
        } => {
            let deployment = NewDeployment {
                deployment_id: deployment_id.parse()?,
                name: name.map(|text| text.parse()).transpose()?,
                description: description.map(|text| text.parse()).transpose()?,
            };
            add(store, &client, deployment).await
        }
        Command::Remove {
            client,
            deployment,
            yes,
        } => remove(store, &client, &deployment, yes).await,
    }
}

/// Deployments as a table.
pub(crate) fn listed(deployments: &[Deployment]) -> String {
    if deployments.is_empty() {
        return "it has no deployment, so no launch of it is accepted; `storectl deployments add` adds one\n".to_owned();
    }
    let mut rows = table(&["id", "deployment id", "name", "description"]);
    let text_of = |text: Option<&str>| text.map(visible).unwrap_or_default();
    for deployment in deployments {
        rows.add_row([
            deployment.id.to_string(),
            visible(deployment.deployment_id.as_str()),
            text_of(deployment.name.as_ref().map(|text| text.as_str())),
            text_of(deployment.description.as_ref().map(|text| text.as_str())),
        ]);
    }
    rendered(rows, None)
}

async fn add(
    store: &(impl LtiStore + ?Sized),
    client: &str,
    deployment: NewDeployment,
) -> Result<Answer> {
    match store.add_deployment(client, deployment).await {
        Ok(added) => {
            let document = json!({ "deployment": DeploymentView::from(&added) });
            Ok(Answer::new(&document, listed(&[added])))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Err(unknown(client)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let hint = format!("`storectl deployments list {}` shows it", visible(client));
            Err(Failure::from(error).hint(hint))
        }
        Err(error) => Err(error.into()),
    }
}

async fn remove(
    store: &(impl LtiStore + ?Sized),
    client: &str,
    deployment: &str,
    yes: bool,
) -> Result<Answer> {
    let found = find(store, client).await?;
    let all = &found.deployments;
    let by_id = all.iter().find(|one| one.id.to_string() == deployment);
    let by_platform = || {
        all.iter()
            .find(|one| one.deployment_id.as_str() == deployment)
    };
    let missing = || {
        let shown = visible(deployment);
        let hint = format!(
            "`storectl deployments list {}` shows what it has",
            found.client.id
        );
        Failure::not_found(format!("the client has no deployment {shown}")).hint(hint)
    };
    let one = by_id.or_else(by_platform).ok_or_else(missing)?;
    let name = visible(one.deployment_id.as_str());
    let of = visible(found.client.name.as_str());
    confirm(&format!("Remove the deployment {name} of {of}?"), yes).await?;
    let id = one.id.to_string();
    if !store.delete_deployment(client, &id).await? {
        return Err(missing());
    }
    let text = format!("deployment {name} of {of} removed");
    Ok(Answer::new(&json!({ "removed": id }), text))
}

#[cfg(test)]
mod tests {
    use store::memory::MemoryStore;
    use store::{ClientStore, NewClient, Settings};

    use super::*;

    #[tokio::test]
    async fn deployments_go_by_either_id() {
        let store = MemoryStore::new(Settings::default());
        let url = || "https://lms.example/x".parse().unwrap();
        let client = NewClient {
            name: "LMS".parse().unwrap(),
            iss: "https://lms.example".parse().unwrap(),
            client_id: "a".parse().unwrap(),
            auth_url: url(),
            token_url: url(),
            jwks_url: url(),
        };
        let client = store.add_client(client).await.unwrap().id.to_string();
        let deployment = |id: &str| NewDeployment {
            deployment_id: id.parse().unwrap(),
            name: None,
            description: None,
        };
        let answer = add(&store, &client, deployment("1")).await.unwrap();
        let id = answer.document()["deployment"]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        add(&store, &client, deployment("2")).await.unwrap();
        let failure = add(&store, &client, deployment("2")).await.unwrap_err();
        assert!(failure.hint.unwrap().contains("deployments list"));
        assert!(remove(&store, &client, &id, true).await.is_ok());
        assert!(remove(&store, &client, "2", true).await.is_ok());
        assert_eq!(
            &*remove(&store, &client, "2", true).await.unwrap_err().kind,
            "not_found"
        );
        let failure = add(&store, "x", deployment("2")).await.unwrap_err();
        assert!(failure.hint.unwrap().contains("clients list"));
    }
}
