//! Reads header rules from TOML and compiles them; all faults at once.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;

use super::{Field, Node, Rule};

/// Steps in one path.
const MAX_STEPS: usize = 16;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    standard: Vec<Standard>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Standard {
    namespace: String,
    roots: String,
    name: Option<String>,
    #[serde(default)]
    versions: Vec<String>,
    type_code: TypeCode,
    address: Address,
    paths: Paths,
    attachments: Option<Attachments>,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum TypeCode {
    Root,
    Free,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Address {
    Reader,
    ReaderOrService,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Paths {
    standard: Option<String>,
    version: Option<String>,
    test: Option<String>,
    uuid: String,
    r#type: String,
    created: String,
    author: String,
    reader: Option<String>,
    service: Option<String>,
    area: Option<String>,
    date: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attachments {
    roots: Option<String>,
    path: String,
    name: String,
    media_type: String,
    size: String,
    sha256: String,
}

/// The rules of a TOML text.
pub(super) fn compile(toml: &str) -> Result<Vec<Rule>, Vec<String>> {
    let file: File = toml::from_str(toml).map_err(|e| vec![e.to_string().trim_end().to_owned()])?;
    let (mut rules, mut faults, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for standard in file.standard {
        if !seen.insert(standard.namespace.clone()) {
            faults.push(format!("{}: this namespace has two rules; keep one", standard.namespace));
        }
        let namespace = standard.namespace.clone();
        match one(standard) {
            Ok(rule) => rules.push(rule),
            Err(more) => faults.extend(more.into_iter().map(|fault| format!("{namespace}: {fault}"))),
        }
    }
    if faults.is_empty() { Ok(rules) } else { Err(faults) }
}

fn one(standard: Standard) -> Result<Rule, Vec<String>> {
    let mut faults = Vec::new();
    let namespace = standard.namespace;
    if namespace.is_empty() {
        faults.push("namespace is empty; write the namespace of the root elements".to_owned());
    }
    let roots = anchored("roots", &standard.roots, &mut faults);
    if standard.type_code == TypeCode::Root && roots.as_ref().is_some_and(|r| r.captures_len() < 2) {
        faults
            .push("type_code = \"root\" needs a group in roots that catches the message's number".to_owned());
    }
    let paths = standard.paths;
    if standard.name.is_some() != paths.standard.is_some() {
        faults.push("name and paths.standard belong together; write both or leave both out".to_owned());
    }
    if standard.versions.is_empty() == paths.version.is_some() {
        faults.push("versions and paths.version belong together; write both or leave both out".to_owned());
    }
    if paths.service.is_some() != paths.area.is_some() {
        faults.push("paths.service and paths.area belong together; write both or leave both out".to_owned());
    }
    let reader_required = standard.address == Address::Reader;
    if reader_required && paths.reader.is_none() {
        faults.push("address = \"reader\" needs paths.reader".to_owned());
    }
    if !reader_required && paths.service.is_none() {
        faults.push("address = \"reader-or-service\" needs paths.service and paths.area".to_owned());
    }
    let mut tree = Tree::new(namespace.clone());
    for (field, path) in fields(paths) {
        tree.add(field, &path, &mut faults);
    }
    let mut attachment_roots = None;
    if let Some(attachments) = standard.attachments {
        attachment_roots =
            attachments.roots.as_deref().and_then(|roots| anchored("attachments.roots", roots, &mut faults));
        tree.attachments(&attachments, &mut faults);
    }
    match roots {
        Some(roots) if faults.is_empty() => Ok(Rule {
            namespace,
            roots,
            name: standard.name,
            versions: standard.versions,
            type_is_root_number: standard.type_code == TypeCode::Root,
            reader_required,
            attachment_roots,
            nodes: tree.nodes,
            paths: tree.paths,
        }),
        _ => Err(faults),
    }
}

fn fields(paths: Paths) -> Vec<(Field, String)> {
    [
        (Field::Standard, paths.standard),
        (Field::Version, paths.version),
        (Field::Test, paths.test),
        (Field::Uuid, Some(paths.uuid)),
        (Field::Type, Some(paths.r#type)),
        (Field::Created, Some(paths.created)),
        (Field::Author, Some(paths.author)),
        (Field::Reader, paths.reader),
        (Field::Service, paths.service),
        (Field::Area, paths.area),
        (Field::Date, paths.date),
    ]
    .into_iter()
    .filter_map(|(field, path)| path.map(|path| (field, path)))
    .collect()
}

fn anchored(key: &str, pattern: &str, faults: &mut Vec<String>) -> Option<regex::Regex> {
    match regex::RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(1 << 20).build() {
        Ok(regex) => Some(regex),
        Err(e) => {
            faults.push(format!("{key} is no regular expression: {e}"));
            None
        }
    }
}

/// One step: namespace and local name.
type Step = (String, String);

struct Tree {
    namespace: String,
    nodes: Vec<Node>,
    paths: HashMap<Field, String>,
}

impl Tree {
    fn new(namespace: String) -> Self {
        Self { namespace, nodes: vec![Node::default()], paths: HashMap::new() }
    }

    fn add(&mut self, field: Field, path: &str, faults: &mut Vec<String>) {
        self.add_below(0, field, path, "", faults);
    }

    fn attachments(&mut self, attachments: &Attachments, faults: &mut Vec<String>) {
        let (steps, attribute) = match parse(&attachments.path, &self.namespace) {
            Ok(parsed) => parsed,
            Err(fault) => return faults.push(fault),
        };
        if attribute.is_some() || steps.is_empty() {
            return faults.push("attachments.path must lead to an element below the root".to_owned());
        }
        let top = self.descend(0, &steps);
        if let Some(node) = self.nodes.get_mut(top) {
            node.attachment = true;
        }
        let prefix = format!("{}/", attachments.path);
        for (field, path) in [
            (Field::AttachmentName, &attachments.name),
            (Field::AttachmentMediaType, &attachments.media_type),
            (Field::AttachmentSize, &attachments.size),
            (Field::AttachmentSha256, &attachments.sha256),
        ] {
            self.add_below(top, field, path, &prefix, faults);
        }
    }

    fn add_below(&mut self, top: usize, field: Field, path: &str, prefix: &str, faults: &mut Vec<String>) {
        let (steps, attribute) = match parse(path, &self.namespace) {
            Ok(parsed) => parsed,
            Err(fault) => return faults.push(fault),
        };
        let at = self.descend(top, &steps);
        let Some(node) = self.nodes.get_mut(at) else { return };
        let taken = match attribute {
            Some((namespace, local)) => {
                let taken = node.attributes.iter().any(|(n, l, _)| *n == namespace && *l == local);
                node.attributes.push((namespace, local, field));
                taken
            }
            None => node.text.replace(field).is_some(),
        };
        if taken {
            faults.push(format!("{path}: two fields stand at this place; each needs its own"));
        }
        self.paths.insert(field, format!("{prefix}{path}"));
    }

    /// The node at the end of `steps` below `top`, made where it is missing.
    fn descend(&mut self, top: usize, steps: &[Step]) -> usize {
        let mut at = top;
        for (namespace, local) in steps {
            let next = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else { return at };
            let found = node.children.iter().find(|(n, l, _)| n == namespace && l == local).map(|c| c.2);
            at = found.unwrap_or_else(|| {
                node.children.push((namespace.clone(), local.clone(), next));
                next
            });
            if found.is_none() {
                self.nodes.push(Node::default());
            }
        }
        at
    }
}

/// The element steps of a path, and the attribute at its end.
fn parse(path: &str, target: &str) -> Result<(Vec<Step>, Option<Step>), String> {
    let (mut steps, mut attribute) = (Vec::new(), None);
    for part in split(path) {
        if attribute.is_some() {
            return Err(format!("{path}: nothing can follow an attribute"));
        }
        match part.strip_prefix('@') {
            Some(name) => attribute = Some(step(name, target, path)?),
            None => steps.push(step(part, target, path)?),
        }
    }
    if steps.len() > MAX_STEPS {
        return Err(format!("{path}: a path has at most {MAX_STEPS} steps"));
    }
    if steps.is_empty() && attribute.is_none() {
        return Err("a path is empty; write the element's or attribute's name".to_owned());
    }
    Ok((steps, attribute))
}

/// Splits at `/`, but not inside `{…}`.
fn split(path: &str) -> Vec<&str> {
    let mut inside = false;
    path.split(|c| {
        match c {
            '{' => inside = true,
            '}' => inside = false,
            _ => {}
        }
        c == '/' && !inside
    })
    .collect()
}

fn step(text: &str, target: &str, path: &str) -> Result<Step, String> {
    let (namespace, local) = match (text.strip_prefix("t:"), text.strip_prefix('{')) {
        (Some(local), _) => (target, local),
        (None, Some(rest)) => {
            rest.split_once('}').ok_or_else(|| format!("{path}: the closing brace is missing"))?
        }
        (None, None) => ("", text),
    };
    let bad = |c: char| c.is_whitespace() || matches!(c, ':' | '@' | '{' | '}' | '[' | ']' | '*');
    if local.is_empty() || local.contains(bad) {
        return Err(format!("{path}: write local names, with t: or {{uri}} before qualified ones"));
    }
    Ok((namespace.to_owned(), local.to_owned()))
}
