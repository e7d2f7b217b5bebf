//! The W3C's test suite for XML Schema (https://github.com/w3c/xsdtests), where `AMTSWEG_XSTS` names a folder that holds
//! it. Nothing of it is part of the project. Counted are tests of documents whose schema is valid, for XML Schema 1.0.
//! What a document names in `xsi:schemaLocation`, which the gateway never looks at, is part of a test's schema here.
//! A document that the gateway does not read at all (with a DTD, not UTF-8, XML 1.1) is left out and counted apart.
//! Namespaces that are no absolute URIs, which the gateway refuses before any schema, are made such here.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use quick_xml::events::{BytesStart, Event};
use regex::Regex;

use super::*;

struct Test {
    name: String,
    schemas: Vec<PathBuf>,
    /// Documents and whether they are valid.
    documents: Vec<(PathBuf, bool)>,
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    element.try_get_attribute(name).unwrap().map(|found| found.value.into_owned())
}

fn for_1_0(element: &BytesStart<'_>) -> bool {
    attribute(element, "version")
        .is_none_or(|versions| versions.split(' ').any(|version| version.starts_with("1.0")))
}

/// The tests of one set.
fn tests(path: &Path) -> Vec<Test> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut reader = quick_xml::Reader::from_str(&text);
    reader.config_mut().expand_empty_elements = true;
    let folder = path.parent().unwrap();
    let mut all = Vec::new();
    let (mut test, mut skip, mut documents) = (None::<Test>, 0, Vec::new());
    let (mut in_schema, mut counts, mut schema_valid) = (false, true, false);
    loop {
        match reader.read_event().unwrap() {
            Event::Start(element) => {
                let local = element.local_name().as_ref().to_owned();
                if skip > 0
                    || ["testSet", "testGroup", "schemaTest", "instanceTest"].contains(&local.as_str())
                        && !for_1_0(&element)
                {
                    skip += 1;
                    continue;
                }
                match local.as_str() {
                    "testGroup" => {
                        let name = attribute(&element, "name").unwrap_or_default();
                        test = Some(Test { name, schemas: Vec::new(), documents: Vec::new() });
                        schema_valid = false;
                    }
                    "schemaTest" | "instanceTest" => {
                        in_schema = local == "schemaTest";
                        (counts, documents) = (true, Vec::new());
                    }
                    "schemaDocument" | "instanceDocument" => {
                        documents.push(folder.join(attribute(&element, "xlink:href").unwrap()));
                    }
                    "expected" if for_1_0(&element) && counts => {
                        let valid = match attribute(&element, "validity").as_deref() {
                            Some("valid") => true,
                            Some("invalid") => false,
                            _ => continue,
                        };
                        counts = false;
                        let Some(test) = &mut test else { continue };
                        if in_schema {
                            schema_valid = valid;
                            test.schemas.append(&mut documents);
                        } else {
                            test.documents.extend(documents.drain(..).map(|document| (document, valid)));
                        }
                    }
                    _ => {}
                }
            }
            Event::End(_) if skip > 0 => skip -= 1,
            Event::End(element) if element.local_name().as_ref() == "testGroup" => {
                all.extend(test.take().filter(|test| schema_valid && !test.documents.is_empty()));
            }
            Event::Eof => return all,
            _ => {}
        }
    }
}

/// Makes namespaces absolute.
fn absolute(text: &str) -> String {
    let names =
        Regex::new(r#"(xmlns(?::[\w.-]+)?|targetNamespace|namespace|noNamespace)(\s*=\s*)("[^"]*"|'[^']*')"#)
            .unwrap();
    let replaced = names.replace_all(text, |found: &regex::Captures<'_>| {
        let quote = &found[3][..1];
        let value = &found[3][1..found[3].len() - 1];
        let words =
            value.split_ascii_whitespace().map(|word| match word.contains(':') || word.starts_with("##") {
                true => word.to_owned(),
                false => format!("urn:relative:{}", word.trim_start_matches('/')),
            });
        format!("{}{}{quote}{}{quote}", &found[1], &found[2], words.collect::<Vec<_>>().join(" "))
    });
    replaced.into_owned()
}

/// The text of a file in UTF-8, as far as it is one.
fn text(path: &Path) -> Option<String> {
    let octets = std::fs::read(path).ok()?;
    String::from_utf8(octets).ok().map(|text| absolute(&text))
}

