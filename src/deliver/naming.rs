//! Names that an authority's server gives for messages (XTA): asked for once, made durable, used for every
//! attempt there.

use tokio::time::Instant;

use super::Shared;
use super::attempt::{Claimed, Tried, settle, unread};
use super::client::Order;
use super::lane::Ticket;
use crate::domain::{Action, RemoteName};
use crate::store::read_all;
use crate::xta::metadata::MAX_ENVELOPE;

/// What an XTA server is told of a message, with the name that it has there; `None` for servers that name
/// nothing. A name is durable before this returns.
///
/// # Errors
/// What came of the attempt when there is no name.
pub(super) async fn order(
    shared: &Shared,
    ticket: &Ticket,
    claimed: &mut Claimed,
    deadline: Instant,
) -> Result<Option<Order>, Tried> {
    let Some(client) = ticket.setup.client.naming() else { return Ok(None) };
    let known = claimed.record.remote.as_ref().filter(|name| name.server == client.server());
    let known = known.map(|name| name.id.clone());
    let sent_before = known.is_some();
    let name = match known {
        Some(name) => name,
        None => {
            let id = client.name(&claimed.record, deadline).await.map_err(Tried::Reply)?;
            let name = RemoteName { server: client.server().to_owned(), id: id.clone() };
            rename(shared, claimed, Some(name)).await?;
            id
        }
    };
    let kept = match &claimed.record.order {
        Some(order) => {
            let octets = read_all(shared.parts.read.as_ref(), &order.envelope, MAX_ENVELOPE).await;
            serde_json::from_slice(&octets.map_err(|error| unread(shared, &error))?).ok()
        }
        None => None,
    };
    let sender = shared.parts.identifier.clone();
    Ok(Some(Order { record: claimed.record.clone(), kept, sender, name, sent_before }))
}

/// Records the name, or that there is none.
pub(super) async fn rename(
    shared: &Shared,
    claimed: &mut Claimed,
    name: Option<RemoteName>,
) -> Result<(), Tried> {
    let token = claimed.token;
    let action = |_: &crate::domain::Record| Action::Named { token, name: name.clone() };
    match settle(shared, claimed.record.clone(), action).await {
        Some(record) => {
            claimed.record = record;
            Ok(())
        }
        // The message has moved on, or the store fails, which is noted already.
        None => Err(Tried::Unread),
    }
}
