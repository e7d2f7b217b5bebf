//! Attacks on what a signature covers: wrapping, doubled ids and parts, references.

use super::forge::{Attack, Forge, between, signature, with};

const END: &str = "</a:antrag.einreichen.0100>";

impl Forge {
    pub fn signatures(&self, all: &mut Vec<Attack>) {
        self.wrappings(all);
        self.doubled(all);
        self.references(all);
        self.transforms(all);
        self.bombs(all);
        self.properties(all);
    }

    /// The eight classical forms of signature wrapping (Somorovsky and others, 2012) and siblings.
    fn wrappings(&self, all: &mut Vec<Attack>) {
        let (signed, plain, evil) = (&self.by_id, &self.unsigned, &self.evil);
        let inner = signature(signed);
        let inside = |signature: &str, what: &str| {
            with(signature, "</ds:Signature>", &format!("{what}</ds:Signature>"))
        };
        let object = |what: &str| format!("<ds:Object>{what}</ds:Object>");
        let into = |root: &str, what: &str| with(root, END, &format!("{what}{END}"));
        let wrap = |what: &str| format!("<w:wrap xmlns:w=\"urn:wrap\">{what}</w:wrap>");
        let mut add = |name: &str, code, octets: String| {
            all.push(Attack {
                name: name.to_owned(),
                class: "signature wrapping",
                code,
                octets: octets.into_bytes(),
            });
        };
        add("xsw1-original-in-signature", "AW-0122", into(evil, &inside(inner, plain)));
        add("xsw2-original-beside-detached-signature", "AW-0123", into(&into(evil, plain), inner));
        add("xsw3-evil-before-original", "AW-0123", wrap(&format!("{evil}{signed}")));
        add("xsw4-original-in-evil", "AW-0123", wrap(&into(evil, signed)));
        add(
            "xsw5-signature-in-evil-original-behind",
            "AW-0123",
            wrap(&format!("{}{plain}", into(evil, inner))),
        );
        add("xsw6-original-in-signature-in-evil", "AW-0123", wrap(&into(evil, &inside(inner, plain))));
        add("xsw7-evil-in-extension", "AW-0123", wrap(&format!("<w:extension>{evil}</w:extension>{signed}")));
        add("xsw8-original-in-object", "AW-0123", into(evil, &inside(inner, &object(plain))));
        add("signed-in-wrapper", "AW-0123", wrap(signed));
        add("signed-in-evil-root", "AW-0123", into(evil, signed));
        add("whole-signed-in-evil-root", "AW-0123", into(evil, &self.whole));
        add(
            "signature-as-root",
            "AW-0123",
            inside(inner, &object(plain)).replacen(
                "xmlns:ds=",
                "xmlns:a=\"urn:xoev-de:amtsweg:standard:antrag_1.0\" xmlns:ds=",
                1,
            ),
        );
        add("evil-in-own-object", "AW-0123", with(signed, inner, &inside(inner, &object(evil))));
        add("evil-in-key-info", "AW-0121", with(signed, "<ds:X509Data>", &format!("{evil}<ds:X509Data>")));
        add(
            "evil-in-signed-info",
            "AW-0123",
            with(signed, "</ds:SignedInfo>", &format!("<ds:Reference URI=\"#evil\"/>{evil}</ds:SignedInfo>")),
        );
        add(
            "evil-in-signature",
            "AW-0122",
            with(signed, "</ds:Signature>", &format!("{evil}</ds:Signature>")),
        );
        add(
            "signature-in-a-child",
            "AW-0123",
            with(&with(signed, inner, ""), "</a:fachdaten>", &format!("{inner}</a:fachdaten>")),
        );
        add("second-root", "AW-0101", format!("{signed}{evil}"));
        add("evil-before-root", "AW-0101", format!("{evil}{signed}"));
    }

