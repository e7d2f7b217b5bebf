//! Code lists in Genericode (OASIS Genericode 1.0, sections 3 and 4).

use std::collections::{HashMap, HashSet};

use quick_xml::XmlVersion;
use quick_xml::events::Event;
use quick_xml::reader::Reader;

/// Code lists by their canonical version URI.
#[derive(Default)]
pub(super) struct Codes {
    lists: HashMap<String, HashSet<String>>,
}

impl Codes {
    /// Adds a list.
    pub(super) fn add(&mut self, octets: &[u8]) -> Result<(), String> {
        let (uri, codes) = parse(octets)?;
        match self.lists.insert(uri, codes) {
            None => Ok(()),
            Some(_) => Err("another file has the same CanonicalVersionUri; keep one".to_owned()),
        }
    }

    /// The codes of `uri` in `version`, where the list is here. XÖV builds the version URI from
    /// both with `_` between them.
    pub(super) fn list(&self, uri: &str, version: &str) -> Option<&HashSet<String>> {
        if version.is_empty() {
            return None;
        }
        self.lists.get(&format!("{uri}_{version}"))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }
}

/// The canonical version URI and the values of the first key's first column.
fn parse(octets: &[u8]) -> Result<(String, HashSet<String>), String> {
    let text = std::str::from_utf8(octets).map_err(|_| "it is not UTF-8".to_owned())?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    reader.config_mut().expand_empty_elements = true;
    let mut path: Vec<String> = Vec::new();
    let (mut uri, mut key, mut column, mut value) = (String::new(), None, None, String::new());
    let mut codes = HashSet::new();
    loop {
        let event = reader.read_event();
        match event.map_err(|e| format!("not well-formed at octet {}: {e}", reader.error_position()))? {
            Event::Start(element) => {
                let local = element.local_name().as_ref().to_owned();
                value.clear();
                let reference = |name| {
                    let found = element.try_get_attribute(name).ok().flatten();
                    found.and_then(|a| {
                        a.normalized_value(XmlVersion::Explicit1_0).ok().map(|v| v.into_owned())
                    })
                };
                if local == "ColumnRef" && key.is_none() && path.last().is_some_and(|l| l == "Key") {
                    key = reference("Ref");
                }
                if local == "Value" {
                    column = reference("ColumnRef");
                }
                path.push(local);
            }
            Event::Text(text) => value.push_str(&text.xml10_content()),
            Event::CData(text) => value.push_str(&text.xml10_content()),
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(c)) => value.push(c),
                _ => value.push_str(
                    quick_xml::escape::resolve_predefined_entity(&reference.xml10_content())
                        .unwrap_or_default(),
                ),
            },
            Event::End(_) => {
                match path.pop().as_deref() {
                    Some("CanonicalVersionUri") => value.trim().clone_into(&mut uri),
                    Some("SimpleValue") if column.is_some() && column == key => {
                        codes.insert(value.trim().to_owned());
                    }
                    _ => {}
                }
                value.clear();
            }
            Event::Eof => break,
            _ => {}
        }
    }
    if uri.is_empty() || key.is_none() {
        return Err(
            "it has no CanonicalVersionUri or no Key with a ColumnRef; it is no Genericode list".to_owned()
        );
    }
    Ok((uri, codes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_key_column_only() {
        let mut codes = Codes::default();
        let text = include_bytes!("../../../xsd/antrag/1.0/codelists/nachrichtentyp_1.xml");
        codes.add(text).unwrap();
        let list = codes.list("urn:xoev-de:amtsweg:codeliste:nachrichtentyp", "1").unwrap();
        assert_eq!(list.len(), 3);
        assert!(list.contains("0100") && !list.contains("antrag.einreichen.0100"));
        assert!(codes.list("urn:xoev-de:amtsweg:codeliste:nachrichtentyp", "2").is_none());
        assert!(codes.add(text).is_err(), "twice the same list");
        assert!(codes.add(b"<a/>").is_err());
        assert!(codes.add(b"<a").is_err());
    }
}
