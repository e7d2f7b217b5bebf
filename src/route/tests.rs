use std::time::Instant;

use super::*;
use crate::domain::Way;
use crate::error::Code;

fn sample() -> Directory {
    Directory::parse(&Files::embedded()).unwrap()
}

fn ask(directory: &Directory, service: &str, area: &str, date: &str) -> Answer {
    directory.ask(&Query {
        service: service.parse().unwrap(),
        area: area.parse().unwrap(),
        date: date.parse().unwrap(),
    })
}

fn winner(answer: &Answer) -> &str {
    match &answer.outcome {
        Outcome::Connected(placement) => placement.authority.as_str(),
        other => panic!("{other:?}: {:#?}", answer.explanation),
    }
}

pub(super) fn says(lines: &[String], text: &str) -> bool {
    lines.iter().any(|line| line.contains(text))
}

const DOG_TAX: &str = "99102013104000";
const DAY: &str = "2026-06-01";

/// A small directory to vary.
pub(super) fn small() -> Files {
    Files {
        areas: "ars;name;kind;valid_from;valid_to;successor\n06;Land;Land;;;\n06001;Kreis;Kreis;;;\n\
                060010001001;Dorf;Gemeinde;;;\n060010001002;Weiler;Gemeinde;;;\n"
            .to_owned(),
        services:
            "service;name\n99102013104000;Anmeldung\n99102013070000;Abmeldung\n99102014104000;Anderes\n"
                .to_owned(),
        authorities: "authority;name;identifiers;endpoint\na;A;kop:1 psw:1;e\nb;B;kop:2;e\nc;C;kop:3;\n"
            .to_owned(),
        competences: "authority;service;area;valid_from;valid_to\n".to_owned(),
        endpoints: "[[endpoint]]\nid = \"e\"\nkind = \"mailbox\"\n".to_owned(),
    }
}

fn with(competences: &str) -> Directory {
    let mut files = small();
    files.competences.push_str(competences);
    Directory::parse(&files).unwrap()
}

#[test]
fn the_sample_is_whole_and_says_what_deserves_a_look() {
    let directory = sample();
    let counts = directory.counts();
    assert_eq!((counts.areas, counts.services), (454, 23));
    assert_eq!(directory.municipalities("2026-06-01".parse().unwrap()).len(), 425);
    assert_eq!(directory.municipalities("2025-06-01".parse().unwrap()).len(), 425);
    let warnings = directory.warnings();
    assert_eq!(warnings.len(), 2, "{warnings:#?}");
    assert!(says(warnings, "AW-0203") && says(warnings, "frankfurt is competent but has no endpoint"));
    assert_eq!(directory.expiring("2030-01-01".parse().unwrap()), Vec::<String>::new());
}

#[test]
fn every_model_municipality_and_district_takes_messages() {
    let directory = sample();
    for (authority, area) in [
        ("darmstadt", "064110000000"),
        ("neu-isenburg", "064380009009"),
        ("grossalmerode", "066360004004"),
        ("hofbieber", "066310013013"),
        ("marburg", "065340014014"),
        ("taunusstein", "064390015015"),
        ("usingen", "064340011011"),
        ("viernheim", "064310020020"),
        ("volkmarsen", "066350020020"),
        ("wanfried", "066360013013"),
        ("wetzlar", "065320023023"),
        ("wiesbaden", "064140000000"),
    ] {
        assert_eq!(winner(&ask(&directory, DOG_TAX, area, DAY)), authority);
        assert_eq!(winner(&ask(&directory, "99059001104000", area, DAY)), authority);
    }
    for (authority, area) in [
        ("giessen-kreis", "065310005005"),
        ("gross-gerau-kreis", "064330006006"),
        ("marburg-biedenkopf-kreis", "065340003003"),
        ("marburg", "065340014014"),
        ("darmstadt", "064110000000"),
    ] {
        assert_eq!(winner(&ask(&directory, "99012070006001", area, DAY)), authority);
    }
    assert_eq!(winner(&ask(&directory, "99050004005000", "066360013013", DAY)), "land-hessen");
}

#[test]
fn the_push_urls_move_with_one_word() {
    let files = Files::embedded().with_push_base("https://localhost:9001/x/");
    assert!(!files.endpoints.contains("fachverfahren"));
    let directory = Directory::parse(&files).unwrap();
    let (push, pull): (Vec<_>, Vec<_>) =
        directory.endpoints().partition(|endpoint| endpoint.way() == Way::Push);
    assert_eq!((push.len(), pull.len()), (8, 10));
    for endpoint in push {
        let crate::domain::Transport::Push { url, .. } = &endpoint.transport else { panic!() };
        assert!(url.starts_with("https://localhost:9001/x/"), "{url}");
    }
}

