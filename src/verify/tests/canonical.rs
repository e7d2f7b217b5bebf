//! Canonical forms, after the examples of the recommendations.

use proptest::prelude::*;

use super::super::Limits;
use super::super::c14n::{Canonicaliser, Hasher, Inherited, Sink, inherits};
use super::super::chars::{self, Out};
use super::super::document::Document;
use super::super::sign::Canonicalisation::{self, Exclusive, Inclusive, Inclusive11, InclusiveWithComments};
use super::super::sign::{Hash, Profile};
use super::super::testkit::Key;
use super::super::walk::{Node, Walk};
use super::World;
use crate::error::Code;

fn canonical(document: &str, method: Canonicalisation, prefixes: &[&str]) -> String {
    let limits = Limits::default();
    let prefixes: Vec<String> = prefixes.iter().map(ToString::to_string).collect();
    let mut walk = Walk::new(Document::check(document.as_bytes(), &limits).unwrap(), &limits).unwrap();
    let mut out = Canonicaliser::new(method, &prefixes, true, Vec::new());
    loop {
        match walk.next().unwrap() {
            Node::Eof => return String::from_utf8(out.into_inner()).unwrap(),
            node => out.node(&walk, node),
        }
    }
}

/// The element named `name` with all in it, its ancestors not in the node-set.
fn subset(
    document: &str,
    name: &str,
    method: Canonicalisation,
    inherited: &[Inherited],
    prefixes: &[&str],
) -> String {
    let limits = Limits::default();
    let prefixes: Vec<String> = prefixes.iter().map(ToString::to_string).collect();
    let mut walk = Walk::new(Document::check(document.as_bytes(), &limits).unwrap(), &limits).unwrap();
    let mut out = Canonicaliser::new(method, &prefixes, true, Vec::new());
    let mut apex = None;
    loop {
        let node = walk.next().unwrap();
        match (node, apex) {
            (Node::Start, None) if walk.element.qname == name => {
                apex = Some(walk.depth());
                out.start(&walk, Some(inherited));
            }
            (_, Some(depth)) => {
                out.node(&walk, node);
                if matches!(node, Node::End) && walk.depth() < depth {
                    return String::from_utf8(out.into_inner()).unwrap();
                }
            }
            _ => {}
        }
    }
}

#[test]
fn parts_instructions_and_comments_from_the_root() {
    // Canonical XML 1.0, section 3.1, without its DTD.
    let document = "<?xml version=\"1.0\"?>\n\n<?xml-stylesheet   href=\"doc.xsl\"\n   type=\"text/xsl\"   ?>\n\n\
        <doc>Hello, world!<!-- Comment 1 --></doc>\n\n<?pi-without-data     ?>\n\n<!-- Comment 2 -->\n\n<!-- Comment 3 -->";
    assert_eq!(
        canonical(document, Inclusive, &[]),
        "<?xml-stylesheet href=\"doc.xsl\"\n   type=\"text/xsl\"   ?>\n<doc>Hello, world!</doc>\n<?pi-without-data?>"
    );
    assert_eq!(
        canonical(document, InclusiveWithComments, &[]),
        "<?xml-stylesheet href=\"doc.xsl\"\n   type=\"text/xsl\"   ?>\n<doc>Hello, world!<!-- Comment 1 --></doc>\n\
         <?pi-without-data?>\n<!-- Comment 2 -->\n<!-- Comment 3 -->"
    );
}

