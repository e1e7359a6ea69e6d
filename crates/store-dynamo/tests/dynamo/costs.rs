//! What each operation costs, as DynamoDB counts it, compared with the table in README.md.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextMut,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItemInput, BatchGetItemOutput};
use aws_sdk_dynamodb::operation::delete_item::{DeleteItemInput, DeleteItemOutput};
use aws_sdk_dynamodb::operation::get_item::{GetItemInput, GetItemOutput};
use aws_sdk_dynamodb::operation::put_item::{PutItemInput, PutItemOutput};
use aws_sdk_dynamodb::operation::query::{QueryInput, QueryOutput};
use aws_sdk_dynamodb::operation::transact_get_items::{
    TransactGetItemsInput, TransactGetItemsOutput,
};
use aws_sdk_dynamodb::operation::transact_write_items::{
    TransactWriteItemsInput, TransactWriteItemsOutput,
};
use aws_sdk_dynamodb::operation::update_item::{UpdateItemInput, UpdateItemOutput};
use aws_sdk_dynamodb::types::{ConsumedCapacity, ReturnConsumedCapacity};
use serde_json::json;
use store_core::{
    CleanupKind, CleanupStore, ClientStore, ClientUpdate, DeploymentStore, DeploymentUpdate,
    JtsSessionStore, LaunchConfigStore, Lifecycle, LockOutcome, LoginSessionStore, ManualClock,
    NewClient, NewDeployment, NewJtsSession, NonceStore, RegistrationSession,
    RegistrationSessionStore, Renewal, SessionPolicy, Settings, Timestamp,
};
use store_dynamo::DynamoStore;

use crate::support::Server;
use crate::{Test, on_emulator};

pub(crate) const TESTS: &[Test] = &[on_emulator("costs_are_as_documented", |server| {
    Box::pin(costs_are_as_documented(server))
})];

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
const BEGIN: &str = "<!-- costs -->\n";
const END: &str = "<!-- end of costs -->";

/// What was used since it was taken last.
#[derive(Clone, Debug, Default)]
struct Used {
    requests: Vec<&'static str>,
    read: f64,
    write: f64,
}

/// Asks for the capacity that each request uses, and adds it up.
#[derive(Clone, Debug, Default)]
struct Meter(Arc<Mutex<Used>>);

impl Meter {
    fn take(&self) -> Used {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    fn add<'a>(
        &self,
        request: &'static str,
        capacities: impl Iterator<Item = &'a ConsumedCapacity>,
    ) {
        let units: f64 = capacities
            .filter_map(ConsumedCapacity::capacity_units)
            .sum();
        let mut used = self.0.lock().unwrap();
        used.requests.push(request);
        if request.contains("Get") || request == "Query" {
            used.read += units;
        } else {
            used.write += units;
        }
    }
}

impl Intercept for Meter {
    fn name(&self) -> &'static str {
        "Meter"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let input = context.input_mut();
        macro_rules! ask {
            ($($input:ty),*) => {$(
                if let Some(input) = input.downcast_mut::<$input>() {
                    input.return_consumed_capacity = Some(ReturnConsumedCapacity::Indexes);
                }
            )*};
        }
        ask!(
            BatchGetItemInput,
            DeleteItemInput,
            GetItemInput,
            PutItemInput,
            QueryInput,
            TransactGetItemsInput,
            TransactWriteItemsInput,
            UpdateItemInput
        );
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Ok(output) = context.output_or_error() else {
            return Ok(());
        };
        macro_rules! count {
            ($($request:literal $output:ty,)*) => {$(
                if let Some(output) = output.downcast_ref::<$output>() {
                    self.add($request, output.consumed_capacity.iter());
                }
            )*};
        }
        count! {
            "Delete" DeleteItemOutput,
            "Get" GetItemOutput,
            "Put" PutItemOutput,
            "Query" QueryOutput,
            "Update" UpdateItemOutput,
        }
        macro_rules! count_all {
            ($($request:literal $output:ty,)*) => {$(
                if let Some(output) = output.downcast_ref::<$output>() {
                    self.add($request, output.consumed_capacity.iter().flatten());
                }
            )*};
        }
        count_all! {
            "BatchGet" BatchGetItemOutput,
            "TransactGet" TransactGetItemsOutput,
            "TransactWrite" TransactWriteItemsOutput,
        }
        Ok(())
    }
}

/// The table under way.
struct Costs {
    meter: Meter,
    table: String,
}

impl Costs {
    /// Writes the row of what was done since the last one.
    fn row(&mut self, operation: &str) {
        let Used {
            requests,
            read,
            write,
        } = self.meter.take();
        let mut counted: Vec<(&str, usize)> = Vec::new();
        for request in requests {
            match counted.iter_mut().find(|(known, _)| *known == request) {
                Some((_, count)) => *count += 1,
                None => counted.push((request, 1)),
            }
        }
        let requests = counted.iter().map(|(request, count)| match count {
            1 => (*request).to_owned(),
            _ => format!("{count} × {request}"),
        });
        let requests: Vec<_> = requests.collect();
        let _ = writeln!(
            self.table,
            "| {operation} | {} | {} | {} |",
            requests.join(", "),
            units(read),
            units(write)
        );
    }
}

