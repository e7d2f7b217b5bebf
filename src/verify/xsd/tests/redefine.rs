//! Redefinitions, with xmllint beside.

use super::*;

/// What is redefined.
const BEFORE: &str = "<xs:simpleType name='s'><xs:restriction base='xs:string'><xs:maxLength value='5'/></xs:restriction></xs:simpleType>\
    <xs:complexType name='c'><xs:sequence><xs:element name='x' type='t:s'/></xs:sequence><xs:attribute name='p'/></xs:complexType>\
    <xs:complexType name='d'><xs:complexContent><xs:extension base='t:c'><xs:sequence><xs:element name='z' type='t:s'/></xs:sequence></xs:extension></xs:complexContent></xs:complexType>\
    <xs:group name='g'><xs:sequence><xs:element name='x' type='xs:int'/></xs:sequence></xs:group>\
    <xs:group name='h'><xs:sequence><xs:element name='x' type='xs:int' minOccurs='0'/></xs:sequence></xs:group>\
    <xs:attributeGroup name='a'><xs:attribute name='p' type='xs:int'/></xs:attributeGroup>\
    <xs:element name='c' type='t:c'/><xs:element name='d' type='t:d'/><xs:element name='s' type='t:s'/>\
    <xs:element name='g'><xs:complexType><xs:group ref='t:g'/><xs:attributeGroup ref='t:a'/></xs:complexType></xs:element>\
    <xs:element name='h'><xs:complexType><xs:group ref='t:h'/></xs:complexType></xs:element>";

const REDEFINED: &str = "<xs:redefine schemaLocation='part.xsd'>\
    <xs:simpleType name='s'><xs:restriction base='t:s'><xs:minLength value='2'/></xs:restriction></xs:simpleType>\
    <xs:complexType name='c'><xs:complexContent><xs:extension base='t:c'><xs:sequence><xs:element name='y' type='t:c' minOccurs='0'/></xs:sequence></xs:extension></xs:complexContent></xs:complexType>\
    <xs:group name='g'><xs:sequence><xs:element name='w'/><xs:group ref='t:g'/></xs:sequence></xs:group>\
    <xs:group name='h'><xs:sequence><xs:element name='x' type='xs:int'/></xs:sequence></xs:group>\
    <xs:attributeGroup name='a'><xs:attributeGroup ref='t:a'/><xs:attribute name='q' use='required'/></xs:attributeGroup>\
    </xs:redefine><xs:element name='here' type='t:s'/>";

const DOCUMENTS: &[(&str, &str)] = &[
    ("+", "<s>abc</s>"),
    ("-", "<s>a</s>"),
    ("-", "<s>abcdef</s>"),
    ("+", "<here>ab</here>"),
    ("-", "<here>a</here>"),
    ("+", "<c><x>ab</x></c>"),
    ("-", "<c><x>a</x></c>"),
    // What is not the base means the new definition.
    ("+", "<c p=''><x>ab</x><y><x>ab</x><y><x>ab</x></y></y></c>"),
    // What derives from it derives from the new one.
    ("+", "<d><x>ab</x><y><x>ab</x></y><z>ab</z></d>"),
    ("-", "<d><x>ab</x><z>a</z></d>"),
    ("+", "<c xsi:type='t:d'><x>ab</x><z>ab</z></c>"),
    ("+", "<g q='' p='1'><w/><x>1</x></g>"),
    ("-", "<g q=''><x>1</x></g>"),
    ("-", "<g p='1'><w/><x>1</x></g>"),
    ("-", "<g q='' p='x'><w/><x>1</x></g>"),
    ("+", "<h><x>1</x></h>"),
    ("-", "<h/>"),
];

fn compiled(files: &[(&str, &str)]) -> Schema {
    compile(&Folder::new(files), &["main.xsd"]).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

fn hold(files: &[(&str, &str)], cases: &[(&str, &str)]) {
    let schema = compiled(files);
    let documents: Vec<String> = cases.iter().map(|(_, content)| instance(content)).collect();
    let said = xmllint(files, &documents);
    for (number, (sign, content)) in cases.iter().enumerate() {
        let ours = check(&schema, documents[number].as_bytes());
        assert_eq!(ours.is_ok(), *sign == "+", "{content}: {ours:?}");
        if let Some(said) = &said {
            assert_eq!(said[number], ours.is_ok(), "xmllint differs: {content}");
        }
    }
}

#[test]
fn a_redefinition_takes_the_place_of_what_it_redefines() {
    hold(&[("main.xsd", &document(REDEFINED)), ("part.xsd", &document(BEFORE))], DOCUMENTS);
}

#[test]
fn what_has_no_namespace_is_redefined_in_that_of_its_redefiner() {
    let part = document(BEFORE).replace(" targetNamespace=\"urn:t\"", "").replace("t:", "");
    hold(&[("main.xsd", &document(REDEFINED)), ("part.xsd", &part)], DOCUMENTS);
}

#[test]
fn a_redefinition_can_be_redefined() {
    let longer = "<xs:redefine schemaLocation='middle.xsd'><xs:simpleType name='s'><xs:restriction base='t:s'>\
                  <xs:maxLength value='3'/></xs:restriction></xs:simpleType></xs:redefine>";
    let files = [
        ("main.xsd", &*document(longer)),
        ("middle.xsd", &*document(REDEFINED)),
        ("part.xsd", &*document(BEFORE)),
    ];
    hold(&files, &[("+", "<s>abc</s>"), ("-", "<s>a</s>"), ("-", "<s>abcd</s>"), ("+", "<c><x>abc</x></c>")]);
}

#[test]
fn a_redefinition_that_is_none_is_a_fault() {
    for (content, said) in [
        ("<xs:simpleType name='none'><xs:restriction base='t:none'/></xs:simpleType>", "there is no none"),
        ("<xs:simpleType name='s'><xs:restriction base='xs:int'/></xs:simpleType>", "derives from itself"),
        ("<xs:complexType name='c'/>", "derives from itself"),
        (
            "<xs:group name='g'><xs:choice><xs:group ref='t:g'/><xs:group ref='t:g'/></xs:choice></xs:group>",
            "at most once",
        ),
        (
            "<xs:group name='g'><xs:choice><xs:group ref='t:g' minOccurs='0'/></xs:choice></xs:group>",
            "occurs once",
        ),
        ("<xs:element name='s'/>", "element has no place in redefine"),
    ] {
        let main = document(&format!("<xs:redefine schemaLocation='part.xsd'>{content}</xs:redefine>"));
        let files = Folder::new(&[("main.xsd", &main), ("part.xsd", &document(BEFORE))]);
        let faults = compile(&files, &["main.xsd"]).err().unwrap_or_default();
        assert!(faults.iter().any(|fault| fault.contains(said)), "{content}: {faults:?}");
    }
    let own = document(
        "<xs:simpleType name='u'><xs:restriction base='xs:int'/></xs:simpleType><xs:redefine schemaLocation='part.xsd'>\
                        <xs:simpleType name='u'><xs:restriction base='t:u'/></xs:simpleType></xs:redefine>",
    );
    let faults = compile(&Folder::new(&[("main.xsd", &own), ("part.xsd", &document(BEFORE))]), &["main.xsd"]);
    assert!(faults.err().unwrap_or_default()[0].contains("declared twice"));
}
