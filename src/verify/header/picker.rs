//! Picks the header out of a document that passes by.

use std::collections::HashMap;
use std::str::FromStr;

use super::{Field, Node, Rule, short};
use crate::domain::identifier::Malformed;
use crate::domain::{Ars, DeclaredAttachment, Digest, Header, Identifier, ServiceKey};
use crate::error::{Code, Location, Refusal};
use crate::verify::Node as Walked;

/// Octets of one picked value; longer ones are refused.
const MAX_VALUE: usize = 1_024;

/// Picks a header while the document passes by. The root's start comes first.
pub struct Picker<'r> {
    rule: &'r Rule,
    root: String,
    /// The number in the root's name.
    number: Option<String>,
    takes_attachments: bool,
    /// The open elements that the rule knows, root first.
    open: Vec<usize>,
    /// Open elements below the last known one.
    beside: usize,
    /// Where text goes: only directly inside the element started last.
    current: Option<Field>,
    values: HashMap<Field, String>,
    attachments: Vec<HashMap<Field, String>>,
    fault: Option<Refusal>,
}

impl<'r> Picker<'r> {
    pub(super) fn new(rule: &'r Rule, root: &str, number: Option<String>) -> Self {
        Self {
            takes_attachments: rule.attachment_roots.as_ref().is_none_or(|roots| roots.is_match(root)),
            rule,
            root: root.to_owned(),
            number,
            open: Vec::with_capacity(8),
            beside: 0,
            current: None,
            values: HashMap::with_capacity(16),
            attachments: Vec::new(),
            fault: None,
        }
    }

    /// An element starts (namespace, local name). Then its attributes come.
    pub fn start(&mut self, namespace: &str, local: &str) {
        if self.passes(Walked::Start) {
            return;
        }
        self.current = None;
        let Some(top) = self.open.last() else {
            self.open.push(0);
            return;
        };
        let children = self.rule.nodes.get(*top).map_or(&[][..], |node| &node.children);
        let Some((_, _, at)) = children.iter().find(|(n, l, _)| l == local && n == namespace) else {
            self.beside = 1;
            return;
        };
        self.open.push(*at);
        let (field, attachment) =
            self.rule.nodes.get(*at).map_or((None, false), |node| (node.text, node.attachment));
        if attachment && self.takes_attachments {
            self.attachments.push(HashMap::with_capacity(4));
        }
        if let Some(field) = field {
            self.current = self.begin(field).then_some(field);
        }
    }

    /// Goes by a node within an element that the rule does not know; whether it is one.
    #[inline]
    pub(crate) fn passes(&mut self, node: Walked) -> bool {
        let beside = self.beside > 0;
        match node {
            Walked::Start if beside => self.beside += 1,
            Walked::End if beside => self.beside -= 1,
            _ => {}
        }
        beside
    }

    /// An attribute of the element started last: namespace ("" = none), local name, value with
    /// references resolved.
    pub fn attribute(&mut self, namespace: &str, local: &str, value: &str) {
        if self.beside > 0 {
            return;
        }
        let Some(node) = self.node() else { return };
        let found = node.attributes.iter().find(|(n, l, _)| l == local && n == namespace);
        let Some(field) = found.map(|(_, _, field)| *field) else { return };
        if self.begin(field) {
            self.append(field, value);
        }
    }

    /// Whether the text of the element started last is wanted; lets the pass skip decoding.
    #[must_use]
    pub fn wants_text(&self) -> bool {
        self.current.is_some()
    }

    /// Whether attributes of the element started last are wanted; lets the pass skip resolving
    /// their references.
    #[must_use]
    pub fn wants_attributes(&self) -> bool {
        self.beside == 0 && self.node().is_some_and(|node| !node.attributes.is_empty())
    }

    /// Attachments seen so far, so that the pass can stop at its limit.
    #[must_use]
    pub fn attachment_count(&self) -> usize {
        self.attachments.len()
    }

    /// Character data (references resolved, CDATA included), in pieces.
    pub fn text(&mut self, text: &str) {
        if let Some(field) = self.current {
            self.append(field, text);
        }
    }

    /// The element started last and not ended ends.
    pub fn end(&mut self) {
        if self.passes(Walked::End) {
            return;
        }
        self.current = None;
        self.open.pop();
    }

