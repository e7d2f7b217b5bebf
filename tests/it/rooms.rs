//! The architecture, held by the sources themselves: which room may name what, how large a file
//! may grow, and that ARCHITECTURE.md speaks of what there is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;

/// Lines that a file of `src` may have, its tests aside.
const MOST_LINES: usize = 400;

/// A file of `src` without comments and tests.
struct Source {
    /// Relative to `src`, with `/`.
    path: String,
    code: String,
    /// Lines up to its tests, comments included.
    lines: usize,
}

impl Source {
    /// In the room `room` (`deliver/client`: `deliver/client.rs` and all below `deliver/client/`).
    fn is_in(&self, room: &str) -> bool {
        self.path.strip_prefix(room).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    }

    /// The parts of the code that match.
    fn names(&self, pattern: &str) -> Vec<String> {
        let pattern = Regex::new(pattern).unwrap();
        pattern.find_iter(&self.code).map(|found| format!("{}: {}", self.path, found.as_str())).collect()
    }
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root(path)).unwrap()
}

/// All Rust files below a folder.
fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    rust_files(&root("src"), &mut files);
    let read: Vec<(String, String)> = files
        .iter()
        .map(|file| {
            let path = file.strip_prefix(root("src")).unwrap().to_str().unwrap().replace('\\', "/");
            (path, std::fs::read_to_string(file).unwrap())
        })
        .collect();
    let declared = Regex::new(r"#\[cfg\(test\)\]\s*(?:pub(?:\([a-z]+\))? )?mod (\w+);").unwrap();
    let mut of_tests = Vec::new();
    for (path, text) in &read {
        let room = path.trim_end_matches(".rs");
        of_tests.extend(declared.captures_iter(text).map(|found| format!("{room}/{}", &found[1])));
    }
    let mut sources = Vec::new();
    for (path, text) in read {
        let test =
            |module: &String| path.strip_prefix(module.as_str()).is_some_and(|r| r.starts_with(['.', '/']));
        if of_tests.iter().any(test) {
            continue;
        }
        // Tests stand at the end of their file.
        let own = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let line = |line: &str| match line.trim_start().starts_with("//") {
            true => String::new(),
            false => line.split(" // ").next().unwrap_or_default().to_owned(),
        };
        let code = own.lines().map(line).collect::<Vec<_>>().join("\n");
        sources.push(Source { path, code, lines: own.lines().count() });
    }
    assert!(sources.len() > 100, "the sources were not found");
    sources
}

/// What the sources outside `allowed` name of `pattern`.
fn strangers(pattern: &str, allowed: &[&str]) -> Vec<String> {
    let outside = |source: &Source| !allowed.iter().any(|room| source.is_in(room));
    sources().iter().filter(|source| outside(source)).flat_map(|source| source.names(pattern)).collect()
}

/// What the sources in `room` name of `pattern`.
fn inside(room: &str, pattern: &str) -> Vec<String> {
    let all = sources();
    let mut found = all.iter().filter(|source| source.is_in(room)).peekable();
    assert!(found.peek().is_some(), "there is no room {room}");
    found.flat_map(|source| source.names(pattern)).collect()
}

const NOTHING: [String; 0] = [];

#[test]
fn sled_is_named_in_the_index_alone() {
    assert!(!inside("store/index", r"\bsled::").is_empty(), "the pattern finds nothing at all");
    assert_eq!(strangers(r"\bsled(::|;| as )", &["store/index"]), NOTHING);
}

#[test]
fn transports_stay_in_the_fronts_the_clients_and_the_commands() {
    let transports =
        r"\b(tonic|axum|hyper|hyper_util|hyper_rustls|tokio_rustls|tower|prost)::|\bcrate::proto\b|\bproto::";
    // `http` is not among them: `route/endpoints` reads URLs with it, `deliver/note` header values.
    // `observe/http` makes the router of /metrics and /health, which the operators' front serves.
    let allowed = ["front", "deliver/client", "cli", "proto", "observe/http"];
    assert!(!inside("front", transports).is_empty(), "the pattern finds nothing at all");
    assert_eq!(strangers(transports, &allowed), NOTHING);
}

