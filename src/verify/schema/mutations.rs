//! Agreement with libxml2 on single faults in messages: the gateway's own, and the examples of XWasser where they are.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use quick_xml::events::Event;

use super::tests::NS;
use super::*;

/// One element of a document, by octets.
struct Element {
    name: String,
    start_tag: Range<usize>,
    end_tag: Range<usize>,
    leaf: bool,
    depth: usize,
}

fn elements(xml: &str) -> Vec<Element> {
    let mut reader = quick_xml::Reader::from_str(xml);
    let (mut all, mut open): (Vec<Element>, Vec<usize>) = (Vec::new(), Vec::new());
    loop {
        let before = usize::try_from(reader.buffer_position()).unwrap();
        let event = reader.read_event().unwrap();
        let after = usize::try_from(reader.buffer_position()).unwrap();
        match event {
            Event::Start(element) => {
                if let Some(parent) = open.last() {
                    all[*parent].leaf = false;
                }
                open.push(all.len());
                all.push(Element {
                    name: element.name().0.to_owned(),
                    start_tag: before..after,
                    end_tag: 0..0,
                    leaf: true,
                    depth: open.len(),
                });
            }
            Event::End(_) => all[open.pop().unwrap()].end_tag = before..after,
            Event::Eof => return all,
            _ => {}
        }
    }
}

/// All single faults (and harmless changes) of a document, by name.
fn mutations(xml: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let cut = |range: Range<usize>, with: &str| format!("{}{with}{}", &xml[..range.start], &xml[range.end..]);
    let all = elements(xml);
    for (number, e) in all.iter().enumerate() {
        let name = &e.name;
        let mut add = |kind: &str, xml: String| out.push((format!("{kind} {name} #{number}"), xml));
        let whole = e.start_tag.start..e.end_tag.end;
        let renamed = |to: &str| {
            let start = xml[e.start_tag.clone()].replacen(name.as_str(), to, 1);
            format!(
                "{}{start}{}</{to}>{}",
                &xml[..whole.start],
                &xml[e.start_tag.end..e.end_tag.start],
                &xml[whole.end..]
            )
        };
        if e.depth > 1 {
            add("delete", cut(whole.clone(), ""));
            add("double", cut(whole.clone(), &xml[whole.clone()].repeat(2)));
            add("rename", renamed(&format!("{name}x")));
            match name.split_once(':') {
                Some((_, local)) => add("unqualify", renamed(local)),
                None => add("qualify", renamed(&format!("antrag:{name}"))),
            }
            if let Some(next) =
                all[number + 1..].iter().find(|o| o.depth <= e.depth).filter(|o| o.depth == e.depth)
            {
                let next = next.start_tag.start..next.end_tag.end;
                let swapped =
                    format!("{}{}{}", &xml[next.clone()], &xml[whole.end..next.start], &xml[whole.clone()]);
                add("swap", cut(whole.start..next.end, &swapped));
            }
            add("comment", cut(whole.start..whole.start, "<!-- harmless -->"));
        }
        let inside = e.start_tag.end..e.end_tag.start;
        if e.leaf {
            let text = &xml[inside.clone()];
            for (kind, text) in [
                ("empty", String::new()),
                ("space", format!(" {text}\n")),
                ("garbage", "犬".to_owned()),
                ("minus", "-1".to_owned()),
                ("longer", format!("{text}0")),
                ("huge", "9".repeat(5_000)),
                ("child", format!("{text}<neu/>")),
                ("cdata", format!("<![CDATA[{}]]>", text.replace("&gt;", ">").replace("&quot;", "\""))),
            ] {
                add(kind, cut(inside.clone(), &text));
            }
        } else {
            add("text", cut(inside.start..inside.start, "Text"));
            add("stranger", cut(inside.start..inside.start, "<neu xmlns=\"urn:neu\"/>"));
        }
        in_tag(xml, e, number, &mut out);
    }
    out
}

