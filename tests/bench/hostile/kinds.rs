//! The kinds of hostile document.

use std::fmt::Write as _;
use std::path::Path;

use amtsweg::verify::Limits;
use amtsweg::verify::header::Rules;
use amtsweg::verify::schema::Schemas;
use amtsweg::verify::sign::{Canonicalisation, Profile};

/// Which document the content is put into.
#[derive(Clone, Copy)]
pub enum Root {
    /// An application, whose schema does not look into what is applied for.
    Application,
    /// One of the bench's own standard, whose schema looks at everything.
    Own,
}

/// How a document is signed.
#[derive(Clone, Copy)]
pub enum Signing {
    /// Well.
    With(Profile),
    /// With the signature of another document.
    Borrowed,
    /// By a stranger with seven CAs that have the anchor's name.
    Stranger,
    /// Well, and then changed.
    Changed(fn(&str, &[String]) -> String),
}

/// A kind of hostile document.
pub struct Kind {
    pub name: &'static str,
    pub root: Root,
    /// The content, of about so many octets.
    pub content: fn(usize) -> String,
    pub limits: Limits,
    pub signing: Signing,
    /// What is to be said of it, signed.
    pub verdict: &'static str,
}

impl Kind {
    /// Nothing special.
    pub fn usual() -> Self {
        let signing = Signing::With(Profile::default());
        let (root, limits) = (Root::Application, Limits::default());
        Self { name: "", root, content: |_| String::new(), limits, signing, verdict: "accepted" }
    }

    fn of(name: &'static str, content: fn(usize) -> String) -> Self {
        Self { name, content, ..Self::usual() }
    }

    /// In the bench's own standard.
    fn own(name: &'static str, content: fn(usize) -> String) -> Self {
        Self { root: Root::Own, ..Self::of(name, content) }
    }

    /// Canonicalised inclusively.
    fn inclusive(self) -> Self {
        let profile = Profile { canonicalisation: Canonicalisation::Inclusive, ..Profile::default() };
        Self { signing: Signing::With(profile), ..self }
    }

    /// Under limits that no operator sets.
    fn raised(self) -> Self {
        let limits = Limits {
            depth: 100_000,
            attributes: 1_000_000,
            name: 1 << 20,
            namespaces: 1_000_000,
            elements: 10_000_000,
            ..Limits::default()
        };
        Self { limits, signing: Signing::Borrowed, verdict: "AW-0122", ..self }
    }

    fn changed(self, verdict: &'static str, change: fn(&str, &[String]) -> String) -> Self {
        Self { signing: Signing::Changed(change), verdict, ..self }
    }

    /// Over a bound, so that our own signer does not sign it either.
    fn over(self) -> Self {
        Self { signing: Signing::Borrowed, verdict: "AW-0103", ..self }
    }

    fn said(self, verdict: &'static str) -> Self {
        Self { verdict, ..self }
    }
}

/// `unit` again and again within an element of this start tag.
fn repeated(start: &str, size: usize, mut unit: impl FnMut(usize) -> String) -> String {
    let name = start.trim_start_matches('<').split([' ', '>']).next().unwrap().to_owned();
    let mut out = start.to_owned();
    let mut number = 0;
    while out.len() < size {
        out += &unit(number);
        number += 1;
    }
    out + "</" + &name + ">"
}

const START: &str = "<x:a xmlns:x=\"urn:x\">";

fn plain(size: usize, unit: &str) -> String {
    repeated(START, size, |_| unit.to_owned())
}

fn many(count: usize, unit: impl Fn(usize) -> String) -> String {
    (0..count).map(unit).collect()
}

/// A start tag with so many declarations of namespaces of so many octets.
fn declaring(count: usize, octets: usize) -> String {
    let mut start = START.trim_end_matches('>').to_owned();
    for n in 0..count {
        let _ = write!(start, " xmlns:p{n}=\"urn:{n}:{}\"", "u".repeat(octets));
    }
    start + ">"
}