    fn doubled(&self, all: &mut Vec<Attack>) {
        let mut add = |name: &str, class, code, octets: String| {
            all.push(Attack { name: name.to_owned(), class, code, octets: octets.into_bytes() });
        };
        let ids = "duplicate ids";
        for (name, attribute) in [
            ("Id", "Id=\"a\""),
            ("ID", "ID=\"a\""),
            ("id", "id='a'"),
            ("xml-id", "xml:id=\"a\""),
            ("reference", "Id=\"&#x61;\""),
        ] {
            let twice = with(&self.by_id, "<a:fachdaten>", &format!("<a:fachdaten {attribute}>"));
            add(&format!("doubled-id-{name}"), ids, "AW-0123", twice);
        }
        let in_signature = with(&self.by_id, "<ds:KeyInfo>", "<ds:KeyInfo Id=\"a\">");
        add("doubled-id-in-signature", ids, "AW-0123", in_signature);
        let moved =
            with(&with(&self.by_id, "Id=\"a\"", "Id=\"b\""), "<a:fachdaten>", "<a:fachdaten Id=\"a\">");
        add("id-moved-to-a-child", ids, "AW-0123", moved);

        let inner = signature(&self.whole);
        let info = between(inner, "<ds:SignedInfo>", "</ds:SignedInfo>");
        let digest = between(info, "<ds:DigestValue>", "</ds:DigestValue>");
        let changed = with(&self.whole, "Anmeldung eines Hundes", "Auszahlung an mich");
        let forged = with(info, digest, "<ds:DigestValue>AAAA</ds:DigestValue>");
        let two = "several SignedInfo (CVE-2025-29774)";
        add("second-signed-info-behind", two, "AW-0122", with(&changed, info, &format!("{info}{forged}")));
        add("second-signed-info-before", two, "AW-0122", with(&changed, info, &format!("{forged}{info}")));
        add(
            "signed-info-in-signed-info",
            two,
            "AW-0122",
            with(&changed, "<ds:SignedInfo>", &format!("<ds:SignedInfo>{forged}")),
        );
        add(
            "signed-info-in-object",
            two,
            "AW-0123",
            with(&changed, "</ds:KeyInfo>", &format!("</ds:KeyInfo><ds:Object>{forged}</ds:Object>")),
        );
        add(
            "signed-info-behind-value",
            two,
            "AW-0122",
            with(&changed, "</ds:SignatureValue>", &format!("</ds:SignatureValue>{forged}")),
        );
        add("second-signature", two, "AW-0123", with(&changed, inner, &inner.repeat(2)));
        add(
            "second-signature-empty",
            two,
            "AW-0123",
            with(
                &changed,
                inner,
                &format!("{inner}<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"/>"),
            ),
        );

        let comments = "comments in DigestValue (CVE-2025-29775)";
        let value = digest.trim_start_matches("<ds:DigestValue>").trim_end_matches("</ds:DigestValue>");
        for (name, inner) in [
            ("comment-before", format!("<!--AAAA-->{value}")),
            ("comment-behind", format!("{value}<!--AAAA-->")),
            ("comment-within", format!("{}<!---->{}", &value[..9], &value[9..])),
            ("instruction", format!("<?x AAAA?>{value}")),
            ("element", format!("<x>AAAA</x>{value}")),
            ("cdata", format!("<![CDATA[{value}]]>")),
            ("reference", format!("&#x41;AAA{value}")),
        ] {
            let changed = with(&self.whole, digest, &format!("<ds:DigestValue>{inner}</ds:DigestValue>"));
            add(&format!("digest-value-{name}"), comments, "AW-0122", changed);
        }
        add("digest-value-twice", comments, "AW-0122", with(&changed, digest, &digest.repeat(2)));
        add("digest-value-empty", comments, "AW-0122", with(&changed, digest, "<ds:DigestValue/>"));
        add(
            "signature-value-comment",
            comments,
            "AW-0122",
            with(&changed, "<ds:SignatureValue>", "<ds:SignatureValue><!--AAAA-->"),
        );
        let smuggled = with(
            &self.whole,
            "Anmeldung eines Hundes",
            &format!("{}Auszahlung an mich", digest.replace("ds:DigestValue", "f:DigestValue")),
        );
        add("digest-value-in-content", "digest taken from the content (CVE-2024-45409)", "AW-0122", smuggled);
        let smuggled = with(
            &self.whole,
            "<f:antrag ",
            &format!(
                "{}<f:antrag ",
                digest.replacen(
                    "<ds:DigestValue>",
                    "<ds:DigestValue xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">",
                    1
                )
            ),
        );
        add(
            "digest-value-before-content",
            "digest taken from the content (CVE-2024-45409)",
            "AW-0122",
            smuggled,
        );
    }

    fn references(&self, all: &mut Vec<Attack>) {
        let signed = &self.whole;
        let reference = between(signed, "<ds:Reference ", "</ds:Reference>");
        let info = between(signed, "<ds:SignedInfo>", "</ds:SignedInfo>");
        let changed = with(signed, "Anmeldung eines Hundes", "Auszahlung an mich");
        let mut add = |name: &str, class, code, octets: String| {
            all.push(Attack { name: name.to_owned(), class, code, octets: octets.into_bytes() });
        };
        let missing = "missing signature (CVE-2025-40934)";
        add("no-signature", missing, "AW-0120", self.evil.clone());
        add("signature-removed", missing, "AW-0120", with(signed, signature(signed), ""));
        add(
            "signature-empty",
            missing,
            "AW-0122",
            with(
                signed,
                signature(signed),
                "<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"/>",
            ),
        );
        add(
            "signature-in-comment",
            missing,
            "AW-0120",
            with(signed, signature(signed), &format!("<!--{}-->", signature(signed))),
        );
        add(
            "signature-in-cdata",
            missing,
            "AW-0120",
            with(signed, signature(signed), &format!("<![CDATA[{}]]>", signature(signed))),
        );
        add("no-signed-info", missing, "AW-0122", with(signed, info, ""));
        add(
            "no-signature-value",
            missing,
            "AW-0122",
            with(signed, between(signed, "<ds:SignatureValue>", "</ds:SignatureValue>"), ""),
        );
        add(
            "signature-value-empty",
            missing,
            "AW-0122",
            with(
                signed,
                between(signed, "<ds:SignatureValue>", "</ds:SignatureValue>"),
                "<ds:SignatureValue/>",
            ),
        );
        let none = "no reference to the message (CVE-2014-8152)";
        add("no-reference", none, "AW-0123", with(&changed, reference, ""));
        add(
            "digest-method-with-attribute",
            none,
            "AW-0122",
            with(&changed, "<ds:DigestMethod", "<ds:x").replacen(
                "<ds:x Algorithm",
                "<ds:DigestMethod x='' Algorithm",
                1,
            ),
        );
        for (name, uri) in [
            ("child", "#evil"),
            ("signature", "#sig"),
            ("xpointer-root", "#xpointer(/)"),
            ("xpointer-id", "#xpointer(id('a'))"),
            ("http", "http://attacker.example/"),
            ("file", "file:///etc/passwd"),
            ("relative", "other.xml"),
            ("fragment", "#"),
            ("cid", "cid:part1"),
        ] {
            add(
                &format!("reference-{name}"),
                "references elsewhere",
                "AW-0123",
                with(&changed, "URI=\"\"", &format!("URI=\"{uri}\"")),
            );
        }
        add("reference-without-uri", "references elsewhere", "AW-0123", with(&changed, " URI=\"\"", ""));
        let kind = "URI=\"\" Type=\"http://www.w3.org/2000/09/xmldsig#Manifest\"";
        add("reference-manifest", none, "AW-0123", with(&changed, "URI=\"\"", kind));
        let object = "URI=\"#o\" Type=\"http://www.w3.org/2000/09/xmldsig#Object\"";
        add("reference-object", none, "AW-0123", with(&changed, "URI=\"\"", object));
        let only = "URI=\"#p\" Type=\"http://uri.etsi.org/01903#SignedProperties\"";
        add("reference-properties-alone", none, "AW-0123", with(&changed, "URI=\"\"", only));
        add("second-reference", none, "AW-0123", with(&changed, reference, &reference.repeat(2)));
        add(
            "reference-in-reference",
            none,
            "AW-0123",
            with(&changed, "</ds:Reference>", &format!("{reference}</ds:Reference>")),
        );
        let outside = with(signed, info, &with(info, reference, "")).replacen(
            "</ds:SignatureValue>",
            &format!("</ds:SignatureValue>{reference}"),
            1,
        );
        add("reference-outside-signed-info", none, "AW-0123", outside);
    }
}