    /// The header and the declared attachments.
    ///
    /// # Errors
    /// AW-0110 wrong standard or version, AW-0111 when something is missing, doubled or malformed,
    /// or the type code is not the root's number, with the path of the element.
    pub fn finish(mut self) -> Result<(Header, Vec<DeclaredAttachment>), Refusal> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        let standard = self.expected_standard()?;
        let version = self.expected_version()?;
        let type_code = self.required(Field::Type)?.to_owned();
        if self.rule.type_is_root_number && self.number.as_deref() != Some(type_code.as_str()) {
            return Err(self.refuse(
                Field::Type,
                format!("the type code must be the number of the message {}", short(&self.root)),
            ));
        }
        let author = self.parsed(Field::Author, self.required(Field::Author)?)?;
        let reader: Option<Identifier> = self.optional(Field::Reader)?;
        let service: Option<ServiceKey> = self.optional(Field::Service)?;
        let area: Option<Ars> = self.optional(Field::Area)?;
        self.addressed(reader.is_some(), service.is_some(), area.is_some())?;
        let header = Header {
            namespace: self.rule.namespace.clone(),
            root: self.root.clone(),
            standard,
            version,
            type_code,
            uuid: self.uuid()?,
            created: self.created()?,
            author,
            reader,
            service,
            area,
            date: self.date()?,
            test: self.values.contains_key(&Field::Test),
        };
        let attachments =
            self.attachments.iter().map(|values| self.attachment(values)).collect::<Result<_, _>>()?;
        Ok((header, attachments))
    }

    fn node(&self) -> Option<&'r Node> {
        self.open.last().and_then(|at| self.rule.nodes.get(*at))
    }

    /// Opens a place for the field's value; a second one is a fault.
    fn begin(&mut self, field: Field) -> bool {
        let values = if field.of_attachment() {
            if !self.takes_attachments {
                return false;
            }
            match self.attachments.last_mut() {
                Some(values) => values,
                None => return false,
            }
        } else {
            &mut self.values
        };
        if values.insert(field, String::new()).is_some() {
            self.note(field, "stands there twice; keep one");
            return false;
        }
        true
    }

    fn append(&mut self, field: Field, text: &str) {
        let values = if field.of_attachment() { self.attachments.last_mut() } else { Some(&mut self.values) };
        let Some(value) = values.and_then(|values| values.get_mut(&field)) else { return };
        if value.len() + text.len() > MAX_VALUE {
            self.current = None;
            self.note(field, "is longer than any such value can be; shorten it");
            return;
        }
        value.push_str(text);
    }

    fn note(&mut self, field: Field, what: &str) {
        if self.fault.is_none() {
            self.fault = Some(self.refuse(field, format!("the header's {} {what}", self.name(field))));
        }
    }

    /// The last name in the field's path.
    fn name(&self, field: Field) -> &'r str {
        let path = self.rule.paths.get(&field).map_or("", String::as_str);
        path.rsplit(['/', '}']).next().map_or(path, |last| last.trim_start_matches("t:"))
    }

    fn refuse(&self, field: Field, reason: String) -> Refusal {
        let path = self.rule.paths.get(&field).map_or("", String::as_str).replace("t:", "");
        let path = format!("/{}/{path}", short(&self.root));
        Refusal::new(Code::SchemaInvalid, reason).at(Location { path, ..Location::default() })
    }

    /// The field's value without white space around it, which no identifier contains.
    fn value(&self, field: Field) -> Option<&str> {
        self.values.get(&field).map(|value| value.trim_matches([' ', '\t', '\r', '\n']))
    }

    fn required(&self, field: Field) -> Result<&str, Refusal> {
        match self.value(field) {
            Some("") => Err(self.refuse(field, format!("the header's {} is empty; fill it in", self.name(field)))),
            Some(value) => Ok(value),
            None => Err(self.refuse(
                field,
                format!(
                    "the header's {} is missing; write it at this place, with the namespace that the standard \
                     gives each element",
                    self.name(field)
                ),
            )),
        }
    }

    fn optional<T: FromStr<Err = Malformed>>(&self, field: Field) -> Result<Option<T>, Refusal> {
        match self.value(field) {
            None => Ok(None),
            Some(_) => self.parsed(field, self.required(field)?).map(Some),
        }
    }

    /// Says the rule that is broken, not the text that breaks it.
    fn parsed<T: FromStr<Err = Malformed>>(&self, field: Field, value: &str) -> Result<T, Refusal> {
        value.parse().map_err(|e: Malformed| {
            self.refuse(field, format!("the header's {} is no {}: {}", self.name(field), e.what, e.rule))
        })
    }

    fn expected_standard(&self) -> Result<String, Refusal> {
        let Some(expected) = &self.rule.name else { return Ok(String::new()) };
        let found = self.required(Field::Standard)?;
        if found == expected {
            return Ok(expected.clone());
        }
        let mut refusal = self.refuse(
            Field::Standard,
            format!("messages of this namespace belong to the standard {expected}; write that name"),
        );
        refusal.code = Code::UnknownStandard;
        Err(refusal)
    }

    fn expected_version(&self) -> Result<String, Refusal> {
        if self.rule.versions.is_empty() {
            return Ok(String::new());
        }
        let found = self.required(Field::Version)?;
        if self.rule.versions.iter().any(|version| version == found) {
            return Ok(found.to_owned());
        }
        let known = self.rule.versions.join(", ");
        let mut refusal = self.refuse(
            Field::Version,
            format!("this version of the standard is not known here; send one of: {known}"),
        );
        refusal.code = Code::UnknownStandard;
        Err(refusal)
    }

    fn addressed(&self, reader: bool, service: bool, area: bool) -> Result<(), Refusal> {
        if service != area {
            let (missing, there) =
                if service { (Field::Area, Field::Service) } else { (Field::Service, Field::Area) };
            return Err(self.refuse(
                missing,
                format!(
                    "{} is there, but {} is missing; write both or neither",
                    self.name(there),
                    self.name(missing)
                ),
            ));
        }
        if reader || (service && !self.rule.reader_required) {
            return Ok(());
        }
        let ways = if self.rule.reader_required { "a reader" } else { "a reader, or service and area" };
        Err(self.refuse(Field::Reader, format!("the message names nobody to go to; write {ways}")))
    }

    fn uuid(&self) -> Result<uuid::Uuid, Refusal> {
        let value = self.required(Field::Uuid)?;
        let parsed = if value.len() == 36 { uuid::Uuid::try_parse(value).ok() } else { None };
        parsed.ok_or_else(|| {
            self.refuse(
                Field::Uuid,
                "the message's UUID is malformed; write 32 hexadecimal digits with 4 hyphens".to_owned(),
            )
        })
    }

    /// XÖV asks for a zone and milliseconds, but real messages come without; the time is kept as it
    /// was written.
    fn created(&self) -> Result<String, Refusal> {
        let value = self.required(Field::Created)?;
        if value.parse::<jiff::Timestamp>().is_ok() || value.parse::<jiff::civil::DateTime>().is_ok() {
            return Ok(value.to_owned());
        }
        let reason = "the creation time is malformed; write it like 2026-01-31T10:00:00.000+01:00";
        Err(self.refuse(Field::Created, reason.to_owned()))
    }

    fn date(&self) -> Result<Option<jiff::civil::Date>, Refusal> {
        let Some(value) = self.value(Field::Date) else { return Ok(None) };
        let date = if value.len() == 10 { value.parse().ok() } else { None };
        date.map(Some).ok_or_else(|| {
            self.refuse(Field::Date, "the date is malformed; write it like 2026-01-31".to_owned())
        })
    }

    fn attachment(&self, values: &HashMap<Field, String>) -> Result<DeclaredAttachment, Refusal> {
        let value =
            |field| match values.get(&field).map(|v| v.trim_matches([' ', '\t', '\r', '\n'])) {
                None | Some("") => Err(self
                    .refuse(field, format!("an attachment's {} is missing; fill it in", self.name(field)))),
                Some(value) => Ok(value),
            };
        let name = value(Field::AttachmentName)?;
        if name.starts_with('.') || name.contains(|c: char| c.is_control() || matches!(c, '/' | '\\')) {
            let reason = "an attachment's file name must be one plain name without a path";
            return Err(self.refuse(Field::AttachmentName, reason.to_owned()));
        }
        let size = value(Field::AttachmentSize)?;
        let plain = size.bytes().all(|c| c.is_ascii_digit());
        let size = size.parse().ok().filter(|_| plain).ok_or_else(|| {
            self.refuse(Field::AttachmentSize, "an attachment's size is no number of octets".to_owned())
        })?;
        let sha256 = hexadecimal(value(Field::AttachmentSha256)?).ok_or_else(|| {
            let reason = "an attachment's SHA-256 is malformed; write 64 hexadecimal digits";
            self.refuse(Field::AttachmentSha256, reason.to_owned())
        })?;
        Ok(DeclaredAttachment {
            name: name.to_owned(),
            media_type: value(Field::AttachmentMediaType)?.to_owned(),
            size,
            sha256,
        })
    }
}

fn hexadecimal(text: &str) -> Option<Digest> {
    if text.len() != 64 || !text.bytes().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    let mut out = [0; 32];
    for (octet, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *octet = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(Digest(out))
}