/// Faults in the start tag.
fn in_tag(xml: &str, e: &Element, number: usize, out: &mut Vec<(String, String)>) {
    const XSI: &str = "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"";
    let name = &e.name;
    let tag = &xml[e.start_tag.clone()];
    let mut add = |kind: &str, tag: String| {
        let xml = format!("{}{tag}{}", &xml[..e.start_tag.start], &xml[e.start_tag.end..]);
        out.push((format!("{kind} {name} #{number}"), xml));
    };
    add("attribute", tag.replacen('>', " neu=\"1\">", 1));
    add("nil", tag.replacen('>', &format!(" {XSI} xsi:nil=\"true\">"), 1));
    let xsd = "xmlns:xs=\"http://www.w3.org/2001/XMLSchema\"";
    add("xsi:type", tag.replacen('>', &format!(" {XSI} {xsd} xsi:type=\"xs:string\">"), 1));
    for attribute in tag.split(' ').skip(1).filter_map(|a| a.split_once("=\"")).map(|(key, _)| key) {
        if attribute.starts_with("xmlns") {
            continue;
        }
        let from = tag.find(&format!(" {attribute}=\"")).unwrap();
        let value = from + attribute.len() + 3;
        let end = value + tag[value..].find('"').unwrap();
        let mut add = |kind: &str, tag: String| add(&format!("@{kind} {attribute} of"), tag);
        add("delete", format!("{}{}", &tag[..from], &tag[end + 1..]));
        add("empty", format!("{}{}", &tag[..value], &tag[end..]));
        add("change", format!("{}x{}", &tag[..value], &tag[value..]));
        add("rename", format!("{}x{}", &tag[..=from], &tag[from + 1..]));
        add("space", format!("{} {} {}", &tag[..value], &tag[value..end], &tag[end..]));
    }
}

/// A signature of the right form; whether it is true is none of the schema's business.
const SIGNATURE: &str = "<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:SignedInfo>\
     <ds:CanonicalizationMethod Algorithm=\"urn:c\"></ds:CanonicalizationMethod>\
     <ds:SignatureMethod Algorithm=\"urn:s\"></ds:SignatureMethod><ds:Reference URI=\"\"><ds:Transforms>\
     <ds:Transform Algorithm=\"urn:t\"></ds:Transform></ds:Transforms>\
     <ds:DigestMethod Algorithm=\"urn:d\"></ds:DigestMethod><ds:DigestValue>AAAA</ds:DigestValue></ds:Reference>\
     </ds:SignedInfo><ds:SignatureValue>AAAA</ds:SignatureValue><ds:KeyInfo><ds:X509Data>\
     <ds:X509Certificate>AAAA</ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature>";

fn signed(xml: Vec<u8>, root: &str) -> String {
    let end = format!("</antrag:{root}>");
    String::from_utf8(xml).unwrap().replace(&end, &format!("{SIGNATURE}{end}"))
}

fn originals() -> Vec<String> {
    use crate::antrag::{About, Party, Refusal as Refused, samples};
    use crate::domain::{Digest, Timestamp};
    let author = samples::portal("wgp:010500100000").unwrap();
    let mut application = samples::applications(1, &author, &samples::pairs(), Timestamp(0)).remove(0);
    application.reader =
        Some(Party { identifier: "kop:06411000".parse().unwrap(), name: "Stadt".to_owned() });
    application.date = Some(jiff::civil::date(2026, 5, 1));
    application.content =
        crate::antrag::Content::Element("<x xmlns=\"urn:x\"><y z=\"1\">Ä</y></x>".to_owned());
    let mut binary = application.clone();
    binary.content = crate::antrag::Content::Binary {
        media_type: "text/plain".to_owned(),
        octets: bytes::Bytes::from_static(b"abc"),
    };
    binary.service = None;
    let refusal = Refusal::new(Code::NotEntitled, "no").at(crate::error::Location {
        line: 3,
        column: 4,
        path: "/a".to_owned(),
        offset: 0,
    });
    let refused = Refused {
        uuid: uuid::Uuid::nil(),
        gateway: &author,
        created: Timestamp(5),
        about: About {
            id: None,
            author: Some(&author.identifier),
            uuid: Some(uuid::Uuid::nil()),
            size: 3,
            sha256: Digest::of(b"x"),
        },
        reasons: &["T070"],
        refusal: &refusal,
    };
    vec![
        signed(application.to_xml().unwrap(), "antrag.einreichen.0100"),
        signed(binary.to_xml().unwrap(), "antrag.einreichen.0100"),
        signed(refused.to_xml().unwrap(), "antrag.rueckweisung.0120"),
    ]
}

