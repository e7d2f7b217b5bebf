//! A document written otherwise, so that it says the same.

use quick_xml::events::Event;

/// A way to write the same.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    /// Comments and instructions between and in all that an element holds.
    Comments,
    /// Text becomes CDATA.
    Cdata,
    /// Letters and digits become references, in text and in values.
    References,
    /// The attributes in the opposite order.
    Order,
    /// Empty elements have two tags.
    Empty,
}

const COMMENT: &str = "<!-- <x> --><?x y?>";

impl Change {
    pub(super) const ALL: [Self; 5] =
        [Self::Comments, Self::Cdata, Self::References, Self::Order, Self::Empty];

    /// The document written like this; `None` where it is not well-formed, as far as this sees it.
    pub(super) fn made(self, text: &str) -> Option<String> {
        let mut reader = quick_xml::Reader::from_str(text);
        let (mut out, mut depth) = (String::with_capacity(2 * text.len()), 0_usize);
        loop {
            let from = usize::try_from(reader.buffer_position()).ok()?;
            let event = reader.read_event().ok()?;
            let raw = text.get(from..usize::try_from(reader.buffer_position()).ok()?)?;
            let markup = matches!(event, Event::Start(_) | Event::Empty(_) | Event::End(_));
            if depth > 0 && markup && matches!(self, Self::Comments) {
                out.push_str(COMMENT);
            }
            match event {
                Event::Start(_) => {
                    depth += 1;
                    self.tag(raw, &mut out)?;
                }
                Event::Empty(_) => self.tag(raw, &mut out)?,
                Event::End(_) => {
                    depth = depth.checked_sub(1)?;
                    out.push_str(raw);
                }
                Event::Text(_) if depth > 0 => self.text(raw, &mut out),
                Event::Eof => return Some(out),
                _ => out.push_str(raw),
            }
        }
    }

    fn text(self, raw: &str, out: &mut String) {
        match self {
            Self::Cdata if !raw.is_empty() => out.extend(["<![CDATA[", raw, "]]>"]),
            Self::Comments => {
                let (first, rest) = raw.split_at(raw.chars().next().map_or(0, char::len_utf8));
                out.extend([first, COMMENT, rest]);
            }
            Self::References => refer(raw, out),
            _ => out.push_str(raw),
        }
    }

    /// A start tag.
    fn tag(self, raw: &str, out: &mut String) -> Option<()> {
        if matches!(self, Self::Comments | Self::Cdata) {
            out.push_str(raw);
            return Some(());
        }
        let inner = raw.strip_prefix('<')?.strip_suffix('>')?;
        let (inner, empty) = inner.strip_suffix('/').map_or((inner, false), |inner| (inner, true));
        let (name, mut rest) = inner.split_at(inner.find(char::is_whitespace).unwrap_or(inner.len()));
        let mut attributes = Vec::new();
        loop {
            rest = rest.trim_start();
            let Some(equals) = rest.find('=') else { break };
            let quoted = rest.get(equals + 1..)?.trim_start();
            let quote = quoted.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            let (value, after) = quoted.get(1..)?.split_once(quote)?;
            attributes.push((rest.get(..equals)?.trim_end(), quote, value));
            rest = after;
        }
        if matches!(self, Self::Order) {
            attributes.reverse();
        }
        out.extend(["<", name]);
        for (name, quote, value) in attributes {
            out.extend([" ", name, "="]);
            out.push(quote);
            match self {
                Self::References if !name.starts_with("xmlns") => refer(value, out),
                _ => out.push_str(value),
            }
            out.push(quote);
        }
        match (empty, self) {
            (false, _) => out.push('>'),
            (true, Self::Empty) => out.extend(["></", name, ">"]),
            (true, _) => out.push_str("/>"),
        }
        Some(())
    }
}

/// Writes the first letter or digit as a reference, if none stands there already.
fn refer(raw: &str, out: &mut String) {
    let first = raw.find(|c: char| c.is_ascii_alphanumeric()).filter(|_| !raw.contains('&'));
    match first.and_then(|at| Some((raw.get(..at)?, raw.as_bytes().get(at)?, raw.get(at + 1..)?))) {
        Some((before, octet, after)) => out.extend([before, &format!("&#x{octet:x};"), after]),
        None => out.push_str(raw),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_same_otherwise() {
        let text = "<?xml version='1.0'?>\n<a b = '1'  c=\"x>y\" xmlns:p='u'><p:d/>é z&amp;<![CDATA[q]]></a>";
        for (change, expected) in [
            (Change::Comments, "<a b = '1'  c=\"x>y\" xmlns:p='u'>¤<p:d/>é¤ z&amp;<![CDATA[q]]>¤</a>"),
            (Change::Cdata, "<a b = '1'  c=\"x>y\" xmlns:p='u'><p:d/><![CDATA[é z]]>&amp;<![CDATA[q]]></a>"),
            (
                Change::References,
                "<a b='&#x31;' c=\"&#x78;>y\" xmlns:p='u'><p:d/>é &#x7a;&amp;<![CDATA[q]]></a>",
            ),
            (Change::Order, "<a xmlns:p='u' c=\"x>y\" b='1'><p:d/>é z&amp;<![CDATA[q]]></a>"),
            (Change::Empty, "<a b='1' c=\"x>y\" xmlns:p='u'><p:d></p:d>é z&amp;<![CDATA[q]]></a>"),
        ] {
            let made = change.made(text).unwrap();
            let expected = expected.replace('¤', COMMENT);
            assert_eq!(made, format!("<?xml version='1.0'?>\n{expected}"), "{change:?}");
        }
    }
}
