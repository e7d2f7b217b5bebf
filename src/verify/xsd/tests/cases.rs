//! Small schemas, each with documents that are valid (`+`) and not (`-`). A `?` before the sign marks where xmllint says
//! otherwise; the comment says why it is not followed.

use super::*;

struct Case {
    schema: &'static str,
    documents: &'static [(&'static str, &'static str)],
}

const ATTRIBUTES: &[Case] = &[
    Case {
        schema: "<xs:element name='a'><xs:complexType><xs:attribute name='p' type='xs:int' use='required'/>\
                 <xs:attribute name='q' fixed='x y' type='xs:token'/><xs:attribute name='r' form='qualified'/>\
                 <xs:attribute ref='t:g'/></xs:complexType></xs:element><xs:attribute name='g' type='xs:boolean'/>",
        documents: &[
            ("+", "<a p='1'/>"),
            // White space around a number is collapsed first (part 2, 4.3.6); libxml2 does not for `xs:int`.
            ("?+", "<a p=' 1 ' q=' x  y ' t:r='' t:g='true'/>"),
            ("-", "<a/>"),
            ("-", "<a p='x'/>"),
            ("-", "<a p='1' q='z'/>"),
            ("-", "<a p='1' r=''/>"),
            ("-", "<a p='1' g='true'/>"),
            ("-", "<a p='1' t:g='ja'/>"),
            ("+", "<a p='1' xsi:schemaLocation='urn:t nowhere.xsd'/>"),
            ("-", "<a p='1'> </a>"),
            ("+", "<a p='1'><!-- x --></a>"),
        ],
    },
    Case {
        schema: "<xs:element name='a'><xs:complexType><xs:attributeGroup ref='t:one'/><xs:attributeGroup ref='t:two'/>\
                 </xs:complexType></xs:element><xs:attribute name='g' type='xs:int'/>\
                 <xs:attributeGroup name='one'><xs:attribute name='p'/><xs:anyAttribute namespace='urn:o urn:t' processContents='lax'/></xs:attributeGroup>\
                 <xs:attributeGroup name='two'><xs:attribute name='q'/><xs:anyAttribute namespace='##targetNamespace ##local' processContents='lax'/></xs:attributeGroup>",
        documents: &[
            ("+", "<a p='' q='' t:z='' t:g='1'/>"),
            ("-", "<a t:g='x'/>"),
            ("-", "<a o:z=''/>"),
            ("-", "<a z=''/>"),
        ],
    },
    Case {
        schema: "<xs:complexType name='b'><xs:attribute name='p' use='required'/><xs:attribute name='q'/>\
                 <xs:anyAttribute namespace='##other' processContents='skip'/></xs:complexType>\
                 <xs:complexType name='e'><xs:complexContent><xs:extension base='t:b'><xs:attribute name='r'/>\
                 <xs:anyAttribute namespace='##targetNamespace' processContents='skip'/></xs:extension></xs:complexContent></xs:complexType>\
                 <xs:complexType name='r'><xs:complexContent><xs:restriction base='t:b'><xs:attribute name='q' use='prohibited'/>\
                 </xs:restriction></xs:complexContent></xs:complexType>\
                 <xs:element name='a' type='t:b'/><xs:element name='c' type='t:r'/>",
        documents: &[
            ("+", "<a p='' o:x=''/>"),
            ("-", "<a p='' x=''/>"),
            ("-", "<a p='' t:x=''/>"),
            ("+", "<c p=''/>"),
            ("-", "<c p='' q=''/>"),
            ("-", "<c p='' o:x=''/>"),
            ("+", "<a p='' xsi:type='t:r'/>"),
            ("+", "<a p='' r='' o:x='' t:x='' xsi:type='t:e'/>"),
            ("-", "<a p='' x='' xsi:type='t:e'/>"),
            ("-", "<a p='' q='' xsi:type='t:r'/>"),
        ],
    },
];