/// What libxml2 says, by file name; `None` when xmllint is not here.
fn xmllint(set: &Path, schema: &str, folder: &Path, count: usize) -> Option<Vec<bool>> {
    let (schema, catalog) = (set.join(schema), set.join("catalog.xml"));
    let mut verdicts = Vec::with_capacity(count);
    for chunk in (0..count).collect::<Vec<_>>().chunks(400) {
        let output = Command::new("xmllint")
            .args(["--nonet", "--noout", "--schema"])
            .arg(&schema)
            .args(chunk.iter().map(|n| format!("{n}.xml")))
            .env("XML_CATALOG_FILES", &catalog)
            .current_dir(folder)
            .output()
            .ok()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let good: std::collections::HashSet<_> =
            said.lines().filter_map(|l| l.strip_suffix(" validates")).collect();
        verdicts.extend(chunk.iter().map(|n| good.contains(format!("{n}.xml").as_str())));
    }
    Some(verdicts)
}

/// Where the two differ, decided by the standard's text: kind of change, start of the element's name, whether we accept,
/// and why.
const DECIDED: &[(&str, &[&str], bool, &str)] = &[
    (
        "garbage",
        &["antrag:inhalt", "xwas:inhalt", "ds:", "x:Message", "x:Attachment"],
        false,
        "no base64 (part 2, 3.2.16); libxml2 passes over characters outside of the alphabet",
    ),
    (
        "cdata",
        &["ds:", "xwas:fuerValidierung", "xwas:natuerlichePerson", "xwas:verwaltungspolitischeKodierung"],
        true,
        "an empty CDATA section is no character data (XML 1.0, 3.2.1 and 2.7): it may stand where elements alone do",
    ),
    (
        "space",
        &[
            "antrag:zeile",
            "antrag:spalte",
            "erstellungszeitpunkt",
            "m:ObsoleteAfter",
            "m:Origin",
            "x:ReportTime",
            "x:Timestamp",
            "xwas:zeitpunkt",
            "xwas:abschlussLabortaetigkeitAnalytik",
            "xwas:eingangProbeBeiUntersuchungsstelle",
        ],
        true,
        "white space around numbers and times is collapsed before they are read (part 2, 4.3.6)",
    ),
    (
        "huge",
        &["m:MsgSize", "x:Status", "xwas:stockwerk", "xwas:versionsnummer"],
        true,
        "an integer may have any number of digits (part 2, 3.3.13); libxml2 reads 24",
    ),
];

/// A reason to stay with ours.
fn decided(name: &str, accepted: bool) -> Option<&'static str> {
    let (kind, what) = name.split_once(' ').unwrap();
    let applies = |known: &&(&str, &[&str], bool, &str)| {
        known.0 == kind && known.2 == accepted && known.1.iter().any(|start| what.starts_with(start))
    };
    DECIDED.iter().find(applies).map(|known| known.3)
}

