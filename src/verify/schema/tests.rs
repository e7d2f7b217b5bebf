use std::path::Path;

use super::*;

pub(crate) const NS: &str = "urn:xoev-de:amtsweg:standard:antrag_1.0";

/// A folder of the reference data, where it is here.
pub(crate) fn reference(inside: &str) -> Option<PathBuf> {
    let base = std::env::var_os("AMTSWEG_REFERENCE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/reference"), PathBuf::from);
    let folder = base.join(inside);
    if folder.exists() {
        return Some(folder);
    }
    println!("skipped: {} not found", folder.display());
    None
}

fn built_in() -> Schemas {
    Schemas::load(&[]).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

#[test]
fn built_in_schemas_compile() {
    assert_eq!(built_in().namespaces(), [NS]);
}

#[test]
fn xwasser_takes_its_valid_examples() {
    let Some(folder) = reference("xwasser-1.0.0") else { return };
    let start = std::time::Instant::now();
    let schemas = Schemas::load(std::slice::from_ref(&folder)).unwrap_or_else(|faults| panic!("{faults:#?}"));
    println!("compiled in {:?}", start.elapsed());
    let namespace = "https://gitlab.opencode.de/akdb/xoev/xwasser/-/raw/main/V1_0_0";
    for entry in std::fs::read_dir(folder.join("examples")).unwrap() {
        let path = entry.unwrap().path();
        let result = schemas.check(&std::fs::read(&path).unwrap(), namespace);
        println!("{}: {result:?}", path.display());
        if path.ends_with("monitoring_plan_minimal.xml") {
            let refusal = result.unwrap_err();
            assert_eq!(refusal.code, Code::SchemaInvalid);
            assert!(
                refusal
                    .location
                    .is_some_and(|l| l.line > 0 && l.path.starts_with("/vorgang.transportieren.2010/"))
            );
        } else {
            assert_eq!(result, Ok(()), "{}", path.display());
        }
    }
}

/// The largest resident set since the last reset, in KiB.
#[cfg(target_os = "linux")]
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn zz_measure() {
    let schemas = built_in();
    let author = crate::antrag::samples::portal("a:b").unwrap();
    let pairs = crate::antrag::samples::pairs();
    let base =
        crate::antrag::samples::applications(1, &author, &pairs, crate::domain::Timestamp(0)).remove(0);
    let with = |content| {
        let mut a = base.clone();
        a.content = content;
        a.to_xml().unwrap()
    };
    use crate::antrag::Content;
    let small = "<b c=\"1\">x</b>".repeat(700_000);
    let docs = [
        (
            "base64 10 MB",
            with(Content::Binary { media_type: "a/b".into(), octets: vec![7_u8; 7_500_000].into() }),
        ),
        ("small 10 MB", with(Content::Element(format!("<a xmlns=\"urn:a\">{small}</a>")))),
        ("text 10 MB", with(Content::Element(format!("<a xmlns=\"urn:a\">{}</a>", "x".repeat(10_000_000))))),
        ("anlagen 10 MB", {
            let xml = String::from_utf8(base.to_xml().unwrap()).unwrap();
            let a = xml.find("<antrag:anlage>").unwrap();
            let e = xml.find("</antrag:anlage>").unwrap() + "</antrag:anlage>".len();
            let one = xml[a..e].to_owned();
            format!("{}{}{}", &xml[..a], one.repeat(10_000_000 / one.len()), &xml[e..]).into_bytes()
        }),
        (
            "crlf 10 MB",
            with(Content::Element(format!("<a xmlns=\"urn:a\">{}</a>", "x\r\n".repeat(3_300_000)))),
        ),
    ];
    for (name, doc) in &docs {
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let before = peak();
        let start = std::time::Instant::now();
        let r = schemas.check(doc, NS);
        println!(
            "{name}: {} KiB document, +{} KiB, {:?} {r:?}",
            doc.len() / 1024,
            peak() - before,
            start.elapsed()
        );
    }
}
