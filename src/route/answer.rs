//! The climb: who is competent for a service in an area on a day, and why.

use jiff::civil::Date;

use super::areas::{Area, Resolved};
use super::competences::{Competence, between, with_pattern};
use super::files::{AUTHORITIES, COMPETENCES, SERVICES};
use super::keys::{AreaKey, ServicePattern};
use super::{Answer, Authority, Directory, MAX_EXPLANATION, Outcome, Query};
use crate::domain::{AuthorityId, Placement};

/// The place at which the question is decided.
struct Decided<'d> {
    area: AreaKey,
    pattern: ServicePattern,
    /// Valid on the day, at least one.
    rows: Vec<&'d Competence>,
}

/// Lines of an explanation, bounded: what is beyond is counted, not formatted.
#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    more: usize,
}

impl Lines {
    fn say(&mut self, line: impl FnOnce() -> String) {
        // The last line is kept free for the count.
        if self.lines.len() < MAX_EXPLANATION - 1 {
            self.lines.push(line());
        } else {
            self.more += 1;
        }
    }

    fn finish(mut self) -> Vec<String> {
        if self.more > 0 {
            self.lines.push(format!("… and {} more lines.", self.more));
        }
        self.lines
    }
}

/// Answers a question.
pub(super) fn ask(directory: &Directory, query: &Query) -> Answer {
    Asking { directory, date: query.date, lines: Lines::default() }.answer(query)
}

struct Asking<'d> {
    directory: &'d Directory,
    date: Date,
    lines: Lines,
}

impl<'d> Asking<'d> {
    fn answer(mut self, query: &Query) -> Answer {
        let asked = AreaKey::of(&query.area);
        let key = ServicePattern::exact(&query.service);
        let name = self.directory.service_name(&query.service);
        let date = self.date;
        self.lines.say(|| match name {
            Some(name) => format!("Asked: service {key} ({name}) in area {asked} on {date}."),
            None => format!("Asked: service {key} in area {asked} on {date}."),
        });
        if name.is_none() {
            self.lines.say(|| {
                format!(
                    "Service {key} is not in the catalogue ({SERVICES}): check the key, or have the operator import it."
                )
            });
            return Answer { outcome: Outcome::Nobody, explanation: self.lines.finish() };
        }
        let (area, retired) = match self.directory.areas.resolve(asked, date) {
            Resolved::Area(area, retired) => (area, retired),
            Resolved::Nowhere(why, retired) => {
                self.explain_retired(&retired);
                self.lines.say(|| why);
                return Answer { outcome: Outcome::Nobody, explanation: self.lines.finish() };
            }
        };
        let decided = self.decide(area, key);
        self.explain_retired(&retired);
        let outcome = match &decided {
            Some(decided) => self.outcome(decided),
            None => {
                self.lines.say(|| {
                    format!("Nobody is competent: no competence for {key} from {area} up to its Land is valid on {date}.")
                });
                Outcome::Nobody
            }
        };
        self.explain_levels(area, key, decided.as_ref());
        for (old, _) in &retired {
            let rows = self.matching(*old, key);
            for row in rows {
                self.other(row, "not asked, because the area key is retired");
            }
        }
        Answer { outcome, explanation: self.lines.finish() }
    }