#[test]
fn sorts_and_drops_what_is_superfluous() {
    // Canonical XML 1.0, section 3.3, without its DTD.
    let document = "<doc>\n   <e1   />\n   <e2   ></e2>\n   <e3   name = \"elem3\"   id=\"elem3\"   />\n\
        \x20  <e5 a:attr=\"out\" b:attr=\"sorted\" attr2=\"all\" attr=\"I'm\"\n\
        \x20     xmlns:b=\"http://www.ietf.org\"\n      xmlns:a=\"http://www.w3.org\"\n      xmlns=\"http://example.org\"/>\n\
        \x20  <e6 xmlns=\"\" xmlns:a=\"http://www.w3.org\">\n      <e7 xmlns=\"http://www.ietf.org\">\n\
        \x20        <e8 xmlns=\"\" xmlns:a=\"http://www.w3.org\">\n            <e9 xmlns=\"\" xmlns:a=\"http://www.ietf.org\"/>\n\
        \x20        </e8>\n      </e7>\n   </e6>\n</doc>";
    let expected = "<doc>\n   <e1></e1>\n   <e2></e2>\n   <e3 id=\"elem3\" name=\"elem3\"></e3>\n\
        \x20  <e5 xmlns=\"http://example.org\" xmlns:a=\"http://www.w3.org\" xmlns:b=\"http://www.ietf.org\" attr=\"I'm\" \
        attr2=\"all\" b:attr=\"sorted\" a:attr=\"out\"></e5>\n\
        \x20  <e6 xmlns:a=\"http://www.w3.org\">\n      <e7 xmlns=\"http://www.ietf.org\">\n\
        \x20        <e8 xmlns=\"\">\n            <e9 xmlns:a=\"http://www.ietf.org\"></e9>\n\
        \x20        </e8>\n      </e7>\n   </e6>\n</doc>";
    assert_eq!(canonical(document, Inclusive, &[]), expected);
    assert_eq!(canonical(document, Inclusive11, &[]), expected);
}

#[test]
fn resolves_and_escapes() {
    // Canonical XML 1.0, section 3.4, without its DTD.
    let document = "<doc>\r\n   <text>First line&#x0d;&#10;Second line</text>\r\n   <value>&#x32;</value>\n\
        \x20  <compute><![CDATA[value>\"0\" && value<\"10\" ?\"valid\":\"error\"]]></compute>\n\
        \x20  <compute expr='value>\"0\" &amp;&amp; value&lt;\"10\" ?\"valid\":\"error\"'>valid</compute>\n\
        \x20  <norm attr=' &apos;   &#x20;&#13;&#xa;&#9;   &apos; '/>\n</doc>";
    let expected = "<doc>\n   <text>First line&#xD;\nSecond line</text>\n   <value>2</value>\n\
        \x20  <compute>value&gt;\"0\" &amp;&amp; value&lt;\"10\" ?\"valid\":\"error\"</compute>\n\
        \x20  <compute expr=\"value>&quot;0&quot; &amp;&amp; value&lt;&quot;10&quot; ?&quot;valid&quot;:&quot;error&quot;\">valid</compute>\n\
        \x20  <norm attr=\" '    &#xD;&#xA;&#x9;   ' \"></norm>\n</doc>";
    assert_eq!(canonical(document, Inclusive, &[]), expected);
}

#[test]
fn renders_what_is_visibly_utilised() {
    // Exclusive XML Canonicalization 1.0, section 2.2.
    let one = "<n1:elem2 xmlns:n0=\"http://example.net\" xmlns:n1=\"urn:n1\" xml:lang=\"en\"><n3:stuff xmlns:n3=\"ftp://example.org\"/></n1:elem2>";
    let two = format!(
        "<n2:pdu xmlns:n1=\"urn:n1\" xmlns:n2=\"http://foo.example\" xml:lang=\"fr\" xml:space=\"retain\">{one}</n2:pdu>"
    );
    let expected = "<n1:elem2 xmlns:n1=\"urn:n1\" xml:lang=\"en\"><n3:stuff xmlns:n3=\"ftp://example.org\"></n3:stuff></n1:elem2>";
    assert_eq!(subset(&two, "n1:elem2", Exclusive, &[], &[]), expected);
    assert_eq!(
        subset(&two, "n1:elem2", Exclusive, &[], &["n0", "n2", "nobody"]),
        expected
            .replace("xmlns:n1", "xmlns:n0=\"http://example.net\" xmlns:n1")
            .replace("xmlns:n1=\"urn:n1\"", "xmlns:n1=\"urn:n1\" xmlns:n2=\"http://foo.example\"")
    );
    let document =
        "<a xmlns='urn:d' xmlns:p='urn:p' xmlns:u='urn:u'><p:b><c xmlns=''><p:d p:e=''/></c></p:b><f/></a>";
    assert_eq!(
        canonical(document, Exclusive, &[]),
        "<a xmlns=\"urn:d\"><p:b xmlns:p=\"urn:p\"><c xmlns=\"\"><p:d p:e=\"\"></p:d></c></p:b><f></f></a>"
    );
    assert_eq!(
        canonical(document, Exclusive, &["", "u"]),
        "<a xmlns=\"urn:d\" xmlns:u=\"urn:u\"><p:b xmlns:p=\"urn:p\"><c xmlns=\"\"><p:d p:e=\"\"></p:d></c></p:b><f></f></a>"
    );
}

