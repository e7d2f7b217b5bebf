//! What is not XML 1.0 with namespaces, or over a limit, is refused with its code.

use super::super::Limits;
use super::super::document::Document;
use super::super::pass::{Ask, pass};
use crate::error::Code;

fn code_with(document: &[u8], limits: &Limits) -> Option<Code> {
    let passed = Document::check(document, limits).and_then(|d| pass(d, limits, Ask::default()).map(|_| ()));
    passed.err().map(|refusal| refusal.code)
}

fn code(document: &str) -> Option<Code> {
    code_with(document.as_bytes(), &Limits::default())
}

#[test]
fn accepts_xml() {
    for good in [
        "<a/>",
        "\u{FEFF}<a/>",
        "<?xml version='1.0'?><a/>",
        "<?xml version = \"1.0\" encoding='utf-8' standalone='no' ?>\n<a/>\n",
        "<?xml version='1.0' encoding='us-ascii'?><a/>",
        "<!----><?xml-stylesheet?><a></a ><!-- - --><?x y?>",
        "<a>&amp;&lt;&gt;&apos;&quot;&#65;&#x10FFFF;]] > ]]&gt;<![CDATA[]]]]><![CDATA[>&nbsp;<]]></a>",
        "<a b='>' c=\"'\" d = 'x'\n/>",
        "<ä:b xmlns:ä='urn:x' ä:c='' c=''/>",
        "<a xmlns='urn:x' xmlns:p='urn:x' b='' p:b=''><c xmlns=''/></a>",
        "<a xml:lang='de' xmlns:xml='http://www.w3.org/XML/1998/namespace'/>",
    ] {
        assert_eq!(code(good), None, "{good}");
    }
}

#[test]
fn refuses_what_is_not_well_formed() {
    for bad in [
        "",
        " ",
        "a",
        "<a",
        "<a>",
        "<a></b>",
        "</a>",
        "<a/><b/>",
        "<a/>x",
        "x<a/>",
        "<a/>&amp;",
        "<a/><![CDATA[]]>",
        "<a>]]></a>",
        "<a b='<'/>",
        "<a b/>",
        "<a b=c/>",
        "<a b='c/>",
        "<a b='c'd='e'/>",
        "<a b='' b=''/>",
        "< a/>",
        "<a/ >",
        "<1a/>",
        "<a:b/>",
        "<a b:c=''/>",
        "<a:b:c xmlns:a='urn:x'/>",
        "<:a/>",
        "<a:/>",
        "<a xmlns:b=''/>",
        "<a xmlns:xmlns='urn:x'/>",
        "<a xmlns:xml='urn:x'/>",
        "<a xmlns:b='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns:b='http://www.w3.org/2000/xmlns/'/>",
        "<xmlns:a/>",
        "<a xmlns='urn:x' xmlns='urn:x'/>",
        "<a xmlns:p='urn:x' xmlns:q='urn:x' p:b='' q:b=''/>",
        "<a xmlns='relative'/>",
        "<a><!-- -- --></a>",
        "<a><!-- ---></a>",
        "<a><!--></a>",
        "<a><!x></a>",
        "<a><![CDATA[</a>",
        "<a><![cdata[]]></a>",
        " <?xml version='1.0'?><a/>",
        "<a/><?xml version='1.0'?>",
        "<a><?XML x?></a>",
        "<?xml?><a/>",
        "<?xml version='1.0' x?><a/>",
        "<?xml encoding='UTF-8' version='1.0'?><a/>",
        "<?xml version='1.0'encoding='UTF-8'?><a/>",
        "<?xml version='1.0' standalone='maybe'?><a/>",
        "<a><??></a>",
        "<a><?a:b?></a>",
        "<a>&;</a>",
        "<a>&</a>",
        "<a>&#0;</a>",
        "<a>&#xD800;</a>",
        "<a>&#x;</a>",
        "<a b='&'/>",
        "<a b='&x'/>",
        "<a>\u{1}</a>",
        "<a>\0</a>",
        "<a>\u{FFFE}</a>",
        "<a>\u{FFFF}</a>",
        "\u{FEFF}\u{FEFF}<a/>",
        "<a></a b='c'>",
        "<a b='\u{B}'/>",
    ] {
        assert_eq!(code(bad), Some(Code::NotWellFormed), "{bad:?}");
    }
}

