//! The hostile corpus: made from one good signed message, so that every case differs from it in
//! exactly the one thing that it is about. What can be kept as a small file stands in
//! `tests/data/hostile` (`<code>[+<code>…]--<name>.xml`); what is large or cut from the good
//! message is made here.

use std::fmt::Write as _;
use std::path::Path;

use amtsweg::error::Code;

/// One hostile document and the codes with which it may be refused.
pub struct Case {
    /// What it tries.
    pub name: String,
    /// The document.
    pub octets: Vec<u8>,
    /// One of these is right.
    pub codes: Vec<Code>,
}

fn case(name: impl Into<String>, octets: impl Into<Vec<u8>>, codes: &[Code]) -> Case {
    Case { name: name.into(), octets: octets.into(), codes: codes.to_vec() }
}

/// All cases, the kept files included.
pub fn all(good: &[u8]) -> Vec<Case> {
    let mut cases = truncations(good);
    cases.extend(bombs());
    cases.extend(forbidden(good));
    cases.extend(encodings(good));
    cases.extend(malformed(good));
    cases.extend(signatures(good));
    cases.extend(kept());
    cases
}

/// Cut at every 64th octet.
fn truncations(good: &[u8]) -> Vec<Case> {
    (0..good.len())
        .step_by(64)
        .map(|n| case(format!("truncated at {n}"), &good[..n], &[Code::NotWellFormed, Code::NotUtf8]))
        .collect()
}

/// Bombs of depth, attributes, namespaces, names, elements.
fn bombs() -> Vec<Case> {
    let over = &[Code::OverLimit];
    let mut attributes = String::from("<a");
    let mut namespaces = String::from("<a");
    for n in 0..20_000 {
        let _ = write!(attributes, " a{n}=\"\"");
        let _ = write!(namespaces, " xmlns:n{n}=\"urn:{n}\"");
    }
    attributes.push_str("/>");
    namespaces.push_str("/>");
    let mut scopes = String::new();
    for n in 0..120 {
        let _ = write!(scopes, "<a");
        for m in 0..30 {
            let _ = write!(scopes, " xmlns:p{n}x{m}=\"urn:{n}:{m}\"");
        }
        scopes.push('>');
    }
    scopes.push_str(&"</a>".repeat(120));
    let name = "a".repeat(1 << 20);
    let again = format!("<a xmlns:p=\"urn:{}\">{}</a>", "u".repeat(1_000), "<p:b/>".repeat(20_000));
    vec![
        case("a namespace of 1,000 octets again at each of 20,000 elements", again, over),
        case("a namespace of 1 MiB", format!("<a xmlns=\"urn:{name}\"/>"), over),
        case("100,000 deep", "<a>".repeat(100_000), over),
        case("100,000 deep and closed", "<a>".repeat(100_000) + &"</a>".repeat(100_000), over),
        case("20,000 attributes", attributes, over),
        case("20,000 namespaces on one element", namespaces, over),
        case("3,600 namespaces in scope", scopes, over),
        case("an element name of 1 MiB", format!("<{name}/>"), over),
        case("an attribute name of 1 MiB", format!("<a {name}=\"\"/>"), over),
        case("a prefix of 1 MiB", format!("<{name}:a xmlns:{name}=\"urn:a\"/>"), over),
        case("2 million elements", format!("<a>{}</a>", "<b/>".repeat(2_000_000)), over),
    ]
}