#[test]
fn an_apex_takes_over_its_context() {
    let document = "<r xmlns='urn:d' xmlns:p='urn:p'><p:s xmlns:p='urn:q'><t>x</t></p:s></r>";
    let attribute = |local: &str| Inherited { local: local.to_owned(), value: "v\"".to_owned() };
    let all: Vec<Inherited> = ["base", "id", "lang"].map(attribute).into();
    let under = |method| all.iter().filter(|a| inherits(method, a)).cloned().collect::<Vec<_>>();
    assert_eq!(
        subset(document, "t", Inclusive, &under(Inclusive), &[]),
        "<t xmlns=\"urn:d\" xmlns:p=\"urn:q\" xml:base=\"v&quot;\" xml:id=\"v&quot;\" xml:lang=\"v&quot;\">x</t>"
    );
    assert_eq!(
        subset(document, "t", Inclusive11, &under(Inclusive11), &[]),
        "<t xmlns=\"urn:d\" xmlns:p=\"urn:q\" xml:base=\"v&quot;\" xml:lang=\"v&quot;\">x</t>"
    );
    assert_eq!(subset(document, "t", Exclusive, &under(Exclusive), &[]), "<t xmlns=\"urn:d\">x</t>");
}

#[test]
fn a_canonical_form_that_grows_with_the_square_of_its_document_is_refused() {
    let world = World::new(Key::P256);
    let document = |elements: usize| {
        let namespace = "u".repeat(1000);
        format!("<x:a xmlns:x='urn:x' xmlns:p='urn:{namespace}'>{}</x:a>", "<p:b/>".repeat(elements))
    };
    let sign = |elements, canonicalisation| {
        let profile = Profile { canonicalisation, ..Profile::default() };
        world.signer.sign(document(elements).as_bytes(), profile)
    };
    // Sixty times as long is nothing to a small document.
    let small = sign(60, Canonicalisation::Exclusive).unwrap();
    assert_eq!(world.code(&small), None);
    let refused = sign(300, Canonicalisation::Exclusive).unwrap_err().to_string();
    assert!(refused.contains("eight times"), "{refused}");
    // Inclusive canonicalisation writes each declaration once.
    let inclusive = sign(300, Canonicalisation::Inclusive).unwrap();
    assert_eq!(world.code(&inclusive), None);
    let inclusive = String::from_utf8(inclusive).unwrap();
    let exclusive = inclusive.replace(Canonicalisation::Inclusive.uri(), Canonicalisation::Exclusive.uri());
    assert_ne!(exclusive, inclusive);
    assert_eq!(world.code(&exclusive), Some(Code::OverLimit));
}

proptest! {
    /// Parts of a text in any order, some of them one behind the other, and other octets between them.
    #[test]
    fn what_is_hashed_in_parts_is_what_was_written(
        parts in proptest::collection::vec((0_usize..70_000, 0_usize..9_000, any::<bool>(), 0_usize..300), 0..40)
    ) {
        let text: String = ('a'..='z').cycle().take(70_000).collect();
        let (mut hasher, mut written, mut end) = (Hasher::new(Hash::Sha256), Vec::new(), 0);
        for (begin, len, follows, other) in parts {
            let begin = if follows { end } else { begin };
            end = (begin + len).min(text.len());
            hasher.copy(&text, begin..end);
            written.copy(&text, begin..end);
            if other > 150 {
                hasher.put(&vec![b'-'; other]);
                written.put(&vec![b'-'; other]);
            }
            prop_assert_eq!(hasher.taken(), written.len());
        }
        let expected = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &written);
        let found = hasher.finish();
        prop_assert_eq!(found.as_ref(), expected.as_ref());
    }
}

#[test]
fn references_that_are_copied_are_canonical() {
    for raw in ["&amp;", "&lt;", "&gt;", "&#xD;"] {
        assert!(chars::is_canonical(raw));
        let mut out = Vec::new();
        chars::put_reference(&mut out, chars::reference(&raw[1..raw.len() - 1]).unwrap());
        assert_eq!(out, raw.as_bytes());
    }
    for raw in ["&#38;", "&quot;", "&apos;", "&#xd;", "&#13;"] {
        assert!(!chars::is_canonical(raw), "{raw}");
    }
}
