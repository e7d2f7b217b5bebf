//! What a schema set is refused for, and what is said of it.

use super::*;

fn faults(files: &[(&str, &str)]) -> Vec<String> {
    compile(&Folder::new(files), &["main.xsd"]).err().unwrap_or_default()
}

#[test]
fn each_fault_has_its_place_and_sentence() {
    for (content, said) in [
        ("<xs:element name=\"a\" type=\"t:b\"/>", "there is no type t:b"),
        ("<xs:element name=\"a\" type=\"u:b\"/>", "the prefix u is not declared"),
        ("<xs:element name=\"a\"/><xs:element name=\"a\"/>", "declared twice"),
        ("<xs:element name=\"a b\"/>", "a name is malformed"),
        ("<xs:element name=\"a\" colour=\"red\"/>", "has no attribute colour"),
        ("<xs:assert test=\"1\"/>", "has no element assert"),
        ("<xs:sequence/>", "sequence has no place in schema"),
        ("<x xmlns=\"urn:x\"/>", "x is no element of XML Schema"),
        ("text", "text stands outside a documentation"),
        ("<xs:redefine/>", "redefine needs the attribute schemaLocation"),
        ("<xs:include schemaLocation=\"none.xsd\"/>", "put it there and name it"),
        ("<xs:import namespace=\"urn:t\" schemaLocation=\"main.xsd\"/>", "can't import its own namespace"),
        (
            "<xs:complexType name=\"a\"><xs:complexContent><xs:extension base=\"t:a\"/></xs:complexContent></xs:complexType>",
            "defined by itself",
        ),
        (
            "<xs:group name=\"a\"><xs:sequence><xs:group ref=\"t:a\"/></xs:sequence></xs:group>",
            "defined by itself",
        ),
        (
            "<xs:attributeGroup name=\"a\"><xs:attributeGroup ref=\"t:a\"/></xs:attributeGroup>",
            "defined by itself",
        ),
        (
            "<xs:element name=\"a\" substitutionGroup=\"t:b\"/><xs:element name=\"b\" substitutionGroup=\"t:a\"/>",
            "leads back to itself",
        ),
        ("<xs:element name=\"a\" default=\"x\" type=\"xs:int\"/>", "the default or fixed value does not fit"),
        ("<xs:element name=\"a\" default=\"1\" fixed=\"1\" type=\"xs:int\"/>", "can't both be given"),
        ("<xs:element name=\"a\" block=\"list\"/>", "block has no list here"),
        (
            "<xs:simpleType name=\"a\" final=\"restriction\"><xs:restriction base=\"xs:int\"/></xs:simpleType>\
          <xs:simpleType name=\"b\"><xs:restriction base=\"t:a\"/></xs:simpleType>",
            "is final",
        ),
        (
            "<xs:complexType name=\"a\" final=\"#all\"/><xs:complexType name=\"b\"><xs:complexContent>\
          <xs:extension base=\"t:a\"/></xs:complexContent></xs:complexType>",
            "is final",
        ),
        (
            "<xs:complexType name=\"a\"><xs:sequence><xs:all/></xs:sequence></xs:complexType>",
            "all has no place in sequence",
        ),
        (
            "<xs:complexType name=\"a\"><xs:sequence><xs:group ref=\"t:g\"/><xs:element name=\"x\"/></xs:sequence></xs:complexType>\
          <xs:group name=\"g\"><xs:all/></xs:group>",
            "must be the whole of a content model",
        ),
        (
            "<xs:complexType name=\"a\"><xs:choice><xs:element name=\"x\"/><xs:element name=\"x\"/></xs:choice></xs:complexType>",
            "ambiguous",
        ),
        (
            "<xs:complexType name=\"a\"><xs:sequence minOccurs=\"2\"/></xs:complexType>",
            "minOccurs is greater",
        ),
        (
            "<xs:complexType name=\"a\"><xs:attribute name=\"x\"/><xs:attribute name=\"x\"/></xs:complexType>",
            "declared twice",
        ),
        (
            "<xs:element name=\"a\"><xs:key name=\"k\"><xs:selector xpath=\"b[1]\"/><xs:field xpath=\"@c\"/></xs:key></xs:element>",
            "not of the form",
        ),
        (
            "<xs:element name=\"a\"><xs:keyref name=\"k\" refer=\"t:none\"><xs:selector xpath=\"b\"/><xs:field xpath=\"@c\"/></xs:keyref></xs:element>",
            "no key or unique",
        ),
    ] {
        let found = faults(&[("main.xsd", &document(content))]);
        assert!(found.iter().any(|fault| fault.contains(said)), "{content}: {found:?}");
        assert!(found.iter().all(|fault| fault.starts_with("main.xsd, line 1: ")), "{found:?}");
    }
}

