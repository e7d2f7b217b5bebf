//! xmllint's verdicts on many texts, beside ours. Where they differ, the standard's text decides.

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use super::*;

/// Texts that are given to every built-in type.
const TEXTS: &[&str] = &[
    "",
    " ",
    "a",
    "A1",
    "1a",
    "a:b",
    ":a",
    "a:",
    "p:a",
    "q:a",
    "-a",
    ".a",
    "a b",
    " a ",
    "a\tb",
    "de",
    "de-DE",
    "de_DE",
    "abcdefghi",
    "0",
    "-0",
    "+0",
    "1",
    "-1",
    "+1",
    "01",
    "1.",
    ".1",
    "1.0",
    "1.5",
    "-.5",
    ".",
    "+",
    "-",
    "1,5",
    "1e3",
    "1E-3",
    "1e",
    "e3",
    "1e1.5",
    "INF",
    "-INF",
    "+INF",
    "NaN",
    "nan",
    "inf",
    "127",
    "128",
    "-128",
    "-129",
    "255",
    "256",
    "32767",
    "32768",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "-2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "true",
    "false",
    "TRUE",
    "2026-05-31",
    "2026-02-29",
    "2024-02-29",
    "1900-02-29",
    "2026-13-01",
    "2026-00-10",
    "2026-05-00",
    "-2026-05-31",
    "12026-05-31",
    "02026-05-31",
    "0000-05-31",
    "2026-05-31Z",
    "2026-05-31+02:00",
    "2026-05-31+14:00",
    "2026-05-31+14:01",
    "2026-05-31+15:00",
    "2026-5-31",
    "26-05-31",
    "2026-05-31T12:00:00",
    "2026-05-31T12:00:00Z",
    "2026-05-31T12:00:00.123",
    "2026-05-31T12:00:00.",
    "2026-05-31T12:00",
    "2026-05-31T25:00:00",
    "2026-05-31T12:60:00",
    "2026-05-31T12:00:60",
    "2026-05-31t12:00:00",
    "12:00:00",
    "12:00:00Z",
    "12:00:00-05:00",
    "12:00",
    "1:00:00",
    "23:59:59.999",
    "2026-05",
    "2026-13",
    "2026-05Z",
    "2026",
    "226",
    "-2026",
    "2026Z",
    "0000",
    "--05-31",
    "--02-29",
    "--02-30",
    "--13-01",
    "--05-31Z",
    "---31",
    "---32",
    "---00",
    "---01Z",
    "--05",
    "--13",
    "--00",
    "--05Z",
    "P1Y",
    "P1M",
    "P1D",
    "PT1H",
    "PT1M",
    "PT1S",
    "PT1.5S",
    "P",
    "PT",
    "P1YT",
    "-P1Y",
    "+P1Y",
    "P1Y2M3DT4H5M6S",
    "P1S",
    "P1M1Y",
    "P-1Y",
    "P1.5Y",
    "PT.5S",
    "PT1.S",
    "00",
    "0f",
    "0F",
    "f",
    "0g",
    "0 0",
    "AAAA",
    "AAA=",
    "AA==",
    "AA=",
    "A===",
    "AAAA AAAA",
    "A A A A",
    "AAA",
    "AB==",
    "http://example.org/",
    "http://[::1]/",
    "%zz",
    "%20",
    "a#b#c",
    "#f",
    "../x",
    "urn:a:b",
    "ä",
    "größe",
    "a·b",
    "\u{30A2}",
    "a;b",
];

/// Types, the texts on which xmllint's verdict is not the standard's, and why.
type Decided = (&'static [&'static str], fn(&str) -> bool, &'static str);

const DECIDED: &[Decided] = &[
    (
        &["float", "double"],
        |text| text == "1e",
        "part 2, 3.2.4.1: an exponent is an integer, which has digits",
    ),
    (
        &["duration"],
        |text| matches!(text, "PT.5S" | "PT1.S"),
        "part 2, 3.2.6.1: digits stand on both sides of the point",
    ),
    (
        &["date"],
        |text| matches!(text, "2026-05-31+02:00" | "2026-05-31+14:00"),
        "part 2, 3.2.7.4: it can't be compared with the bound 2026-05-31, so it is out of bounds",
    ),
    (
        &["time"],
        |text| text == "12:00:00-05:00",
        "part 2, 3.2.8: the same; 17:00:00Z can't be compared with the bound 12:00:00",
    ),
    (
        &["base64Binary"],
        |text| text.contains(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '/' | '=' | ' ')),
        "part 2, 3.2.16: the grammar has no other characters; xmllint skips them",
    ),
    (
        &["anyURI"],
        |text| text == "a:",
        "RFC 2396, section 3: something follows a scheme; RFC 3986 came later",
    ),
    (
        &["NMTOKENS"],
        |text| text.trim().is_empty(),
        "part 2, 3.3.5: at least one item; xmllint forgets it when restricted",
    ),
    (
        &["unsignedLong", "unsignedInt", "unsignedShort", "unsignedByte"],
        |text| text.starts_with(['+', '-']),
        "part 2, 3.3.21 to 3.3.24: restrictions of nonNegativeInteger by a bound alone, which has a sign",
    ),
];

fn is_decided(name: &str, text: &str) -> bool {
    DECIDED.iter().any(|(types, texts, _)| types.contains(&name) && texts(text))
}

/// The texts for a type. Two elements can't have the same ID, and numbers beyond 64 bits end xmllint's check of years.
fn texts(name: &str) -> Vec<&'static str> {
    let fits = |text: &&str| match name {
        "ID" => text.trim() == *text,
        "gYear" => text.len() < 19,
        _ => true,
    };
    TEXTS.iter().copied().filter(fits).collect()
}

