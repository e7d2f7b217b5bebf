//! Writes the elements that the messages have in common.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use quick_xml::events::Event;
use quick_xml::name::ResolveResult;

use crate::domain::Coverage;

use super::{About, BuildError, Head, NAMESPACE, Party, Product, STANDARD, VERSION};
use crate::xml;

/// Characters of one line and of one paragraph (`xsd/antrag/1.0/text.xsd`).
const LINE: usize = 250;
const PARAGRAPH: usize = 4_000;

/// Writes one document.
pub(super) struct Writer {
    out: String,
    depth: usize,
    /// Replace what DIN 91379 datatype C does not have, instead of writing it.
    lossy: bool,
    fault: Option<BuildError>,
}

impl Writer {
    /// Writes texts as they are.
    pub(super) fn exact() -> Self {
        Self { out: String::with_capacity(4_096), depth: 0, lossy: false, fault: None }
    }

    /// Makes texts fit the schema.
    pub(super) fn lossy() -> Self {
        Self { lossy: true, ..Self::exact() }
    }

    pub(super) fn root(&mut self, name: &str, product: &Product, test: bool) {
        self.out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<antrag:");
        self.out.push_str(name);
        self.attribute("xmlns:antrag", NAMESPACE);
        self.attribute("standard", STANDARD);
        self.attribute("version", VERSION);
        self.attribute("produkt", &product.name);
        self.attribute("produkthersteller", &product.vendor);
        self.attribute("produktversion", &product.version);
        if test {
            self.attribute("test", "true");
        }
        self.out.push('>');
        self.depth += 1;
    }

    pub(super) fn head(&mut self, head: &Head<'_>) {
        self.bare_open("nachrichtenkopf.g2g");
        self.bare_open("identifikation.nachricht");
        self.bare_leaf("nachrichtenUUID", &head.uuid.to_string());
        self.bare_code("nachrichtentyp", "nachrichtentyp", head.code);
        self.bare_leaf("erstellungszeitpunkt", &head.created.to_string());
        self.bare_close("identifikation.nachricht");
        if let Some(reader) = head.reader {
            self.party("leser", reader);
        }
        self.party("autor", head.author);
        if let Some(reference) = head.reference {
            self.bare_leaf("referenzUUID", &reference.to_string());
        }
        self.bare_close("nachrichtenkopf.g2g");
    }

    fn party(&mut self, name: &str, party: &Party) {
        self.bare_open(name);
        self.bare_code("verzeichnisdienst", "verzeichnisdienst", "dvdv");
        self.bare_leaf("kennung", party.identifier.as_str());
        let text = self.fitted(&party.name, LINE, false);
        self.bare_leaf("name", &text);
        self.bare_close(name);
    }

    pub(super) fn about(&mut self, about: &About<'_>) {
        self.open("bezug");
        if let Some(id) = about.id {
            self.leaf("nachrichtenID", id.as_str());
        }
        if let Some(author) = about.author {
            self.leaf("urheber", author.as_str());
        }
        if let Some(uuid) = about.uuid {
            self.leaf("uuid", &uuid.to_string());
        }
        self.leaf("groesse", &about.size.to_string());
        self.leaf("sha256", &about.sha256.to_string());
        self.close("bezug");
    }

    /// What a signature covers.
    pub(super) fn covered(&mut self, coverage: &Coverage) {
        self.open("deckung");
        self.line("umfang", "das ganze Dokument, ohne Kommentare");
        self.leaf("bis", &coverage.until.to_string());
        self.line("form", coverage.form());
        if let Some(at) = coverage.signed_at {
            self.leaf("unterschrieben", &at.to_string());
        }
        for uri in coverage.algorithms() {
            self.line("verfahren", uri);
        }
        for note in &coverage.notes {
            self.line("hinweis", note.as_str());
        }
        self.close("deckung");
    }

    /// A code element of the target namespace.
    pub(super) fn code(&mut self, name: &str, list: &str, code: &str) {
        self.bare_code(&format!("antrag:{name}"), list, code);
    }

