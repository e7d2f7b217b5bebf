//! The directory and its answers: which authority is competent for a service in an area, and how
//! it is reached. One immutable snapshot, swapped whole.

use std::path::Path;
use std::sync::Arc;

use crate::domain::{Ars, AuthorityId, Endpoint, EndpointId, Header, Identifier, Placement, ServiceKey};
use crate::error::Refusal;

/// A question to the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The service.
    pub service: ServiceKey,
    /// The area, as exact as known.
    pub area: Ars,
    /// The day the competence is asked for.
    pub date: jiff::civil::Date,
}

/// A competent body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Its name in the directory.
    pub id: AuthorityId,
    /// Its name for people.
    pub name: String,
    /// Its identifiers; the first one is used when a route has to name a reader.
    pub identifiers: Vec<Identifier>,
    /// Its endpoint, if it is connected.
    pub endpoint: Option<EndpointId>,
}

/// The directory's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it is.
    pub outcome: Outcome,
    /// Which rule won, which others there were and why not; a sentence a line.
    pub explanation: Vec<String>,
}

/// The four answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// One authority is competent and connected.
    Connected(Placement),
    /// Nobody is competent (AW-0201).
    Nobody,
    /// One is competent, but has no endpoint (AW-0202).
    NotConnected(AuthorityId),
    /// Several are competent at the same level (AW-0203).
    Ambiguous(Vec<AuthorityId>),
}

/// The directory: areas, services, authorities, competences, endpoints.
pub struct Directory {}

impl Directory {
    /// Reads and checks a directory folder as a whole.
    ///
    /// # Errors
    /// All faults at once, each with file and line.
    pub fn load(folder: &Path) -> Result<Self, Vec<String>> {
        let _ = folder;
        todo!()
    }

    /// Who is competent?
    #[must_use]
    pub fn ask(&self, query: &Query) -> Answer {
        let _ = query;
        todo!()
    }

    /// The route of a message: by service and area where it has both, checked against the reader
    /// it names; else by its reader.
    ///
    /// # Errors
    /// AW-0150, AW-0201, AW-0202, AW-0203 with the explanation; AW-0111 when the header has
    /// neither a reader nor service and area.
    pub fn route(
        &self,
        header: &Header,
        today: jiff::civil::Date,
    ) -> Result<(Placement, Vec<String>), Refusal> {
        let _ = (header, today);
        todo!()
    }

    /// An authority by its name.
    #[must_use]
    pub fn authority(&self, id: &AuthorityId) -> Option<&Authority> {
        let _ = id;
        todo!()
    }

    /// The authority that has this identifier.
    #[must_use]
    pub fn authority_of(&self, identifier: &Identifier) -> Option<&Authority> {
        let _ = identifier;
        todo!()
    }

    /// An endpoint by its name.
    #[must_use]
    pub fn endpoint(&self, id: &EndpointId) -> Option<&Arc<Endpoint>> {
        let _ = id;
        todo!()
    }

    /// All endpoints, by name.
    pub fn endpoints(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        let all: &[Arc<Endpoint>] = &[];
        all.iter()
    }
}