/// DTDs and entities of every kind.
fn forbidden(good: &[u8]) -> Vec<Case> {
    let good = String::from_utf8_lossy(good).into_owned();
    let (declaration, rest) = match good.find("?>") {
        Some(end) if good.starts_with("<?xml") => good.split_at(end + 2),
        _ => ("", good.as_str()),
    };
    let with = |dtd: &str| format!("{declaration}{dtd}{rest}");
    let mut laughs = String::from("<!DOCTYPE l [<!ENTITY l0 \"lol\">");
    for n in 1..12 {
        let _ = write!(laughs, "<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10));
    }
    laughs.push_str("]><l>&l11;</l>");
    let entity = |text: &str| with("").replacen("</name>", &format!("{text}</name>"), 1);
    let forbidden = &[Code::Forbidden];
    vec![
        case("an empty DTD", with("<!DOCTYPE a>"), forbidden),
        case("an external DTD", with("<!DOCTYPE a SYSTEM \"http://127.0.0.1:1/a.dtd\">"), forbidden),
        case(
            "an external entity",
            with("<!DOCTYPE a [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>"),
            forbidden,
        ),
        case(
            "a parameter entity",
            with("<!DOCTYPE a [<!ENTITY % p SYSTEM \"http://127.0.0.1:1/p\"> %p;]>"),
            forbidden,
        ),
        case("an attribute default from a DTD", with("<!DOCTYPE a [<!ATTLIST a b CDATA \"c\">]>"), forbidden),
        case("a billion laughs", laughs, forbidden),
        case("an undeclared entity", entity("&foo;"), forbidden),
        case("an HTML entity", entity("&nbsp;"), forbidden),
    ]
}

/// Everything but UTF-8, and what UTF-8 must not hold.
fn encodings(good: &[u8]) -> Vec<Case> {
    let text = String::from_utf8_lossy(good).into_owned();
    let utf16 = |big: bool, mark: bool| -> Vec<u8> {
        let mut units: Vec<u16> = if mark { vec![0xFEFF] } else { Vec::new() };
        units.extend(text.encode_utf16());
        units.iter().flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect()
    };
    let declared = |name: &str| {
        let body =
            text.find("?>").filter(|_| text.starts_with("<?xml")).map_or(text.as_str(), |n| &text[n + 2..]);
        format!("<?xml version=\"1.0\" encoding=\"{name}\"?>{body}")
    };
    let inside = |octets: &[u8]| -> Vec<u8> {
        let at = text.find("</name>").expect("the good message has a name");
        [&good[..at], octets, &good[at..]].concat()
    };
    let not_utf8 = &[Code::NotUtf8];
    let either = &[Code::NotUtf8, Code::NotWellFormed];
    vec![
        case("UTF-16 LE with mark", utf16(false, true), not_utf8),
        case("UTF-16 BE with mark", utf16(true, true), not_utf8),
        case("UTF-16 LE without mark", utf16(false, false), either),
        case("UTF-16 BE without mark", utf16(true, false), either),
        case("declared as ISO-8859-1", declared("ISO-8859-1"), not_utf8),
        case("declared as UTF-7", declared("UTF-7"), not_utf8),
        case("declared as UTF-16", declared("UTF-16"), not_utf8),
        case("a Latin-1 octet", inside(b"\xE4"), not_utf8),
        case("an overlong slash", inside(b"\xC0\xAF"), not_utf8),
        case("an encoded surrogate", inside(b"\xED\xA0\x80"), not_utf8),
        case("beyond Unicode", inside(b"\xF4\x90\x80\x80"), not_utf8),
        case("half a character", inside(b"\xE2\x82"), not_utf8),
        case("a NUL", inside(b"\0"), either),
        case("a control character", inside(b"\x01"), either),
        case("U+FFFE", inside("\u{FFFE}".as_bytes()), either),
        case("a reference to NUL", inside(b"&#0;"), either),
        case("a reference to a control character", inside(b"&#x1F;"), either),
        case("a reference to a surrogate", inside(b"&#xD800;"), either),
        case("a reference beyond Unicode", inside(b"&#x110000;"), either),
        case("a reference without end", inside(&[b"&#".as_slice(), &b"9".repeat(5_000)].concat()), either),
        case("only NULs", vec![0; 4096], either),
    ]
}

/// Not well-formed.
fn malformed(good: &[u8]) -> Vec<Case> {
    let bad = &[Code::NotWellFormed];
    let twice = [good, good].concat();
    let after = [good, b"<a/>".as_slice()].concat();
    let text_after = [good, b"text".as_slice()].concat();
    let mut cases = vec![
        case("two documents", twice, bad),
        case("a second root", after, bad),
        case("text after the root", text_after, bad),
    ];
    for (name, text) in [
        ("nothing", ""),
        ("only white space", " \n\t "),
        ("no markup", "hello"),
        ("only a declaration", "<?xml version=\"1.0\"?>"),
        ("a declaration after white space", " <?xml version=\"1.0\"?><a/>"),
        ("a doubled attribute", "<a b=\"1\" b=\"2\"/>"),
        ("a doubled attribute by namespace", "<a xmlns:x=\"urn:a\" xmlns:y=\"urn:a\" x:b=\"1\" y:b=\"2\"/>"),
        ("an undeclared prefix", "<x:a/>"),
        ("an undeclared attribute prefix", "<a x:b=\"\"/>"),
        ("xml bound anew", "<a xmlns:xml=\"urn:a\"/>"),
        ("xmlns declared", "<a xmlns:xmlns=\"urn:a\"/>"),
        ("a prefix undeclared", "<a xmlns:x=\"\"/>"),
        ("an attribute without quotes", "<a b=c/>"),
        ("an attribute without value", "<a b/>"),
        ("attributes without space", "<a b=\"1\"c=\"2\"/>"),
        ("a less-than in a value", "<a b=\"<\"/>"),
        ("a stray ampersand", "<a>&</a>"),
        ("the end of a CDATA section in text", "<a>]]></a>"),
        ("a CDATA section without end", "<a><![CDATA[ </a>"),
        ("a comment without end", "<a><!-- </a>"),
        ("two dashes in a comment", "<a><!-- a -- b --></a>"),
        ("a reserved target", "<a><?XML b?></a>"),
        ("wrong nesting", "<a><b></a></b>"),
        ("an end without start", "</a>"),
        ("a name that begins with a digit", "<1a/>"),
        ("two colons", "<x:a:b xmlns:x=\"urn:x\"/>"),
        ("an end with attributes", "<a></a b=\"c\">"),
        ("CDATA outside the root", "<![CDATA[a]]><a/>"),
        ("XML 1.1", "<?xml version=\"1.1\"?><a/>"),
    ] {
        let codes: &[Code] = if name == "XML 1.1" { &[Code::NotWellFormed, Code::Forbidden] } else { bad };
        cases.push(case(name, text, codes));
    }
    cases
}

/// What forgers do with signatures.
fn signatures(good: &[u8]) -> Vec<Case> {
    let text = String::from_utf8_lossy(good).into_owned();
    let start = text.find("<ds:Signature ").expect("a signature");
    let end = text.find("</ds:Signature>").expect("its end") + "</ds:Signature>".len();
    let signature = text[start..end].to_owned();
    let without = text[..start].to_owned() + &text[end..];
    let replaced = |from: &str, to: &str| {
        assert!(text.contains(from), "the good message has {from}");
        text.replacen(from, to, 1)
    };
    let between = |open: &str, close: &str, new: &str| {
        let a = text.find(open).unwrap_or_else(|| panic!("{open}")) + open.len();
        let b = text[a..].find(close).unwrap_or_else(|| panic!("{close}")) + a;
        format!("{}{new}{}", &text[..a], &text[b..])
    };
    use Code::{
        CertificateMissing, CertificateUntrusted, NotCovered, NotWellFormed, SchemaInvalid, SignatureMissing,
        SignatureWeak, SignatureWrong, UnknownStandard,
    };
    let body =
        text.find("?>").filter(|_| text.starts_with("<?xml")).map_or(text.as_str(), |n| &text[n + 2..]);
    let c14n = "http://www.w3.org/2001/10/xml-exc-c14n#";
    let enveloped = "<ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"";
    let sha256 = "http://www.w3.org/2001/04/xmlenc#sha256";
    let any = &[SignatureWrong, SignatureWeak, NotCovered];
    let xslt = "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\"/>";
    let xpath = "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\"><ds:XPath>1</ds:XPath></ds:Transform>";
    let method_end = text[start..].find("SignatureMethod Algorithm=\"").expect("a method")
        + start
        + "SignatureMethod Algorithm=\"".len();
    let method = &text[method_end..method_end + text[method_end..].find('"').expect("its end")];
    let digest_a = text.find("<ds:DigestValue>").expect("a digest") + "<ds:DigestValue>".len();
    let digest = &text[digest_a..digest_a + text[digest_a..].find('<').expect("its end")];
    vec![
        case("no signature", without.clone(), &[SignatureMissing]),
        case(
            "wrapped in another root",
            format!("<w>{body}</w>"),
            &[NotCovered, UnknownStandard, SignatureMissing, SignatureWrong],
        ),
        case(
            "wrapped in its own kind of root",
            wrapped(&text, start),
            &[NotCovered, SignatureWrong, SchemaInvalid],
        ),
        case("a doubled signature", text[..end].to_owned() + &signature + &text[end..], any),
        case(
            "a signature inside a signature",
            replaced("</ds:Signature>", &format!("<ds:Object>{signature}</ds:Object></ds:Signature>")),
            any,
        ),
        case(
            "an empty signature element",
            format!(
                "{}<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"/>{}",
                &text[..start],
                &text[end..]
            ),
            &[SignatureMissing, SignatureWrong],
        ),
        case(
            "an empty signature value",
            between("<ds:SignatureValue>", "</ds:SignatureValue>", ""),
            &[SignatureWrong],
        ),
        case(
            "a signature value of spaces",
            between("<ds:SignatureValue>", "</ds:SignatureValue>", "   "),
            &[SignatureWrong],
        ),
        case(
            "a signature value of zeros",
            between("<ds:SignatureValue>", "</ds:SignatureValue>", &"A".repeat(344)),
            &[SignatureWrong],
        ),
        case(
            "a digest with a comment inside",
            between("<ds:DigestValue>", "</ds:DigestValue>", &format!("<!--x-->{digest}")),
            &[SignatureWrong],
        ),
        case(
            "a digest cut by a comment",
            between(
                "<ds:DigestValue>",
                "</ds:DigestValue>",
                &format!("{}<!---->{}", &digest[..8], &digest[8..]),
            ),
            &[SignatureWrong],
        ),
        case(
            "a digest with an instruction inside",
            between("<ds:DigestValue>", "</ds:DigestValue>", &format!("<?x y?>{digest}")),
            &[SignatureWrong],
        ),
        case("an empty digest", between("<ds:DigestValue>", "</ds:DigestValue>", ""), &[SignatureWrong]),
        case(
            "HMAC with the public key",
            text.replacen(method, "http://www.w3.org/2000/09/xmldsig#hmac-sha1", 1),
            &[SignatureWeak],
        ),
        case(
            "HMAC-SHA256 with the public key",
            text.replacen(method, "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256", 1),
            &[SignatureWeak],
        ),
        case(
            "RSA with SHA-1",
            text.replacen(method, "http://www.w3.org/2000/09/xmldsig#rsa-sha1", 1),
            &[SignatureWeak],
        ),
        case("DSA", text.replacen(method, "http://www.w3.org/2000/09/xmldsig#dsa-sha1", 1), &[SignatureWeak]),
        case("an unknown method", text.replacen(method, "urn:none", 1), &[SignatureWeak]),
        case(
            "SHA-1 digest",
            text.replacen(sha256, "http://www.w3.org/2000/09/xmldsig#sha1", 1),
            &[SignatureWeak],
        ),
        case(
            "MD5 digest",
            text.replacen(sha256, "http://www.w3.org/2001/04/xmldsig-more#md5", 1),
            &[SignatureWeak],
        ),
        case(
            "no enveloped transform",
            text.replacen(enveloped, &format!("<ds:Transform Algorithm=\"{c14n}\""), 1),
            any,
        ),
        case(
            "an XSLT transform",
            text.replacen("<ds:Transforms>", &format!("<ds:Transforms>{xslt}"), 1),
            any,
        ),
        case(
            "an XPath transform",
            text.replacen("<ds:Transforms>", &format!("<ds:Transforms>{xpath}"), 1),
            any,
        ),
        case("no transforms", drop_element(&text, "ds:Transforms"), any),
        case("no reference", drop_element(&text, "ds:Reference"), any),
        case("two references", double_element(&text, "ds:Reference"), any),
        case(
            "1,000 references",
            multiply_element(&text, "ds:Reference", 1000),
            &[SignatureWrong, SignatureWeak, NotCovered, Code::OverLimit],
        ),
        case("two SignedInfo", double_element(&text, "ds:SignedInfo"), any),
        case(
            "a reference to elsewhere",
            text.replacen("URI=\"\"", "URI=\"http://127.0.0.1:1/x\"", 1),
            &[NotCovered],
        ),
        case(
            "a reference to a file",
            text.replacen("URI=\"\"", "URI=\"file:///etc/passwd\"", 1),
            &[NotCovered],
        ),
        case("a reference to a missing id", text.replacen("URI=\"\"", "URI=\"#nowhere\"", 1), &[NotCovered]),
        case("a reference by XPointer", text.replacen("URI=\"\"", "URI=\"#xpointer(/)\"", 1), &[NotCovered]),
        case("no URI", text.replacen(" URI=\"\"", "", 1), &[NotCovered, SignatureWrong]),
        case("no key", drop_element(&text, "ds:KeyInfo"), &[CertificateMissing]),
        case("a bare key value", key_value(&text), &[CertificateMissing, SignatureWrong, SignatureWeak]),
        case(
            "a certificate that is none",
            between("<ds:X509Certificate>", "</ds:X509Certificate>", "AAAA"),
            &[CertificateUntrusted, CertificateMissing, SignatureWrong],
        ),
        case("a retrieval method", retrieval(&text), &[SignatureWrong, SignatureWeak, CertificateMissing]),
        case("one letter changed", text.replacen("</name>", "x</name>", 1), &[SignatureWrong]),
        case(
            "one attribute added",
            text.replacen(" produkt=", " test=\"1\" produkt=", 1),
            &[SignatureWrong, NotWellFormed],
        ),
    ]
}

/// The good document as a child of a copy of its own root: the classic wrapping.
fn wrapped(text: &str, signature: usize) -> String {
    let root = text.find("<").filter(|_| !text.starts_with("<?xml")).unwrap_or_else(|| {
        let after = text.find("?>").expect("a declaration") + 2;
        text[after..].find('<').expect("a root") + after
    });
    let tag_end = text[root..].find('>').expect("a start tag") + root + 1;
    let name: String = text[root + 1..].chars().take_while(|c| !c.is_whitespace() && *c != '>').collect();
    format!("{}{}{}</{name}>", &text[root..tag_end], &text[tag_end..signature], &text[root..])
}

fn span(text: &str, name: &str) -> (usize, usize) {
    let start = text.find(&format!("<{name}")).unwrap_or_else(|| panic!("{name}"));
    let close = format!("</{name}>");
    (start, text[start..].find(&close).unwrap_or_else(|| panic!("{close}")) + start + close.len())
}

fn drop_element(text: &str, name: &str) -> String {
    let (a, b) = span(text, name);
    format!("{}{}", &text[..a], &text[b..])
}

fn double_element(text: &str, name: &str) -> String {
    multiply_element(text, name, 1)
}

fn multiply_element(text: &str, name: &str, more: usize) -> String {
    let (a, b) = span(text, name);
    format!("{}{}{}", &text[..b], text[a..b].repeat(more), &text[b..])
}

fn key_value(text: &str) -> String {
    let (a, b) = span(text, "ds:X509Data");
    let value = "<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>AQAB</ds:Modulus><ds:Exponent>AQAB</ds:Exponent></ds:RSAKeyValue></ds:KeyValue>";
    format!("{}{value}{}", &text[..a], &text[b..])
}

fn retrieval(text: &str) -> String {
    let (a, b) = span(text, "ds:X509Data");
    format!("{}<ds:RetrievalMethod URI=\"http://127.0.0.1:1/k\"/>{}", &text[..a], &text[b..])
}

/// The files of `tests/data/hostile`: the codes stand before `--` in the name.
fn kept() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/hostile");
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("the corpus") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let Some((codes, _)) = name.split_once("--") else { continue };
        let codes: Vec<Code> =
            codes.split('+').map(|c| *Code::ALL.iter().find(|k| k.as_str() == c).expect("a code")).collect();
        cases.push(Case { name: name.clone(), octets: std::fs::read(&path).expect("a file"), codes });
    }
    assert!(!cases.is_empty(), "{} holds the kept cases", folder.display());
    cases
}