    fn bare_code(&mut self, name: &str, list: &str, code: &str) {
        self.line_break();
        self.out.push('<');
        self.out.push_str(name);
        self.attribute("listURI", &format!("urn:xoev-de:amtsweg:codeliste:{list}"));
        self.attribute("listVersionID", "1");
        self.out.push_str("><code>");
        self.text(code, "a code");
        self.out.push_str("</code></");
        self.out.push_str(name);
        self.out.push('>');
    }

    pub(super) fn open(&mut self, name: &str) {
        self.bare_open(&format!("antrag:{name}"));
    }

    pub(super) fn open_with(&mut self, name: &str, attribute: &str, value: &str) {
        self.line_break();
        self.out.push_str("<antrag:");
        self.out.push_str(name);
        self.attribute(attribute, value);
        self.out.push('>');
        self.depth += 1;
    }

    pub(super) fn close(&mut self, name: &str) {
        self.bare_close(&format!("antrag:{name}"));
    }

    pub(super) fn leaf(&mut self, name: &str, text: &str) {
        self.bare_leaf(&format!("antrag:{name}"), text);
    }

    /// A leaf of type `Zeile`.
    pub(super) fn line(&mut self, name: &str, text: &str) {
        let text = self.fitted(text, LINE, false);
        self.leaf(name, &text);
    }

    /// A leaf of type `Absatz`.
    pub(super) fn paragraph(&mut self, name: &str, text: &str) {
        let text = self.fitted(text, PARAGRAPH, true);
        self.leaf(name, &text);
    }

    pub(super) fn base64(&mut self, name: &str, media_type: &str, octets: &[u8]) {
        self.open_with(name, "medientyp", media_type);
        BASE64.encode_string(octets, &mut self.out);
        self.depth -= 1;
        self.out.push_str("</antrag:");
        self.out.push_str(name);
        self.out.push('>');
    }

    /// Writes an element that is well-formed in itself.
    pub(super) fn raw(&mut self, element: &str) {
        self.line_break();
        self.out.push_str(element);
    }

    pub(super) fn finish(mut self) -> Result<Vec<u8>, BuildError> {
        self.out.push('\n');
        match self.fault {
            None => Ok(self.out.into_bytes()),
            Some(fault) => Err(fault),
        }
    }

    fn bare_open(&mut self, name: &str) {
        self.line_break();
        self.out.push('<');
        self.out.push_str(name);
        self.out.push('>');
        self.depth += 1;
    }

    fn bare_close(&mut self, name: &str) {
        self.depth = self.depth.saturating_sub(1);
        self.line_break();
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }

    fn bare_leaf(&mut self, name: &str, text: &str) {
        self.line_break();
        self.out.push('<');
        self.out.push_str(name);
        self.out.push('>');
        self.text(text, "an element");
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("=\"");
        self.text(value, "an attribute");
        self.out.push('"');
    }

    fn line_break(&mut self) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n("  ", self.depth));
    }

    /// Escapes for text and attribute values alike, so that white space survives both.
    fn text(&mut self, text: &str, place: &'static str) {
        for c in text.chars() {
            match xml::reference(c) {
                Some(reference) => self.out.push_str(reference),
                None if xml::impossible(c) || c == '\u{7f}' => {
                    self.fault.get_or_insert(BuildError::Character(place));
                }
                None => self.out.push(c),
            }
        }
    }

    /// A text as the schema wants it: in the lossy mode within datatype C, cut, and not empty.
    fn fitted(&self, text: &str, most: usize, breaks: bool) -> String {
        if !self.lossy {
            return text.to_owned();
        }
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '\t' | '\n' | '\r' if !breaks => out.push(' '),
                '–' | '—' | '−' | '\u{2010}' | '\u{2011}' => out.push('-'),
                '„' | '“' | '”' => out.push('"'),
                '‚' | '‘' => out.push('\''),
                '…' => out.push_str("..."),
                '→' => out.push_str("->"),
                c if datatype_c(c) => out.push(c),
                _ => out.push('?'),
            }
        }
        let cut: String = out.chars().take(most).collect();
        if cut.is_empty() { "-".to_owned() } else { cut }
    }
}

