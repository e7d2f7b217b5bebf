//! Every code has its page.

use std::path::Path;

use amtsweg::error::Code;

const HEADINGS: [&str; 4] =
    ["## What it means", "## What the sender does", "## What the operator does", "## Example"];

#[test]
fn every_code_has_a_page_that_explains_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/errors");
    let mut faults = Vec::new();
    for code in Code::ALL {
        let path = folder.join(format!("{code}.md"));
        let Ok(page) = std::fs::read_to_string(&path) else {
            faults.push(format!("{code} has no page at {}", path.display()));
            continue;
        };
        if !page.starts_with(&format!("# {code} — ")) {
            faults.push(format!("{code}: the page does not begin with its code and title"));
        }
        let mut rest = page.as_str();
        for heading in HEADINGS {
            let Some((_, after)) = rest.split_once(&format!("\n{heading}\n")) else {
                faults.push(format!("{code}: {heading:?} is missing or misplaced"));
                break;
            };
            let text = after.split("\n## ").next().unwrap_or_default().trim();
            if text.len() < 10 {
                faults.push(format!("{code}: nothing stands under {heading:?}"));
            }
            rest = after;
        }
        if !rest.contains(code.as_str()) {
            faults.push(format!("{code}: its example does not show the code"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn no_page_is_left_over() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/errors");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let known = Code::ALL.iter().any(|code| name == format!("{code}.md"));
        assert!(known || name == "README.md", "{name} belongs to no code");
    }
}