#[test]
fn a_document_that_is_none_is_refused() {
    for (text, said) in [
        ("", "no root element"),
        ("<a/>", "no element of XML Schema"),
        ("<xs:schema xmlns:xs=\"http://www.w3.org/2001/XMLSchema\">", "ends within an element"),
        ("<xs:element xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" name=\"a\"/>", "not schema"),
        ("<xs:schema", "not well-formed"),
    ] {
        let found = faults(&[("main.xsd", text)]);
        assert!(found.len() == 1 && found[0].contains(said), "{text}: {found:?}");
    }
}

#[test]
fn texts_of_entities_are_taken_from_a_doctype_and_nothing_else() {
    let with = |subset: &str| {
        format!("<!DOCTYPE xs:schema [{subset}]>{}", document("<xs:element name=\"a\" fixed=\"&e;\"/>"))
    };
    let schema = compile(&Folder::new(&[("main.xsd", &with("<!ENTITY e 'eins'>"))]), &["main.xsd"]).unwrap();
    assert_eq!(check(&schema, instance("<a>eins</a>").as_bytes()), Ok(()));
    assert!(check(&schema, instance("<a>zwei</a>").as_bytes()).is_err());
    for bad in ["", "<!ENTITY e SYSTEM 'file:///etc/passwd'>", "<!ENTITY e '&e;&e;'>", "<!ENTITY % e 'x'>"] {
        let found = faults(&[("main.xsd", &with(bad))]);
        assert!(found.len() == 1 && found[0].contains("not well-formed"), "{bad}: {found:?}");
    }
}

#[test]
fn a_document_without_namespace_takes_that_of_its_includer() {
    let part = "<xs:schema xmlns:xs=\"http://www.w3.org/2001/XMLSchema\"><xs:element name=\"b\" type=\"c\"/>\
                <xs:simpleType name=\"c\"><xs:restriction base=\"xs:int\"/></xs:simpleType></xs:schema>";
    let main = document(
        "<xs:include schemaLocation=\"part.xsd\"/><xs:element name=\"a\"><xs:complexType><xs:sequence>\
                         <xs:element ref=\"t:b\"/></xs:sequence></xs:complexType></xs:element>",
    );
    let schema = compile(&Folder::new(&[("main.xsd", &main), ("part.xsd", part)]), &["main.xsd"]).unwrap();
    assert_eq!(check(&schema, instance("<a><b>1</b></a>").as_bytes()), Ok(()));
    assert!(check(&schema, instance("<a><b>x</b></a>").as_bytes()).is_err());
    let other = part.replace("<xs:schema ", "<xs:schema targetNamespace=\"urn:other\" ");
    assert!(
        faults(&[("main.xsd", &main), ("part.xsd", &other)])[0]
            .contains("has the namespace urn:other, not urn:t")
    );
}

#[test]
fn the_attributes_of_xml_itself_need_no_file() {
    let content = "<xs:element name=\"a\"><xs:complexType><xs:attribute ref=\"xml:lang\"/></xs:complexType></xs:element>";
    for import in ["", " schemaLocation=\"http://www.w3.org/2001/xml.xsd\""] {
        let import = format!("<xs:import namespace=\"http://www.w3.org/XML/1998/namespace\"{import}/>");
        let main = document(&format!("{import}{content}"));
        let schema = compile(&Folder::new(&[("main.xsd", &main)]), &["main.xsd"]).unwrap();
        for (value, fits) in [("de-DE", true), ("", true), ("zu lang für eine Sprache", false)] {
            let verdict = check(&schema, instance(&format!("<a xml:lang=\"{value}\"/>")).as_bytes());
            assert_eq!(verdict.is_ok(), fits, "{value}: {verdict:?}");
        }
        // A file of the set counts alone.
        let own = "<xs:schema xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" targetNamespace=\"http://www.w3.org/XML/1998/namespace\">\
                   <xs:attribute name=\"lang\" type=\"xs:int\"/></xs:schema>";
        let files = Folder::new(&[("main.xsd", &main), ("xml.xsd", own)]);
        let schema = compile(&files, &["main.xsd", "xml.xsd"]).unwrap();
        assert_eq!(check(&schema, instance("<a xml:lang=\"1\"/>").as_bytes()), Ok(()));
    }
}

#[test]
fn deep_chains_of_definitions_end_in_a_fault() {
    let chain: String = (0..5_000)
        .map(|n| {
            format!(
                "<xs:complexType name=\"c{n}\"><xs:complexContent><xs:extension base=\"t:c{}\"/></xs:complexContent></xs:complexType>",
                n + 1
            )
        })
        .collect();
    let found = faults(&[("main.xsd", &document(&chain))]);
    assert!(found.iter().any(|fault| fault.contains("lead one to the next")), "{found:?}");
}
