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
