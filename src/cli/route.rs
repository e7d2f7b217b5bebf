//! `amtsweg route`: what the directory answers, for people and for scripts.

use std::io::{self, Write};

use jiff::civil::Date;
use serde_json::{Value, json};

use crate::domain::{Ars, AuthorityId, Placement, ServiceKey, Timestamp, Way};
use crate::error::Code;
use crate::route::{Answer, Directory, Outcome, Query};

/// `route explain`: who is competent for a service in an area on a day (`at`, else today by UTC), and
/// why. Returns the exit status: 0 when a message would be taken, 1 when it would be refused.
///
/// # Errors
/// When `out` can't be written to.
pub fn explain(
    directory: &Directory,
    service: &ServiceKey,
    area: &Ars,
    at: Option<Date>,
    json: bool,
    out: &mut impl Write,
) -> io::Result<u8> {
    let date = at.unwrap_or_else(today);
    let answer = directory.ask(&Query { service: service.clone(), area: area.clone(), date });
    let status = u8::from(answer.outcome.code().is_some());
    if json {
        let mut object = outcome_json(directory, &answer.outcome);
        let more = json!({
            "service": service.as_str(),
            "service_name": directory.service_name(service),
            "area": area.as_str(),
            "area_name": directory.area_name(area, date),
            "date": date.to_string(),
            "explanation": answer.explanation,
        });
        merge(&mut object, more);
        writeln!(out, "{object}")?;
    } else {
        explain_text(directory, &answer, out)?;
    }
    Ok(status)
}

fn explain_text(directory: &Directory, answer: &Answer, out: &mut impl Write) -> io::Result<()> {
    match &answer.outcome {
        Outcome::Connected(placement) => {
            let Placement { authority, reader, endpoint, way, .. } = placement;
            writeln!(out, "competent  {}", titled(directory, authority))?;
            writeln!(out, "reader     {reader}")?;
            writeln!(out, "endpoint   {endpoint} ({})", way_name(*way))?;
        }
        Outcome::NotConnected(id) => {
            writeln!(out, "{}: competent but not connected", Code::NotConnected)?;
            writeln!(out, "competent  {}", titled(directory, id))?;
        }
        Outcome::Nobody => writeln!(out, "{}: nobody is competent", Code::NobodyCompetent)?,
        Outcome::Ambiguous(ids) => {
            writeln!(out, "{}: {} authorities are competent", Code::Ambiguous, ids.len())?;
            for id in ids {
                writeln!(out, "competent  {}", titled(directory, id))?;
            }
        }
    }
    writeln!(out)?;
    answer.explanation.iter().try_for_each(|line| writeln!(out, "{line}"))
}

/// `route coverage`: for every municipality that is valid today (UTC), who is competent for a service and
/// whether they are connected, with totals. Returns the exit status: 0, or 1 for a service that
/// is not in the catalogue.
///
/// # Errors
/// When `out` can't be written to.
pub fn coverage(
    directory: &Directory,
    service: &ServiceKey,
    json: bool,
    out: &mut impl Write,
) -> io::Result<u8> {
    coverage_at(directory, service, today(), json, out)
}

/// The same for a given day.
///
/// # Errors
/// When `out` can't be written to.
pub fn coverage_at(
    directory: &Directory,
    service: &ServiceKey,
    date: Date,
    json: bool,
    out: &mut impl Write,
) -> io::Result<u8> {
    let rows: Vec<(Ars, &str, Outcome)> = directory
        .municipalities(date)
        .into_iter()
        .map(|(area, name)| {
            let query = Query { service: service.clone(), area: area.clone(), date };
            (area, name, directory.ask(&query).outcome)
        })
        .collect();
    let name = directory.service_name(service);
    let totals = Totals::of(rows.iter().map(|(_, _, outcome)| outcome));
    if json {
        let municipalities: Vec<Value> = rows
            .iter()
            .map(|(area, name, outcome)| {
                let mut object = outcome_json(directory, outcome);
                merge(&mut object, json!({ "area": area.as_str(), "name": name }));
                object
            })
            .collect();
        let object = json!({
            "service": service.as_str(),
            "service_name": name,
            "date": date.to_string(),
            "totals": totals.json(rows.len()),
            "municipalities": municipalities,
        });
        writeln!(out, "{object}")?;
    } else {
        writeln!(out, "{service} {} on {date}", name.unwrap_or("(not in the catalogue)"))?;
        writeln!(out)?;
        for (area, name, outcome) in &rows {
            writeln!(out, "{area}  {name:<48} {}", outcome_text(outcome))?;
        }
        writeln!(out)?;
        writeln!(out, "{}", totals.text(rows.len()))?;
    }
    Ok(u8::from(name.is_none()))
}