    /// The first place, by area and then by service key, with a valid competence. No text is made
    /// here, so that the winner is known before the explanation fills up.
    fn decide(&self, area: AreaKey, key: ServicePattern) -> Option<Decided<'d>> {
        for level in area.climb().filter(|level| !self.directory.areas.is_out_of_date(*level, self.date)) {
            let rows = self.directory.competences.of_area(level);
            for pattern in key.widening() {
                let found = with_pattern(rows, pattern).iter();
                let found: Vec<_> = found.filter(|row| row.validity.0.contains(self.date)).collect();
                if !found.is_empty() {
                    return Some(Decided { area: level, pattern, rows: found });
                }
            }
        }
        None
    }

    fn outcome(&mut self, decided: &Decided<'d>) -> Outcome {
        let directory = self.directory;
        let mut ids: Vec<u32> = decided.rows.iter().map(|row| row.authority).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() > 1 {
            self.lines.say(|| {
                format!(
                    "Ambiguous: {} authorities are competent for {} in {}, and nothing tells which one is meant.",
                    ids.len(),
                    decided.pattern,
                    self.directory.place(decided.area, self.date)
                )
            });
            for row in &decided.rows {
                let rule = directory.rule(row, self.date);
                self.lines.say(|| format!("One of them: {rule}"));
            }
            let named = ids.iter().filter_map(|at| directory.authorities.get(*at as usize));
            let mut names: Vec<AuthorityId> = named.map(|authority| authority.id.clone()).collect();
            names.sort();
            return Outcome::Ambiguous(names);
        }
        let winner = decided.rows.first();
        let authority = winner.and_then(|row| directory.authorities.get(row.authority as usize));
        let (Some(winner), Some(authority)) = (winner, authority) else { return Outcome::Nobody };
        let rule = directory.rule(winner, self.date);
        self.lines.say(|| format!("Won: {rule}"));
        let placed = authority.placement(directory, rule);
        match placed {
            Some(placement) => {
                let (id, endpoint) = (&placement.authority, &placement.endpoint);
                self.lines.say(|| format!("{id} is reached by endpoint {endpoint}."));
                Outcome::Connected(placement)
            }
            None => {
                let id = &authority.id;
                self.lines.say(|| {
                    format!(
                        "{id} has no endpoint in {AUTHORITIES}: it is competent but not connected. Areas above are \
                         not asked, because whoever is competent there is not competent here."
                    )
                });
                Outcome::NotConnected(id.clone())
            }
        }
    }

    fn explain_retired(&mut self, retired: &[(AreaKey, &Area)]) {
        for (old, row) in retired {
            self.lines.say(|| {
                let next = row.successor.map(|next| next.to_string()).unwrap_or_default();
                format!(
                    "Area {old} ({}) was valid {}; its successor {next} is asked instead.",
                    row.name, row.validity
                )
            });
        }
    }

    /// What else stands at each level, and why it did not win.
    fn explain_levels(&mut self, area: AreaKey, key: ServicePattern, decided: Option<&Decided<'d>>) {
        let mut passed = false;
        for level in area.climb() {
            let here = decided.is_some_and(|decided| decided.area == level);
            let (directory, date) = (self.directory, self.date);
            if directory.areas.is_out_of_date(level, date) {
                self.lines
                    .say(|| format!("{} is not valid on {date}: not asked.", directory.place(level, date)));
                continue;
            }
            let rows = self.matching(level, key);
            if rows.is_empty() && !passed && !here {
                self.lines.say(|| {
                    format!("{}: asked, no competence for this service.", directory.place(level, date))
                });
            }
            for row in rows {
                self.explain_row(row, here, passed, decided);
            }
            if !passed {
                self.near_misses(level, key);
            }
            passed |= here;
        }
    }

    fn explain_row(&mut self, row: &Competence, here: bool, passed: bool, decided: Option<&Decided<'d>>) {
        let validity = row.validity.0;
        if validity.from.is_some_and(|from| self.date < from) {
            self.other(row, "not valid yet on that day");
        } else if validity.to.is_some_and(|to| to < self.date) {
            self.other(row, "no longer valid on that day");
        } else if passed {
            self.other(row, "a less exact area");
        } else if here && decided.is_some_and(|decided| decided.pattern != row.pattern) {
            self.other(row, "a less exact service key");
        }
    }

    /// Competences for other details of the same object, which could be mistaken for the asked one.
    fn near_misses(&mut self, level: AreaKey, key: ServicePattern) {
        let (low, high) = key.object_range();
        let rows = between(self.directory.competences.of_area(level), low, high);
        for row in rows.iter().filter(|row| !row.pattern.matches(key)) {
            self.other(row, "another service of the same object");
        }
    }

    fn other(&mut self, row: &Competence, why: &str) {
        let (directory, date) = (self.directory, self.date);
        self.lines.say(|| format!("Did not win, {why}: {}", directory.rule(row, date)));
    }

    /// All competences at a level whose key matches, valid or not, the most exact key first.
    fn matching(&self, level: AreaKey, key: ServicePattern) -> Vec<&'d Competence> {
        let rows = self.directory.competences.of_area(level);
        key.widening().flat_map(|pattern| with_pattern(rows, pattern)).collect()
    }
}

impl Authority {
    /// Where messages for this authority go, if it is connected.
    pub(super) fn placement(&self, directory: &Directory, rule: String) -> Option<Placement> {
        let endpoint = directory.endpoints.get(self.endpoint.as_ref()?)?;
        Some(Placement {
            authority: self.id.clone(),
            reader: self.identifiers.first()?.clone(),
            endpoint: endpoint.id.clone(),
            way: endpoint.way(),
            rule,
        })
    }
}

impl Directory {
    /// The name of the authority at this place of the list; competences are made with such places.
    pub(super) fn id_at(&self, at: u32) -> &str {
        self.authorities.get(at as usize).map(|authority| authority.id.as_str()).unwrap_or_default()
    }

    /// A competence as a sentence.
    fn rule(&self, row: &Competence, date: Date) -> String {
        format!(
            "{COMPETENCES} line {}: {} is competent for {} in {} {}.",
            row.line,
            self.id_at(row.authority),
            row.pattern,
            self.place(row.area, date),
            row.validity.0
        )
    }

    /// An area with its level and name.
    fn place(&self, area: AreaKey, date: Date) -> String {
        match self.areas.valid(area, date) {
            Some(row) => format!("{} {area} ({})", area.level(), row.name),
            None => format!("{} {area}", area.level()),
        }
    }
}
