//! Invariant 10: what a check costs in memory. Each case runs in a process of its own, so that
//! neither other tests nor memory kept by the allocator blur the peak.

#![cfg(target_os = "linux")]

use super::tests::NS;
use super::*;
use crate::antrag::{Application, Content, samples};
use crate::verify::tests::alone;

const CASE: &str = "AMTSWEG_MEMORY_CASE";
const CASES: &[&str] = &[
    "base64",
    "bad base64",
    "elements",
    "foreign text",
    "crlf",
    "attachments",
    "long name",
    "faults",
    "xsi",
];
const SIZE: usize = 10_000_000;

/// The largest resident set since the last reset, in KiB.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Forgets the peak so far. The resident set now, in KiB.
fn reset() -> usize {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    peak()
}

fn document(case: &str) -> String {
    let author = samples::portal("a:b").unwrap();
    let base = samples::applications(1, &author, &samples::pairs(), crate::domain::Timestamp(0)).remove(0);
    let xml = |application: &Application| String::from_utf8(application.to_xml().unwrap()).unwrap();
    let with = |content: Content| xml(&Application { content, ..base.clone() });
    let foreign = |inside: String| with(Content::Element(format!("<a xmlns=\"urn:a\">{inside}</a>")));
    let base64 = || {
        let octets = vec![7; SIZE / 4 * 3].into();
        with(Content::Binary { media_type: "a/b".to_owned(), octets })
    };
    let plain = xml(&base);
    match case {
        "base64" => base64(),
        "bad base64" => base64().replace("</antrag:inhalt>", "=A</antrag:inhalt>"),
        "elements" => foreign("<b c=\"1\">x</b>".repeat(SIZE / 14)),
        "foreign text" => foreign("x".repeat(SIZE)),
        "crlf" => foreign("x\r\n".repeat(SIZE / 3)),
        "attachments" => {
            let from = plain.find("<antrag:anlage>").unwrap();
            let to = plain.find("</antrag:anlage>").unwrap() + "</antrag:anlage>".len();
            plain.replacen("<antrag:anlage>", &format!("{}<antrag:anlage>", plain[from..to].repeat(SIZE / (to - from))), 1)
        }
        "long name" => plain.replacen("<name>", &format!("<name>{}", "ä".repeat(SIZE / 2)), 1),
        "faults" => plain.replacen("<antrag:anlage>", &format!("{}<antrag:anlage>", "<antrag:falsch/>".repeat(SIZE / 16)), 1),
        "xsi" => plain.replacen(
            "<antrag:anlage>",
            &format!(
                "<antrag:anlage xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:schemaLocation=\"{}\">",
                "x ".repeat(400_000)
            ),
            1,
        ),
        other => panic!("no case {other}"),
    }
}

#[test]
fn one_case() {
    let Ok(case) = std::env::var(CASE) else { return };
    let schemas = Schemas::load(&[]).unwrap();
    let document = document(&case);
    let before = reset();
    let start = std::time::Instant::now();
    let verdict = schemas.check(document.as_bytes(), NS).map_err(|refusal| (refusal.code, refusal.location));
    let (size, grown) = (document.len() / 1024, peak().saturating_sub(before));
    println!("{case}: {size} KiB, +{grown} KiB, {:?}, {verdict:?}", start.elapsed());
    // The document itself is one of the four.
    assert!(grown <= 3 * size + 8 * 1024, "{case}: {grown} KiB more for {size} KiB");
}

#[test]
fn costs_at_most_three_times_the_document_more() {
    for case in CASES {
        println!("{}", alone("verify::schema::memory::one_case", CASE, case));
    }
}
