//! The route of one message: what its header asks for, against what the directory answers.

use jiff::civil::Date;

use super::{Answer, Directory, Outcome, Query};
use crate::domain::{AuthorityId, Header, Identifier, Placement};
use crate::error::{Code, Refusal};

/// See [`Directory::route`].
pub(super) fn route(
    directory: &Directory,
    header: &Header,
    today: Date,
) -> Result<(Placement, Vec<String>), Refusal> {
    match (&header.service, &header.area, &header.reader) {
        (Some(service), Some(area), reader) => {
            let date = header.date.unwrap_or(today);
            let query = Query { service: service.clone(), area: area.clone(), date };
            by_competence(directory, &query, reader.as_ref())
        }
        (_, _, Some(reader)) => by_reader(directory, reader),
        _ => Err(Refusal::new(
            Code::SchemaInvalid,
            "the header names neither a reader nor both service and area, so nobody can be found; name one of them",
        )),
    }
}

fn by_competence(
    directory: &Directory,
    query: &Query,
    reader: Option<&Identifier>,
) -> Result<(Placement, Vec<String>), Refusal> {
    let Answer { outcome, explanation } = directory.ask(query);
    let Query { service, area, date } = query;
    let refusal = match outcome {
        Outcome::Connected(placement) => match reader {
            None => return Ok((placement, explanation)),
            Some(reader) => return named(directory, placement, reader, explanation),
        },
        Outcome::Nobody => Refusal::new(
            Code::NobodyCompetent,
            format!(
                "nobody is competent for service {service} in area {area} on {date}; check both keys and the date, \
                 or ask the gateway's operator to enter the competence"
            ),
        ),
        Outcome::NotConnected(id) => not_connected(directory, &id),
        Outcome::Ambiguous(ids) => {
            let ids: Vec<_> = ids.iter().take(10).map(AuthorityId::as_str).collect();
            Refusal::new(
                Code::Ambiguous,
                format!(
                    "more than one authority ({}) is competent for service {service} in area {area} on {date}; ask for a \
                     more exact area or service, or ask the gateway's operator to correct the directory",
                    ids.join(", ")
                ),
            )
        }
    };
    Err(refusal.explained(explanation))
}

/// The reader that the header names must be the one that the route finds.
fn named(
    directory: &Directory,
    placement: Placement,
    reader: &Identifier,
    mut explanation: Vec<String>,
) -> Result<(Placement, Vec<String>), Refusal> {
    let found = directory.authority(&placement.authority);
    if found.is_some_and(|authority| authority.identifiers.contains(reader)) {
        return Ok((Placement { reader: reader.clone(), ..placement }, explanation));
    }
    let (id, right) = (&placement.authority, &placement.reader);
    explanation.push(match directory.authority_of(reader) {
        Some(other) => {
            format!("The header names {reader}, which is {}; competent is {id} ({right}).", other.id)
        }
        None => format!("The header names {reader}, which no authority has; competent is {id} ({right})."),
    });
    let refusal = Refusal::new(
        Code::ReaderDiffers,
        format!(
            "the header names reader {reader}, but the route leads to {id}; name {right}, or leave the reader out and let \
             service and area decide"
        ),
    );
    Err(refusal.explained(explanation))
}

fn by_reader(directory: &Directory, reader: &Identifier) -> Result<(Placement, Vec<String>), Refusal> {
    let Some(authority) = directory.authority_of(reader) else {
        let refusal = Refusal::new(
            Code::NobodyCompetent,
            format!("no authority has the identifier {reader}; check it, or name service and area instead"),
        );
        return Err(
            refusal.explained(vec![format!("No authority of the directory has the identifier {reader}.")])
        );
    };
    let rule = format!("The header names reader {reader}, which is {}.", authority.id);
    let why =
        vec![rule.clone(), "Service and area are not both given, so competences were not asked.".to_owned()];
    match authority.placement(directory, rule) {
        Some(placement) => Ok((Placement { reader: reader.clone(), ..placement }, why)),
        None => Err(not_connected(directory, &authority.id).explained(why)),
    }
}

fn not_connected(directory: &Directory, id: &AuthorityId) -> Refusal {
    let name = directory.authority(id).map(|authority| authority.name.as_str()).unwrap_or_default();
    Refusal::new(
        Code::NotConnected,
        format!(
            "{id} ({name}) is competent but not connected to this gateway; hand the application in by another way, or ask \
             the gateway's operator when it will be connected"
        ),
    )
}