fn units(units: f64) -> String {
    if units == 0.0 {
        return String::new();
    }
    units.to_string()
}

async fn costs_are_as_documented(server: Server) {
    let place = server.place();
    let clock = ManualClock::default();
    let settings = Settings {
        clock: Arc::new(clock.clone()),
        ..Settings::default()
    };
    place.store(settings.clone()).await;
    let meter = Meter::default();
    let client = place.client_config().interceptor(meter.clone()).build();
    let client = aws_sdk_dynamodb::Client::from_conf(client);
    let open = || {
        let (config, settings) = (place.config.clone(), settings.clone());
        DynamoStore::from_client(&client, config, settings).unwrap()
    };
    let store = open();
    let mut costs = Costs {
        meter,
        table: "| operation | requests | read units | write units |\n|---|---|---|---|\n"
            .to_owned(),
    };
    lti(&store, &mut costs).await;
    jts(&store, open, &clock, &mut costs).await;
    logins(&store, &mut costs).await;
    store.health().await.unwrap();
    costs.row("`health`");
    clock.advance(Duration::from_secs(30 * 24 * 3600));
    store
        .delete_expired(CleanupKind::JtsSessions, 1)
        .await
        .unwrap();
    costs.row("`delete_expired` of one JTS session");
    store.delete_expired(CleanupKind::Nonces, 1).await.unwrap();
    costs.row("`delete_expired` of one nonce");
    place.remove().await;

    let readme = std::fs::read_to_string(README).unwrap();
    let begin = readme.find(BEGIN).expect("where the table begins") + BEGIN.len();
    let end = readme.find(END).expect("where the table ends");
    if std::env::var_os("STORE_UPDATE_DOCS").is_some() {
        let updated = format!("{}{}{}", &readme[..begin], costs.table, &readme[end..]);
        std::fs::write(README, updated).unwrap();
        return;
    }
    assert_eq!(
        &readme[begin..end],
        costs.table,
        "README.md is out of date: run the test with STORE_UPDATE_DOCS=1"
    );
}

async fn lti(store: &DynamoStore, costs: &mut Costs) {
    let new = NewClient {
        name: "LMS".parse().unwrap(),
        iss: "https://lms.example".parse().unwrap(),
        client_id: "tool".parse().unwrap(),
        auth_url: "https://lms.example/auth".parse().unwrap(),
        token_url: "https://lms.example/token".parse().unwrap(),
        jwks_url: "https://lms.example/jwks".parse().unwrap(),
    };
    let id = store.add_client(new).await.unwrap().id.to_string();
    costs.row("`add_client`");
    let new = NewDeployment {
        deployment_id: "d".parse().unwrap(),
        name: None,
        description: None,
    };
    let deployment = store.add_deployment(&id, new).await.unwrap().id.to_string();
    costs.row("`add_deployment`");
    store.list_clients().await.unwrap();
    costs.row("`list_clients`");
    store.get_client(&id).await.unwrap().unwrap();
    costs.row("`get_client`, `list_deployments`");
    store.get_deployment(&id, &deployment).await.unwrap();
    costs.row("`get_deployment`");
    let update = ClientUpdate {
        name: Some("Other".parse().unwrap()),
        ..ClientUpdate::default()
    };
    store.update_client(&id, update).await.unwrap();
    costs.row("`update_client`");
    let update = DeploymentUpdate {
        name: Some(Some("Other".parse().unwrap())),
        ..DeploymentUpdate::default()
    };
    store
        .update_deployment(&id, &deployment, update)
        .await
        .unwrap();
    costs.row("`update_deployment`");
    let launch = store.get_launch_config("https://lms.example", "tool", "d");
    let mut config = (*launch.await.unwrap().unwrap()).clone();
    costs.row("`get_launch_config`");
    store.save_launch_config(&config).await.unwrap();
    costs.row("`save_launch_config` that changes nothing");
    config.iss = "https://new.example".parse().unwrap();
    store.save_launch_config(&config).await.unwrap();
    costs.row("`save_launch_config` that adds both");
    assert!(store.delete_deployment(&id, &deployment).await.unwrap());
    costs.row("`delete_deployment`");
    assert!(store.delete_client(&id).await.unwrap());
    costs.row("`delete_client` without deployments");

    store
        .store_nonce(&"nonce".parse().unwrap(), None)
        .await
        .unwrap();
    costs.row("`store_nonce`, `add_lti_session`, `create_login_session`");
    assert!(store.consume_nonce("nonce").await.unwrap());
    costs.row("`consume_nonce`");
    let session = RegistrationSession {
        open_id_configuration: serde_json::Map::new(),
        registration_token: None,
        expires_at: Timestamp::MAX,
        extra: serde_json::Map::new(),
    };
    let id = uuid::Uuid::new_v4();
    store.set_registration_session(id, &session).await.unwrap();
    costs.row("`set_registration_session`");
    let id = id.to_string();
    store.get_registration_session(&id).await.unwrap().unwrap();
    costs.row("`get_registration_session`, `get_lti_session`, `load_login_session`");
    store.take_registration_session(&id).await.unwrap().unwrap();
    costs.row("`take_registration_session`, `delete_…`, `destroy_login_session`");
}

