use super::*;
use crate::domain::DeclaredAttachment;
use crate::domain::Header;

const NS: &str = "urn:xoev-de:amtsweg:standard:antrag_1.0";
const XWASSER: &str = "https://gitlab.opencode.de/akdb/xoev/xwasser/-/raw/main/V1_0_0";

/// Drives a picker over a document as the verifying pass does.
fn pick(rules: &Rules, xml: &str) -> Result<(Header, Vec<DeclaredAttachment>), Refusal> {
    use quick_xml::XmlVersion;
    use quick_xml::events::Event;
    use quick_xml::name::ResolveResult;
    let mut reader = quick_xml::NsReader::from_str(xml);
    reader.config_mut().expand_empty_elements = true;
    let mut picker = None;
    loop {
        let (resolved, event) = reader.read_resolved_event().unwrap();
        let namespace = match resolved {
            ResolveResult::Bound(ns) => ns.0.to_owned(),
            _ => String::new(),
        };
        match event {
            Event::Start(element) => {
                if picker.is_none() {
                    picker = Some(rules.picker(&namespace, element.local_name().as_ref())?);
                }
                let picker = picker.as_mut().unwrap();
                picker.start(&namespace, element.local_name().as_ref());
                for attribute in element.attributes() {
                    let attribute = attribute.unwrap();
                    let (ns, local) = reader.resolver().resolve_attribute(attribute.key);
                    let ns = if let ResolveResult::Bound(ns) = ns { ns.0 } else { "" };
                    let value = attribute.normalized_value(XmlVersion::Explicit1_0).unwrap();
                    picker.attribute(ns, local.as_ref(), &value);
                }
            }
            Event::Text(text) => {
                if let Some(picker) = picker.as_mut().filter(|picker| picker.wants_text()) {
                    picker.text(&text.xml10_content());
                }
            }
            Event::End(_) => picker.as_mut().unwrap().end(),
            Event::Eof => return picker.unwrap().finish(),
            _ => {}
        }
    }
}

fn message() -> String {
    format!(
        r#"<a:antrag.einreichen.0100 xmlns:a="{NS}" standard="Antrag" version="1.0" produkt="P" produkthersteller="H">
  <nachrichtenkopf.g2g>
    <identifikation.nachricht>
      <nachrichtenUUID>693C64D6-456f-4d14-abe7-fe9681c74aae</nachrichtenUUID>
      <nachrichtentyp listURI="urn:l" listVersionID="1"><code>0100</code></nachrichtentyp>
      <erstellungszeitpunkt>2026-05-01T10:00:00.000+02:00</erstellungszeitpunkt>
    </identifikation.nachricht>
    <leser><kennung>kop:06411000</kennung><name>Stadt</name></leser>
    <autor><kennung> wgp:<!-- x -->010500100000
    </kennung><name>Portal</name></autor>
  </nachrichtenkopf.g2g>
  <a:leistung>99102013104000</a:leistung>
  <a:gebiet>064110000000</a:gebiet>
  <a:wunschtermin>2026-06-01</a:wunschtermin>
  <a:fachdaten><x xmlns="urn:x"><autor><kennung>not:this</kennung></autor></x></a:fachdaten>
  <a:anlage><a:dateiname>Foto.jpg</a:dateiname><a:medientyp>image/jpeg</a:medientyp><a:groesse>12</a:groesse><a:sha256>{}</a:sha256></a:anlage>
  <a:anlage><a:dateiname>Ä.pdf</a:dateiname><a:medientyp>application/pdf</a:medientyp><a:groesse>0</a:groesse><a:sha256>{}</a:sha256></a:anlage>
</a:antrag.einreichen.0100>"#,
        "0a".repeat(32),
        "ff".repeat(32)
    )
}

#[test]
fn picks_every_field_and_attachment() {
    let (header, attachments) = pick(&Rules::built_in(), &message()).unwrap();
    assert_eq!(header.root, "antrag.einreichen.0100");
    assert_eq!((header.standard.as_str(), header.version.as_str()), ("Antrag", "1.0"));
    assert_eq!(header.type_code, "0100");
    assert_eq!(header.uuid.to_string(), "693c64d6-456f-4d14-abe7-fe9681c74aae");
    assert_eq!(header.created, "2026-05-01T10:00:00.000+02:00");
    assert_eq!(header.author.as_str(), "wgp:010500100000");
    assert_eq!(header.reader.unwrap().as_str(), "kop:06411000");
    assert_eq!(header.service.unwrap().as_str(), "99102013104000");
    assert_eq!(header.area.unwrap().as_str(), "064110000000");
    assert_eq!(header.date.unwrap().to_string(), "2026-06-01");
    assert!(!header.test);
    let names: Vec<_> = attachments.iter().map(|a| (a.name.as_str(), a.size)).collect();
    assert_eq!(names, [("Foto.jpg", 12), ("Ä.pdf", 0)]);
    assert_eq!(attachments[0].sha256.0, [10; 32]);
}