fn nested(depth: usize, open: impl Fn(usize) -> String, inner: &str, close: &str) -> String {
    many(depth, open) + inner + &close.repeat(depth)
}

/// All kinds.
pub fn all() -> Vec<Kind> {
    let mut all = elements();
    all.extend(namespaces());
    all.extend(text());
    all.extend(signatures());
    all.extend(schema());
    all
}

fn elements() -> Vec<Kind> {
    let attributes = |size: usize| {
        let mut out = START.trim_end_matches('>').to_owned();
        let mut n = 0_usize;
        while out.len() < size {
            // No order that a sort would like.
            let _ = write!(out, " a{}=\"\"", n.wrapping_mul(7_919) % 1_000_003);
            n += 1;
        }
        out + "/>"
    };
    vec![
        Kind::of("empty elements", |size| plain(size, "<x:b/>")),
        Kind::of("elements, 90 deep", |size| {
            repeated(START, size, |_| nested(90, |_| "<x:b>".to_owned(), "", "</x:b>"))
        }),
        Kind::of("elements, 20,000 deep (raised)", |size| {
            let depth = 20_000.min(size / 11);
            repeated(START, size, |_| nested(depth, |_| "<x:b>".to_owned(), "", "</x:b>"))
        })
        .raised(),
        Kind::of("names of 250 octets", |size| {
            let name = "n".repeat(248);
            repeated(START, size, |_| format!("<x:{name}></x:{name}>"))
        }),
        Kind::of("a name of all octets (raised)", |size| {
            let name = "n".repeat(size / 2 - 100);
            format!("{START}<x:{name}></x:{name}></x:a>")
        })
        .raised(),
        Kind::of("60 attributes, backwards", |size| {
            repeated(START, size, |_| format!("<x:b{}/>", many(60, |n| format!(" a{}=\"\"", 99 - n))))
        }),
        Kind::of("60 attributes with names of 250 octets", |size| {
            let name = "n".repeat(246);
            repeated(START, size, |_| format!("<x:b{}/>", many(60, |n| format!(" {name}{}=\"\"", 99 - n))))
        }),
        Kind::of("20,000 attributes and more on one element (raised)", attributes).raised(),
        Kind::of("ids, all the root's", |size| plain(size, "<x:b Id=\"r\"/>")),
        Kind::of("ids, each another", |size| repeated(START, size, |n| format!("<x:b Id=\"i{n}\"/>"))),
        Kind::of("xsi:type everywhere", |size| {
            let start = "<x:a xmlns:x=\"urn:x\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">";
            repeated(start, size, |_| "<x:b xsi:type=\"x:t\"/>".to_owned())
        }),
    ]
}

