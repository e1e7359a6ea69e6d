//! Making a record of the target the source's, where it differs.

use store::{Error, Placement, Record, Store};

use super::patience::patiently;

/// Deletes what the target has in the place of `record` and imports it. If it is cut off in between,
/// the next import adds it.
pub(super) async fn replace(target: &dyn Store, record: &Record) -> Result<Placement, Error> {
    patiently(async || {
        make_room(target, record).await?;
        target.import_record(record).await
    })
    .await
}

async fn make_room(target: &dyn Store, record: &Record) -> Result<(), Error> {
    match record {
        Record::Client(offered) => {
            let offered = &offered.client;
            for client in target.list_clients().await? {
                let same_names = client.iss == offered.iss && client.client_id == offered.client_id;
                if client.id == offered.id || same_names {
                    target.delete_client(&client.id.to_string()).await?;
                }
            }
        }
        Record::Session(session) => {
            target.delete_lti_session(&session.id.to_string()).await?;
        }
        // A nonce can't be deleted, or it could be used again; but it can be used up.
        Record::Nonce(nonce) if nonce.consumed => {
            target.consume_nonce(nonce.nonce.as_str()).await?;
        }
        Record::Nonce(_) => {}
        Record::RegistrationSession(id, _) => {
            target.delete_registration_session(&id.to_string()).await?;
        }
        Record::JtsSession(stored) => {
            let aid = stored.session.aid.as_str();
            target.delete_jts_session(aid).await?;
        }
        Record::LoginSession(session) => {
            target.destroy_login_session(session.id.as_str()).await?;
        }
    }
    Ok(())
}