#[test]
fn the_domain_has_no_input_output_clock_or_chance() {
    let outer = r"\bstd::(fs|net|env|io|process|thread)\b|\btokio\b|\bInstant\b|\brand::|\bTimestamp::now\b|\bUuid::(new|now)_";
    assert_eq!(inside("domain", outer), NOTHING);
    let rooms = r"\bcrate::(antrag|app|backup|cli|config|deliver|front|intake|mailbox|observe|pem|proof|proto|route|store|verify)\b";
    assert_eq!(inside("domain", rooms), NOTHING);
    let clock = r"\bSystemTime::now\b";
    assert_eq!(strangers(clock, &[]), ["domain/time.rs: SystemTime::now"], "one place reads the clock");
}

#[test]
fn rooms_do_not_know_what_they_must_not_know() {
    let inbound = r"\bcrate::front\b";
    let store = r"\bcrate::store\b|\bsuper::store\b";
    let network = r"\b(std|tokio)::net\b";
    for (room, forbidden) in [
        ("deliver/client", store),
        ("deliver", inbound),
        ("verify", store),
        ("verify", network),
        ("verify", inbound),
        ("antrag", store),
        ("antrag", network),
        ("route", store),
        ("route", network),
        ("store", network),
        ("store", inbound),
        ("proof", network),
        ("proof", inbound),
        ("proof", r"\bcrate::(intake|deliver|mailbox)\b"),
        ("backup", network),
        ("backup", inbound),
        ("mailbox", inbound),
        ("intake", inbound),
        ("xta", store),
        ("xta", network),
        ("xta", inbound),
        ("front", r"\bcrate::store::(ledger|index)\b"),
    ] {
        assert_eq!(inside(room, forbidden), NOTHING, "{room}");
    }
}

#[test]
fn only_verify_can_make_a_verified() {
    // A struct expression or pattern needs the fields' names, which are private.
    assert_eq!(strangers(r"\bVerified \{", &["verify"]), NOTHING);
    let verify = read("src/verify.rs");
    let (_, after) = verify.split_once("pub struct Verified {").unwrap();
    let (fields, _) = after.split_once("\n}").unwrap();
    assert!(!fields.contains("pub"), "its fields are private: {fields}");
    let before = verify.split("fn for_tests(").next().unwrap();
    assert!(before.trim_end().ends_with("pub(crate)") && before.contains("#[cfg(test)]\nimpl Verified {"));
    // What the store accepts holds one, and holds the document in no other form.
    let store = read("src/store.rs");
    let (_, after) = store.split_once("pub struct NewMessage {").unwrap();
    let (fields, _) = after.split_once("\n}").unwrap();
    assert!(fields.contains("pub message: Verified,") && !fields.contains("document"), "{fields}");
    assert_eq!(
        inside("store", r"fn accept\(&self, [^)]*\)"),
        [
            "store.rs: fn accept(&self, new: NewMessage)".to_owned(),
            "store/ports.rs: fn accept(&self, new: NewMessage)".to_owned(),
        ]
    );
}

#[test]
fn no_code_is_unsafe_or_prints_past_the_commands() {
    assert_eq!(strangers(r"\bunsafe\b", &[]), NOTHING);
    assert!(read("Cargo.toml").contains("unsafe_code = \"forbid\""));
    assert_eq!(strangers(r"\be?print(ln)?!", &["cli"]), NOTHING);
}

#[test]
fn no_file_grows_too_long() {
    let long: Vec<String> = sources()
        .iter()
        .filter(|source| source.lines > MOST_LINES)
        .map(|source| format!("{} has {} lines, more than {MOST_LINES}: split it", source.path, source.lines))
        .collect();
    assert_eq!(long, NOTHING);
}

