use std::collections::HashSet;

use super::samples::{self, Bad, Others};
use super::*;
use crate::domain::{AuthorityId, Coverage, EndpointId, Note};
use crate::error::{Code, Location};
use crate::verify::schema::Schemas;

fn schemas() -> Schemas {
    Schemas::load(&[]).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

fn check(schemas: &Schemas, xml: &[u8]) {
    if let Err(refusal) = schemas.check(xml, NAMESPACE) {
        panic!("{refusal} {:?}\n{}", refusal.location, String::from_utf8_lossy(xml));
    }
}

fn gateway() -> Party {
    Party {
        identifier: "gw:hessen".parse().unwrap(), name: "Gateway Hessen – Prüfstelle → „A“".to_owned()
    }
}

fn header() -> Header {
    Header {
        namespace: NAMESPACE.to_owned(),
        root: "antrag.einreichen.0100".to_owned(),
        standard: STANDARD.to_owned(),
        version: VERSION.to_owned(),
        type_code: "0100".to_owned(),
        uuid: Uuid::from_u128(7),
        created: "2026-01-01T00:00:00Z".to_owned(),
        author: "wgp:010500100000".parse().unwrap(),
        reader: None,
        service: None,
        area: None,
        date: None,
        test: true,
    }
}

#[test]
fn samples_are_valid_varied_and_of_real_size() {
    let schemas = schemas();
    let author = samples::portal("wgp:010500100000").unwrap();
    let pairs = samples::pairs();
    let all = samples::applications(120, &author, &pairs, Timestamp(1_780_000_000_000));
    let mut seen = HashSet::new();
    let mut sizes = Vec::new();
    for application in &all {
        let xml = application.to_xml().unwrap();
        check(&schemas, &xml);
        sizes.push(xml.len());
        seen.insert(application.service.clone().unwrap());
    }
    sizes.sort_unstable();
    println!("sizes {} .. {} .. {}", sizes[0], sizes[60], sizes[119]);
    assert!(sizes[0] > 2_000 && sizes[119] < 8_000, "{sizes:?}");
    assert!(seen.len() > 50, "{}", seen.len());
    assert!(all.iter().any(|a| a.attachments.is_empty()) && all.iter().any(|a| a.attachments.len() == 2));
    let again = samples::applications(120, &author, &pairs, Timestamp(1_780_000_000_000));
    assert!(all.iter().zip(&again).all(|(a, b)| a.content == b.content && a.attachments == b.attachments));
    assert!(samples::applications(3, &author, &[], Timestamp(0)).is_empty());
}

#[test]
fn an_application_may_be_binary_and_go_by_its_reader() {
    let schemas = schemas();
    let author = samples::portal("wgp:010500100000").unwrap();
    let mut application = samples::applications(1, &author, &samples::pairs(), Timestamp(0)).remove(0);
    application.service = None;
    application.reader =
        Some(Party { identifier: "kop:06411000".parse().unwrap(), name: "Stadt".to_owned() });
    application.date = Some(jiff::civil::date(2026, 5, 1));
    application.content = Content::Binary {
        media_type: "application/pdf".to_owned(),
        octets: Bytes::from_static(b"%PDF-1.7\n\xff\x00"),
    };
    check(&schemas, &application.to_xml().unwrap());
}

#[test]
fn texts_are_escaped_and_impossible_ones_refused() {
    let schemas = schemas();
    let author = Party { identifier: "a:b".parse().unwrap(), name: "A & B <\"C\"> D".to_owned() };
    let mut application = samples::applications(1, &author, &samples::pairs(), Timestamp(0)).remove(0);
    application.product.name = "\"&<>'".to_owned();
    check(&schemas, &application.to_xml().unwrap());
    application.author.name = "Emoji \u{1f600}".to_owned();
    let refusal = schemas.check(&application.to_xml().unwrap(), NAMESPACE).unwrap_err();
    assert_eq!(refusal.code, Code::SchemaInvalid, "DIN 91379 has no emoji");
    assert!(!refusal.reason.contains("Emoji"), "no payload in a refusal: {refusal}");
    application.author.name = "null \u{0}".to_owned();
    assert!(matches!(application.to_xml(), Err(BuildError::Character(_))));
    for bad in
        ["", "text", "<a/><b/>", "<a>", "<a/>x", "<!DOCTYPE a><a/>", "<?x y?><a/>", "<a b=c/>", "<x:a/>"]
    {
        application.content = Content::Element(bad.to_owned());
        assert!(matches!(application.to_xml(), Err(BuildError::Content(_))), "{bad}");
    }
}

#[test]
fn a_receipt_is_valid_and_says_nothing_personal() {
    let schemas = schemas();
    let id = MessageId::new("hessen", Uuid::from_u128(9)).unwrap();
    let placement = Placement {
        authority: "darmstadt".parse::<AuthorityId>().unwrap(),
        reader: "kop:06411000".parse().unwrap(),
        endpoint: "darmstadt-push".parse::<EndpointId>().unwrap(),
        way: Way::Push,
        rule: "Hundesteuer → Darmstadt „genau“ … 犬".to_owned(),
    };
    let signer = SignerInfo {
        subject: "CN=Erika Mustermann".to_owned(),
        serial: "0a1b".to_owned(),
        fingerprint: Digest::of(b"x"),
        not_after: Timestamp(1_900_000_000_000),
    };
    let header = header();
    let uris = ["http://www.w3.org/2001/10/xml-exc-c14n#", "http://www.w3.org/2001/04/xmlenc#sha256"];
    let notes = vec![Note::RevocationStale, Note::RevocationIgnored];
    let coverage =
        Coverage::new(Timestamp(1_800_000_000_000), &uris, Some(Timestamp(1_700_000_000_000)), notes);
    let xml = Receipt {
        uuid: Uuid::from_u128(1),
        gateway: &gateway(),
        id: &id,
        header: &header,
        size: 4_321,
        sha256: Digest::of(b"doc"),
        attachments: &[(1, Digest::of(b"a")), (0, Digest::of(b""))],
        accepted_at: Timestamp(1_780_000_000_123),
        placement: &placement,
        signer: Ok(&signer),
        coverage: Some(&coverage),
    }
    .to_xml()
    .unwrap();
    check(&schemas, &xml);
    let text = String::from_utf8(xml).unwrap();
    assert!(text.contains("Hundesteuer -&gt; Darmstadt &quot;genau&quot; ... ?"), "{text}");
    assert!(!text.contains("Erika"));
    assert!(text.contains("test=\"true\"") && text.contains(id.as_str()));
    assert!(text.contains("xmlenc#sha256</antrag:verfahren>") && text.contains("XAdES B-B"), "{text}");
}

#[test]
fn a_refusal_is_valid_with_much_and_with_little() {
    let schemas = schemas();
    let author = "wgp:010500100000".parse().unwrap();
    let id = MessageId::new("hessen", Uuid::from_u128(9)).unwrap();
    let full = crate::error::Refusal::new(Code::ReaderDiffers, "another reader is competent\nsee below")
        .at(Location { offset: 1, line: 2, column: 3, path: "/a/b".to_owned() })
        .explained(vec!["rule 1".to_owned(), String::new(), "x".repeat(9_000)]);
    let bare = crate::error::Refusal::new(Code::NotWellFormed, "");
    let much = About {
        id: Some(&id),
        author: Some(&author),
        uuid: Some(Uuid::nil()),
        size: 5,
        sha256: Digest::of(b""),
    };
    let little = About { id: None, author: None, uuid: None, size: 0, sha256: Digest::of(b"") };
    for (about, refusal, reasons) in [(much, &full, &["T080", "S999"][..]), (little, &bare, &[])] {
        let refused = Refusal {
            uuid: Uuid::from_u128(2),
            gateway: &gateway(),
            created: Timestamp(1),
            about,
            reasons,
            refusal,
        };
        check(&schemas, &refused.to_xml().unwrap());
    }
}

#[test]
fn bad_samples_are_bad_in_the_way_they_say() {
    let schemas = schemas();
    let author = samples::portal("wgp:010500100000").unwrap();
    let pairs = samples::pairs();
    let good = samples::applications(1, &author, &pairs, Timestamp(0)).remove(0);
    let others = Others {
        stranger: Party { identifier: "kop:1".parse().unwrap(), name: "Fremd".to_owned() },
        wrong_reader: Party { identifier: "kop:2".parse().unwrap(), name: "Andere".to_owned() },
        nobody: pairs[1].clone(),
        not_connected: pairs[2].clone(),
    };
    let original = good.to_xml().unwrap();
    let mut all = HashSet::new();
    for bad in Bad::ALL {
        let made = bad.make(&good, &others, |xml| Ok::<_, std::convert::Infallible>(xml.to_vec())).unwrap();
        assert_ne!(made, original, "{bad:?}");
        assert!(all.insert(made.clone()), "{bad:?}");
        let verdict = schemas.check(&made, NAMESPACE).map_err(|refusal| refusal.code);
        match bad {
            Bad::BrokenXml | Bad::SchemaInvalid | Bad::UnknownCode => {
                assert_eq!(verdict, Err(bad.code()), "{bad:?}")
            }
            Bad::Dtd | Bad::UnknownStandard | Bad::Wrapped => assert!(verdict.is_err(), "{bad:?}"),
            _ => assert_eq!(verdict, Ok(()), "{bad:?}"),
        }
    }
}