#[test]
fn says_what_is_wrong_and_where() {
    use Code::{SchemaInvalid, UnknownStandard};
    let cases: &[(&str, &str, Code, &str)] = &[
        (NS, "urn:other", UnknownStandard, ""),
        ("antrag.einreichen.0100", "antrag.einreichen", UnknownStandard, ""),
        (r#"standard="Antrag""#, r#"standard="XBau""#, UnknownStandard, "/antrag.einreichen.0100/@standard"),
        (r#"version="1.0""#, r#"version="2.0""#, UnknownStandard, "/antrag.einreichen.0100/@version"),
        (r#" version="1.0""#, "", SchemaInvalid, "/antrag.einreichen.0100/@version"),
        ("<code>0100", "<code>0110", SchemaInvalid, "nachrichtentyp/code"),
        ("693C64D6-", "693C64D6", SchemaInvalid, "nachrichtenUUID"),
        ("2026-05-01T10", "gestern", SchemaInvalid, "erstellungszeitpunkt"),
        ("kop:06411000", "KOP 06411000", SchemaInvalid, "leser/kennung"),
        ("kop:06411000", "", SchemaInvalid, "leser/kennung"),
        ("<autor><kennung> wgp", "<autor><kennung/><kennung> wgp", SchemaInvalid, "autor/kennung"),
        ("wgp:<!-- x -->010500100000", "", SchemaInvalid, "autor/kennung"),
        ("<autor>", "<a:autor>", SchemaInvalid, "autor/kennung"),
        ("99102013104000", "98102013104000", SchemaInvalid, "0100/leistung"),
        ("<a:leistung>99102013104000</a:leistung>", "", SchemaInvalid, "0100/leistung"),
        ("<a:gebiet>064110000000</a:gebiet>", "", SchemaInvalid, "0100/gebiet"),
        ("064110000000", "0641", SchemaInvalid, "0100/gebiet"),
        ("2026-06-01<", "2026-02-30<", SchemaInvalid, "wunschtermin"),
        ("Foto.jpg", "../Foto.jpg", SchemaInvalid, "anlage/dateiname"),
        ("<a:groesse>12", "<a:groesse>+12", SchemaInvalid, "anlage/groesse"),
        ("<a:groesse>12</a:groesse>", "", SchemaInvalid, "anlage/groesse"),
        ("ffff", "fffg", SchemaInvalid, "anlage/sha256"),
    ];
    for (from, to, code, path) in cases {
        let mut xml = message().replacen(from, to, 1);
        if *to == "<a:autor>" {
            xml = xml.replace("</autor>\n", "</a:autor>\n");
        } else if *to == "antrag.einreichen" {
            xml = xml.replace("</a:antrag.einreichen.0100>", "</a:antrag.einreichen>");
        }
        assert_ne!(xml, message(), "{from}");
        let refusal = pick(&Rules::built_in(), &xml).expect_err(to);
        let found = refusal.location.as_ref().map_or("", |l| l.path.as_str());
        assert_eq!(refusal.code, *code, "{to}: {refusal}");
        assert!(found.ends_with(path), "{to}: {found}");
        assert!(!refusal.reason.contains("gestern"), "no payload in {refusal}");
    }
}

#[test]
fn needs_somebody_to_go_to() {
    let rules = Rules::built_in();
    let no_service = message()
        .replace("<a:leistung>99102013104000</a:leistung>", "")
        .replace("<a:gebiet>064110000000</a:gebiet>", "");
    assert!(pick(&rules, &no_service).is_ok(), "the reader is enough");
    let no_reader = message().replace("<leser><kennung>kop:06411000</kennung><name>Stadt</name></leser>", "");
    assert!(pick(&rules, &no_reader).unwrap().0.reader.is_none(), "service and area are enough");
    let neither = no_service.replace("<leser><kennung>kop:06411000</kennung><name>Stadt</name></leser>", "");
    assert_eq!(pick(&rules, &neither).unwrap_err().code, Code::SchemaInvalid);
}

#[test]
fn a_test_flag_counts_by_being_there() {
    let xml = message().replace(r#"version="1.0""#, r#"version="1.0" test="nein""#);
    assert!(pick(&Rules::built_in(), &xml).unwrap().0.test);
}

#[test]
fn a_value_longer_than_any_identifier_is_refused() {
    let xml = message().replace("kop:06411000", &"k".repeat(2_000));
    assert_eq!(pick(&Rules::built_in(), &xml).unwrap_err().code, Code::SchemaInvalid);
}

#[test]
fn takes_the_examples_of_xwasser_by_their_reader() {
    let Some(folder) = crate::verify::schema::tests::reference("xwasser-1.0.0/examples") else { return };
    let rules = Rules::built_in();
    let mut picked = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let result = pick(&rules, &std::fs::read_to_string(&path).unwrap());
        if path.ends_with("olb_report_signature.xml") {
            // Its author and reader are empty elements.
            assert_eq!(result.unwrap_err().code, Code::SchemaInvalid);
            continue;
        }
        let (header, attachments) = result.unwrap_or_else(|r| panic!("{}: {r}", path.display()));
        assert_eq!(header.namespace, XWASSER);
        assert!(header.reader.is_some() && header.test && attachments.is_empty());
        picked += 1;
    }
    assert_eq!(picked, 5);
}

#[test]
fn the_built_in_rules_compile() {
    file::compile(BUILT_IN).unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!(Rules::built_in().namespaces(), [XWASSER, NS]);
}

#[test]
fn all_faults_of_a_rules_file_come_at_once() {
    let rule = |change: &dyn Fn(&str) -> String| {
        let text = change(BUILT_IN);
        Rules::built_in().add(&text).err().unwrap_or_default()
    };
    assert_eq!(rule(&|t| t.replace("address = \"reader\"", "adress = \"reader\"")).len(), 1, "unknown key");
    let faults = rule(&|t| {
        t.replacen("roots = 'antrag\\.(?:", "roots = 'antrag\\.(", 1)
            .replacen("name = \"Antrag\"\n", "", 1)
            .replacen("t:leistung", "leistung:", 1)
            .replacen("versions = [\"1.0.0\"]", "versions = []", 1)
            .replacen("nachrichtenkopf.g2g/leser/kennung", "nachrichtenkopf.g2g/autor/kennung", 1)
    });
    assert_eq!(faults.len(), 4, "{faults:#?}");
    assert!(faults.iter().any(|f| f.contains("two fields")), "{faults:#?}");
    assert!(!rule(&|t| format!("{t}\n{t}")).is_empty(), "the same namespace twice");
    assert!(Rules::built_in().add("[[standard]]\nnamespace = 3").is_err());
    assert!(Rules::built_in().add("").is_ok(), "no rule is no fault");
}

#[test]
fn a_folder_may_bring_its_own_rules() {
    let folder = tempfile::tempdir().unwrap();
    let mut rules = Rules::built_in();
    assert_eq!(rules.add_folder(folder.path()), Ok(false));
    std::fs::write(folder.path().join("rules.toml"), BUILT_IN.replace(NS, "urn:mine")).unwrap();
    assert_eq!(rules.add_folder(folder.path()), Ok(true));
    assert!(rules.picker("urn:mine", "antrag.einreichen.0100").is_ok());
    assert!(rules.picker(NS, "antrag.einreichen.0100").is_ok());
    std::fs::write(folder.path().join("rules.toml"), "x = 1").unwrap();
    let faults = rules.add_folder(folder.path()).unwrap_err();
    assert!(faults[0].contains("rules.toml"), "{faults:?}");
}

proptest::proptest! {
    /// However a document is nested, a picker neither panics nor loses its place.
    #[test]
    fn never_panics_on_any_order_of_calls(calls in proptest::collection::vec(0_u8..6, 0..60)) {
        let rules = Rules::built_in();
        let mut picker = rules.picker(NS, "antrag.einreichen.0100").unwrap();
        for call in calls {
            match call {
                0 => picker.start("", "nachrichtenkopf.g2g"),
                1 => picker.start(NS, "anlage"),
                2 => picker.start(NS, "dateiname"),
                3 => picker.attribute("", "version", "1.0"),
                4 => picker.text("x"),
                _ => picker.end(),
            }
        }
        let _ = picker.finish();
    }
}