#[test]
fn hanaus_old_key_leads_to_the_new_one_from_its_day_on() {
    let directory = sample();
    let before = ask(&directory, DOG_TAX, "064350014014", "2025-12-31");
    assert_eq!(winner(&before), "hanau");
    assert!(!says(&before.explanation, "successor"), "{:#?}", before.explanation);
    let other = ask(&directory, "99012070006001", "064350014014", "2025-12-31");
    assert!(says(&other.explanation, "Kreis 06435 (Main-Kinzig-Kreis): asked"), "{:#?}", other.explanation);
    let after = ask(&directory, DOG_TAX, "064350014014", "2026-01-01");
    assert_eq!(winner(&after), "hanau");
    assert!(
        says(&after.explanation, "its successor 064150000000 is asked instead"),
        "{:#?}",
        after.explanation
    );
    assert!(says(&after.explanation, "not asked, because the area key is retired"));
    let early = ask(&directory, DOG_TAX, "064150000000", "2025-12-31");
    assert_eq!(early.outcome, Outcome::Nobody);
    assert!(says(&early.explanation, "ask for its predecessor 064350014014"), "{:#?}", early.explanation);
}

#[test]
fn a_retired_key_no_longer_climbs_to_its_old_district() {
    let mut files = Files::embedded();
    files.competences.push_str("darmstadt;99012070006001;06435;;\n");
    let directory = Directory::parse(&files).unwrap();
    assert_eq!(winner(&ask(&directory, "99012070006001", "064350014014", "2025-12-31")), "darmstadt");
    assert_eq!(ask(&directory, "99012070006001", "064350014014", "2026-01-01").outcome, Outcome::Nobody);
}

#[test]
fn three_refusals_are_three_answers() {
    let directory = sample();
    let frankfurt = ask(&directory, DOG_TAX, "064120000000", DAY);
    assert_eq!(frankfurt.outcome, Outcome::NotConnected("frankfurt".parse().unwrap()));
    let wanfried = ask(&directory, "99107022012000", "066360013013", DAY);
    assert_eq!(
        wanfried.outcome,
        Outcome::Ambiguous(vec!["grossalmerode".parse().unwrap(), "wanfried".parse().unwrap()])
    );
    let nobody = ask(&directory, DOG_TAX, "064130000000", DAY);
    assert_eq!(nobody.outcome, Outcome::Nobody);
    assert!(
        says(&nobody.explanation, "Kreis 06413 (Offenbach am Main, Stadt): asked"),
        "{:#?}",
        nobody.explanation
    );
}

#[test]
fn not_connected_does_not_climb_on() {
    let directory = with("c;99102013104000;060010001001;;\na;99102013104000;06;;\n");
    let answer = ask(&directory, DOG_TAX, "060010001001", DAY);
    assert_eq!(answer.outcome, Outcome::NotConnected("c".parse().unwrap()));
    assert!(says(&answer.explanation, "Did not win, a less exact area: competences.csv line 3: a"));
}

#[test]
fn the_area_counts_before_the_service_key() {
    let directory = with(
        "a;99102*;060010001001;;\nb;99102013104000;06001;;\nb;99102013*;060010001002;;\na;99102013104*;060010001002;;\n",
    );
    let answer = ask(&directory, DOG_TAX, "060010001001", DAY);
    assert_eq!(winner(&answer), "a");
    assert!(says(&answer.explanation, "Won: competences.csv line 2: a is competent for 99102*"));
    let answer = ask(&directory, DOG_TAX, "060010001002", DAY);
    assert_eq!(winner(&answer), "a");
    assert!(says(&answer.explanation, "Did not win, a less exact service key: competences.csv line 4: b"));
    assert_eq!(winner(&ask(&directory, "99102013070000", "060010001002", DAY)), "b");
}

#[test]
fn verband_and_bezirk_are_asked_between() {
    let directory =
        with("a;99102013*;060010001;;\nb;99102013*;06001;;\nb;99102014*;060;;\na;99102014*;06;;\n");
    assert_eq!(winner(&ask(&directory, DOG_TAX, "060010001001", DAY)), "a");
    assert_eq!(winner(&ask(&directory, "99102014104000", "060010001001", DAY)), "b");
    assert_eq!(winner(&ask(&directory, DOG_TAX, "060010001", DAY)), "a");
    assert_eq!(winner(&ask(&directory, DOG_TAX, "06001", DAY)), "b");
}

