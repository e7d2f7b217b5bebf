//! The kept schemas, by libxml2 as well: where the two differ on whether a schema is valid, the standard's text decides.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use super::kept::inputs;
use super::schema::Parts;
use crate::verify::xsd;

/// What xmllint says of the schema of an input; `None` when it is not here, or gives up within its bounds.
fn xmllint(parts: &Parts<'_>, folder: &Path) -> Option<Result<(), String>> {
    for (name, octets) in &parts.files {
        std::fs::write(folder.join(name), octets).ok()?;
    }
    std::fs::write(folder.join("none.xml"), "<none/>").ok()?;
    let bounded = "ulimit -v 2000000; ulimit -t 10; exec xmllint --nonet --noout --schema main.xsd none.xml";
    let output = Command::new("sh").args(["-c", bounded]).current_dir(folder).output().ok()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // 0: valid; 3 and 4: not valid by a schema that was compiled; 5: the schema was not.
    match output.status.code() {
        Some(0 | 3 | 4) => Some(Ok(())),
        Some(5) => Some(Err(said)),
        _ => None,
    }
}

/// Words of xmllint on a schema that we take, and why we do.
const TAKEN: &[(&str, &str)] = &[];

/// Words of ours on a schema that xmllint takes, and why we don't.
const REFUSED: &[(&str, &str)] = &[];

#[test]
fn agrees_with_libxml2_on_what_a_schema_is() {
    let (mut taken, mut refused, mut given_up) = (0, 0, 0);
    let (mut reasons, mut different) = (BTreeMap::<&str, usize>::new(), Vec::new());
    for (name, octets) in inputs("schema") {
        let parts = Parts::of(&octets);
        let folder = tempfile::tempdir().unwrap();
        let ours = xsd::compile(&parts, &["main.xsd"]).map(drop).map_err(|faults| faults.join("; "));
        let (said, known) = match (ours, xmllint(&parts, folder.path())) {
            (_, None) => {
                given_up += 1;
                continue;
            }
            (Ok(()), Some(Ok(()))) => {
                taken += 1;
                continue;
            }
            (Err(_), Some(Err(_))) => {
                refused += 1;
                continue;
            }
            (Ok(()), Some(Err(theirs))) => (theirs, TAKEN),
            (Err(ours), Some(Ok(()))) => (ours, REFUSED),
        };
        match known.iter().find(|(words, _)| said.contains(words)) {
            Some((_, reason)) => *reasons.entry(reason).or_default() += 1,
            None => different.push(format!("{name}: {said}")),
        }
    }
    println!(
        "{taken} schemas taken by both, {refused} refused by both, {given_up} not told by xmllint; {reasons:#?}"
    );
    assert!(different.is_empty(), "{} differ: {different:#?}", different.len());
}
