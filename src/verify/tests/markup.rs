//! Our scanner takes documents apart as quick-xml does, and accepts nothing that quick-xml refuses.

use proptest::prelude::*;
use quick_xml::events::Event;
use quick_xml::reader::Reader;

use super::super::document::Document;
use super::super::{Limits, Node, Walk};

/// A kind of node and what it is written as.
type Parts<'d> = Vec<(char, &'d str)>;

fn ours(text: &str) -> Option<Parts<'_>> {
    let limits = Limits::default();
    let mut walk = Walk::new(Document::check(text.as_bytes(), &limits).ok()?, &limits).ok()?;
    let mut parts = Vec::new();
    loop {
        let kind = match walk.next().ok()? {
            Node::Start => 's',
            Node::End => 'e',
            Node::Text => 't',
            Node::Cdata => 'c',
            Node::Reference(_) => 'r',
            Node::Comment => 'm',
            Node::Instruction => 'i',
            Node::Eof => return Some(parts),
        };
        parts.push((kind, walk.raw()));
    }
}

/// What quick-xml makes of it, which leaves much to its caller: names, attributes, where text may stand.
fn theirs(text: &str) -> Option<Parts<'_>> {
    let mut reader = Reader::from_str(text);
    let (mut parts, mut from) = (Vec::new(), 0);
    loop {
        let event = reader.read_event().ok()?;
        let to = usize::try_from(reader.buffer_position()).unwrap();
        let raw = &text[from..to];
        from = to;
        let kind = match event {
            Event::Start(_) => 's',
            Event::Empty(_) => {
                parts.push(('s', raw));
                parts.push(('e', ""));
                continue;
            }
            Event::End(_) => 'e',
            Event::Text(_) => 't',
            Event::CData(_) => 'c',
            Event::GeneralRef(_) => 'r',
            Event::Comment(_) => 'm',
            Event::PI(_) => 'i',
            Event::Decl(_) => continue,
            Event::DocType(_) => return None,
            Event::Eof => return Some(parts),
        };
        parts.push((kind, raw));
    }
}

/// Pieces of markup, whole and broken.
fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "<a>",
        "</a>",
        "<a>",
        "</a>",
        "<b c='>'>",
        "</b >",
        "<a/>",
        "<a b=\"'\" />",
        "text",
        "ä",
        " ",
        "\r\n",
        "&amp;",
        "&#65;",
        "&x;",
        "<!-- c -->",
        "<!---->",
        "<!--->",
        "<!-- > -->",
        "<![CDATA[<x>]]>",
        "<![CDATA[]]",
        "]]>",
        "<?p d?>",
        "<?p?>",
        "<?xml version='1.0'?>",
        ">",
        "<",
        "&",
        ";",
        "'",
        "\"",
        "/>",
        "</",
        "<!",
        "<?",
        "?>",
        "-->",
        "]]",
        "</a b=''>",
        "<a b='<'>",
        "<!DOCTYPE a>",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn takes_documents_apart_as_quick_xml_does(pieces in prop::collection::vec(piece(), 0..14), whole in any::<bool>()) {
        let inner = pieces.concat();
        let text = if whole { format!("<r>{inner}</r>") } else { inner };
        if let Some(ours) = ours(&text) {
            prop_assert_eq!(Some(ours), theirs(&text), "{}", text);
        }
    }
}

#[test]
fn takes_long_texts_and_broken_ends_apart() {
    for length in 0..100 {
        let text = "x".repeat(length);
        for inner in [
            format!("{text}<b/>{text}&lt;{text}>{text}"),
            format!("<!--{text}-->{text}<![CDATA[{text}]]>"),
            format!("<b c='{text}>{text}'>{text}</b>"),
        ] {
            let document = format!("<a>{inner}</a>");
            let parts = ours(&document);
            assert!(parts.is_some(), "{document}");
            assert_eq!(parts, theirs(&document), "{document}");
        }
        let whole = format!("<a b='{text}'><!-- {text} --><![CDATA[{text}]]>&#65;<?p {text}?></a >");
        assert!(ours(&whole).is_some());
        for end in (0..whole.len()).filter(|end| whole.is_char_boundary(*end)) {
            assert_eq!(ours(&whole[..end]), None, "{}", &whole[..end]);
        }
    }
}
