//! One compiled schema set.

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead, Read};
use std::ops::Range;
use std::sync::Arc;

use fastxml::error::StructuredError;
use fastxml::schema::{Schema, Validator};

use super::codes::Codes;
use super::scan::{DSIG, Extra, Forms, scan};
use super::sources::Sources;
use super::survey::{Survey, always_base64, survey};
use super::words;
use crate::error::{Code, Refusal};

/// `xs:IDREF` values without an `xs:ID` that are let pass in one document.
const MAX_DANGLING: usize = 1_000;

/// A set, compiled once; checks run in parallel.
pub(super) struct Set {
    name: String,
    schema: Arc<Schema>,
    /// Namespaces in which it has root elements.
    namespaces: Vec<String>,
    forms: Forms,
    /// Names of elements that are Base64 wherever they stand.
    base64: HashSet<String>,
    codes: Codes,
    /// Root elements, by namespace and name, whose content may end with a signature.
    signed: HashSet<(String, String)>,
}

impl Set {
    /// Compiles `sources`; all faults that can be found at once.
    pub(super) fn compile(sources: &Sources) -> Result<Self, Vec<String>> {
        let name = &sources.name;
        let (mut faults, mut surveys, mut codes) = (Vec::new(), BTreeMap::new(), Codes::default());
        for (path, octets) in &sources.files {
            if path.ends_with(".xsd") {
                match survey(octets) {
                    Ok(survey) => {
                        surveys.insert(path.as_str(), survey);
                    }
                    Err(fault) => faults.push(format!("{name}: {path}: {fault}")),
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
        let mut builder = Schema::builder();
        for path in &entries {
            let octets = sources.files.get(*path).cloned().unwrap_or_default();
            builder = builder.add(Sources::uri(path), octets);
        }
        let schema = builder.resolve_with(sources).map_err(|e| {
            let missing = sources.missing();
            if missing.is_empty() {
                return vec![format!("{name}: the schemas can't be compiled: {e}")];
            }
            let sentence = |what| {
                format!(
                    "{name}: {what} is neither in the folder nor in catalog.xml; put it there and name it"
                )
            };
            missing.into_iter().map(sentence).collect()
        })?;
        let namespaces = namespaces(&surveys, &entries);
        let signed = signed(&schema, &surveys);
        let forms = forms(&surveys);
        let base64 = always_base64(surveys.values());
        Ok(Self { name: name.clone(), schema: Arc::new(schema), namespaces, forms, base64, codes, signed })
    }

    /// Where it is from.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Namespaces in which it has root elements.
    pub(super) fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.namespaces.iter().map(String::as_str)
    }

    /// Validates a document whose root has `namespace`.
    pub(super) fn check(&self, octets: &[u8], namespace: &str) -> Result<(), Refusal> {
        let text = std::str::from_utf8(octets)
            .map_err(|_| Refusal::new(Code::NotUtf8, "the document is not UTF-8; encode it so"))?;
        // A byte order mark is no part of the document, and the two readers count it differently.
        match text.strip_prefix('\u{feff}') {
            None => self.check_text(text, namespace),
            Some(text) => self.check_text(text, namespace).map_err(|mut refusal| {
                if let Some(location) = &mut refusal.location {
                    location.offset += 3;
                }
                refusal
            }),
        }
    }

    fn check_text(&self, text: &str, namespace: &str) -> Result<(), Refusal> {
        let octets = text.as_bytes();
        let found = scan(text, &Extra { forms: &self.forms, base64: &self.base64, codes: &self.codes })?;
        let signed = self.signed.contains(&(namespace.to_owned(), found.root));
        let mut cuts = found.base64;
        if let Some(signature) = found.signature.filter(|_| !signed) {
            cuts.retain(|cut| cut.end <= signature.start);
            cuts.push(signature);
        }
        let findings = |most| {
            if cuts.is_empty() {
                self.findings(Validator::from(octets), most)
            } else {
                self.findings(Validator::from_reader(Without::new(octets, &cuts)), most)
            }
        };
        // Dangling references come last. They are let pass, so look whether anything stands behind.
        let mut first = findings(1)?;
        if first.first().is_some_and(words::dangling) {
            let all = findings(MAX_DANGLING)?;
            if all.len() < MAX_DANGLING {
                first = all.into_iter().filter(|finding| !words::dangling(finding)).take(1).collect();
            }
        }
        match first.first() {
            Some(finding) => Err(words::refusal(finding, text, &cuts)),
            None => found.code.map_or(Ok(()), Err),
        }
    }

    /// The first `most` faults that the validator finds.
    fn findings(&self, validator: Validator<'_>, most: usize) -> Result<Vec<StructuredError>, Refusal> {
        // With an explicit schema nothing that the document names is looked at.
        let report = validator.schema(self.schema.clone()).max_errors(most).run().map_err(|_| {
            Refusal::new(
                Code::NotWellFormed,
                "the schema validator can't read the document; write plain XML 1.0 without a DTD",
            )
        })?;
        Ok(report.into_entries().into_iter().filter(StructuredError::is_error).collect())
    }
}

/// The document without some of its octets.
struct Without<'d> {
    pieces: std::vec::IntoIter<&'d [u8]>,
    now: &'d [u8],
}

impl<'d> Without<'d> {
    /// `cuts` are in order and do not overlap.
    fn new(octets: &'d [u8], cuts: &[Range<usize>]) -> Self {
        let mut pieces = Vec::with_capacity(cuts.len() + 1);
        let mut from = 0;
        for cut in cuts {
            pieces.push(octets.get(from..cut.start).unwrap_or_default());
            from = cut.end;
        }
        pieces.push(octets.get(from..).unwrap_or_default());
        Self { pieces: pieces.into_iter(), now: &[] }
    }
}

impl Read for Without<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Without<'_> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        while self.now.is_empty()
            && let Some(next) = self.pieces.next()
        {
            self.now = next;
        }
        Ok(self.now)
    }

    fn consume(&mut self, count: usize) {
        self.now = self.now.get(count..).unwrap_or_default();
    }
}

