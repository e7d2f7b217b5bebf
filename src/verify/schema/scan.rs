//! The gateway's own pass over a document: what the validator is known to let pass, and where the
//! enveloped signature stands.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;

use super::codes::Codes;
use crate::antrag::NAMESPACE;
use crate::error::{Code, Location, Refusal};

/// Namespace of XML signatures.
pub(super) const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
/// Octets of one text or one start tag that the validator sees; it copies them up to eight times.
const MAX_TEXT: usize = 1 << 20;
/// Octets of Base64 from which on the middle is cut out, and that stay at both ends.
const LONG_BASE64: usize = 64 << 10;
const KEPT: usize = 1 << 10;
/// Characters of one code.
const MAX_CODE: usize = 200;

/// What a set says that goes beyond the validator.
pub(super) struct Extra<'s> {
    /// Which names stand in which namespace.
    pub(super) forms: &'s Forms,
    /// Names of elements that are Base64 wherever they stand.
    pub(super) base64: &'s HashSet<String>,
    /// Its code lists.
    pub(super) codes: &'s Codes,
}

/// Which element names a set has with and which without a namespace: the validator takes either for
/// the other. A name that is declared both ways somewhere in the set can't be told apart here.
#[derive(Debug, Default)]
pub(super) struct Forms {
    /// Names declared without a namespace.
    pub(super) bare: HashSet<String>,
    /// By namespace: names declared in it.
    pub(super) own: HashMap<String, HashSet<String>>,
}

impl Forms {
    /// What is wrong with an element's namespace; `None` when nothing is.
    fn fault(&self, namespace: &str, local: &str) -> Option<String> {
        if namespace.is_empty() {
            let known = self.own.values().any(|names| names.contains(local));
            return (known && !self.bare.contains(local))
                .then(|| format!("the element {local} needs the namespace that its schema gives it"));
        }
        let own = self.own.get(namespace)?;
        (self.bare.contains(local) && !own.contains(local)).then(|| {
            format!("the element {local} stands without a namespace in its schema; take off its prefix")
        })
    }
}

/// What the pass found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Local name of the root.
    pub(super) root: String,
    /// Octets of the one `ds:Signature` that is the root's last child element.
    pub(super) signature: Option<Range<usize>>,
    /// Octets in the middle of long Base64 texts, checked here. The validator need not see them: it
    /// would copy them several times over (invariant 10).
    pub(super) base64: Vec<Range<usize>>,
    /// The first code that is not in its list. Reported after the schema's own findings.
    pub(super) code: Option<Refusal>,
}

/// Scans a document that is UTF-8 and well-formed.
pub(super) fn scan(text: &str, extra: &Extra<'_>) -> Result<Scan, Refusal> {
    let mut pass = Pass {
        text,
        extra,
        path: Vec::new(),
        lists: Vec::new(),
        found: Scan::default(),
        signatures: 0,
        foreign: None,
        domain_data: None,
        text_length: 0,
    };
    let mut reader = NsReader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    loop {
        let before = position(&reader);
        let (namespace, event) =
            reader.read_resolved_event().map_err(|e| pass.broken(before, &e.to_string()))?;
        match event {
            Event::Start(element) => pass.start(namespace, &element, before)?,
            Event::End(_) => {
                let after = position(&reader);
                pass.end(after);
            }
            Event::Text(text) => {
                pass.run(before..position(&reader), true)?;
                pass.characters(&text.xml10_content());
            }
            Event::CData(text) => {
                pass.run(before..position(&reader), false)?;
                pass.characters(&text.xml10_content());
            }
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(c)) => pass.characters(c.encode_utf8(&mut [0; 4])),
                _ => pass.characters(
                    quick_xml::escape::resolve_predefined_entity(&reference.xml10_content())
                        .unwrap_or_default(),
                ),
            },
            Event::DocType(_) => {
                let reason = "a document type declaration is not allowed; leave it out";
                return Err(Refusal::new(Code::Forbidden, reason).at(pass.location(before)));
            }
            Event::Eof => break,
            _ => {}
        }
    }
    if pass.signatures != 1 {
        pass.found.signature = None;
    }
    Ok(pass.found)
}

