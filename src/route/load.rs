//! Builds a directory from its files, checked as a whole: no half of it is ever used.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use jiff::civil::Date;

use super::areas::Areas;
use super::check;
use super::competences::{Competence, Competences, OrderedValidity};
use super::faults::Faults;
use super::files::{AUTHORITIES, COMPETENCES, ENDPOINTS, Files, MAX_FILE_OCTETS, SERVICES};
use super::keys::{AreaKey, ServicePattern, Validity};
use super::{Authority, Directory, endpoints, table};
use crate::domain::{Ars, AuthorityId, Endpoint, EndpointId, Identifier, ServiceKey};

/// Identifiers of one authority at most.
const MAX_IDENTIFIERS: usize = 64;

type Endpoints = BTreeMap<EndpointId, (Arc<Endpoint>, usize)>;

/// Reads, checks and builds. `folder` is where relative files of the directory lie.
pub(super) fn directory(files: &Files, folder: Option<&Path>) -> Result<Directory, Vec<String>> {
    let texts = [&files.areas, &files.services, &files.authorities, &files.competences, &files.endpoints];
    if texts.iter().any(|text| text.len() as u64 > MAX_FILE_OCTETS) {
        return Err(vec![format!(
            "a file is larger than {} MiB; split the directory",
            MAX_FILE_OCTETS >> 20
        )]);
    }
    let mut faults = Faults::default();
    let areas = Areas::read(&files.areas, &mut faults);
    let services = services(&files.services, &mut faults);
    let endpoints = endpoints::read(&files.endpoints, folder, &mut faults);
    let authorities = authorities(&files.authorities, &endpoints, &mut faults);
    let competences = {
        let known = Known { areas: &areas, services: &services, authorities: &authorities };
        known.competences(&files.competences, &mut faults)
    };
    check::no_double(&competences, &authorities.all, &mut faults);
    faults.finish()?;
    let mut directory = Directory {
        areas,
        services: services.names,
        authorities: authorities.all,
        by_id: authorities.by_id,
        by_identifier: authorities.by_identifier,
        competences,
        endpoints: endpoints.iter().map(|(id, (endpoint, _))| (id.clone(), Arc::clone(endpoint))).collect(),
        warnings: Vec::new(),
    };
    let lines = endpoints.into_iter().map(|(id, (_, line))| (id, line)).collect();
    directory.warnings = check::warnings(&directory, &authorities.lines, &lines);
    Ok(directory)
}

/// The services by key, and sorted for asking whether a group has any.
struct Services {
    names: HashMap<ServiceKey, String>,
    sorted: Vec<ServicePattern>,
}

fn services(text: &str, faults: &mut Faults) -> Services {
    let mut names: HashMap<ServiceKey, String> = HashMap::new();
    for row in table::rows(SERVICES, text, ["service", "name"], faults) {
        let [key, name] = &row.cells;
        let key = faults.take(SERVICES, row.line, key.parse::<ServiceKey>());
        let name = words(SERVICES, row.line, "name", name, faults);
        let (Some(key), Some(name)) = (key, name) else { continue };
        match names.entry(key) {
            Entry::Occupied(other) => {
                let key = other.key();
                faults.add(SERVICES, row.line, format_args!("service {key} stands twice; remove one"));
            }
            Entry::Vacant(place) => {
                place.insert(name);
            }
        }
    }
    let mut sorted: Vec<_> = names.keys().map(ServicePattern::exact).collect();
    sorted.sort_unstable();
    Services { names, sorted }
}

impl Services {
    fn has(&self, pattern: ServicePattern) -> bool {
        let from = self.sorted.partition_point(|key| *key < pattern);
        self.sorted.get(from).is_some_and(|key| pattern.matches(*key))
    }
}

/// The authorities in the order of their file, with lookups and lines.
#[derive(Default)]
struct Authorities {
    all: Vec<Authority>,
    lines: Vec<usize>,
    by_id: HashMap<AuthorityId, usize>,
    by_identifier: HashMap<Identifier, usize>,
}

fn authorities(text: &str, endpoints: &Endpoints, faults: &mut Faults) -> Authorities {
    let mut read = Authorities::default();
    for row in table::rows(AUTHORITIES, text, ["authority", "name", "identifiers", "endpoint"], faults) {
        let [id, name, identifiers, endpoint] = &row.cells;
        let line = row.line;
        let id = faults.take(AUTHORITIES, line, id.parse::<AuthorityId>());
        let name = words(AUTHORITIES, line, "name", name, faults);
        let identifiers = self::identifiers(line, identifiers, faults);
        let endpoint = match endpoint.as_ref() {
            "" => Some(None),
            text => faults.take(AUTHORITIES, line, text.parse::<EndpointId>()).map(Some),
        };
        if let Some(Some(endpoint)) = &endpoint
            && !endpoints.contains_key(endpoint)
        {
            faults.add(
                AUTHORITIES,
                line,
                format_args!(
                    "endpoint {endpoint} is not in {ENDPOINTS}; add it there, or leave the cell empty"
                ),
            );
        }
        if let (Some(id), Some(name), Some(endpoint)) = (id, name, endpoint) {
            read.insert(Authority { id, name, identifiers, endpoint }, line, faults);
        }
    }
    read
}