/// Compares the verdicts on originals and their changes, at most so many of each original, evenly picked.
fn agree(
    schemas: &Schemas,
    namespace: &str,
    set: &Path,
    schema: &str,
    originals: &[String],
    most: usize,
) -> Option<usize> {
    let mut cases = Vec::new();
    for original in originals {
        cases.push(("original".to_owned(), original.clone()));
        let all = mutations(original);
        let step = all.len().div_ceil(most);
        cases.extend(all.into_iter().step_by(step));
    }
    let folder = tempfile::tempdir().unwrap();
    for (number, (_, xml)) in cases.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{number}.xml")), xml).unwrap();
    }
    let Some(verdicts) = xmllint(set, schema, folder.path(), cases.len()) else {
        println!("skipped: xmllint not found");
        return None;
    };
    let (mut good, mut codes, mut quirks, mut different) = (0, 0, 0, BTreeMap::new());
    for ((name, xml), valid) in cases.iter().zip(&verdicts) {
        assert!(name != "original" || *valid, "{xml}");
        let ours = schemas.check(xml.as_bytes(), namespace);
        good += usize::from(*valid);
        match (&ours, valid) {
            // Beyond the schema, and meant so.
            (Err(refusal), true) if refusal.code == Code::UnknownCode => codes += 1,
            (Ok(()), true) | (Err(_), false) => {}
            _ if decided(name, ours.is_ok()).is_some() => quirks += 1,
            _ => {
                different.insert(name.clone(), (*valid, ours.err().map(|r| r.reason)));
            }
        }
    }
    println!(
        "{} documents, {good} valid, {codes} of them with a wrong code, {quirks} decided against xmllint",
        cases.len()
    );
    assert!(different.is_empty(), "{} differ: {different:#?}", different.len());
    Some(cases.len())
}

#[test]
fn agrees_with_libxml2_on_single_faults() {
    let schemas = Schemas::load(&[]).unwrap();
    let set = Path::new(env!("CARGO_MANIFEST_DIR")).join("xsd/antrag/1.0");
    let Some(count) = agree(&schemas, NS, &set, "antrag.xsd", &originals(), usize::MAX) else { return };
    assert!(count > 2_000);
}

#[test]
fn agrees_with_libxml2_on_single_faults_in_xwasser() {
    let Some(set) = super::tests::reference("xwasser-1.0.0") else { return };
    let schemas = Schemas::load(std::slice::from_ref(&set)).unwrap();
    let namespace = "https://gitlab.opencode.de/akdb/xoev/xwasser/-/raw/main/V1_0_0";
    let names = [
        "olb_report_minimal",
        "olb_report_signature",
        "administration_receipt",
        "quality_report_minimal",
        "quality_report_maximal",
    ];
    let originals: Vec<String> = names
        .iter()
        .map(|name| std::fs::read_to_string(set.join(format!("examples/{name}.xml"))).unwrap())
        .collect();
    let Some(count) = agree(&schemas, namespace, &set, "xwasser.xsd", &originals, 1_000) else { return };
    assert!(count > 3_000, "{count}");
}