const CONTENT: &[Case] = &[
    Case {
        schema: "<xs:element name='a'><xs:complexType><xs:sequence><xs:element name='b' type='xs:int' maxOccurs='2'/>\
                 <xs:choice minOccurs='0' maxOccurs='unbounded'><xs:element name='c'/><xs:element name='d' form='unqualified' type='xs:date'/></xs:choice>\
                 </xs:sequence></xs:complexType></xs:element>",
        documents: &[
            ("+", "<a><b>1</b></a>"),
            // As above.
            ("?+", "<a>\n<b> 1 </b><b>+2</b><c><x/>text</c><d xmlns=''>2026-05-31</d><c/></a>"),
            ("-", "<a/>"),
            ("-", "<a><b>1</b><b>1</b><b>1</b></a>"),
            ("-", "<a><c/></a>"),
            ("-", "<a><b>1</b><d>2026-05-31</d></a>"),
            ("-", "<a><b>1</b><d xmlns=''>gestern</d></a>"),
            ("-", "<a>x<b>1</b></a>"),
            ("-", "<a><b>1</b>&#120;</a>"),
            ("-", "<a><b>1</b><![CDATA[x]]></a>"),
            ("-", "<a><b>1<c/></b></a>"),
            ("-", "<a><b xmlns='urn:o'>1</b></a>"),
            ("-", "<a><b></b></a>"),
            ("+", "<a><b>1<!-- x -->2</b></a>"),
            ("-", "<b>1</b>"),
        ],
    },
    Case {
        schema: "<xs:element name='a'><xs:complexType><xs:all><xs:element name='b' type='xs:int'/>\
                 <xs:element name='c' type='xs:int' minOccurs='0'/></xs:all></xs:complexType></xs:element>",
        documents: &[
            ("+", "<a><b>1</b><c>1</c></a>"),
            ("+", "<a><c>1</c><b>1</b></a>"),
            ("+", "<a><b>1</b></a>"),
            ("-", "<a><c>1</c></a>"),
            ("-", "<a><b>1</b><b>1</b></a>"),
            ("-", "<a><b>1</b><d/></a>"),
        ],
    },
    Case {
        schema: "<xs:element name='a'><xs:complexType><xs:group ref='t:g' minOccurs='2' maxOccurs='1000000'/></xs:complexType></xs:element>\
                 <xs:group name='g'><xs:sequence><xs:element name='b' type='xs:int'/><xs:element name='c' type='xs:int' minOccurs='0'/></xs:sequence></xs:group>",
        documents: &[
            ("-", "<a><b>1</b></a>"),
            ("-", "<a><b>1</b><c>1</c></a>"),
            ("+", "<a><b>1</b><b>1</b></a>"),
            ("+", "<a><b>1</b><c>1</c><b>1</b><b>2</b><c>1</c></a>"),
            ("-", "<a><b>1</b><b>1</b><c>1</c><c>1</c></a>"),
        ],
    },
    Case {
        schema: "<xs:element name='a'><xs:complexType mixed='true'><xs:sequence><xs:element name='b' minOccurs='0'/></xs:sequence></xs:complexType></xs:element>\
                 <xs:element name='f' fixed='x y'><xs:complexType mixed='true'><xs:sequence><xs:element name='b' minOccurs='0'/></xs:sequence></xs:complexType></xs:element>\
                 <xs:element name='d' type='xs:int' default='7'/><xs:element name='e' type='xs:decimal' fixed='1.0'/>",
        documents: &[
            ("+", "<a>x<b/>y</a>"),
            ("-", "<a>x<c/></a>"),
            ("+", "<f>x y</f>"),
            ("+", "<f/>"),
            ("-", "<f>x</f>"),
            // A fixed value leaves no room for elements (part 1, 3.3.4, 5.2.2.1).
            ("?-", "<f>x y<b/></f>"),
            ("+", "<d/>"),
            ("+", "<d>8</d>"),
            ("-", "<d> </d>"),
            // Values are compared, not texts (part 1, 3.3.4, 5.2.2.2.2).
            ("?+", "<e>1</e>"),
            ("+", "<e/>"),
            ("-", "<e>2</e>"),
        ],
    },
    Case {
        schema: "<xs:element name='a'><xs:complexType><xs:sequence><xs:any namespace='##other' processContents='lax' minOccurs='0'/>\
                 <xs:element name='b'><xs:complexType><xs:sequence><xs:any processContents='strict'/></xs:sequence></xs:complexType></xs:element>\
                 <xs:any namespace='##local' processContents='skip' minOccurs='0' maxOccurs='unbounded'/></xs:sequence></xs:complexType></xs:element>\
                 <xs:element name='i' type='xs:int'/><xs:element name='s'><xs:simpleType><xs:restriction base='xs:int'/></xs:simpleType></xs:element>",
        documents: &[
            ("+", "<a><o:x><o:y z='1'>text</o:y></o:x><b><i>1</i></b></a>"),
            ("-", "<a><o:x><i>x</i></o:x><b><i>1</i></b></a>"),
            ("-", "<a><o:x><s>x</s></o:x><b><i>1</i></b></a>"),
            ("-", "<a><b><i>x</i></b></a>"),
            ("-", "<a><b><s>x</s></b></a>"),
            ("-", "<a><b><o:x/></b></a>"),
            // A strict wildcard is content with `xsi:type` (part 1, 3.10.1).
            ("?+", "<a><b><o:x xsi:type='xs:int'>1</o:x></b></a>"),
            ("-", "<a><b><o:x xsi:type='xs:int'>x</o:x></b></a>"),
            ("-", "<a><o:x xsi:type='xs:int'>x</o:x><b><i>1</i></b></a>"),
            ("+", "<a><b><i>1</i></b><x xmlns=''><i xmlns='urn:t'>x</i></x><y xmlns=''/></a>"),
            ("-", "<a><b><i>1</i></b><o:x/></a>"),
            ("-", "<a><o:x/><o:x/><b><i>1</i></b></a>"),
        ],
    },
];