/// A section of ARCHITECTURE.md.
fn section(heading: &str) -> String {
    let text = read("ARCHITECTURE.md");
    let (_, after) =
        text.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no {heading:?}"));
    after.split("\n## ").next().unwrap_or_default().to_owned()
}

/// What stands in backticks in the first column of a table.
fn first_column(table: &str) -> BTreeSet<String> {
    let ticks = Regex::new("`([^`]+)`").unwrap();
    let cell = |line: &str| line.strip_prefix('|')?.split('|').next().map(str::to_owned);
    let cells: String = table.lines().filter_map(cell).collect();
    ticks.captures_iter(&cells).map(|found| found[1].to_owned()).collect()
}

#[test]
fn the_code_map_lists_every_room() {
    let listed = first_column(&section("Code map"));
    let declared = Regex::new(r"(?m)^(?:pub )?mod (\w+);").unwrap();
    let lib = read("src/lib.rs");
    let rooms: BTreeSet<String> = declared.captures_iter(&lib).map(|found| found[1].to_owned()).collect();
    let missing: Vec<_> = rooms.difference(&listed).collect();
    assert!(missing.is_empty(), "not in the code map: {missing:?}");
    let gone: Vec<_> = listed.iter().filter(|room| !rooms.contains(*room) && *room != "main").collect();
    assert!(gone.is_empty(), "in the code map, but no room: {gone:?}");
}

#[test]
fn every_invariant_names_tests_that_there_are() {
    let mut files = Vec::new();
    rust_files(&root("src"), &mut files);
    rust_files(&root("tests"), &mut files);
    let all: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let ticks = Regex::new(r"`(?:\w+::)+(\w+)`").unwrap();
    let text = section("Invariants");
    for number in 1..=10 {
        let (_, after) = text.split_once(&format!("\n{number}. ")).unwrap_or_else(|| panic!("no {number}"));
        let invariant = after.split(&format!("\n{}. ", number + 1)).next().unwrap_or_default();
        let tests: Vec<_> = ticks.captures_iter(invariant).map(|found| found[1].to_owned()).collect();
        assert!(!tests.is_empty(), "invariant {number} names no test");
        for test in tests {
            assert!(all.contains(&format!("fn {test}(")), "invariant {number}: there is no test {test}");
        }
    }
}

#[test]
fn every_dependency_is_used_and_has_its_reason() {
    let cargo: toml::Table = read("Cargo.toml").parse().unwrap();
    let listed = first_column(&section("Dependencies, each with its reason"));
    let mut code = String::new();
    let mut files = Vec::new();
    for folder in ["src", "tests", "proto"] {
        rust_files(&root(folder), &mut files);
    }
    for file in files {
        code.push_str(&std::fs::read_to_string(file).unwrap());
    }
    // Named by the code that is made from the protocol, not by ours.
    let generated = ["tonic-prost"];
    let mut there = BTreeSet::new();
    for kind in ["dependencies", "build-dependencies", "dev-dependencies"] {
        for (name, entry) in cargo[kind].as_table().unwrap() {
            let package = entry.get("package").and_then(toml::Value::as_str).unwrap_or(name);
            there.insert(package.to_owned());
            let used = Regex::new(&format!(r"\b{}(::|!|\b as \b|;)", name.replace('-', "_"))).unwrap();
            let used = used.is_match(&code) || generated.contains(&name.as_str());
            assert!(used, "{name} is not used: take it out of Cargo.toml and ARCHITECTURE.md");
        }
    }
    let without: Vec<_> = there.difference(&listed).collect();
    assert!(without.is_empty(), "without a reason in ARCHITECTURE.md: {without:?}");
    let gone: Vec<_> = listed.difference(&there).collect();
    assert!(gone.is_empty(), "ARCHITECTURE.md lists what Cargo.toml has not: {gone:?}");
}