fn position(reader: &NsReader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

/// An open element whose `code` child must be in a list.
struct Listed<'s> {
    depth: usize,
    list: &'s HashSet<String>,
    /// The code's text so far, while the child `code` is open.
    code: Option<String>,
}

struct Pass<'t, 's> {
    text: &'t str,
    extra: &'s Extra<'s>,
    path: Vec<String>,
    lists: Vec<Listed<'s>>,
    found: Scan,
    signatures: usize,
    /// Depth of the open element whose namespace is foreign to the set: what is inside is not ours.
    foreign: Option<usize>,
    /// Octets of text since the last tag.
    text_length: usize,
    /// Children of the `fachdaten` that is open.
    domain_data: Option<usize>,
}

impl<'s> Pass<'_, 's> {
    fn start(
        &mut self,
        namespace: ResolveResult<'_>,
        element: &BytesStart<'_>,
        at: usize,
    ) -> Result<(), Refusal> {
        let local = element.local_name();
        let local = local.as_ref();
        let depth = self.path.len();
        if depth == 0 {
            local.clone_into(&mut self.found.root);
        }
        self.path.push(local.to_owned());
        self.text_length = 0;
        if self.foreign.is_none() && element.len() > MAX_TEXT {
            return Err(self.too_long(at, "a start tag"));
        }
        if depth == 1 {
            // Any element after the signature means that it is not the last child.
            self.found.signature = None;
        }
        let namespace =
            if let ResolveResult::Bound(Namespace(namespace)) = namespace { namespace } else { "" };
        if depth == 1 && namespace == DSIG && local == "Signature" {
            self.signatures += 1;
            self.found.signature = Some(at..at);
        }
        self.count_domain_data(namespace, local, depth, at)?;
        if self.foreign.is_none() {
            if !namespace.is_empty() && !self.extra.forms.own.contains_key(namespace) {
                self.foreign = Some(depth);
            } else if let Some(reason) = self.extra.forms.fault(namespace, local) {
                return Err(Refusal::new(Code::SchemaInvalid, reason).at(self.location(at)));
            }
        }
        if local == "code"
            && let Some(listed) = self.lists.last_mut()
            && listed.depth == depth
        {
            listed.code = Some(String::new());
        }
        if !self.extra.codes.is_empty() && element.attributes_raw().contains("listURI") {
            self.listed(element, depth + 1);
        }
        Ok(())
    }

    /// The validator lets any number of elements pass where a wildcard allows one; of the gateway's
    /// own messages that concerns `fachdaten` alone.
    fn count_domain_data(
        &mut self,
        namespace: &str,
        local: &str,
        depth: usize,
        at: usize,
    ) -> Result<(), Refusal> {
        if depth == 1 {
            self.domain_data = (local == "fachdaten" && namespace == NAMESPACE).then_some(0);
        } else if depth == 2
            && let Some(count) = &mut self.domain_data
        {
            *count += 1;
            if *count > 1 {
                let reason = "fachdaten holds exactly one element; put what belongs together into one";
                return Err(Refusal::new(Code::SchemaInvalid, reason).at(self.location(at)));
            }
        }
        Ok(())
    }

    /// An element with `listURI` and `listVersionID` (XÖV's type Code); its children have `depth`.
    fn listed(&mut self, element: &BytesStart<'_>, depth: usize) {
        let value = |name| {
            let found = element.try_get_attribute(name).ok().flatten();
            found.and_then(|a| a.normalized_value(XmlVersion::Explicit1_0).ok().map(|v| v.trim().to_owned()))
        };
        let (Some(uri), Some(version)) = (value("listURI"), value("listVersionID")) else { return };
        if let Some(list) = self.extra.codes.list(&uri, &version) {
            self.lists.push(Listed { depth, list, code: None });
        }
    }

    /// A run of text. Inside foreign elements the validator only lets it pass by.
    fn run(&mut self, octets: Range<usize>, plain: bool) -> Result<(), Refusal> {
        let length = octets.len();
        if self.foreign.is_some() {
            return Ok(());
        }
        let base64 = || self.path.last().is_some_and(|name| self.extra.base64.contains(name));
        if plain
            && length > LONG_BASE64
            && base64()
            && let Some(middle) = self.text.as_bytes().get(octets.clone()).and_then(base64_middle)
        {
            self.found.base64.push(octets.start + middle.start..octets.start + middle.end);
            return Ok(());
        }
        self.text_length += length;
        if self.text_length > MAX_TEXT {
            return Err(self.too_long(octets.start, "a text"));
        }
        Ok(())
    }

    fn too_long(&self, at: usize, what: &str) -> Refusal {
        let reason = format!(
            "{what} is longer than {} KiB and no Base64 that its schema asks for; send such data as an attachment",
            MAX_TEXT >> 10
        );
        Refusal::new(Code::OverLimit, reason).at(self.location(at))
    }

    fn characters(&mut self, text: &str) {
        let Some(code) = self.lists.last_mut().and_then(|listed| listed.code.as_mut()) else { return };
        if code.len() <= MAX_CODE {
            code.push_str(text);
        }
    }

    fn end(&mut self, after: usize) {
        let depth = self.path.len();
        self.text_length = 0;
        if let Some(listed) = self.lists.last_mut() {
            if depth == listed.depth + 1
                && let Some(code) = listed.code.take()
                && !listed.list.contains(code.trim())
                && self.found.code.is_none()
            {
                let reason = "this code is not in the list that the element names; write one from the list";
                let location = self.location(after);
                self.found.code = Some(Refusal::new(Code::UnknownCode, reason).at(location));
            } else if depth == listed.depth {
                self.lists.pop();
            }
        }
        if depth == 2
            && let Some(signature) = &mut self.found.signature
            && signature.end == signature.start
        {
            signature.end = after;
        }
        if self.foreign == Some(depth - 1) {
            self.foreign = None;
        }
        self.path.pop();
    }

    fn location(&self, at: usize) -> Location {
        let before = self.text.get(..at).unwrap_or_default();
        let line = before.bytes().filter(|octet| *octet == b'\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        Location {
            offset: u64::try_from(at).unwrap_or(0),
            line: u64::try_from(line).unwrap_or(0),
            column: u64::try_from(column).unwrap_or(0),
            path: self.path.iter().fold(String::new(), |path, name| path + "/" + name),
        }
    }

    fn broken(&self, at: usize, what: &str) -> Refusal {
        Refusal::new(Code::NotWellFormed, format!("the document is not well-formed: {what}"))
            .at(self.location(at))
    }
}