const TYPES: &[Case] = &[
    Case {
        schema: "<xs:complexType name='b' abstract='true'><xs:sequence><xs:element name='x' type='xs:int'/></xs:sequence></xs:complexType>\
                 <xs:complexType name='e'><xs:complexContent><xs:extension base='t:b'><xs:sequence><xs:element name='y' type='xs:int'/></xs:sequence></xs:extension></xs:complexContent></xs:complexType>\
                 <xs:complexType name='r'><xs:complexContent><xs:restriction base='t:e'><xs:sequence><xs:element name='x' type='xs:byte'/><xs:element name='y' type='xs:int'/></xs:sequence></xs:restriction></xs:complexContent></xs:complexType>\
                 <xs:complexType name='z'><xs:sequence><xs:element name='x' type='xs:int'/></xs:sequence></xs:complexType>\
                 <xs:element name='a' type='t:b'/><xs:element name='n' type='t:e' block='restriction'/><xs:element name='u'/>",
        documents: &[
            ("-", "<a><x>1</x></a>"),
            ("+", "<a xsi:type='t:e'><x>1</x><y>1</y></a>"),
            ("-", "<a xsi:type='t:e'><x>1</x></a>"),
            ("+", "<a xsi:type='t:r'><x>1</x><y>1</y></a>"),
            ("-", "<a xsi:type='t:r'><x>1000</x><y>1</y></a>"),
            ("-", "<a xsi:type='t:z'><x>1</x></a>"),
            ("-", "<a xsi:type='t:none'><x>1</x></a>"),
            ("-", "<n xsi:type='t:r'><x>1</x><y>1</y></n>"),
            ("+", "<n xsi:type='t:e'><x>1</x><y>1</y></n>"),
            ("+", "<u xsi:type='t:z'><x>1</x></u>"),
            ("-", "<u xsi:type='t:z'><x>a</x></u>"),
            ("+", "<u xsi:type='xs:int'>1</u>"),
            ("-", "<u xsi:type='xs:int'>a</u>"),
            ("+", "<u o:p='1'>text<o:x/></u>"),
        ],
    },
    Case {
        schema: "<xs:complexType name='v'><xs:simpleContent><xs:extension base='xs:decimal'><xs:attribute name='w' use='required'/></xs:extension></xs:simpleContent></xs:complexType>\
                 <xs:complexType name='r'><xs:simpleContent><xs:restriction base='t:v'><xs:maxInclusive value='10'/></xs:restriction></xs:simpleContent></xs:complexType>\
                 <xs:element name='a' type='t:v' nillable='true'/><xs:element name='c' type='t:r'/>\
                 <xs:simpleType name='union'><xs:union memberTypes='xs:int t:word'/></xs:simpleType>\
                 <xs:simpleType name='word'><xs:restriction base='xs:token'><xs:enumeration value='one'/><xs:enumeration value='two'/></xs:restriction></xs:simpleType>\
                 <xs:element name='l'><xs:simpleType><xs:restriction><xs:simpleType><xs:list itemType='t:union'/></xs:simpleType><xs:maxLength value='3'/></xs:restriction></xs:simpleType></xs:element>\
                 <xs:element name='q' type='xs:QName'/><xs:element name='o' type='t:union'/>\
                 <xs:element name='v'><xs:simpleType><xs:restriction><xs:simpleType><xs:union memberTypes='xs:int xs:string'/></xs:simpleType><xs:enumeration value='a'/></xs:restriction></xs:simpleType></xs:element>",
        documents: &[
            ("+", "<a w=''>1.5</a>"),
            ("-", "<a>1.5</a>"),
            ("-", "<a w=''>x</a>"),
            ("-", "<a w=''><b/></a>"),
            ("+", "<a w='' xsi:nil='true'/>"),
            ("-", "<a xsi:nil='true'/>"),
            ("-", "<a w='' xsi:nil='true'>1</a>"),
            ("+", "<a w='' xsi:nil='false'>1</a>"),
            ("-", "<a w='' xsi:nil='ja'>1</a>"),
            ("-", "<c w='' xsi:nil='true'/>"),
            ("+", "<c w=''>10</c>"),
            ("-", "<c w=''>11</c>"),
            ("+", "<l>1 two 3</l>"),
            ("-", "<l>1 two 3 4</l>"),
            ("-", "<l>1 three</l>"),
            ("+", "<q>t:x</q>"),
            ("+", "<q xmlns:own='urn:own'>own:x</q>"),
            ("-", "<q>none:x</q>"),
            ("+", "<o xsi:type='xs:int'>1</o>"),
            ("-", "<o xsi:type='xs:string'>x</o>"),
            // A member does not keep to what the union adds (part 1, 3.14.6, as 1.1 puts it right).
            ("+", "<v>a</v>"),
            ("-", "<v xsi:type='xs:int'>1</v>"),
        ],
    },
    Case {
        schema: "<xs:element name='a'><xs:complexType><xs:sequence><xs:element ref='t:h' maxOccurs='unbounded'/></xs:sequence></xs:complexType></xs:element>\
                 <xs:element name='h' type='xs:decimal' abstract='true'/><xs:element name='i' type='xs:int' substitutionGroup='t:h'/>\
                 <xs:element name='j' substitutionGroup='t:i'/><xs:element name='k' type='xs:short' substitutionGroup='t:j' abstract='true'/>\
                 <xs:element name='b'><xs:complexType><xs:sequence><xs:element ref='t:l'/></xs:sequence></xs:complexType></xs:element>\
                 <xs:element name='l' type='xs:decimal' block='substitution'/><xs:element name='m' type='xs:int' substitutionGroup='t:l'/>\
                 <xs:element name='c'><xs:complexType><xs:sequence><xs:element ref='t:n'/></xs:sequence></xs:complexType></xs:element>\
                 <xs:element name='n' type='xs:decimal' block='restriction'/><xs:element name='o' type='xs:int' substitutionGroup='t:n'/>\
                 <xs:element name='p' type='xs:decimal' substitutionGroup='t:n'/>",
        documents: &[
            ("+", "<a><i>1</i><j>2</j></a>"),
            ("-", "<a><h>1</h></a>"),
            ("-", "<a><i>1.5</i></a>"),
            ("-", "<a><j>x</j></a>"),
            ("-", "<a><k>1</k></a>"),
            ("+", "<b><l>1</l></b>"),
            ("-", "<b><m>1</m></b>"),
            // `block` holds for substitutes too (part 1, 3.3.6).
            ("?-", "<c><o>1</o></c>"),
            ("+", "<c><p>1</p></c>"),
        ],
    },
];