/// A report and a request of XTA 2.1.1, with most of what their types can hold.
const XTA: [&str; 2] = [
    "<x:TransportReport xmlns:x=\"http://xoev.de/transport/xta/211\" xmlns:m=\"http://www.osci.eu/ws/2014/10/transport\" \
     xmlns:wsa=\"http://www.w3.org/2005/08/addressing\"><m:MessageMetaData TestMsg=\"true\"><m:DeliveryAttributes>\
     <m:Origin>2026-05-31T12:00:00Z</m:Origin><m:ObsoleteAfter>2026-06-30</m:ObsoleteAfter>\
     <m:ServiceQuality>x</m:ServiceQuality><m:ReceiptRequests><m:Submission></m:Submission></m:ReceiptRequests>\
     </m:DeliveryAttributes><m:Originators><m:Author><m:Identifier type=\"xoev\" name=\"A\">a:b</m:Identifier></m:Author>\
     </m:Originators><m:Destinations><m:Reader><m:Identifier type=\"xoev\">c:d</m:Identifier></m:Reader></m:Destinations>\
     <m:MsgIdentification><wsa:MessageID>urn:m</wsa:MessageID><m:In-Reply-To>urn:n</m:In-Reply-To></m:MsgIdentification>\
     <m:Qualifier><m:Subject>s</m:Subject><m:Service>urn:s</m:Service><m:BusinessScenario><m:Defined listURI=\"urn:l\" \
     listVersionID=\"1\"><code>c</code><name>n</name></m:Defined></m:BusinessScenario><m:MessageType listURI=\"urn:l\" \
     listVersionID=\"1\" payloadSchema=\"urn:p\"><code>c</code></m:MessageType></m:Qualifier><m:MessageProperties>\
     <m:Property><m:Key listURI=\"urn:l\" listVersionID=\"1\"><code>c</code></m:Key><m:Value>v</m:Value></m:Property>\
     </m:MessageProperties><m:MsgSize>7</m:MsgSize></m:MessageMetaData><x:ReportTime>2026-05-31T12:00:00Z</x:ReportTime>\
     <x:XTAServerIdentity>i</x:XTAServerIdentity><x:MessageStatus><x:Status>0</x:Status><x:InfoList><x:Info>\
     <x:Timestamp>2026-05-31T12:00:00Z</x:Timestamp><x:Code listURI=\"urn:l\" listVersionID=\"1\"><code>c</code></x:Code>\
     <x:Reason>r</x:Reason></x:Info></x:InfoList></x:MessageStatus></x:TransportReport>",
    "<x:GenericContentContainer xmlns:x=\"http://xoev.de/transport/xta/211\"><x:ContentContainer>\
     <x:Message contentType=\"a/b\" filename=\"f\" lang=\"de\" size=\"3\">AAAA</x:Message>\
     <x:Attachment contentType=\"a/b\" contentDescription=\"d\" encoding=\"e\" id=\"i\">AAAA</x:Attachment>\
     </x:ContentContainer></x:GenericContentContainer>",
];

#[test]
fn agrees_with_libxml2_on_single_faults_in_xta() {
    let Some(reference) = super::tests::reference("xta-2.1.1") else { return };
    let set = tempfile::tempdir().unwrap();
    // The envelope's schema is that of SOAP and not in the set.
    for entry in std::fs::read_dir(&reference).unwrap().map(|entry| entry.unwrap()) {
        let name = entry.file_name().into_string().unwrap();
        if name.ends_with(".xsd") && !name.starts_with('.') && name != "OSCI2_02.xsd" {
            std::fs::copy(entry.path(), set.path().join(name)).unwrap();
        }
    }
    let entry = |from: &str, to: &str| format!("<system systemId=\"{from}\" uri=\"{to}\"/>");
    let catalog = format!(
        "<catalog xmlns=\"urn:oasis:names:tc:entity:xmlns:xml:catalog\">{}{}{}</catalog>",
        entry("http://www.w3.org/2001/xml.xsd", "xml.xsd"),
        entry("http://www.w3.org/2009/01/xml.xsd", "xml.xsd"),
        entry(
            "http://www.osci.eu/ws/2014/10/transport/OSCI21_MessageMetaData_V2.02.xsd",
            "OSCI_MessageMetaData_V2.02.xsd"
        ),
    );
    std::fs::write(set.path().join("catalog.xml"), catalog).unwrap();
    let schemas = Schemas::load(&[set.path().to_owned()]).unwrap_or_else(|faults| panic!("{faults:#?}"));
    let (namespace, main) = ("http://xoev.de/transport/xta/211", "XTA-Webservice-Globale-Elemente.xsd");
    let originals = XTA.map(str::to_owned);
    let Some(count) = agree(&schemas, namespace, set.path(), main, &originals, usize::MAX) else { return };
    assert!(count > 500, "{count}");
}