/// The names of the built-in types that an element can have.
fn types() -> impl Iterator<Item = &'static str> {
    let excluded = ["anySimpleType", "NOTATION", "ENTITY", "ENTITIES", "IDREF", "IDREFS"];
    Builtin::ALL.iter().map(|builtin| builtin.name()).filter(move |name| !excluded.contains(name))
}

/// The lines at which xmllint finds a fault; `None` where it can't be started.
fn faulty_lines(schema: &str, instance: &str) -> Option<Vec<usize>> {
    let folder = tempfile::tempdir().unwrap();
    let (xsd, xml) = (folder.path().join("s.xsd"), folder.path().join("i.xml"));
    std::fs::write(&xsd, schema).unwrap();
    std::fs::write(&xml, instance).unwrap();
    let mut command = Command::new("xmllint");
    command.args(["--noout", "--schema"]).arg(&xsd).arg(&xml).stdin(Stdio::null());
    let output = command.output().ok()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(matches!(output.status.code(), Some(0 | 3)), "{said}");
    let line = |said: &str| said.split("i.xml:").nth(1)?.split(':').next()?.parse().ok();
    Some(said.lines().filter(|said| said.contains("Schemas validity error")).filter_map(line).collect())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('\t', "&#9;")
}

/// The texts that xmllint takes otherwise than we do, and its verdict.
fn differences(definition: &str, simple: &SimpleType, texts: &[&str]) -> Option<Vec<(String, bool)>> {
    let schema = format!(
        "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'><xs:element name='r'><xs:complexType>\
         <xs:sequence><xs:element name='e' maxOccurs='unbounded'>{definition}</xs:element></xs:sequence>\
         </xs:complexType></xs:element></xs:schema>"
    );
    let mut instance = String::from("<r xmlns:p='urn:p'>\n");
    for text in texts {
        writeln!(instance, "<e>{}</e>", escaped(text)).unwrap();
    }
    instance.push_str("</r>");
    let faulty = faulty_lines(&schema, &instance)?;
    let verdicts = texts.iter().enumerate().map(|(line, text)| (*text, !faulty.contains(&(line + 2))));
    Some(
        verdicts
            .filter(|(text, theirs)| accepts(simple, text) != *theirs)
            .map(|(text, theirs)| (text.to_owned(), theirs))
            .collect(),
    )
}

#[test]
fn agrees_with_xmllint_on_built_in_types() {
    let mut unexplained = Vec::new();
    for name in types() {
        let definition = format!("<xs:simpleType><xs:restriction base='xs:{name}'/></xs:simpleType>");
        let simple = derived(&of(name), &[]);
        let Some(found) = differences(&definition, &simple, &texts(name)) else {
            println!("skipped: xmllint can't be started");
            return;
        };
        for (text, theirs) in found {
            if !is_decided(name, &text) {
                unexplained.push(format!("{name} {text:?}: xmllint {theirs}"));
            }
        }
    }
    assert!(unexplained.is_empty(), "{}", unexplained.join("\n"));
}

#[test]
fn agrees_with_xmllint_on_facets() {
    use Facet::*;
    let cases: &[(&str, &[(Facet, &str)])] = &[
        ("string", &[(Length, "3")]),
        ("string", &[(MinLength, "1"), (MaxLength, "4")]),
        ("token", &[(Pattern, "[a-z]{1,3}"), (Pattern, "[0-9]+(\\.[0-9]+)?")]),
        ("token", &[(Pattern, "\\i\\c*")]),
        ("string", &[(Pattern, "[^a-c-[b]]*")]),
        ("string", &[(Pattern, "\\p{Lu}?\\p{Ll}*")]),
        ("string", &[(Pattern, "(a|b|1)*:?(b|5)*")]),
        ("decimal", &[(TotalDigits, "3"), (FractionDigits, "1")]),
        ("decimal", &[(MinInclusive, "0"), (MaxExclusive, "128")]),
        ("integer", &[(MinExclusive, "-1"), (MaxInclusive, "255")]),
        ("decimal", &[(Enumeration, "1.0"), (Enumeration, "0")]),
        ("float", &[(MinExclusive, "1"), (MaxInclusive, "1000")]),
        ("date", &[(MinInclusive, "2024-03-01"), (MaxExclusive, "2026-05-31")]),
        ("dateTime", &[(MaxInclusive, "2026-05-31T12:00:00Z")]),
        ("gYear", &[(MinInclusive, "2000")]),
        ("time", &[(MinExclusive, "12:00:00")]),
        ("hexBinary", &[(Length, "1")]),
        ("base64Binary", &[(MaxLength, "2")]),
        ("anyURI", &[(MaxLength, "5")]),
        ("boolean", &[(Pattern, "true|false")]),
        ("NMTOKEN", &[(Enumeration, "a"), (Enumeration, "1")]),
    ];
    let mut open = String::new();
    for (base, facets) in cases {
        let mut definition = format!("<xs:simpleType><xs:restriction base='xs:{base}'>");
        for (facet, value) in *facets {
            write!(definition, "<xs:{} value='{}'/>", facet.name(), escaped(value)).unwrap();
        }
        definition.push_str("</xs:restriction></xs:simpleType>");
        let Some(found) = differences(&definition, &derived(&of(base), facets), &texts(base)) else {
            println!("skipped: xmllint can't be started");
            return;
        };
        for (text, theirs) in found.into_iter().filter(|(text, _)| !is_decided(base, text)) {
            writeln!(open, "{base} {facets:?} {text:?}: xmllint {theirs}").unwrap();
        }
    }
    assert!(open.is_empty(), "{open}");
}
