use std::path::Path;

use super::*;

pub(crate) const NS: &str = "urn:xoev-de:amtsweg:standard:antrag_1.0";

/// A folder of the reference data, where it is here.
pub(crate) fn reference(inside: &str) -> Option<PathBuf> {
    let base = std::env::var_os("AMTSWEG_REFERENCE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/reference"), PathBuf::from);
    let folder = base.join(inside);
    if folder.exists() {
        return Some(folder);
    }
    println!("skipped: {} not found", folder.display());
    None
}

fn built_in() -> Schemas {
    Schemas::load(&[]).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

#[test]
fn built_in_schemas_compile() {
    assert_eq!(built_in().namespaces(), [NS]);
}

#[test]
fn xwasser_takes_its_valid_examples() {
    let Some(folder) = reference("xwasser-1.0.0") else { return };
    let start = std::time::Instant::now();
    let schemas = Schemas::load(std::slice::from_ref(&folder)).unwrap_or_else(|faults| panic!("{faults:#?}"));
    println!("compiled in {:?}", start.elapsed());
    let namespace = "https://gitlab.opencode.de/akdb/xoev/xwasser/-/raw/main/V1_0_0";
    for entry in std::fs::read_dir(folder.join("examples")).unwrap() {
        let path = entry.unwrap().path();
        let result = schemas.check(&std::fs::read(&path).unwrap(), namespace);
        println!("{}: {result:?}", path.display());
        if path.ends_with("monitoring_plan_minimal.xml") {
            let refusal = result.unwrap_err();
            assert_eq!(refusal.code, Code::SchemaInvalid);
            assert!(
                refusal
                    .location
                    .is_some_and(|l| l.line > 0 && l.path.starts_with("/vorgang.transportieren.2010/"))
            );
        } else {
            assert_eq!(result, Ok(()), "{}", path.display());
        }
    }
}

const XWASSER: &str = "https://gitlab.opencode.de/akdb/xoev/xwasser/-/raw/main/V1_0_0";

const SIGNATURE: &str = "<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:SignedInfo>\
     <ds:CanonicalizationMethod Algorithm=\"urn:c\"/><ds:SignatureMethod Algorithm=\"urn:s\"/><ds:Reference URI=\"\">\
     <ds:Transforms><ds:Transform Algorithm=\"urn:t\"/></ds:Transforms><ds:DigestMethod Algorithm=\"urn:d\"/>\
     <ds:DigestValue>AAAA</ds:DigestValue></ds:Reference></ds:SignedInfo><ds:SignatureValue>AAAA</ds:SignatureValue>\
     <ds:KeyInfo><ds:X509Data><ds:X509Certificate>AAAA</ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature>";

#[test]
fn a_signature_at_the_end_is_taken_whether_the_schema_has_it_or_not() {
    let Some(folder) = reference("xwasser-1.0.0") else { return };
    let schemas = Schemas::load(std::slice::from_ref(&folder)).unwrap();
    // The schema of vorgang.transportieren.2010 has a signature, that of administration.quittung.0020 has none.
    for name in
        ["quality_report_minimal", "quality_report_maximal", "olb_report_minimal", "administration_receipt"]
    {
        let xml = std::fs::read_to_string(folder.join(format!("examples/{name}.xml"))).unwrap();
        let end = xml.rfind("</").unwrap();
        let at = |place: usize, what: &str| format!("{}{what}{}", &xml[..place], &xml[place..]);
        let check = |xml: String| schemas.check(xml.as_bytes(), XWASSER).map_err(|refusal| refusal.code);
        assert_eq!(check(at(end, SIGNATURE)), Ok(()), "{name}");
        assert_eq!(
            check(format!("\u{feff}{}", at(end, SIGNATURE))),
            Ok(()),
            "{name}: with a byte order mark"
        );
        let long = SIGNATURE
            .replace("<ds:X509Certificate>", &format!("<ds:X509Certificate>{}", "A".repeat(200_000)));
        assert_eq!(check(at(end, &long)), Ok(()), "{name}: a long one");
        assert_eq!(check(at(end, &SIGNATURE.repeat(2))), Err(Code::SchemaInvalid), "{name}: two");
        let first = xml.find("<nachrichtenkopf").unwrap();
        assert_eq!(check(at(first, SIGNATURE)), Err(Code::SchemaInvalid), "{name}: at the start");
        assert_eq!(check(at(end, &format!("{SIGNATURE}<x/>"))), Err(Code::SchemaInvalid), "{name}: not last");
    }
}

#[test]
fn a_namespace_without_schema_is_an_unknown_standard() {
    assert_eq!(built_in().check(b"<a/>", "urn:none").unwrap_err().code, Code::UnknownStandard);
}

const XSD: &str = "http://www.w3.org/2001/XMLSchema";

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn catalog(entries: &str) -> String {
    format!("<catalog xmlns=\"urn:oasis:names:tc:entity:xmlns:xml:catalog\">{entries}</catalog>")
}

fn main_xsd(import: &str) -> String {
    format!(
        "<xs:schema xmlns:xs=\"{XSD}\" xmlns:b=\"urn:b\" targetNamespace=\"urn:a\" elementFormDefault=\"qualified\">\
         <xs:import namespace=\"urn:b\" schemaLocation=\"{import}\"/>\
         <xs:element name=\"a\"><xs:complexType><xs:sequence><xs:element ref=\"b:b\"/></xs:sequence></xs:complexType>\
         </xs:element></xs:schema>"
    )
}

fn other_xsd() -> String {
    format!(
        "<xs:schema xmlns:xs=\"{XSD}\" targetNamespace=\"urn:b\"><xs:element name=\"b\"><xs:complexType><xs:sequence>\
         <xs:element name=\"code\" type=\"xs:token\" form=\"unqualified\"/></xs:sequence>\
         <xs:attribute name=\"listURI\"/><xs:attribute name=\"listVersionID\"/></xs:complexType></xs:element></xs:schema>"
    )
}

fn faults(folder: &tempfile::TempDir) -> Vec<String> {
    Schemas::load(&[folder.path().to_owned()]).err().unwrap_or_default()
}

#[test]
fn a_folder_is_found_through_its_catalog_and_its_code_lists_count() {
    let list = include_str!("../../../xsd/antrag/1.0/codelists/nachrichtentyp_1.xml");
    let folder = folder(&[
        ("main.xsd", &main_xsd("http://nowhere.invalid/b.xsd")),
        ("remote/b.xsd", &other_xsd()),
        ("catalog.xml", &catalog("<system systemId=\"http://nowhere.invalid/b.xsd\" uri=\"remote/b.xsd\"/>")),
        ("codelists/l.xml", &list.replace("urn:xoev-de:amtsweg:codeliste:nachrichtentyp", "urn:l")),
    ]);
    let schemas = Schemas::load(&[folder.path().to_owned()]).unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!(schemas.namespaces(), ["urn:a", NS]);
    let check = |inside: &str| {
        let xml = format!("<a xmlns=\"urn:a\" xmlns:b=\"urn:b\">{inside}</a>");
        schemas.check(xml.as_bytes(), "urn:a").map_err(|refusal| refusal.code)
    };
    let code = |uri: &str, version: &str, code: &str| {
        check(&format!(
            "<b:b listURI=\"{uri}\" listVersionID=\"{version}\"><code xmlns=\"\">{code}</code></b:b>"
        ))
    };
    assert_eq!(code("urn:l", "1", "0100"), Ok(()));
    assert_eq!(code("urn:l", "1", " 01<!-- -->&#48;<![CDATA[0]]>\n"), Ok(()), "in pieces");
    assert_eq!(code("urn:l", "1", "0101"), Err(Code::UnknownCode));
    assert_eq!(code("urn:l", "1", ""), Err(Code::UnknownCode));
    assert_eq!(code("urn:l", "7", "0101"), Ok(()), "a version that is not here can't be checked");
    assert_eq!(code("urn:m", "1", "0101"), Ok(()));
    assert_eq!(check("<b:b><b:code>1</b:code></b:b>"), Err(Code::SchemaInvalid), "qualified by mistake");
    assert_eq!(check("<b:c/>"), Err(Code::SchemaInvalid));
}

#[test]
fn what_a_schema_or_document_names_is_never_fetched() {
    let secret = folder(&[("b.xsd", &other_xsd())]);
    let outside = secret.path().join("b.xsd");
    let outside = outside.to_str().unwrap();
    for import in [
        outside.to_owned(),
        format!("file://{outside}"),
        "http://127.0.0.1:9/b.xsd".to_owned(),
        "https://example.org/b.xsd".to_owned(),
        "missing.xsd".to_owned(),
        format!("../{}/b.xsd", secret.path().file_name().unwrap().to_str().unwrap()),
    ] {
        let set = folder(&[("main.xsd", &main_xsd(&import)), ("catalog.xml", &catalog(""))]);
        let faults = faults(&set);
        assert!(faults.len() == 1 && faults[0].contains("catalog.xml"), "{import}: {faults:?}");
    }
    let set =
        folder(&[("main.xsd", &main_xsd("b.xsd")), ("b.xsd", &other_xsd()), ("catalog.xml", &catalog(""))]);
    let schemas = Schemas::load(&[set.path().to_owned()]).unwrap();
    let xml = format!(
        "<a xmlns=\"urn:a\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xsi:schemaLocation=\"urn:a http://127.0.0.1:9/a.xsd urn:c {outside}\"><b xmlns=\"urn:b\"><code xmlns=\"\">x</code></b></a>"
    );
    assert_eq!(schemas.check(xml.as_bytes(), "urn:a"), Ok(()));
}

#[test]
fn faults_of_a_folder_say_what_to_do() {
    let without = folder(&[("main.xsd", &other_xsd())]);
    assert!(faults(&without)[0].contains("put one there"));
    let nothing = folder(&[("catalog.xml", &catalog(""))]);
    assert!(faults(&nothing)[0].contains("no .xsd"));
    let many = folder(&[
        ("catalog.xml", &catalog("")),
        ("a.xsd", "<xs:schema"),
        ("b.xsd", "no xml </x>"),
        ("codelists/c.xml", "<a/>"),
    ]);
    assert_eq!(faults(&many).len(), 3, "{:?}", faults(&many));
    let twice = folder(&[("catalog.xml", &catalog("")), ("a.xsd", &other_xsd().replace("urn:b", NS))]);
    assert!(faults(&twice)[0].contains(NS), "{:?}", faults(&twice));
    let wrong =
        folder(&[("catalog.xml", &catalog("")), ("a.xsd", &other_xsd().replace("xs:token", "xs:tokn"))]);
    assert_eq!(faults(&wrong).len(), 1, "{:?}", faults(&wrong));
    assert!(Schemas::load(&[PathBuf::from("/nonexistent/x")]).is_err());
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_folder_is_refused() {
    let secret = folder(&[("b.xsd", &other_xsd())]);
    let set = folder(&[("main.xsd", &main_xsd("b.xsd")), ("catalog.xml", &catalog(""))]);
    std::os::unix::fs::symlink(secret.path().join("b.xsd"), set.path().join("b.xsd")).unwrap();
    assert!(faults(&set).iter().any(|fault| fault.contains("leads out")), "{:?}", faults(&set));
}

#[test]
fn checks_run_in_parallel() {
    let schemas = built_in();
    let author = crate::antrag::samples::portal("a:b").unwrap();
    let pairs = crate::antrag::samples::pairs();
    let samples = crate::antrag::samples::applications(8, &author, &pairs, crate::domain::Timestamp(0));
    std::thread::scope(|scope| {
        for sample in &samples {
            let schemas = &schemas;
            scope.spawn(move || {
                let good = sample.to_xml().unwrap();
                let bad = String::from_utf8(good.clone()).unwrap().replace("gebiet>", "gebeit>").into_bytes();
                for _ in 0..20 {
                    assert_eq!(schemas.check(&good, NS), Ok(()));
                    let refusal = schemas.check(&bad, NS).unwrap_err();
                    assert_eq!(refusal.code, Code::SchemaInvalid);
                    assert_eq!(refusal.location.unwrap().path, "/antrag.einreichen.0100/gebeit");
                }
            });
        }
    });
}

#[test]
fn the_built_in_set_is_also_a_good_folder() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("xsd/antrag/1.0");
    let set = Sources::folder(&folder).and_then(|sources| Set::compile(&sources));
    let set = set.unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!(set.namespaces().collect::<Vec<_>>(), [NS]);
    let twice = Schemas::load(&[folder]).err().unwrap_or_default();
    assert!(twice.len() == 1 && twice[0].contains("keep one"), "{twice:?}");
}