/// Whether DIN 91379 datatype C has `c` as a single character. Sequences with combining characters
/// are not considered: where this is asked, composed characters are written.
fn datatype_c(c: char) -> bool {
    matches!(c,
        '\t' | '\n' | '\r' | ' '..='~' | '\u{a0}'..='\u{ac}' | '\u{ae}'..='\u{17e}' | '\u{187}'..='\u{188}'
        | '\u{18f}' | '\u{197}' | '\u{1a0}'..='\u{1a1}' | '\u{1af}'..='\u{1b0}' | '\u{1b7}'
        | '\u{1cd}'..='\u{1dc}' | '\u{1de}'..='\u{1df}' | '\u{1e2}'..='\u{1f0}' | '\u{1f4}'..='\u{1f5}'
        | '\u{1f8}'..='\u{1ff}' | '\u{212}'..='\u{213}' | '\u{218}'..='\u{21b}' | '\u{21e}'..='\u{21f}'
        | '\u{227}'..='\u{233}' | '\u{259}' | '\u{268}' | '\u{292}' | '\u{2b9}'..='\u{2ba}'
        | '\u{2be}'..='\u{2bf}' | '\u{2c8}' | '\u{2cc}' | '\u{1e02}'..='\u{1e03}' | '\u{1e06}'..='\u{1e07}'
        | '\u{1e0a}'..='\u{1e11}' | '\u{1e17}' | '\u{1e1c}'..='\u{1e2b}' | '\u{1e2f}'..='\u{1e37}'
        | '\u{1e3a}'..='\u{1e3b}' | '\u{1e40}'..='\u{1e49}' | '\u{1e52}'..='\u{1e5b}'
        | '\u{1e5e}'..='\u{1e63}' | '\u{1e6a}'..='\u{1e6f}' | '\u{1e80}'..='\u{1e87}'
        | '\u{1e8c}'..='\u{1e97}' | '\u{1e9e}' | '\u{1ea0}'..='\u{1ef9}' | '\u{2019}' | '\u{2021}' | '\u{20ac}')
}

/// Checks that a text is one well-formed element and nothing else.
pub(super) fn one_element(text: &str) -> Result<(), BuildError> {
    let fault = |what: &str| BuildError::Content(what.to_owned());
    let mut reader = quick_xml::NsReader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let (mut depth, mut elements) = (0_usize, 0_usize);
    loop {
        match reader.read_resolved_event() {
            Ok((ResolveResult::Unknown(_), _)) => return Err(fault("a prefix is not declared in it")),
            Ok((_, Event::Start(element))) => {
                if element.attributes().any(|attribute| attribute.is_err()) {
                    return Err(fault("an attribute is malformed"));
                }
                elements += usize::from(depth == 0);
                depth += 1;
            }
            Ok((_, Event::End(_))) => depth = depth.saturating_sub(1),
            Ok((_, Event::DocType(_) | Event::Decl(_) | Event::PI(_))) => {
                return Err(fault("a declaration or instruction stands in it"));
            }
            Ok((_, Event::Text(text))) if depth == 0 && !text.trim_ascii().is_empty() => {
                return Err(fault("text stands beside it"));
            }
            Ok((_, Event::CData(_) | Event::GeneralRef(_))) if depth == 0 => {
                return Err(fault("text stands beside it"));
            }
            Ok((_, Event::Eof)) if depth == 0 && elements == 1 => return Ok(()),
            Ok((_, Event::Eof)) => return Err(fault("it is not exactly one element")),
            Ok(_) => {}
            Err(e) => return Err(BuildError::Content(e.to_string())),
        }
    }
}
