//! One compiled schema set.

use std::collections::{BTreeMap, HashSet};

use super::codes::Codes;
use super::listing::Listing;
use super::sources::Sources;
use crate::error::Refusal;
use crate::verify::xsd::{self, Files, Run, Schema};
use crate::verify::{Document, Limits, Node, Walk};

/// What [`Set::check`] asks of a document by itself. The gateway's own limits, mostly stricter, have been kept before.
const LIMITS: Limits = Limits {
    octets: usize::MAX,
    depth: 1_000,
    attributes: 100_000,
    name: 64 << 10,
    namespaces: 1_000,
    elements: usize::MAX,
    text: usize::MAX,
    attachments: 0,
};

/// The check of one document against a set, fed with its nodes while it passes by. After the first fault it looks no further.
pub(crate) struct Check<'s, 'd> {
    run: Run<'s, 'd>,
    listing: Listing<'s>,
    fault: Option<Refusal>,
}

impl<'d> Check<'_, 'd> {
    /// Takes the next node.
    #[inline]
    pub(crate) fn node(&mut self, walk: &Walk<'d>, node: Node) {
        if self.fault.is_some() {
            return;
        }
        match self.run.node(walk, node) {
            Ok(()) => self.listing.node(walk, node),
            Err(refusal) => self.fault = Some(refusal),
        }
    }

    /// The verdict, after the last node.
    ///
    /// # Errors
    /// AW-0111 and AW-0103 as [`Run::node`]; in a valid document AW-0112 for the first code that is not in its list.
    pub(crate) fn finish(self) -> Result<(), Refusal> {
        match self.fault {
            Some(refusal) => Err(refusal),
            None => self.listing.finish(),
        }
    }
}

/// A set, compiled once; checks run in parallel.
pub(super) struct Set {
    name: String,
    schema: Schema,
    /// Namespaces in which it has root elements.
    namespaces: Vec<String>,
    codes: Codes,
}

/// What a file declares and refers to.
type Surveys<'f> = BTreeMap<&'f str, (Option<String>, Vec<String>)>;

impl Set {
    /// Compiles `sources`; all faults that can be found at once.
    pub(super) fn compile(sources: &Sources) -> Result<Self, Vec<String>> {
        let name = &sources.name;
        let (mut faults, mut surveys, mut codes) = (Vec::new(), Surveys::new(), Codes::default());
        for (path, octets) in &sources.files {
            if path.ends_with(".xsd") {
                match xsd::survey(path, octets) {
                    Ok(survey) => {
                        surveys.insert(path.as_str(), survey);
                    }
                    Err(fault) => faults.push(format!("{name}: {fault}")),
                }
            } else if let Err(fault) = codes.add(octets) {
                faults.push(format!("{name}: {path}: {fault}"));
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let entries = entries(&surveys, sources);
        if entries.is_empty() {
            return Err(vec![format!("{name}: there is no .xsd file with a target namespace in the folder")]);
        }
        let schema = xsd::compile(sources, &entries).map_err(|faults| {
            faults.into_iter().map(|fault| format!("{name}: {fault}")).collect::<Vec<_>>()
        })?;
        let namespaces = namespaces(&surveys, &entries);
        Ok(Self { name: name.clone(), schema, namespaces, codes })
    }

    /// Where it is from.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Namespaces in which it has root elements.
    pub(super) fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.namespaces.iter().map(String::as_str)
    }

    /// The check of a document, before its first node.
    pub(super) fn begin<'d>(&self) -> Check<'_, 'd> {
        Check { run: Run::new(&self.schema), listing: Listing::new(&self.codes), fault: None }
    }

    /// Validates a document by itself.
    pub(super) fn check(&self, octets: &[u8]) -> Result<(), Refusal> {
        let mut walk = Walk::new(Document::check(octets, &LIMITS)?, &LIMITS)?;
        let mut check = self.begin();
        loop {
            match walk.step()? {
                Node::Eof => return check.finish(),
                node => check.node(&walk, node),
            }
            if check.fault.is_some() {
                return check.finish();
            }
        }
    }
}

/// The files to begin with: those in the folder itself that no other of them refers to.
fn entries<'f>(surveys: &Surveys<'f>, sources: &Sources) -> Vec<&'f str> {
    let top = |path: &str| !path.contains('/');
    let used: HashSet<String> = surveys
        .iter()
        .filter(|(path, _)| top(path))
        .flat_map(|(path, (_, references))| {
            references.iter().filter_map(|r| sources.resolve(path, r)).filter(move |used| used != path)
        })
        .collect();
    let candidates =
        || surveys.iter().filter(|(path, (ns, _))| top(path) && ns.is_some()).map(|(path, _)| *path);
    let first: Vec<_> = candidates().filter(|path| !used.contains(*path)).collect();
    // Files that refer to each other in a circle: begin with all of them.
    if first.is_empty() { candidates().collect() } else { first }
}

fn namespaces(surveys: &Surveys<'_>, entries: &[&str]) -> Vec<String> {
    let mut all: Vec<String> =
        entries.iter().filter_map(|path| surveys.get(path).and_then(|(ns, _)| ns.clone())).collect();
    all.sort_unstable();
    all.dedup();
    all
}