fn namespaces() -> Vec<Kind> {
    let used = |size: usize| {
        let unit = format!("<x:b{}/>", many(60, |n| format!(" p{n}:a=\"\"")));
        repeated(&declaring(60, 220), size, |_| unit.clone())
    };
    let declared = |size: usize| {
        let unit = format!("<x:b{}/>", many(58, |n| format!(" xmlns:p{n}=\"u:\"")));
        repeated(START, size, |_| unit.clone())
    };
    let rebound = |size: usize| {
        let unit = nested(58, |n| format!("<p:b xmlns:p=\"u:{n}\">"), "", "</p:b>");
        repeated(START, size, |_| unit.clone())
    };
    let outermost = |size: usize| repeated(&declaring(60, 1), size, |_| "<p0:b p1:a=\"\"/>".to_owned());
    let long = |size: usize| repeated(&declaring(1, size / 2), size, |_| "<p0:b/>".to_owned());
    let longest = |size: usize| repeated(&declaring(1, 1_000), size, |_| "<p0:b/>".to_owned());
    let same = |size: usize| {
        let uri = format!("urn:{}", "u".repeat(1_000));
        let start = format!("<x:a xmlns:x=\"urn:x\" xmlns:p=\"{uri}\" xmlns:q=\"{uri}\">");
        repeated(&start, size, |_| "<x:b p:a=\"\" q:b=\"\"/>".to_owned())
    };
    let one = |size: usize| {
        let mut out = START.trim_end_matches('>').to_owned();
        let mut n = 0;
        while out.len() < size {
            let _ = write!(out, " xmlns:p{n}=\"u:\"");
            n += 1;
        }
        out + "/>"
    };
    vec![
        Kind::of("58 declarations on each element", declared),
        Kind::of("58 declarations on each element, inclusive", declared).inclusive(),
        Kind::of("a prefix rebound 58 levels deep", rebound),
        Kind::of("a prefix rebound 58 levels deep, inclusive", rebound).inclusive(),
        Kind::of("the outermost of 60 prefixes", outermost),
        Kind::of("60 prefixes on each element", used).over(),
        Kind::of("60 prefixes on each element, inclusive", used).inclusive(),
        Kind::of("a namespace of half the octets on each element", long).over(),
        Kind::of("a namespace of 1,000 octets on each element", longest).over(),
        Kind::of("a namespace of 1,000 octets, inclusive", longest).inclusive(),
        Kind::of("two prefixes for a namespace of 1,000", same).inclusive(),
        // Its canonical form is that of the document whose signature it has.
        Kind::of("20,000 declarations on one element (raised)", one).raised().said("accepted"),
        Kind::of("a list of 60 inclusive prefixes", |size| {
            // The signer lists the prefixes of xsi:type, which nothing else uses.
            let types = many(58, |n| format!("<x:t i:type=\"p{n}:t\"/>"));
            let start = declaring(58, 1)
                .replace("<x:a", "<x:a xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\"");
            repeated(&start, size, |n| match n {
                0 => types.clone(),
                _ => "<y xmlns=\"u:\"/><x:b/>".to_owned(),
            })
        }),
    ]
}

fn text() -> Vec<Kind> {
    vec![
        Kind::of("character references", |size| plain(size, "&#9;")),
        Kind::of("character references with zeros", |size| plain(size, "&#x000000000000041;")),
        Kind::of("entity references", |size| plain(size, "&lt;")),
        Kind::of("CDATA sections of one character", |size| plain(size, "<![CDATA[a]]>")),
        Kind::of("empty CDATA sections", |size| plain(size, "<![CDATA[]]>")),
        Kind::of("empty comments", |size| plain(size, "<!---->")),
        Kind::of("instructions", |size| plain(size, "<?a?>")),
        Kind::of("text in pieces of one character", |size| plain(size, "a<!---->b&lt;")),
        Kind::of("> in text", |size| plain(size, ">")),
        Kind::of("carriage returns", |size| plain(size, "\r")),
        Kind::of("white space", |size| plain(size, "\n")),
        Kind::of("one long attribute of references", |size| {
            format!("<x:a xmlns:x=\"urn:x\" a=\"{}\"/>", "&lt;".repeat(size / 4))
        }),
        Kind::of("one long attribute of tabulators", |size| {
            format!("<x:a xmlns:x=\"urn:x\" a=\"{}\"/>", "\t".repeat(size))
        }),
        Kind::of("one long attribute of quotes", |size| {
            format!("<x:a xmlns:x=\"urn:x\" a='{}'/>", "\"".repeat(size))
        }),
        Kind::of("attributes of one reference", |size| plain(size, "<x:b a=\"&#9;\"/>")),
        Kind::of("names beyond ASCII", |size| plain(size, "<ä/>").replace("<ä/>", "<x:ä/>")),
        Kind::of("text beyond ASCII", |size| plain(size, "😀")),
    ]
}

