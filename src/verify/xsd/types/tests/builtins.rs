//! The built-in types, and the values of types.

use super::*;

#[test]
fn knows_all_built_in_types() {
    assert_eq!(Builtin::ALL.len(), 1 + 19 + 25);
    for (at, builtin) in Builtin::ALL.iter().enumerate() {
        assert_eq!(Builtin::of_name(builtin.name()), Some(*builtin));
        assert_eq!(*builtin as usize, at);
        let simple = SimpleType::builtin(*builtin);
        assert_eq!(simple.builtin, *builtin);
        match simple.base() {
            Some(base) => assert!(Arc::ptr_eq(base, &SimpleType::builtin(builtin.base()))),
            None => assert_eq!(*builtin, Builtin::AnySimpleType),
        }
    }
    assert_eq!(Builtin::of_name("anyType"), None);
    assert!(of("byte").derives_from(&of("decimal")));
    assert!(!of("decimal").derives_from(&of("byte")));
    assert!(of("NMTOKENS").derives_from(&of("anySimpleType")));
    assert!(matches!(of("IDREFS").kind, Kind::List(_)));
    assert!(of("token").accepts_any() && of("anySimpleType").accepts_any() && !of("Name").accepts_any());
}

#[test]
fn checks_built_in_types() {
    for (name, good, bad) in [
        ("boolean", ["true", " 1 "].as_slice(), ["TRUE", "", "tr ue"].as_slice()),
        (
            "float",
            &["1", "-1.5e-3", "INF", "-INF", "NaN", ".5E+7", "1e400"],
            &["", "+INF", "1e", "e1", "1e1.5", "nan", "infinity", "0x1", "1_0"],
        ),
        ("integer", &["-0", "+12345678901234567890123"], &["1.0", "1.", "", "1e1"]),
        (
            "long",
            &["9223372036854775807", "-9223372036854775808"],
            &["9223372036854775808", "-9223372036854775809"],
        ),
        ("byte", &["127", "-128", "\t+007\n"], &["128", "-129"]),
        ("unsignedByte", &["255", "-0"], &["256", "-1"]),
        ("positiveInteger", &["1"], &["0", "-1"]),
        ("negativeInteger", &["-1"], &["0"]),
        ("language", &["de", "de-DE-1996"], &["", "d3", "abcdefghi", "de-", "-de", "de_DE"]),
        ("Name", &["a:b", ":", "_1", "größe"], &["", "1a", "a b", "-a", "·"]),
        ("NCName", &["a.b-c", "ä·"], &["a:b", "", "1"]),
        ("NMTOKEN", &["1", "-a:b", "·x"], &["", "a b", "a;"]),
        ("NMTOKENS", &["a", " a\t1\nb "], &["", "  ", "a ;"]),
        ("IDREFS", &["a b"], &["", "a 1"]),
        ("QName", &["a", "p:a", "xml:a"], &["q:a", "p:", ":a", "p:a:b", ""]),
        ("hexBinary", &["", "0fB7"], &["f", "0x00", "0 0"]),
        ("base64Binary", &["", "AAA=", "A A A ="], &["AA", "=AAA"]),
        ("anyURI", &["", "a b", "http://x/y"], &["%zz", ":x"]),
        ("string", &["", " \n"], &[]),
    ] {
        let simple = of(name);
        assert_eq!(good.iter().find(|text| !accepts(&simple, text)), None, "{name}");
        assert_eq!(bad.iter().find(|text| accepts(&simple, text)), None, "{name}");
    }
}

#[test]
fn values_are_equal_as_the_standard_says() {
    let value = |name: &str, text: &str| of(name).value(text, &OnePrefix).unwrap();
    for (one, x, other, y) in [
        ("decimal", "1.0", "integer", "+01"),
        ("float", "-0", "float", "0"),
        ("float", "NaN", "float", "NaN"),
        ("double", "1e1", "double", "10"),
        ("boolean", "1", "boolean", "true"),
        ("dateTime", "2026-01-01T00:00:00+01:00", "dateTime", "2025-12-31T23:00:00Z"),
        ("date", "2000-01-01+13:00", "date", "1999-12-31-11:00"),
        ("duration", "P1Y", "duration", "P12M"),
        ("hexBinary", "0a", "hexBinary", "0A"),
        ("base64Binary", "A A A =", "base64Binary", "AAA="),
        ("QName", "p:a", "QName", " p:a "),
        ("NMTOKENS", "a  b", "NMTOKENS", " a b"),
        ("token", "a  b", "string", "a b"),
    ] {
        assert_eq!(value(one, x), value(other, y), "{x} {y}");
    }
    for (one, x, other, y) in [
        ("float", "1", "double", "1"),
        ("float", "1", "decimal", "1"),
        ("string", "a", "anyURI", "a"),
        ("hexBinary", "00", "base64Binary", "AA=="),
        ("QName", "p:a", "QName", "a"),
        ("dateTime", "2026-01-01T00:00:00", "dateTime", "2026-01-01T00:00:00Z"),
        ("NMTOKENS", "a", "NMTOKEN", "a"),
        ("date", "2026-01-01", "gYear", "2026"),
        ("string", "a ", "string", "a"),
    ] {
        assert_ne!(value(one, x), value(other, y), "{x} {y}");
    }
}

#[test]
fn reports_names_that_are_unique_or_refer() {
    let all = |simple: &SimpleType, text: &str| {
        let mut found = Vec::new();
        simple.ids(text, &mut |kind, name| found.push((kind, name.to_owned())));
        found
    };
    assert_eq!(all(&of("ID"), " a "), [(IdKind::Id, "a".to_owned())]);
    assert_eq!(all(&of("ENTITIES"), "a b").len(), 2);
    let union = SimpleType::union(&[of("int"), of("IDREFS"), of("string")]).unwrap();
    assert!(union.has_ids());
    assert_eq!(all(&union, "5"), []);
    assert_eq!(all(&union, "a b"), [(IdKind::IdRef, "a".to_owned()), (IdKind::IdRef, "b".to_owned())]);
    assert_eq!(all(&union, "a ;"), []);
    assert!(!of("NCName").has_ids());
}

#[test]
fn faults_say_what_is_expected_and_not_what_was_there() {
    assert_eq!(fault(&of("date"), "1970-secret"), "a date such as 2026-05-31 is expected");
    assert_eq!(fault(&of("IDREFS"), "a 1"), "item 2 of the list: a name without a colon is expected");
    assert_eq!(fault(&of("byte"), "128"), "it must be at most 127");
    assert_eq!(fault(&of("integer"), "1.5"), "a whole number is expected");
    let short = derived(&of("string"), &[(Facet::MaxLength, "11"), (Facet::MinLength, "1")]);
    assert_eq!(fault(&short, &"ä".repeat(12)), "at most 11 characters are allowed");
    assert_eq!(fault(&short, ""), "at least 1 character is needed");
    let coded = derived(&of("token"), &[(Facet::Enumeration, "a"), (Facet::Enumeration, "b")]);
    assert_eq!(fault(&coded, "c"), "it is none of the 2 allowed values");
    let pattern = derived(&of("token"), &[(Facet::Pattern, "[0-9]{4}")]);
    assert_eq!(fault(&pattern, "c"), "it does not match the pattern [0-9]{4}");
}