#[test]
fn refuses_document_types_and_entities() {
    for bad in [
        "<!DOCTYPE a><a/>",
        "<!doctype a><a/>",
        "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
        "<a>&x;</a>",
        "<a b='&x;'/>",
        "<?xml version='1.1'?><a/>",
    ] {
        assert_eq!(code(bad), Some(Code::Forbidden), "{bad}");
    }
}

#[test]
fn refuses_other_encodings() {
    let wide: Vec<u8> = "\u{FEFF}<a/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bare: Vec<u8> = "<a/>".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let latin = b"<?xml version='1.0' encoding='ISO-8859-1'?><a/>".to_vec();
    let ascii = "<?xml version='1.0' encoding='US-ASCII'?><ä/>".as_bytes().to_vec();
    for bad in [
        wide,
        bare,
        latin,
        ascii,
        b"<a>\xFF</a>".to_vec(),
        b"<a>\xC0\x80</a>".to_vec(),
        b"<a>\xED\xA0\x80</a>".to_vec(),
    ] {
        assert_eq!(code_with(&bad, &Limits::default()), Some(Code::NotUtf8), "{bad:?}");
    }
}

#[test]
fn holds_to_each_limit() {
    let limits = Limits {
        octets: 400,
        depth: 3,
        attributes: 3,
        name: 8,
        namespaces: 3,
        elements: 6,
        text: 20,
        attachments: 0,
    };
    for good in [
        "<a><b><c/></b></a>",
        "<a b='' c='' d=''/>",
        "<abcdefgh/>",
        "<a><b/><b/><b/><b/><b/></a>",
        "<a>12345678901234567890<b/>12345678901234567890</a>",
        "<a xmlns:b='urn:b' xmlns:c='urn:c'><b xmlns='urn:d'/><b xmlns='urn:d'/></a>",
    ] {
        assert_eq!(code_with(good.as_bytes(), &limits), None, "{good}");
    }
    let namespace = |octets: usize| format!("<a xmlns='urn:{}'/>", "x".repeat(octets - 4));
    let loose = Limits { text: 100, ..limits };
    assert_eq!(code_with(namespace(32).as_bytes(), &loose), None);
    assert_eq!(code_with(namespace(33).as_bytes(), &loose), Some(Code::OverLimit));
    let long = format!("<a>{}</a>", " ".repeat(400));
    for bad in [
        long.as_str(),
        "<a><b><c><d/></c></b></a>",
        "<a b='' c='' d='' e=''/>",
        "<a b='' c='' xmlns='urn:a' xmlns:b='urn:b'/>",
        "<abcdefghi/>",
        "<a abcdefghi=''/>",
        "<?abcdefghi?><a/>",
        "<a><b/><b/><b/><b/><b/><b/></a>",
        "<a>1234567890&amp;<![CDATA[]]></a>",
        "<a b='123456789012345678901'/>",
        "<a><!-- 123456789012345678901 --></a>",
        "<a xmlns:b='urn:b' xmlns:c='urn:c'><b xmlns='urn:d'><c xmlns='urn:e'/></b></a>",
    ] {
        assert_eq!(code_with(bad.as_bytes(), &limits), Some(Code::OverLimit), "{bad}");
    }
}

#[test]
fn one_of_many_attributes_or_declarations_stands_twice() {
    let limits = Limits { attributes: 100_000, namespaces: 100_000, ..Limits::default() };
    let attributes: String = (0..50_000).map(|n| format!(" a{n}=''")).collect();
    let declarations: String = (0..50_000).map(|n| format!(" xmlns:n{n}='urn:x'")).collect();
    assert_eq!(code_with(format!("<a{attributes}/>").as_bytes(), &limits), None);
    assert_eq!(code_with(format!("<a{attributes} a7=''/>").as_bytes(), &limits), Some(Code::NotWellFormed));
    assert_eq!(
        code_with(format!("<a{declarations} xmlns:n7='urn:y'/>").as_bytes(), &limits),
        Some(Code::NotWellFormed)
    );
}