fn signatures() -> Vec<Kind> {
    let one = |size: usize| plain(size, "<x:b/>");
    let small = |_: usize| plain(1, "<x:b/>");
    vec![
        Kind::of("a plan guessed wrongly", one).changed("accepted", |signed, _| {
            format!(
                "{signed}<!-- SignedInfo #enveloped-signature Algorithm=\"{}\" Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha512\" -->",
                Canonicalisation::Inclusive.uri()
            )
        }),
        Kind::of("an XPath filter that selects nothing", one).changed("AW-0123", |signed, _| filter(signed)),
        Kind::of("eight certificates whose keys do not fit", one)
            .changed("AW-0122", certificates),
        Kind::of("the same, a small message", small)
            .changed("AW-0122", certificates),
        Kind { signing: Signing::Stranger, ..Kind::of("seven CAs of the anchor's name", one) }.said("AW-0132"),
        Kind { signing: Signing::Stranger, ..Kind::of("the same CAs, a small message", small) }.said("AW-0132"),
        Kind::of("a key name of half the octets", one).changed("accepted", |signed, _| {
            let name = "n".repeat(signed.len());
            signed.replacen("<ds:KeyInfo>", &format!("<ds:KeyInfo><ds:KeyName>{name}</ds:KeyName>"), 1)
        }),
        Kind::of("elements in KeyInfo", one).changed("accepted", |signed, _| {
            let value = "<a xmlns=\"u:\"/>".repeat(signed.len() / 20);
            signed.replacen("<ds:KeyInfo>", &format!("<ds:KeyInfo><ds:KeyValue>{value}</ds:KeyValue>"), 1)
        }),
        Kind::of("a digest of half the octets", one).changed("AW-0122", |signed, _| {
            let more = "A".repeat(signed.len() / 4 * 4);
            signed.replacen("<ds:DigestValue>", &format!("<ds:DigestValue>{more}"), 1)
        }),
    ]
}

fn filter(signed: &str) -> String {
    let step = "/*".repeat(15);
    let transform = format!(
        "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\"><ds:XPath>{step}/*[local-name()='no']</ds:XPath></ds:Transform></ds:Transforms>"
    );
    signed.replacen("</ds:Transforms>", &transform, 1)
}

fn certificates(signed: &str, crowd: &[String]) -> String {
    let from = signed.find("<ds:X509Certificate>").unwrap();
    let to = signed.find("</ds:X509Data>").unwrap();
    let all: String =
        crowd.iter().map(|der| format!("<ds:X509Certificate>{der}</ds:X509Certificate>")).collect();
    format!("{}{all}{}", &signed[..from], &signed[to..])
}

fn schema() -> Vec<Kind> {
    vec![
        Kind::own("elements of the schema", |size| bare(size, |_| "<leer/>".to_owned())),
        Kind::own("text by the pattern of DIN 91379, plain", |size| one("din", &"a".repeat(size))),
        Kind::own("text by the pattern of DIN 91379, sequences", |size| {
            one("din", &"K\u{35F}HS\u{31B}\u{304}L\u{325}\u{304}".repeat(size / 14))
        }),
        Kind::own("text by the pattern of DIN 91379, refused at its end", |size| {
            one("din", &format!("{}\u{35F}", "K\u{35F}H".repeat(size / 4)))
        })
        .said("AW-0111"),
        Kind::own("short texts by the pattern", |size| bare(size, |_| "<din>K\u{35F}H</din>".to_owned())),
        Kind::own("short texts by the pattern in pieces", |size| {
            bare(size, |_| "<din>a&#x20;b<!---->c&#x20;</din>".to_owned())
        }),
        Kind::own("a pattern with nested repetition", |size| one("wild", &"a".repeat(size / 2 * 2))),
        Kind::own("ids of the schema", |size| bare(size, |n| format!("<id nr=\"i{n}\"/>"))),
        Kind::own("references to ids", |size| repeated("<refs>", size, |n| format!("i{n} "))),
        Kind::own("keys", |size| bare(size, |n| format!("<key nr=\"{n}\"/>"))),
        Kind::own("references to keys", |size| {
            bare(size, |n| format!("<key nr=\"{n}\"/><ref nr=\"{}\"/>", n / 2))
        }),
        Kind::own("numbers", |size| bare(size, |_| "<zahl>+0001.50</zahl>".to_owned())),
        Kind::own("one long number", |size| one("zahl", &"9".repeat(size))),
        Kind::own("one long whole number", |size| one("ganz", &"9".repeat(size))),
        Kind::own("times", |size| bare(size, |_| "<zeit>2026-02-28T23:59:59.999+14:00</zeit>".to_owned())),
        Kind::own("a long second", |size| one("zeit", &format!("2026-02-28T23:59:59.{}Z", "9".repeat(size)))),
        Kind::own("one long base64", |size| one("daten", &"QUJD".repeat(size / 4))),
        Kind::own("base64 with white space everywhere", |size| one("daten", &"Q U\nJ D ".repeat(size / 8))),
        Kind::own("qualified names with 60 prefixes in scope", |size| {
            let start = declaring(60, 1).replacen("x:a", "names", 1);
            repeated(&start, size, |_| "<q>p0:a</q>".to_owned())
        }),
        Kind::own("a counted model", |size| {
            let unit = format!("<count>{}</count>", "<c/>".repeat(999));
            bare(size, |_| unit.clone())
        }),
        Kind::own("unknown elements under a lax wildcard", |size| {
            repeated("<lax xmlns:y=\"urn:y:unknown\">", size, |_| "<y:a y:b=\"\"/>".to_owned())
        }),
        Kind::own("a list of names", |size| one("list", &"a ".repeat(size / 2))),
        Kind::own("nested choices", |size| {
            repeated("<tree>", size, |_| nested(80, |_| "<tree>".to_owned(), "", "</tree>"))
        }),
        Kind::own("white space around elements", |size| bare(size, |_| "\n\n\n\n<leer/>&#10;".to_owned())),
    ]
}