/// Files on disk, read as they are asked for.
struct Disk(Mutex<HashMap<String, &'static [u8]>>);

impl Files for Disk {
    fn resolve(&self, from: &str, reference: &str) -> Option<String> {
        let path = Path::new(from).parent()?.join(reference).canonicalize().ok()?;
        path.to_str().map(str::to_owned)
    }

    fn octets(&self, path: &str) -> Option<&[u8]> {
        let mut known = self.0.lock().unwrap();
        if let Some(known) = known.get(path) {
            return Some(known);
        }
        let read: &'static [u8] = Vec::leak(text(Path::new(path))?.into_bytes());
        known.insert(path.to_owned(), read);
        Some(read)
    }
}

/// The schema documents that a document names beside those of its test.
fn hints(path: &Path, text: &str, known: &[String]) -> Vec<String> {
    let hint = Regex::new(r#"[sS]chemaLocation\s*=\s*["']([^"']*)["']"#).unwrap();
    let words = hint
        .captures_iter(text)
        .flat_map(|found| found[1].split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>());
    let mut all: Vec<String> = words
        .filter_map(|word| Some(path.parent()?.join(word).canonicalize().ok()?.to_str()?.to_owned()))
        .filter(|path| !known.contains(path) && Path::new(path).is_file())
        .collect();
    all.dedup();
    all
}

#[derive(Default)]
struct Count {
    right: usize,
    all: usize,
}

impl Count {
    fn add(&mut self, right: bool) {
        self.right += usize::from(right);
        self.all += 1;
    }
}

#[test]
fn the_suite_of_the_w3c() {
    let Some(base) = std::env::var_os("AMTSWEG_XSTS").map(PathBuf::from) else {
        println!("skipped: AMTSWEG_XSTS names no folder with the W3C's tests");
        return;
    };
    let show = std::env::var_os("AMTSWEG_XSTS_SHOW").is_some();
    let mut sets = Vec::new();
    for folder in std::fs::read_dir(&base)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with("Meta"))
    {
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        sets.extend(files.filter(|path| path.extension().is_some_and(|e| e == "testSet" || e == "xml")));
    }
    sets.sort();
    let (mut valid, mut invalid, mut unread, mut refused, mut schemas) =
        (Count::default(), Count::default(), 0, 0, 0);
    for set in sets {
        let before = (valid.right, valid.all, invalid.right, invalid.all);
        for test in tests(&set) {
            schemas += 1;
            let paths: Vec<String> = test
                .schemas
                .iter()
                .filter_map(|path| Some(path.canonicalize().ok()?.to_str()?.to_owned()))
                .collect();
            let entries: Vec<&str> = paths.iter().map(String::as_str).collect();
            let schema = compile(&Disk(Mutex::default()), &entries);
            if let Err(faults) = &schema {
                refused += 1;
                if show {
                    println!("SCHEMA {}: {faults:?}", test.name);
                }
            }
            for (path, expected) in &test.documents {
                let Some(document) = text(path) else {
                    unread += 1;
                    continue;
                };
                let more = hints(path, &document, &paths);
                let whole: Vec<&str> = paths.iter().chain(&more).map(String::as_str).collect();
                let with =
                    (!more.is_empty()).then(|| compile(&Disk(Mutex::default()), &whole)).and_then(Result::ok);
                let verdict = match with.as_ref().map_or(schema.as_ref(), Ok) {
                    Ok(schema) => {
                        check(schema, document.as_bytes()).map_err(|refusal| (refusal.code, refusal.reason))
                    }
                    // A schema that is not taken decides nothing: wrong either way.
                    Err(_) => {
                        let count = if *expected { &mut valid } else { &mut invalid };
                        count.add(false);
                        continue;
                    }
                };
                if let Err((code, _)) = &verdict
                    && *expected
                    && *code != crate::error::Code::SchemaInvalid
                {
                    unread += 1;
                    continue;
                }
                let right = verdict.is_ok() == *expected;
                let count = if *expected { &mut valid } else { &mut invalid };
                count.add(right);
                if show && !right {
                    println!("{} {} {expected}: {verdict:?}", test.name, path.display());
                }
            }
        }
        let now = (valid.right, valid.all, invalid.right, invalid.all);
        println!(
            "{}: valid {} of {}, invalid {} of {}",
            set.file_name().unwrap().display(),
            now.0 - before.0,
            now.1 - before.1,
            now.2 - before.2,
            now.3 - before.3
        );
    }
    let share = |count: &Count| count.right as f64 * 100.0 / count.all.max(1) as f64;
    println!(
        "{schemas} schemas, {refused} refused; valid: {} of {} accepted ({:.2} %); invalid: {} of {} refused ({:.2} %); {unread} left out",
        valid.right,
        valid.all,
        share(&valid),
        invalid.right,
        invalid.all,
        share(&invalid)
    );
    assert!(share(&valid) >= 97.0 && share(&invalid) >= 97.0);
}