#[test]
fn the_explanation_says_why_the_others_did_not_win() {
    let directory = with(
        "a;99102013104000;060010001001;2027-01-01;\nb;99102013104000;060010001001;;2025-12-31\n\
         a;99102013070000;060010001001;;\nb;99102013*;06001;2026-01-01;2026-12-31\na;99102*;06;;\n",
    );
    let answer = ask(&directory, DOG_TAX, "060010001001", DAY);
    assert_eq!(winner(&answer), "b");
    for line in [
        "Did not win, not valid yet on that day: competences.csv line 2",
        "Did not win, no longer valid on that day: competences.csv line 3",
        "Did not win, another service of the same object: competences.csv line 4",
        "Did not win, a less exact area: competences.csv line 6",
        "Verband 060010001: asked, no competence",
        "Won: competences.csv line 5: b is competent for 99102013* in Kreis 06001 (Kreis) from 2026-01-01 until 2026-12-31.",
    ] {
        assert!(says(&answer.explanation, line), "{line}\n{:#?}", answer.explanation);
    }
    assert_eq!(winner(&ask(&directory, DOG_TAX, "060010001001", "2025-12-31")), "b");
    assert_eq!(winner(&ask(&directory, DOG_TAX, "060010001001", "2027-01-01")), "a");
}

#[test]
fn unknown_keys_are_nobody_with_the_reason() {
    let directory = with("a;99102013*;06;;\n");
    let unknown = ask(&directory, "99102013999000", "060010001001", DAY);
    assert_eq!(unknown.outcome, Outcome::Nobody);
    assert!(says(&unknown.explanation, "not in the catalogue"));
    let nowhere = ask(&directory, DOG_TAX, "070010001001", DAY);
    assert_eq!(nowhere.outcome, Outcome::Nobody);
    assert!(says(&nowhere.explanation, "not in areas.csv"));
}

#[test]
fn explanations_are_bounded() {
    let rows: String =
        (0..90).map(|n| format!("a;99102013104000;060010001001;{0}-01-01;{0}-12-31\n", 1900 + n)).collect();
    let directory = with(&format!("{rows}b;99102*;06;;\n"));
    let answer = ask(&directory, DOG_TAX, "060010001001", DAY);
    assert_eq!(winner(&answer), "b");
    assert_eq!(answer.explanation.len(), MAX_EXPLANATION);
    assert!(says(&answer.explanation, "Won: ") && answer.explanation.last().unwrap().contains("more lines"));
}

fn header(reader: Option<&str>, place: Option<(&str, &str)>) -> Header {
    Header {
        namespace: "urn:x".to_owned(),
        root: "antrag.einreichen.0100".to_owned(),
        standard: "Antrag".to_owned(),
        version: "1.0".to_owned(),
        type_code: "0100".to_owned(),
        uuid: uuid::Uuid::nil(),
        created: "2026-06-01T00:00:00Z".to_owned(),
        author: "por:1".parse().unwrap(),
        reader: reader.map(|reader| reader.parse().unwrap()),
        service: place.map(|(service, _)| service.parse().unwrap()),
        area: place.map(|(_, area)| area.parse().unwrap()),
        date: None,
        test: false,
    }
}

fn refused(directory: &Directory, header: &Header) -> (Code, String, Vec<String>) {
    let refusal = directory.route(header, DAY.parse().unwrap()).unwrap_err();
    (refusal.code, refusal.reason, refusal.explanation)
}

