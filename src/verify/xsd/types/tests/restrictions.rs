//! Restrictions, lists and unions.

use super::*;
use Facet::*;

#[test]
fn facets_restrict() {
    for (base, facets, good, bad) in [
        ("string", [(Length, "2")].as_slice(), ["ab", "äö", "𝄞𝄞"].as_slice(), ["a", "abc", "𝄞"].as_slice()),
        ("token", &[(MaxLength, "3")], &["  a  b  "], &["a b c"]),
        ("hexBinary", &[(Length, "2")], &["0000"], &["00"]),
        ("base64Binary", &[(MaxLength, "2")], &["AAA="], &["AAAA"]),
        ("QName", &[(Length, "1")], &["p:abc"], &[]),
        (
            "decimal",
            &[(TotalDigits, "4"), (FractionDigits, "2")],
            &["12.34", "0012.3400", "123.4"],
            &["1.234", "12345"],
        ),
        ("decimal", &[(MinExclusive, "0"), (MaxInclusive, "1.50")], &["0.0001", "1.5"], &["0", "1.51", "-1"]),
        ("integer", &[(Enumeration, "1"), (Enumeration, "02")], &["+1", "2"], &["3"]),
        ("float", &[(MinInclusive, "0")], &["0", "-0", "INF"], &["NaN", "-1"]),
        ("float", &[(Enumeration, "NaN")], &["NaN"], &["0"]),
        (
            "dateTime",
            &[(MinInclusive, "2000-01-01T00:00:00Z")],
            &["2000-01-01T01:00:00+01:00", "2000-01-01T15:00:00"],
            &["2000-01-01T12:00:00", "1999-12-31T23:59:59Z"],
        ),
        ("duration", &[(MaxInclusive, "P1M")], &["P27D", "P1M"], &["P28D", "P32D"]),
        ("string", &[(Pattern, "a+"), (Pattern, "b+")], &["aa", "b"], &["ab", ""]),
        ("string", &[(WhiteSpace, "collapse"), (Enumeration, "a b")], &[" a  b "], &["ab"]),
        ("NMTOKENS", &[(Length, "2")], &["a b"], &["a", "a b c"]),
        ("NMTOKENS", &[(Enumeration, "a b"), (Pattern, ". .")], &[" a  b "], &["a", "b a"]),
        ("NOTATION", &[(Enumeration, "p:a")], &["p:a"], &["a", "q:a"]),
        ("QName", &[(Enumeration, "p:a")], &["p:a"], &["a"]),
    ] {
        let simple = derived(&of(base), facets);
        assert_eq!(good.iter().find(|text| !accepts(&simple, text)), None, "{base} {facets:?}");
        assert_eq!(bad.iter().find(|text| accepts(&simple, text)), None, "{base} {facets:?}");
        assert_eq!(bad.iter().find(|text| simple.value(text, &OnePrefix).is_ok()), None, "{base} {facets:?}");
    }
}

#[test]
fn restrictions_add_up() {
    let first = derived(&of("string"), &[(Pattern, "[a-z]+"), (MaxLength, "5")]);
    let second = derived(&first, &[(Pattern, ".*x.*"), (MinLength, "2")]);
    assert!(accepts(&second, "axe"));
    for bad in ["abc", "x", "AX", "abcxyz"] {
        assert!(!accepts(&second, bad), "{bad}");
    }
    assert!(second.derives_from(&first) && second.derives_from(&of("string")));
    let many = (0..50).map(|n| (n * 3).to_string()).collect::<Vec<_>>();
    let values = many.iter().map(|n| (Enumeration, n.as_str())).collect::<Vec<_>>();
    for base in ["string", "decimal", "anyURI"] {
        let coded = derived(&of(base), &values);
        assert!(accepts(&coded, "147") && !accepts(&coded, "148"), "{base}");
        assert_eq!(accepts(&coded, "+3.0"), base == "decimal");
    }
}