/// How many municipalities have which answer.
#[derive(Default)]
struct Totals {
    push: usize,
    pull: usize,
    not_connected: usize,
    ambiguous: usize,
    nobody: usize,
}

impl Totals {
    fn of<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> Self {
        let mut totals = Self::default();
        for outcome in outcomes {
            let count = match outcome {
                Outcome::Connected(placement) if placement.way == Way::Push => &mut totals.push,
                Outcome::Connected(_) => &mut totals.pull,
                Outcome::NotConnected(_) => &mut totals.not_connected,
                Outcome::Ambiguous(_) => &mut totals.ambiguous,
                Outcome::Nobody => &mut totals.nobody,
            };
            *count += 1;
        }
        totals
    }

    fn json(&self, all: usize) -> Value {
        json!({
            "municipalities": all,
            "connected": self.push + self.pull,
            "push": self.push,
            "pull": self.pull,
            "not_connected": self.not_connected,
            "ambiguous": self.ambiguous,
            "nobody": self.nobody,
        })
    }

    fn text(&self, all: usize) -> String {
        format!(
            "{all} municipalities: {} connected ({} push, {} pull), {} competent but not connected, {} ambiguous, \
             {} with nobody",
            self.push + self.pull,
            self.push,
            self.pull,
            self.not_connected,
            self.ambiguous,
            self.nobody
        )
    }
}

fn outcome_text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Connected(placement) => {
            format!("{} by {} ({})", placement.authority, placement.endpoint, way_name(placement.way))
        }
        Outcome::Nobody => "– nobody".to_owned(),
        Outcome::NotConnected(id) => format!("{id}, not connected"),
        Outcome::Ambiguous(ids) => {
            let ids: Vec<_> = ids.iter().map(AuthorityId::as_str).collect();
            format!("ambiguous: {}", ids.join(", "))
        }
    }
}

/// `outcome` and `code` always; `authorities` with id and name: one, several or none; `reader`,
/// `endpoint`, `way` and `rule` where a message would be taken.
fn outcome_json(directory: &Directory, outcome: &Outcome) -> Value {
    let authority = |id: &AuthorityId| {
        let name = directory.authority(id).map(|authority| authority.name.as_str());
        json!({ "id": id.as_str(), "name": name })
    };
    let authorities: Vec<Value> = match outcome {
        Outcome::Connected(placement) => vec![authority(&placement.authority)],
        Outcome::NotConnected(id) => vec![authority(id)],
        Outcome::Ambiguous(ids) => ids.iter().map(authority).collect(),
        Outcome::Nobody => Vec::new(),
    };
    let mut object = json!({
        "outcome": outcome.name(),
        "code": outcome.code().map(Code::as_str),
        "authorities": authorities,
    });
    if let Outcome::Connected(placement) = outcome {
        let more = json!({
            "reader": placement.reader.as_str(),
            "endpoint": placement.endpoint.as_str(),
            "way": way_name(placement.way),
            "rule": placement.rule,
        });
        merge(&mut object, more);
    }
    object
}

fn merge(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}

