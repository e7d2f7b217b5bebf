//! Properties of the climb, against a plain model: all competences are looked at, one by one.

use std::collections::BTreeSet;

use jiff::civil::{Date, date};
use proptest::prelude::*;

use super::table::written;
use super::*;

const AREAS: [&str; 8] =
    ["06", "06001", "06002", "060010001001", "060010001002", "060010002001", "060020001001", "060020001002"];
/// Areas that a competence may name: those above too.
const PLACES: [&str; 12] = [
    "06",
    "060",
    "06001",
    "06002",
    "060010001",
    "060010002",
    "060020001",
    "060010001001",
    "060010001002",
    "060010002001",
    "060020001001",
    "060020001002",
];
const SERVICES: [&str; 5] =
    ["99102013104000", "99102013104001", "99102013070000", "99102014104000", "99103001001000"];
const PATTERNS: [&str; 9] = [
    "99102013104000",
    "99102013104001",
    "99102013070000",
    "99103001001000",
    "99102013104*",
    "99102013*",
    "99102014*",
    "99102*",
    "99103*",
];

#[derive(Clone, Debug)]
struct Row {
    authority: usize,
    pattern: &'static str,
    area: &'static str,
    from: Option<Date>,
    to: Option<Date>,
}

impl Row {
    fn line(&self) -> String {
        let day = |day: Option<Date>| day.map(|day| day.to_string()).unwrap_or_default();
        format!("a{};{};{};{};{}\n", self.authority, self.pattern, self.area, day(self.from), day(self.to))
    }

    fn valid(&self, on: Date) -> bool {
        self.from.is_none_or(|from| from <= on) && self.to.is_none_or(|to| on <= to)
    }

    fn covers(&self, service: &str, area: &str) -> bool {
        let service_fits = match self.pattern.strip_suffix('*') {
            Some(beginning) => service.starts_with(beginning),
            None => service == self.pattern,
        };
        service_fits && area.starts_with(self.area)
    }

    /// Digits of the area, then digits of the key: the larger, the more exact.
    fn rank(&self) -> (usize, usize) {
        (self.area.len(), self.pattern.trim_end_matches('*').len())
    }

    fn meets(&self, other: &Self) -> bool {
        (self.authority, self.pattern, self.area) == (other.authority, other.pattern, other.area)
            && (-1..13).any(|n| self.valid(day(n)) && other.valid(day(n)))
    }
}

/// Twelve days are enough to have all relations between spans; one before and one after them stand
/// for all days on which only open spans meet.
fn day(n: i8) -> Date {
    date(2026, 3, 5 + n)
}

fn any_row() -> impl Strategy<Value = Row> {
    let bound = || proptest::option::of(0_i8..12);
    (
        0..4_usize,
        proptest::sample::select(&PATTERNS[..]),
        proptest::sample::select(&PLACES[..]),
        bound(),
        bound(),
    )
        .prop_map(|(authority, pattern, area, a, b)| {
            let (from, to) = match (a, b) {
                (Some(a), Some(b)) => (Some(a.min(b)), Some(a.max(b))),
                other => other,
            };
            Row { authority, pattern, area, from: from.map(day), to: to.map(day) }
        })
}

/// Rows without faults: none twice on a day.
fn any_rows() -> impl Strategy<Value = Vec<Row>> {
    proptest::collection::vec(any_row(), 0..40).prop_map(|rows| {
        let mut kept: Vec<Row> = Vec::new();
        for row in rows {
            if !kept.iter().any(|other| other.meets(&row)) {
                kept.push(row);
            }
        }
        kept
    })
}

fn any_query() -> impl Strategy<Value = (&'static str, &'static str, Date)> {
    (proptest::sample::select(&SERVICES[..]), proptest::sample::select(&PLACES[..]), (0_i8..12).prop_map(day))
}

fn files(rows: &[Row]) -> Files {
    let line = |text: &str| format!("{text};{};x;;;\n", written("N; \"x\""));
    let lines: String = rows.iter().map(Row::line).collect();
    Files {
        areas: format!("ars;name;kind;valid_from;valid_to;successor\n{}", AREAS.map(line).concat()),
        services: format!("service;name\n{}", SERVICES.map(|key| format!("{key};X\n")).concat()),
        // a3 is not connected.
        authorities:
            "authority;name;identifiers;endpoint\na0;A;kop:0;e\na1;A;kop:1;e\na2;A;kop:2;e\na3;A;kop:3;\n"
                .to_owned(),
        competences: format!("authority;service;area;valid_from;valid_to\n{lines}"),
        endpoints: "[[endpoint]]\nid = \"e\"\nkind = \"mailbox\"\n".to_owned(),
    }
}

fn asked(directory: &Directory, (service, area, date): (&str, &str, Date)) -> Answer {
    directory.ask(&Query { service: service.parse().unwrap(), area: area.parse().unwrap(), date })
}

