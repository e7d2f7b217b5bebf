//! OASIS XML catalogs: which file of the set stands for which name.
//!
//! Source: OASIS XML Catalogs 1.1, sections 6 and 7; of its entries `uri` and `system`, in `group`s
//! or not. Entries that would lead elsewhere (`nextCatalog`, `delegate…`, `rewrite…`) are refused
//! rather than passed over.

use std::collections::{BTreeMap, HashMap};

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

const NAMESPACE: &str = "urn:oasis:names:tc:entity:xmlns:xml:catalog";

/// Names and the files that stand for them.
#[derive(Default)]
pub(super) struct Catalog {
    entries: HashMap<String, String>,
}

impl Catalog {
    /// Reads `text`; each entry must name one of `files`.
    pub(super) fn parse(text: &[u8], files: &BTreeMap<String, Vec<u8>>) -> Result<Self, Vec<String>> {
        let fault = |what: String| vec![format!("catalog.xml: {what}")];
        let text = std::str::from_utf8(text).map_err(|_| fault("it is not UTF-8".to_owned()))?;
        let mut reader = NsReader::from_str(text.trim_start_matches('\u{feff}'));
        reader.config_mut().expand_empty_elements = true;
        let (mut entries, mut faults) = (HashMap::new(), Vec::new());
        loop {
            match reader.read_resolved_event() {
                Ok((ResolveResult::Bound(ns), Event::Start(element))) if ns.0 == NAMESPACE => {
                    match entry(&element, files) {
                        Ok(Some((name, path))) => {
                            entries.insert(name, path);
                        }
                        Ok(None) => {}
                        Err(what) => faults.extend(fault(what)),
                    }
                }
                Ok((_, Event::DocType(_))) => {
                    faults.extend(fault("it may not have a DOCTYPE; leave it out".to_owned()));
                }
                Ok((_, Event::Eof)) => break,
                Ok(_) => {}
                Err(e) => {
                    faults
                        .extend(fault(format!("not well-formed at octet {}: {e}", reader.error_position())));
                    break;
                }
            }
        }
        if faults.is_empty() { Ok(Self { entries }) } else { Err(faults) }
    }

    /// The file that stands for `name`.
    pub(super) fn lookup(&self, name: &str) -> Option<&str> {
        self.entries.get(name).map(String::as_str)
    }
}

fn entry(
    element: &BytesStart<'_>,
    files: &BTreeMap<String, Vec<u8>>,
) -> Result<Option<(String, String)>, String> {
    let key = match element.local_name().as_ref() {
        "uri" => "name",
        "system" => "systemId",
        "catalog" | "group" | "public" => return refuse_base(element).map(|()| None),
        other => return Err(format!("the entry {other} is not supported; write uri or system entries")),
    };
    refuse_base(element)?;
    let kind = element.local_name().as_ref().to_owned();
    let name = attribute(element, key)?.ok_or_else(|| format!("an entry {kind} has no {key}"))?;
    let target = attribute(element, "uri")?.ok_or_else(|| format!("the entry for {name} has no uri"))?;
    let path = join("", &target)
        .ok_or_else(|| format!("the entry for {name} leads out of the folder; name a file inside it"))?;
    if !files.contains_key(&path) {
        return Err(format!("the entry for {name} names {path}, which is not there or no .xsd file"));
    }
    Ok(Some((name, path)))
}

fn refuse_base(element: &BytesStart<'_>) -> Result<(), String> {
    match attribute(element, "xml:base")? {
        Some(_) => Err("xml:base is not supported; write paths relative to the folder".to_owned()),
        None => Ok(()),
    }
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Result<Option<String>, String> {
    let found = element.try_get_attribute(name).map_err(|e| e.to_string())?;
    let value = found.map(|a| a.normalized_value(XmlVersion::Explicit1_0).map(std::borrow::Cow::into_owned));
    value.transpose().map_err(|e| e.to_string())
}

/// `reference` as seen from `folder`, both inside the set; `None` when it is absolute, has a scheme,
/// or leads out.
pub(super) fn join(folder: &str, reference: &str) -> Option<String> {
    if reference.starts_with('/') || reference.contains([':', '\\', '%', '?', '#']) {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in reference.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_inside_the_folder() {
        assert_eq!(join("", "remote/a.xsd").as_deref(), Some("remote/a.xsd"));
        assert_eq!(join("remote", "../a.xsd").as_deref(), Some("a.xsd"));
        for bad in
            ["../a.xsd", "a/../../b.xsd", "/etc/passwd", "file:///a", "http://x/a", "..\\a", "%2e%2e/a"]
        {
            assert_eq!(join("", bad), None, "{bad}");
        }
    }

    #[test]
    fn reads_uri_and_system_entries_and_refuses_the_rest_at_once() {
        let files = BTreeMap::from([("a.xsd".to_owned(), Vec::new())]);
        let with = |entries: &str| {
            Catalog::parse(format!("<catalog xmlns='{NAMESPACE}'>{entries}</catalog>").as_bytes(), &files)
        };
        let good =
            with("<group><uri name='urn:a' uri='a.xsd'/></group><system systemId='http://a' uri='./a.xsd'/>");
        let good = good.unwrap_or_else(|faults| panic!("{faults:?}"));
        assert_eq!(good.lookup("urn:a"), Some("a.xsd"));
        assert_eq!(good.lookup("http://a"), Some("a.xsd"));
        assert_eq!(good.lookup("http://b"), None);
        let bad = with(
            "<uri name='u' uri='../a.xsd'/><uri name='v' uri='b.xsd'/><nextCatalog catalog='c.xml'/><uri name='w'/>\
             <group xml:base='http://x/'/>",
        );
        assert_eq!(bad.err().map(|faults| faults.len()), Some(5));
        assert!(Catalog::parse(b"<catalog", &files).is_err());
    }
}