fn titled(directory: &Directory, id: &AuthorityId) -> String {
    match directory.authority(id) {
        Some(authority) => format!("{id} ({})", authority.name),
        None => id.to_string(),
    }
}

fn way_name(way: Way) -> &'static str {
    match way {
        Way::Push => "push",
        Way::Pull => "pull",
    }
}

fn today() -> Date {
    Timestamp::now().date()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Files;

    fn sample() -> Directory {
        Directory::parse(&Files::embedded()).unwrap()
    }

    fn explained(service: &str, area: &str, json: bool) -> (u8, String) {
        let mut out = Vec::new();
        let at = Some("2026-06-01".parse().unwrap());
        let service = service.parse().unwrap();
        let status = explain(&sample(), &service, &area.parse().unwrap(), at, json, &mut out).unwrap();
        (status, String::from_utf8(out).unwrap())
    }

    #[test]
    fn explains_the_four_answers_to_people() {
        let (status, text) = explained("99102013104000", "064110000000", false);
        assert_eq!(status, 0);
        for part in ["competent  darmstadt (", "reader     kop:06411000", "darmstadt-push (push)", "\nWon: "]
        {
            assert!(text.contains(part), "{part}\n{text}");
        }
        for (service, area, start) in [
            ("99102013104000", "064130000000", "AW-0201: nobody"),
            (
                "99102013104000",
                "064120000000",
                "AW-0202: competent but not connected\ncompetent  frankfurt (",
            ),
            ("99107022012000", "066360013013", "AW-0203: 2 authorities"),
        ] {
            let (status, text) = explained(service, area, false);
            assert!(status == 1 && text.starts_with(start), "{text}");
        }
    }

    #[test]
    fn explains_the_four_answers_to_scripts() {
        for (service, area, outcome, code, authorities) in [
            ("99102013104000", "064110000000", "connected", None, 1),
            ("99102013104000", "064130000000", "nobody", Some("AW-0201"), 0),
            ("99102013104000", "064120000000", "not_connected", Some("AW-0202"), 1),
            ("99107022012000", "066360013013", "ambiguous", Some("AW-0203"), 2),
        ] {
            let (status, text) = explained(service, area, true);
            let object: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(status, u8::from(code.is_some()));
            assert_eq!(object["outcome"], outcome);
            assert_eq!(object["code"].as_str(), code);
            assert_eq!(object["authorities"].as_array().unwrap().len(), authorities);
            assert_eq!(object["endpoint"].is_string(), code.is_none());
            assert_eq!(object["date"], "2026-06-01");
            assert!(!object["explanation"].as_array().unwrap().is_empty());
        }
    }

    #[test]
    fn coverage_counts_every_municipality_once() {
        let covered = |service: &str, json| {
            let mut out = Vec::new();
            let date = "2026-06-01".parse().unwrap();
            let status = coverage_at(&sample(), &service.parse().unwrap(), date, json, &mut out).unwrap();
            (status, String::from_utf8(out).unwrap())
        };
        let (status, text) = covered("99102013104000", true);
        let object: Value = serde_json::from_str(&text).unwrap();
        let totals = &object["totals"];
        let count = |name: &str| totals[name].as_u64().unwrap();
        assert_eq!((status, count("municipalities")), (0, 425));
        assert_eq!((count("push"), count("pull"), count("not_connected")), (5, 8, 1));
        assert_eq!(count("connected") + count("not_connected") + count("ambiguous") + count("nobody"), 425);
        assert_eq!(object["municipalities"].as_array().unwrap().len(), 425);
        let (_, text) = covered("99102013104000", false);
        assert!(
            text.contains("425 municipalities: 13 connected (5 push, 8 pull), 1 competent but not connected")
        );
        let (_, text) = covered("99107022012000", true);
        let object: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(object["totals"]["ambiguous"], 1);
        let (_, text) = covered("99050004005000", false);
        assert!(text.contains("425 connected (425 push"), "{text}");
        assert_eq!(covered("99999999999999", false).0, 1);
    }
}
