//! The directory and its answers: which authority is competent for a service in an area, and how
//! it is reached. One immutable snapshot, swapped whole.
//!
//! Precedence: the most exact **area** first (Gemeinde, Verband, Kreis, Bezirk, Land), and within
//! one area the most exact **service key** first (14 digits, then the groups of 11, 8 and 5 digits).
//! The first place with a competence that is valid on the asked day decides, and nothing further
//! up is asked: a competent authority without an endpoint is *not connected*, not *nobody*.
//!
//! The files an operator edits are described in `deploy/hessen/README.md`.

mod answer;
mod areas;
mod check;
mod competences;
mod decide;
mod endpoints;
mod faults;
mod files;
mod keys;
mod load;
mod table;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

pub use files::{FILE_NAMES, Files, MAX_FILE_OCTETS, PUSH_BASE};
pub use keys::Validity;

use crate::domain::{Ars, AuthorityId, Endpoint, EndpointId, Header, Identifier, Placement, ServiceKey};
use crate::error::{Code, Refusal};
use areas::Areas;
use competences::Competences;
use keys::ServicePattern;

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
    /// Which rule won, which others there were and why not; a sentence a line, at most
    /// [`MAX_EXPLANATION`] lines.
    pub explanation: Vec<String>,
}

/// Lines of an explanation at most; the last one says how many were left out.
pub const MAX_EXPLANATION: usize = 50;

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

impl Outcome {
    /// A stable word for tables and JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Connected(_) => "connected",
            Self::Nobody => "nobody",
            Self::NotConnected(_) => "not_connected",
            Self::Ambiguous(_) => "ambiguous",
        }
    }

    /// The code with which a message is refused for it; `None` when it is taken.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Connected(_) => None,
            Self::Nobody => Some(Code::NobodyCompetent),
            Self::NotConnected(_) => Some(Code::NotConnected),
            Self::Ambiguous(_) => Some(Code::Ambiguous),
        }
    }
}

/// How much a directory holds, for the log line after loading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Rows of `areas.csv`.
    pub areas: usize,
    /// Rows of `services.csv`.
    pub services: usize,
    /// Rows of `authorities.csv`.
    pub authorities: usize,
    /// Rows of `competences.csv`.
    pub competences: usize,
    /// Tables of `endpoints.toml`.
    pub endpoints: usize,
}

/// The directory: areas, services, authorities, competences, endpoints.
pub struct Directory {
    areas: Areas,
    services: HashMap<ServiceKey, String>,
    authorities: Vec<Authority>,
    by_id: HashMap<AuthorityId, usize>,
    by_identifier: HashMap<Identifier, usize>,
    competences: Competences,
    endpoints: BTreeMap<EndpointId, Arc<Endpoint>>,
    warnings: Vec<String>,
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Directory").field(&self.counts()).finish()
    }
}

impl Directory {
    /// Reads and checks a directory folder as a whole. A relative `ca` of an endpoint is a file of
    /// this folder and must exist.
    ///
    /// # Errors
    /// All faults at once (at most some 200 are listed), each with file and line.
    pub fn load(folder: &Path) -> Result<Self, Vec<String>> {
        load::directory(&Files::read(folder)?, Some(folder))
    }

    /// Checks the texts of a directory as a whole. A relative `ca` of an endpoint stays as it is
    /// written.
    ///
    /// # Errors
    /// All faults at once (at most some 200 are listed), each with file and line.
    pub fn parse(files: &Files) -> Result<Self, Vec<String>> {
        load::directory(files, None)
    }

    /// Who is competent?
    #[must_use]
    pub fn ask(&self, query: &Query) -> Answer {
        answer::ask(self, query)
    }

    /// The route of a message: by service and area where it has both, checked against the reader
    /// it names; else by its reader. Asked for the day the header wishes, else for `today`.
    ///
    /// # Errors
    /// AW-0150, AW-0201, AW-0202, AW-0203 with the explanation; AW-0111 when the header has
    /// neither a reader nor service and area.
    pub fn route(
        &self,
        header: &Header,
        today: jiff::civil::Date,
    ) -> Result<(Placement, Vec<String>), Refusal> {
        decide::route(self, header, today)
    }

    /// An authority by its name.
    #[must_use]
    pub fn authority(&self, id: &AuthorityId) -> Option<&Authority> {
        self.by_id.get(id).and_then(|at| self.authorities.get(*at))
    }

    /// The authority that has this identifier.
    #[must_use]
    pub fn authority_of(&self, identifier: &Identifier) -> Option<&Authority> {
        self.by_identifier.get(identifier).and_then(|at| self.authorities.get(*at))
    }

    /// Whether an authority is competent for a service on a day, wherever that may be.
    #[must_use]
    pub fn offers(&self, authority: &AuthorityId, service: &ServiceKey, date: jiff::civil::Date) -> bool {
        let key = ServicePattern::exact(service);
        self.by_id.get(authority).is_some_and(|at| {
            self.competences.all().iter().any(|row| {
                row.authority as usize == *at && row.validity.0.contains(date) && row.pattern.matches(key)
            })
        })
    }

    /// All authorities, in the order of their file.
    pub fn authorities(&self) -> impl Iterator<Item = &Authority> {
        self.authorities.iter()
    }

    /// An endpoint by its name.
    #[must_use]
    pub fn endpoint(&self, id: &EndpointId) -> Option<&Arc<Endpoint>> {
        self.endpoints.get(id)
    }

    /// All endpoints, by name.
    pub fn endpoints(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.endpoints.values()
    }

    /// The name of a service, if it is in the catalogue.
    #[must_use]
    pub fn service_name(&self, key: &ServiceKey) -> Option<&str> {
        self.services.get(key).map(String::as_str)
    }

    /// The name of an area on a day, if it is listed and valid then.
    #[must_use]
    pub fn area_name(&self, area: &Ars, date: jiff::civil::Date) -> Option<&str> {
        self.areas.valid(keys::AreaKey::of(area), date).map(|row| row.name.as_str())
    }

    /// The areas of the lowest level (12 digits) that are valid on a day, by key, with their names.
    #[must_use]
    pub fn municipalities(&self, date: jiff::civil::Date) -> Vec<(Ars, &str)> {
        self.areas.municipalities(date)
    }

    /// What is allowed but deserves a look: ambiguous pairs, authorities that are competent but not
    /// connected, endpoints that nobody uses, competences that can never apply. A sentence each,
    /// with file and line.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What has run out by `date` and leaves a gap: competences that ended before that day without a
    /// competence for the same service key and area on that day, areas that ended before it without a
    /// successor, and competences for a retired area whose successor has none. A sentence each, with file and line.
    #[must_use]
    pub fn expiring(&self, date: jiff::civil::Date) -> Vec<String> {
        check::expiring(self, date)
    }

    /// How much it holds.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            areas: self.areas.len(),
            services: self.services.len(),
            authorities: self.authorities.len(),
            competences: self.competences.len(),
            endpoints: self.endpoints.len(),
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