fn bare(size: usize, mut unit: impl FnMut(usize) -> String) -> String {
    let mut out = String::new();
    let mut number = 0;
    while out.len() < size {
        out += &unit(number);
        number += 1;
    }
    out
}

fn one(name: &str, text: &str) -> String {
    format!("<{name}>{text}</{name}>")
}

const OWN: &str = "urn:amtsweg:bench:hostile";

/// A document of the bench's own standard.
pub fn own_document(content: &str) -> String {
    format!(
        "<b:bench.0001 xmlns:b=\"{OWN}\"><kopf><uuid>018f2f3e-5b7a-7c61-9d57-0d5c2b1f9a10</uuid><typ>0001</typ>\
         <zeit>2026-01-01T12:00:00Z</zeit><autor>kop:06411000</autor><leser>psw:06534014</leser></kopf>{content}</b:bench.0001>"
    )
}

/// The bench's own standard: a rule and a schema in which all that costs is looked at.
pub fn own_standard(folder: &Path) -> (Rules, Schemas) {
    let text = include_str!("../../../xsd/antrag/1.0/text.xsd").replace("datentyp:text_1.0", "bench:text");
    write(folder, "text.xsd", &text);
    write(
        folder,
        "catalog.xml",
        &format!(
            "<catalog xmlns=\"urn:oasis:names:tc:entity:xmlns:xml:catalog\"><uri name=\"{OWN}\" uri=\"bench.xsd\"/>\
             <uri name=\"urn:xoev-de:amtsweg:bench:text\" uri=\"text.xsd\"/></catalog>"
        ),
    );
    write(folder, "bench.xsd", include_str!("bench.xsd"));
    let mut rules = Rules::built_in();
    rules
        .add(&format!(
            "[[standard]]\nnamespace = \"{OWN}\"\nroots = 'bench\\.([0-9]{{4}})'\ntype_code = \"free\"\naddress = \"reader\"\n\
             [standard.paths]\nuuid = \"kopf/uuid\"\ntype = \"kopf/typ\"\ncreated = \"kopf/zeit\"\n\
             author = \"kopf/autor\"\nreader = \"kopf/leser\"\n"
        ))
        .unwrap();
    (rules, Schemas::load(&[folder.to_path_buf()]).unwrap())
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}