/// Both in a store that knows where a session is, and in others (`open`), which ask its pointer first.
async fn jts(
    store: &DynamoStore,
    open: impl Fn() -> DynamoStore,
    clock: &ManualClock,
    costs: &mut Costs,
) {
    let new = || NewJtsSession::of("alice".parse().unwrap());
    let create = store.create_jts_session(new(), SessionPolicy::AllowAll);
    let session = create.await.unwrap().session;
    costs.row("`create_jts_session`, any number");
    let max = SessionPolicy::Max(2.try_into().unwrap());
    store.create_jts_session(new(), max).await.unwrap();
    costs.row("`create_jts_session` under a policy");
    let create = store.create_jts_session(new(), max).await.unwrap();
    assert_eq!(create.revoked.len(), 1);
    costs.row("the same, revoking one");
    let kept = create.session;
    let aid = kept.aid.as_str();
    assert!(store.get_jts_session(session.aid.as_str()).await.is_ok());
    costs.meter.take();
    store.get_jts_session(aid).await.unwrap().unwrap();
    costs.row("`get_jts_session`");
    open().get_jts_session(aid).await.unwrap().unwrap();
    costs.row("`get_jts_session`, place not known yet");
    let proof = kept.current_state_proof.as_str();
    store.validate_state_proof(proof).await.unwrap();
    costs.row("`validate_state_proof`");
    open().validate_state_proof(proof).await.unwrap();
    costs.row("`validate_state_proof`, place not known yet");
    clock.advance(Duration::from_millis(1));
    assert!(store.touch_jts_session(aid).await.unwrap());
    costs.row("`touch_jts_session`");
    clock.advance(Duration::from_millis(1));
    assert!(open().touch_jts_session(aid).await.unwrap());
    costs.row("`touch_jts_session`, place not known yet");
    let renewed = store.renew_state_proof(proof).await.unwrap();
    costs.row("`renew_state_proof`, `rotate_state_proof`");
    let Renewal::Rotated(renewed) = renewed else {
        panic!("the proof was current: {renewed:?}");
    };
    let proof = renewed.current_state_proof.as_str();
    open().renew_state_proof(proof).await.unwrap();
    costs.row("`renew_state_proof`, place not known yet");
    store.renew_state_proof(proof).await.unwrap();
    costs.row("`renew_state_proof` that converges, besides the refused Update");
    store.list_jts_sessions("alice").await.unwrap();
    costs.row("`list_jts_sessions`, `count_jts_sessions`");
    assert!(store.delete_jts_session(aid).await.unwrap());
    costs.row("`delete_jts_session`");
    let create = store.create_jts_session(new(), SessionPolicy::AllowAll);
    let aid = create.await.unwrap().session.aid;
    costs.meter.take();
    assert!(open().delete_jts_session(aid.as_str()).await.unwrap());
    costs.row("`delete_jts_session`, place not known yet");
    assert!(store.delete_oldest_jts_session("alice").await.unwrap());
    costs.row("`delete_oldest_jts_session`");
    for _ in 0..3 {
        let create = store.create_jts_session(new(), SessionPolicy::AllowAll);
        create.await.unwrap();
    }
    costs.meter.take();
    assert_eq!(store.delete_jts_sessions("alice").await.unwrap(), 3);
    costs.row("`delete_jts_sessions` of three");
    let create = store.create_jts_session(new(), SessionPolicy::AllowAll);
    create.await.unwrap();
    costs.meter.take();
}

async fn logins(store: &DynamoStore, costs: &mut Costs) {
    let id = "login".parse().unwrap();
    let data = json!({ "refresh_token": "r1" });
    let data = data.as_object().unwrap().clone();
    let hour = Duration::from_secs(3600);
    let mut session = store
        .create_login_session(&id, data.clone(), hour)
        .await
        .unwrap();
    costs.meter.take();
    session.version = store
        .save_login_session(&session, None, None)
        .await
        .unwrap();
    costs.row("`save_login_session`");
    store
        .set_login_properties("login", data, None)
        .await
        .unwrap();
    costs.row("`set_login_properties`, `unset_login_properties`");
    store.extend_login_session("login", 2 * hour).await.unwrap();
    costs.row("`extend_login_session`");
    let LockOutcome::Acquired { token, .. } =
        store.lock_login_session("login", "r1").await.unwrap()
    else {
        panic!("the lock is free");
    };
    costs.row("`lock_login_session`");
    store.unlock_login_session("login", &token).await.unwrap();
    costs.row("`unlock_login_session`");
}