#[test]
fn a_message_goes_by_service_and_area_or_by_its_reader() {
    let directory = with("a;99102013104000;060010001001;;\nc;99102014104000;06;;\n");
    let today = DAY.parse().unwrap();
    let place = Some((DOG_TAX, "060010001001"));
    let (placement, why) = directory.route(&header(None, place), today).unwrap();
    assert_eq!((placement.authority.as_str(), placement.reader.as_str()), ("a", "kop:1"));
    assert!(placement.rule.starts_with("competences.csv line 2: a is competent") && !why.is_empty());
    let (placement, _) = directory.route(&header(Some("psw:1"), place), today).unwrap();
    assert_eq!(placement.reader.as_str(), "psw:1");
    let (placement, _) = directory.route(&header(Some("kop:2"), None), today).unwrap();
    assert_eq!((placement.authority.as_str(), placement.way), ("b", Way::Pull));
    let mut half = header(Some("kop:2"), place);
    half.area = None;
    assert_eq!(directory.route(&half, today).unwrap().0.authority.as_str(), "b");

    let (code, reason, why) = refused(&directory, &header(Some("kop:2"), place));
    assert!(code == Code::ReaderDiffers && reason.contains("name kop:1") && says(&why, "which is b"));
    let (code, _, why) = refused(&directory, &header(Some("kop:9"), place));
    assert!(code == Code::ReaderDiffers && says(&why, "which no authority has"));
    let (code, reason, _) = refused(&directory, &header(Some("kop:9"), None));
    assert!(code == Code::NobodyCompetent && reason.contains("no authority has the identifier kop:9"));
    assert_eq!(refused(&directory, &header(Some("kop:3"), None)).0, Code::NotConnected);
    assert_eq!(refused(&directory, &header(None, None)).0, Code::SchemaInvalid);
    half.reader = None;
    assert_eq!(refused(&directory, &half).0, Code::SchemaInvalid);
    assert_eq!(refused(&directory, &header(None, Some(("99102014104000", "06")))).0, Code::NotConnected);
    assert_eq!(refused(&directory, &header(None, Some((DOG_TAX, "06")))).0, Code::NobodyCompetent);
}

#[test]
fn the_wished_day_counts_before_today() {
    let directory = with("a;99102013104000;06;;2026-05-31\nb;99102013104000;06;2026-06-01;\n");
    let mut header = header(None, Some((DOG_TAX, "06")));
    assert_eq!(directory.route(&header, DAY.parse().unwrap()).unwrap().0.authority.as_str(), "b");
    header.date = Some("2026-05-31".parse().unwrap());
    assert_eq!(directory.route(&header, DAY.parse().unwrap()).unwrap().0.authority.as_str(), "a");
    let gap = directory.expiring("2027-01-01".parse().unwrap());
    assert_eq!(gap, Vec::<String>::new(), "b follows a");
}

#[test]
fn ambiguity_is_a_refusal_that_names_the_authorities() {
    let directory = with("a;99102013104000;06;;\nb;99102013104000;06;2026-01-01;\n");
    let (code, reason, why) = refused(&directory, &header(None, Some((DOG_TAX, "06"))));
    assert!(code == Code::Ambiguous && reason.contains("(a, b)"), "{reason}");
    assert_eq!(why.iter().filter(|line| line.starts_with("One of them")).count(), 2);
    assert!(says(directory.warnings(), "competences.csv:3: b is competent"));
    let directory = with("a;99102013104000;06;;2025-12-31\nb;99102013104000;06;2026-01-01;\n");
    assert!(!says(directory.warnings(), "AW-0203"));
}

/// Not a bound that a busy machine could break, but a figure to look at: `cargo test --release
/// route::tests::asking -- --nocapture`.
#[test]
fn asking_stays_fast_with_many_competences() {
    let mut files = Files::embedded();
    let directory = Directory::parse(&files).unwrap();
    let areas = directory.municipalities(DAY.parse().unwrap());
    let keys: Vec<String> = (0..240).map(|n| format!("99500{n:03}001000")).collect();
    for key in &keys {
        files.services.push_str(&format!("{key};X\n"));
        for (area, _) in &areas {
            files.competences.push_str(&format!("darmstadt;{key};{area};;\n"));
        }
    }
    let started = Instant::now();
    let directory = Directory::parse(&files).unwrap();
    let loaded = started.elapsed();
    assert!(directory.counts().competences > 100_000);
    let queries: Vec<Query> = (0..2_000)
        .map(|n| Query {
            service: keys[n * 11 % keys.len()].parse().unwrap(),
            area: areas[n * 7 % areas.len()].0.clone(),
            date: DAY.parse().unwrap(),
        })
        .collect();
    let batches = queries.chunks(100).map(|batch| {
        let started = Instant::now();
        for query in batch {
            assert!(matches!(directory.ask(query).outcome, Outcome::Connected(_)));
        }
        started.elapsed() / 100
    });
    let best = batches.min().unwrap();
    println!("{} competences: loaded in {loaded:?}, {best:?} a question", directory.counts().competences);
    assert!(best < std::time::Duration::from_millis(1), "{best:?}");
}