const IDENTITY: &[Case] = &[
    Case {
        schema: "<xs:element name='a'><xs:complexType><xs:sequence><xs:element name='b' minOccurs='0' maxOccurs='unbounded'><xs:complexType><xs:sequence>\
                 <xs:element name='c' type='xs:decimal' minOccurs='0' nillable='true'/></xs:sequence><xs:attribute name='k' type='xs:string'/></xs:complexType></xs:element>\
                 <xs:element name='r' minOccurs='0' maxOccurs='unbounded'><xs:complexType><xs:attribute name='k' type='xs:string'/><xs:attribute name='c' type='xs:decimal'/></xs:complexType></xs:element>\
                 </xs:sequence></xs:complexType>\
                 <xs:key name='key'><xs:selector xpath='t:b'/><xs:field xpath='@k'/></xs:key>\
                 <xs:unique name='unique'><xs:selector xpath='.//t:b'/><xs:field xpath='t:c'/></xs:unique>\
                 <xs:keyref name='ref' refer='t:key'><xs:selector xpath='t:r'/><xs:field xpath='@k'/></xs:keyref></xs:element>",
        documents: &[
            ("+", "<a><b k='1'/><b k='2'/><r k='1'/><r/></a>"),
            ("-", "<a><b k='1'/><b k='1'/></a>"),
            ("-", "<a><b/></a>"),
            ("-", "<a><b k='1'/><r k='3'/></a>"),
            ("+", "<a><b k='1'><c>1</c></b><b k='2'><c>2</c></b></a>"),
            ("-", "<a><b k='1'><c>1</c></b><b k='2'><c>1.0</c></b></a>"),
            // A nil field takes no part in what is unique; libxml2 gives up.
            ("?+", "<a><b k='1'><c>1</c></b><b k='2'><c xsi:nil='true'/></b></a>"),
        ],
    },
    Case {
        schema: "<xs:element name='a'><xs:complexType><xs:sequence><xs:element name='g' maxOccurs='unbounded'><xs:complexType><xs:sequence>\
                 <xs:element name='b' type='xs:int' maxOccurs='unbounded'/></xs:sequence></xs:complexType>\
                 <xs:key name='k'><xs:selector xpath='*'/><xs:field xpath='.'/></xs:key></xs:element>\
                 <xs:element name='r' type='xs:int' minOccurs='0' maxOccurs='unbounded'/></xs:sequence></xs:complexType>\
                 <xs:keyref name='f' refer='t:k'><xs:selector xpath='t:r | t:none'/><xs:field xpath='.'/></xs:keyref></xs:element>",
        documents: &[
            ("+", "<a><g><b>1</b><b>2</b></g><g><b>3</b></g><r>01</r><r>3</r></a>"),
            ("-", "<a><g><b>1</b><b>+1</b></g></a>"),
            ("+", "<a><g><b>1</b></g><g><b>1</b></g></a>"),
            ("-", "<a><g><b>1</b></g><r>2</r></a>"),
        ],
    },
    Case {
        schema: "<xs:element name='a'><xs:complexType><xs:sequence><xs:element name='b' maxOccurs='unbounded' nillable='true'/>\
                 <xs:element name='c' type='xs:int' nillable='true' minOccurs='0' maxOccurs='2'/></xs:sequence></xs:complexType>\
                 <xs:unique name='value'><xs:selector xpath='t:b'/><xs:field xpath='.'/></xs:unique></xs:element>",
        documents: &[
            ("+", "<a><b xsi:type='xs:int'>1</b></a>"),
            ("-", "<a><b xsi:type='xs:int'>1</b><b xsi:type='xs:int'>1</b></a>"),
            // A field is of a simple type, also where it is nil (part 1, 3.11.4).
            ("-", "<a><b xsi:nil='true'/></a>"),
            ("?+", "<a><b xsi:nil='true' xsi:type='xs:int'/></a>"),
        ],
    },
    Case {
        schema: "<xs:element name='a'><xs:complexType><xs:sequence><xs:element name='b' maxOccurs='unbounded' nillable='true'><xs:complexType>\
                 <xs:attribute name='k'/></xs:complexType></xs:element></xs:sequence></xs:complexType>\
                 <xs:key name='attribute'><xs:selector xpath='t:b'/><xs:field xpath='@*'/></xs:key></xs:element>",
        documents: &[
            ("+", "<a><b k='1'/><b k='2'/></a>"),
            ("-", "<a><b k='1'/><b k='1'/></a>"),
            ("-", "<a><b/></a>"),
            // Attributes of instances are attributes.
            ("?-", "<a><b k='1' xsi:nil='true'/></a>"),
            ("?+", "<a><b k='1'/><b xsi:nil='true'/></a>"),
        ],
    },
    Case {
        schema: "<xs:element name='a'><xs:complexType><xs:sequence><xs:element name='b' maxOccurs='unbounded'><xs:complexType>\
                 <xs:attribute name='id' type='xs:ID'/><xs:attribute name='ref' type='xs:IDREF'/></xs:complexType></xs:element></xs:sequence></xs:complexType></xs:element>",
        documents: &[
            ("+", "<a><b id='x'/><b id='y' ref='x'/></a>"),
            ("-", "<a><b id='x'/><b id='x'/></a>"),
            ("-", "<a><b id='1'/></a>"),
            // Let pass on purpose: `run/ids`.
            ("+", "<a><b ref='nobody'/></a>"),
        ],
    },
];