/// The files to begin with: those in the folder itself that no other of them refers to.
fn entries<'f>(surveys: &BTreeMap<&'f str, Survey>, sources: &Sources) -> Vec<&'f str> {
    let top = |path: &str| !path.contains('/');
    let used: HashSet<String> = surveys
        .iter()
        .filter(|(path, _)| top(path))
        .flat_map(|(path, survey)| {
            survey.references.iter().filter_map(|r| sources.resolve(path, r)).filter(move |used| used != path)
        })
        .collect();
    let candidates =
        || surveys.iter().filter(|(path, s)| top(path) && s.namespace.is_some()).map(|(path, _)| *path);
    let first: Vec<_> = candidates().filter(|path| !used.contains(*path)).collect();
    // Files that refer to each other in a circle: begin with all of them.
    if first.is_empty() { candidates().collect() } else { first }
}

fn namespaces(surveys: &BTreeMap<&str, Survey>, entries: &[&str]) -> Vec<String> {
    let mut all: Vec<String> =
        entries.iter().filter_map(|path| surveys.get(path).and_then(|s| s.namespace.clone())).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn signed(schema: &Schema, surveys: &BTreeMap<&str, Survey>) -> HashSet<(String, String)> {
    let mut signed = HashSet::new();
    for survey in surveys.values() {
        let Some(namespace) = &survey.namespace else { continue };
        for root in &survey.globals {
            let model = schema.element_content_automaton(namespace, root);
            if model.is_some_and(|model| model.position_of(Some(DSIG), "Signature").is_some()) {
                signed.insert((namespace.clone(), root.clone()));
            }
        }
    }
    signed
}

/// Which names stand in which namespace.
fn forms(surveys: &BTreeMap<&str, Survey>) -> Forms {
    let mut forms = Forms::default();
    for survey in surveys.values() {
        // A file without a target namespace may give its names to any other: leave the check out.
        let Some(namespace) = &survey.namespace else { return Forms::default() };
        forms.bare.extend(survey.unqualified.iter().cloned());
        let own = forms.own.entry(namespace.clone()).or_default();
        own.extend(survey.globals.iter().chain(&survey.qualified).cloned());
    }
    forms
}
