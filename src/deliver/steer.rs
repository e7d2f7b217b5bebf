//! The operators' verbs.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::transition::{self, Decision};
use crate::domain::{
    Action, EndpointControl, EndpointId, Identifier, MessageId, ParkReason, Placement, Record, State,
    Timestamp,
};
use crate::error::{Code, Refusal};
use crate::route::Directory;
use crate::store::{ChangePort, ReadPort};

/// Characters kept of an operator's reason.
const REASON: usize = 200;

/// The operators' verbs on messages and endpoints. What changes takes effect by itself; for
/// [`Steer::suspend`] call [`super::Deliver::wake`] to have it at once instead of within a second.
pub struct Steer {
    read: Arc<dyn ReadPort>,
    change: Arc<dyn ChangePort>,
    directory: Arc<ArcSwap<Directory>>,
}

impl Steer {
    /// Steering over these ports.
    #[must_use]
    pub fn new(
        read: Arc<dyn ReadPort>,
        change: Arc<dyn ChangePort>,
        directory: Arc<ArcSwap<Directory>>,
    ) -> Self {
        Self { read, change, directory }
    }

    /// Queues a parked or waiting message again, now.
    ///
    /// # Errors
    /// AW-0401, AW-0402 when its state does not allow it.
    pub async fn retry(
        &self,
        id: &MessageId,
        by: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<Arc<Record>, Refusal> {
        let detail = said(by, reason);
        let directory = self.directory.load_full();
        self.apply(id, now, |record| {
            let endpoint = &record.placement.endpoint;
            if !record.state.is_final() && directory.endpoint(endpoint).is_none() {
                let words = format!("its endpoint {endpoint} is not in the directory; reroute it instead");
                return Err(Refusal::new(Code::LeaseLost, words));
            }
            Ok(Decision::Do(Action::Retry { detail: detail.clone() }))
        })
        .await
    }

    /// Routes a message anew: to `reader`, or as the directory now says.
    ///
    /// # Errors
    /// AW-0401, AW-0402, AW-02xx.
    pub async fn reroute(
        &self,
        id: &MessageId,
        reader: Option<&Identifier>,
        by: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<Arc<Record>, Refusal> {
        let detail = said(by, reason);
        let directory = self.directory.load_full();
        self.apply(id, now, |record| {
            let placement = match reader {
                Some(reader) => placement_of(&directory, reader)?,
                None => directory.route(&record.header, now.date())?.0,
            };
            Ok(Decision::Do(Action::Reroute { placement, detail: detail.clone() }))
        })
        .await
    }

    /// Sets a message aside.
    ///
    /// # Errors
    /// AW-0401, AW-0402.
    pub async fn park(
        &self,
        id: &MessageId,
        by: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<Arc<Record>, Refusal> {
        let detail = said(by, reason);
        self.apply(id, now, |record| {
            if matches!(record.state, State::Parked { reason: ParkReason::Operator }) {
                return Ok(Decision::Keep);
            }
            Ok(Decision::Do(Action::Park { reason: ParkReason::Operator, detail: detail.clone() }))
        })
        .await
    }

    /// Suspends or resumes an endpoint; durable.
    ///
    /// # Errors
    /// AW-0401 when the directory has no such endpoint.
    pub async fn suspend(
        &self,
        endpoint: &EndpointId,
        suspended: bool,
        by: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if self.directory.load().endpoint(endpoint).is_none() {
            let words = format!("the directory has no endpoint {endpoint}; `amtsweg queues` lists them");
            return Err(Refusal::new(Code::UnknownMessage, words));
        }
        let control = EndpointControl {
            endpoint: endpoint.clone(),
            suspended,
            reason: short(reason),
            by: short(by),
            at: now,
        };
        tracing::info!(%endpoint, suspended, by = control.by, "an operator set an endpoint");
        self.change.control(control).await.map_err(transition::store)
    }

    async fn apply(
        &self,
        id: &MessageId,
        now: Timestamp,
        decide: impl FnMut(&Record) -> Result<Decision, Refusal> + Send,
    ) -> Result<Arc<Record>, Refusal> {
        transition::change(self.read.as_ref(), self.change.as_ref(), id, now, decide).await
    }
}

/// The placement at the authority that has this identifier.
fn placement_of(directory: &Directory, reader: &Identifier) -> Result<Placement, Refusal> {
    let authority = directory.authority_of(reader).ok_or_else(|| {
        Refusal::new(
            Code::NobodyCompetent,
            format!("no authority in the directory has the identifier {reader}"),
        )
    })?;
    let endpoint = authority.endpoint.as_ref().and_then(|id| directory.endpoint(id)).ok_or_else(|| {
        let words = format!("authority {} is not connected: the directory names no endpoint", authority.id);
        Refusal::new(Code::NotConnected, words)
    })?;
    Ok(Placement {
        authority: authority.id.clone(),
        reader: reader.clone(),
        endpoint: endpoint.id.clone(),
        way: endpoint.way(),
        rule: "set by an operator".into(),
    })
}

/// Who and why, bounded.
fn said(by: &str, reason: &str) -> String {
    format!("{}: {}", short(by), short(reason))
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(REASON).collect()
}