#[test]
fn refuses_wrong_restrictions() {
    let small = derived(&of("int"), &[(MinInclusive, "0"), (MaxExclusive, "100")]);
    let short = derived(&of("string"), &[(MaxLength, "5"), (MinLength, "2")]);
    let exact = derived(&of("string"), &[(Length, "3")]);
    let list = SimpleType::list(&of("int")).unwrap();
    let union = SimpleType::union(&[of("int"), of("date")]).unwrap();
    for (base, facets) in [
        (&of("anySimpleType"), [].as_slice()),
        (&of("string"), &[(MinInclusive, "a")]),
        (&of("int"), &[(Length, "1")]),
        (&of("boolean"), &[(Enumeration, "true")]),
        (&of("float"), &[(TotalDigits, "1")]),
        (&of("integer"), &[(FractionDigits, "1")]),
        (&of("string"), &[(MinLength, "3"), (MaxLength, "2")]),
        (&of("string"), &[(MinLength, "3"), (MinLength, "3")]),
        (&of("string"), &[(MinLength, "-1")]),
        (&of("string"), &[(Length, "3"), (MaxLength, "3")]),
        (&of("decimal"), &[(TotalDigits, "0")]),
        (&of("decimal"), &[(TotalDigits, "2"), (FractionDigits, "3")]),
        (&of("decimal"), &[(MinInclusive, "2"), (MaxInclusive, "1")]),
        (&of("decimal"), &[(MinInclusive, "2"), (MinExclusive, "1")]),
        (&of("decimal"), &[(MinInclusive, "2"), (MaxExclusive, "2")]),
        (&of("decimal"), &[(MinInclusive, "x")]),
        (&of("int"), &[(MaxInclusive, "2147483648")]),
        (&of("int"), &[(MaxInclusive, "1.5")]),
        (&of("token"), &[(WhiteSpace, "preserve")]),
        (&of("int"), &[(WhiteSpace, "replace")]),
        (&of("int"), &[(Enumeration, "x")]),
        (&of("string"), &[(Pattern, "(")]),
        (&of("NOTATION"), &[(Length, "3")]),
        (&of("QName"), &[(Enumeration, "q:a")]),
        (&small, &[(MinInclusive, "-1")]),
        (&small, &[(MaxInclusive, "100")]),
        (&short, &[(MaxLength, "6")]),
        (&short, &[(MinLength, "1")]),
        (&exact, &[(Length, "4")]),
        (&list, &[(MinInclusive, "1")]),
        (&list, &[(WhiteSpace, "preserve")]),
        (&list, &[(Enumeration, "1 x")]),
        (&union, &[(MaxLength, "1")]),
        (&union, &[(Enumeration, "x")]),
    ] {
        assert!(SimpleType::restriction(base, &specs(facets)).is_err(), "{facets:?}");
    }
    assert!(SimpleType::restriction(&small, &specs(&[(MaxExclusive, "100")])).is_ok());
    assert!(SimpleType::restriction(&short, &specs(&[(Length, "3")])).is_ok());
    let mut fixed = specs(&[(MaxLength, "5")]);
    fixed[0].fixed = true;
    let fixed = SimpleType::restriction(&of("string"), &fixed).unwrap();
    assert!(SimpleType::restriction(&fixed, &specs(&[(MaxLength, "4")])).is_err());
    assert!(SimpleType::restriction(&fixed, &specs(&[(MaxLength, "5")])).is_ok());
}

#[test]
fn lists_and_unions() {
    assert!(SimpleType::list(&of("NMTOKENS")).is_err());
    assert!(SimpleType::list(&of("anySimpleType")).is_err());
    assert!(SimpleType::union(&[]).is_err());
    assert!(SimpleType::union(&[of("int"), of("anySimpleType")]).unwrap().accepts_any());
    let list = SimpleType::list(&of("int")).unwrap();
    assert!(accepts(&list, "") && accepts(&list, " 1\n2 ") && !accepts(&list, "1 a"));
    let union = SimpleType::union(&[of("int"), of("date"), list.clone()]).unwrap();
    assert!(
        accepts(&union, "5")
            && accepts(&union, "2026-05-31")
            && accepts(&union, "1 2")
            && !accepts(&union, "x")
    );
    let coded = derived(&union, &[(Enumeration, "1"), (Enumeration, "2026-05-31"), (Enumeration, "1 2")]);
    assert!(accepts(&coded, "+1") && accepts(&coded, "01 02") && !accepts(&coded, "2"));
    let patterned = derived(&union, &[(Pattern, "[0-9]")]);
    assert!(accepts(&patterned, " 5 ") && !accepts(&patterned, "55"));
    let of_union = SimpleType::list(&SimpleType::union(&[of("int"), of("boolean")]).unwrap()).unwrap();
    assert!(accepts(&of_union, "1 true") && !accepts(&of_union, "1 x"));
    assert_ne!(of_union.value("1", &OnePrefix), of("int").value("1", &OnePrefix));
}

/// The five patterns of DIN 91379, as the reference holds them.
#[test]
fn the_patterns_of_din_91379_are_small() {
    let Some(reference) = std::env::var_os("AMTSWEG_REFERENCE") else {
        println!("skipped: AMTSWEG_REFERENCE is not set");
        return;
    };
    let path = std::path::Path::new(&reference).join("xwasser-1.0.0/remote/din-norm-91379-datatypes.xsd");
    let schema = std::fs::read_to_string(path).unwrap();
    let mut found = 0;
    for piece in schema.split("<xs:pattern value=\"").skip(1) {
        let mut pattern = String::new();
        for (at, part) in piece.split('"').next().unwrap().split("&#x").enumerate() {
            let (code, rest) = if at == 0 { ("", part) } else { part.split_once(';').unwrap() };
            pattern.extend(u32::from_str_radix(code, 16).ok().and_then(char::from_u32));
            pattern.push_str(rest);
        }
        found += 1;
        let simple = derived(&of("string"), &[(Pattern, &pattern)]);
        assert!(simple.facets.patterns[0].table_octets().is_some_and(|octets| octets < 512 * 1024));
        for good in ["", "Müller", "Anna-Lena", "C\u{328}\u{306}x", "K\u{35F}h", "M\u{302}m\u{310}"] {
            assert!(accepts(&simple, good), "{found} {good}");
        }
        for bad in ["\u{302}", "Q\u{302}", "漢", "\u{0}", "C\u{328}", "a\u{ad}"] {
            assert!(!accepts(&simple, bad), "{found} {bad:?}");
        }
    }
    assert_eq!(found, 5);
}