fn identifiers(line: usize, cell: &str, faults: &mut Faults) -> Vec<Identifier> {
    let texts: Vec<&str> = cell.split_whitespace().collect();
    if texts.is_empty() {
        faults.add(AUTHORITIES, line, "identifiers is empty; write at least one, e.g. kop:06411000");
    }
    if texts.len() > MAX_IDENTIFIERS {
        faults.add(AUTHORITIES, line, format_args!("more than {MAX_IDENTIFIERS} identifiers; remove some"));
        return Vec::new();
    }
    texts.iter().filter_map(|text| faults.take(AUTHORITIES, line, text.parse())).collect()
}

impl Authorities {
    fn insert(&mut self, authority: Authority, line: usize, faults: &mut Faults) {
        let at = self.all.len();
        if let Some(other) = self.by_id.get(&authority.id).and_then(|at| self.lines.get(*at)) {
            let id = &authority.id;
            faults.add(
                AUTHORITIES,
                line,
                format_args!("authority {id} stands in line {other} too; rename one"),
            );
            return;
        }
        for identifier in &authority.identifiers {
            let other = self.by_identifier.get(identifier).copied();
            match other.map(|other| (other, self.all.get(other))) {
                None => {
                    self.by_identifier.insert(identifier.clone(), at);
                }
                Some((_, Some(other))) => faults.add(
                    AUTHORITIES,
                    line,
                    format_args!(
                        "identifier {identifier} is claimed by {} too; it can belong to one only",
                        other.id
                    ),
                ),
                Some((_, None)) => {
                    faults.add(
                        AUTHORITIES,
                        line,
                        format_args!("identifier {identifier} stands twice; remove one"),
                    );
                }
            }
        }
        self.by_id.insert(authority.id.clone(), at);
        self.all.push(authority);
        self.lines.push(line);
    }
}

/// What competences may refer to.
struct Known<'a> {
    areas: &'a Areas,
    services: &'a Services,
    authorities: &'a Authorities,
}

impl Known<'_> {
    fn competences(&self, text: &str, faults: &mut Faults) -> Competences {
        let columns = ["authority", "service", "area", "valid_from", "valid_to"];
        let mut rows = Vec::new();
        for row in table::rows(COMPETENCES, text, columns, faults) {
            let [authority, service, area, from, to] = &row.cells;
            let line = row.line;
            let authority = self.authority(line, authority, faults);
            let pattern = self.pattern(line, service, faults);
            let area = self.area(line, area, faults);
            let validity = validity(COMPETENCES, line, from, to, faults);
            if let (Some(authority), Some(pattern), Some(area), Some(validity)) =
                (authority, pattern, area, validity)
            {
                let line = u32::try_from(line).unwrap_or(u32::MAX);
                let validity = OrderedValidity(validity);
                rows.push(Competence { area, pattern, authority, line, validity });
            }
        }
        Competences::new(rows)
    }

    fn authority(&self, line: usize, text: &str, faults: &mut Faults) -> Option<u32> {
        let id: AuthorityId = faults.take(COMPETENCES, line, text.parse())?;
        let at = self.authorities.by_id.get(&id).and_then(|at| u32::try_from(*at).ok());
        if at.is_none() {
            faults.add(
                COMPETENCES,
                line,
                format_args!("authority {id} is not in {AUTHORITIES}; add it there"),
            );
        }
        at
    }

    fn pattern(&self, line: usize, text: &str, faults: &mut Faults) -> Option<ServicePattern> {
        let pattern = faults.take(COMPETENCES, line, ServicePattern::parse(text))?;
        if !self.services.has(pattern) {
            faults.add(
                COMPETENCES,
                line,
                format_args!("service {pattern} is not in {SERVICES}; correct the key or add the service"),
            );
        }
        Some(pattern)
    }

    fn area(&self, line: usize, text: &str, faults: &mut Faults) -> Option<AreaKey> {
        let ars: Ars = faults.take(COMPETENCES, line, text.parse())?;
        let key = AreaKey::of(&ars);
        if !self.areas.is_known(key) {
            let file = super::files::AREAS;
            faults.add(
                COMPETENCES,
                line,
                format_args!("area {key} is not in {file}; correct the key or add the area"),
            );
        }
        Some(key)
    }
}

/// A text that must not be empty.
pub(super) fn words(
    file: &str,
    line: usize,
    column: &str,
    text: &str,
    faults: &mut Faults,
) -> Option<String> {
    if text.is_empty() || text.chars().count() > 300 {
        faults.add(file, line, format_args!("{column} must have 1 to 300 characters"));
        return None;
    }
    Some(text.to_owned())
}

/// Two cells with days as `YYYY-MM-DD`, empty = no bound.
pub(super) fn validity(
    file: &str,
    line: usize,
    from: &str,
    to: &str,
    faults: &mut Faults,
) -> Option<Validity> {
    let mut day = |text: &str, column: &str| {
        if text.is_empty() {
            return Some(None);
        }
        let date = text.parse::<Date>().ok().filter(|_| text.len() == 10);
        if date.is_none() {
            let shown: String = text.chars().take(40).collect();
            faults.add(file, line, format_args!("{column} {shown:?} is no day; write YYYY-MM-DD or nothing"));
        }
        date.map(Some)
    };
    let (from, to) = (day(from, "valid_from"), day(to, "valid_to"));
    let validity = Validity { from: from?, to: to? };
    if validity.is_reversed() {
        faults.add(file, line, "valid_from is after valid_to; exchange or correct them");
        return None;
    }
    Some(validity)
}

#[cfg(test)]
mod tests;