fn run(cases: &[Case]) {
    for case in cases {
        let main = document(case.schema);
        let files = [("main.xsd", main.as_str())];
        let schema = compile(&Folder::new(&files), &["main.xsd"]);
        let schema = schema.unwrap_or_else(|faults| panic!("{faults:#?}"));
        let documents: Vec<String> = case.documents.iter().map(|(_, content)| instance(content)).collect();
        let said = xmllint(&files, &documents);
        for (number, (sign, content)) in case.documents.iter().enumerate() {
            let valid = sign.ends_with('+');
            let ours = check(&schema, documents[number].as_bytes());
            assert_eq!(ours.is_ok(), valid, "{content}: {ours:?}");
            if let Err(refusal) = ours {
                assert_eq!(refusal.code, crate::error::Code::SchemaInvalid, "{content}");
                let location = refusal.location.unwrap();
                assert!(location.line == 1 && location.path.starts_with('/'), "{content}: {location:?}");
            }
            if let Some(said) = &said {
                assert_eq!(said[number] == valid, !sign.starts_with('?'), "xmllint differs: {content}");
            }
        }
    }
}

#[test]
fn attributes() {
    run(ATTRIBUTES);
}

#[test]
fn content() {
    run(CONTENT);
}

#[test]
fn types() {
    run(TYPES);
}

#[test]
fn identity() {
    run(IDENTITY);
}