/// What can be cut out of a long Base64 text so that the rest is Base64 exactly if the whole is: a
/// multiple of four characters of the alphabet, without padding, not near the ends. `None` where the
/// text's middle is no Base64.
fn base64_middle(text: &[u8]) -> Option<Range<usize>> {
    let (from, to) = (KEPT, text.len().checked_sub(KEPT)?);
    let (mut count, mut end) = (0_usize, from);
    for (at, octet) in text.get(from..to)?.iter().enumerate() {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => {
                count += 1;
                if count.is_multiple_of(4) {
                    end = from + at + 1;
                }
            }
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => return None,
        }
    }
    Some(from..end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_middle_of_base64_is_cut_in_fours() {
        let text = "AAAA".repeat(1_000) + "=";
        let middle = base64_middle(text.as_bytes()).unwrap();
        assert_eq!(middle.len() % 4, 0);
        assert!(middle.start >= KEPT && middle.end <= text.len() - KEPT && !middle.is_empty());
        assert_eq!(base64_middle(b"AAAA"), None);
        assert_eq!(base64_middle(("A".repeat(2_000) + "=" + &"A".repeat(2_000)).as_bytes()), None);
        assert_eq!(base64_middle("Ä".repeat(2_000).as_bytes()), None);
    }

    proptest! {
        #[test]
        fn what_is_left_is_base64_exactly_if_the_whole_is(text in "[A-Za-z0-9+/ \n]{0,6000}={0,3}") {
            let Some(middle) = base64_middle(text.as_bytes()) else { return Ok(()) };
            let significant = |t: &str| t.bytes().filter(|c| !c.is_ascii_whitespace()).count();
            let rest = format!("{}{}", &text[..middle.start], &text[middle.end..]);
            prop_assert_eq!(significant(&rest) % 4, significant(&text) % 4);
            prop_assert_eq!(rest.trim_end().rsplit('A').next(), text.trim_end().rsplit('A').next());
        }
    }
}