/// The competent authorities: those of the most exact valid competences.
fn model(rows: &[Row], (service, area, on): (&str, &str, Date)) -> BTreeSet<String> {
    let fitting: Vec<_> = rows.iter().filter(|row| row.covers(service, area) && row.valid(on)).collect();
    let best = fitting.iter().map(|row| row.rank()).max();
    fitting.iter().filter(|row| Some(row.rank()) == best).map(|row| format!("a{}", row.authority)).collect()
}

fn found(outcome: &Outcome) -> BTreeSet<String> {
    match outcome {
        Outcome::Connected(placement) => [placement.authority.to_string()].into(),
        Outcome::Nobody => BTreeSet::new(),
        Outcome::NotConnected(id) => [id.to_string()].into(),
        Outcome::Ambiguous(ids) => ids.iter().map(ToString::to_string).collect(),
    }
}

proptest! {
    #[test]
    fn the_most_exact_valid_competence_wins(rows in any_rows(), query in any_query()) {
        let directory = Directory::parse(&files(&rows)).unwrap();
        let answer = asked(&directory, query);
        let expected = model(&rows, query);
        prop_assert_eq!(found(&answer.outcome), expected.clone(), "{:#?}", answer.explanation);
        prop_assert_eq!(matches!(answer.outcome, Outcome::Ambiguous(_)), expected.len() >= 2);
        let alone = (expected.len() == 1).then(|| expected.contains("a3"));
        prop_assert_eq!(matches!(answer.outcome, Outcome::NotConnected(_)), alone == Some(true));
        prop_assert!(answer.explanation.len() <= MAX_EXPLANATION);
    }

    #[test]
    fn an_unrelated_competence_changes_no_answer(rows in any_rows(), row in any_row(), query in any_query()) {
        prop_assume!(!row.covers(query.0, query.1) || !row.valid(query.2));
        prop_assume!(!rows.iter().any(|other| other.meets(&row)));
        let before = asked(&Directory::parse(&files(&rows)).unwrap(), query);
        let mut more = rows.clone();
        more.push(row);
        let after = asked(&Directory::parse(&files(&more)).unwrap(), query);
        prop_assert_eq!(before.outcome, after.outcome);
    }

    #[test]
    fn the_order_of_the_rows_does_not_matter(rows in any_rows(), query in any_query()) {
        let mut turned = rows.clone();
        turned.reverse();
        let one = asked(&Directory::parse(&files(&rows)).unwrap(), query);
        let other = asked(&Directory::parse(&files(&turned)).unwrap(), query);
        prop_assert_eq!(found(&one.outcome), found(&other.outcome));
    }

    #[test]
    fn both_days_of_a_validity_are_inclusive(a in 1_i8..11, b in 1_i8..11) {
        let (from, to) = (a.min(b), a.max(b));
        let row = Row { authority: 0, pattern: "99102*", area: "06", from: Some(day(from)), to: Some(day(to)) };
        let directory = Directory::parse(&files(&[row])).unwrap();
        for n in 0..12 {
            let outcome = asked(&directory, (SERVICES[0], "060010001001", day(n))).outcome;
            prop_assert_eq!(matches!(outcome, Outcome::Connected(_)), (from..=to).contains(&n));
        }
    }

    #[test]
    fn a_competence_twice_on_a_day_is_refused_and_a_shared_one_is_warned_about(rows in proptest::collection::vec(any_row(), 0..12)) {
        let pairs = || rows.iter().enumerate().flat_map(|(n, a)| rows.iter().skip(n + 1).map(move |b| (a, b)));
        let double = pairs().any(|(a, b)| a.meets(b));
        match Directory::parse(&files(&rows)) {
            Err(_) => prop_assert!(double),
            Ok(directory) => {
                prop_assert!(!double);
                let shared = pairs().any(|(a, b)| {
                    a.authority != b.authority && Row { authority: b.authority, ..a.clone() }.meets(b)
                });
                let warned = directory.warnings().iter().any(|line| line.contains("AW-0203"));
                prop_assert_eq!(shared, warned);
            }
        }
    }

    #[test]
    fn written_files_answer_the_same_after_reading(rows in any_rows(), query in any_query()) {
        let folder = tempfile::tempdir().unwrap();
        let files = files(&rows);
        files.write_to(folder.path()).unwrap();
        prop_assert_eq!(&Files::read(folder.path()).unwrap(), &files);
        let read = Directory::load(folder.path()).unwrap();
        prop_assert_eq!(asked(&read, query), asked(&Directory::parse(&files).unwrap(), query));
    }

    #[test]
    fn no_text_makes_the_loader_fall_over(text in "[0-9a-z;#\"\n*= \\[\\]-]{0,200}") {
        for file in 0..5 {
            let mut files = files(&[]);
            let place = [&mut files.areas, &mut files.services, &mut files.authorities, &mut files.competences, &mut files.endpoints];
            for (n, old) in place.into_iter().enumerate() {
                if n == file { old.push_str(&text); }
            }
            let _ = Directory::parse(&files).map_err(|faults| assert!(!faults.is_empty()));
        }
    }
}
