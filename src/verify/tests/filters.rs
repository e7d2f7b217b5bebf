//! XPath transforms: what they sign by the standard, and which are accepted.

use super::{Key, World};
use crate::error::Code;
use crate::verify::algorithms::{ENVELOPED, EXCLUSIVE, XPATH};

const DOCUMENT: &str = "<x:r.1 xmlns:x='urn:x'><x:vorgang><b/></x:vorgang><c/></x:r.1>";

/// The document signed by someone who wrote these transforms. The digest is that of the whole
/// document: by the standard, all these forms come to the same octets.
fn signed(world: &World, transforms: &str) -> String {
    world.signer.sign_transforms(DOCUMENT.as_bytes(), transforms)
}

fn xpath(expression: &str) -> String {
    format!("<ds:Transform Algorithm=\"{XPATH}\"><ds:XPath>{expression}</ds:XPath></ds:Transform>")
}

#[test]
fn filters_that_keep_everything_are_accepted() {
    let world = World::new(Key::P256);
    let enveloped = format!("<ds:Transform Algorithm=\"{ENVELOPED}\"/>");
    let canonical = format!("<ds:Transform Algorithm=\"{EXCLUSIVE}\"/>");
    let path = xpath("/*[local-name()='r.1']/*[local-name()='vorgang']");
    for transforms in [
        format!("{enveloped}{canonical}"),
        format!("{enveloped}{canonical}{path}"),
        format!("{enveloped}{path}{canonical}"),
        format!("{enveloped}{}{canonical}", xpath("/*")),
        format!("{enveloped}{}{canonical}", xpath("/*/*[local-name()='c']")),
        format!("{enveloped}{}{canonical}", xpath("not(ancestor-or-self::ds:Signature)")),
        format!("{}{canonical}", xpath("\n not(ancestor-or-self::ds:Signature) ")),
    ] {
        let document = signed(&world, &transforms);
        assert_eq!(world.code(&document), None, "{transforms}");
        assert_eq!(world.code(document.replace("<b/>", "<d/>")), Some(Code::SignatureWrong), "{transforms}");
    }
}

#[test]
fn filters_that_drop_something_or_may_are_refused() {
    let world = World::new(Key::P256);
    let enveloped = format!("<ds:Transform Algorithm=\"{ENVELOPED}\"/>");
    let canonical = format!("<ds:Transform Algorithm=\"{EXCLUSIVE}\"/>");
    let path = "/*[local-name()='r.1']/*[local-name()='vorgang']";
    let mut refused = vec![
        // Without enveloped-signature the signature would sign itself.
        format!("{}{canonical}", xpath(path)),
        format!("{enveloped}{}", xpath(path)),
        format!("{canonical}{enveloped}{}", xpath(path)),
        format!("{enveloped}{canonical}{}{}", xpath(path), xpath(path)),
        format!("{enveloped}{}{canonical}{}", xpath(path), xpath("/*")),
    ];
    for expression in [
        // Nothing is selected: false for every node, and nothing is signed.
        "/*[local-name()='other']/*[local-name()='vorgang']",
        "/*[local-name()='r.1']/*[local-name()='other']",
        "/*[local-name()='vorgang']",
        "/*[local-name()='r.1']/*[local-name()='b']",
        // Selected inside of the signature alone.
        "/*[local-name()='r.1']/*[local-name()='Signature']",
        "/*/*/*[local-name()='SignedInfo']",
        // A part of the document.
        "ancestor-or-self::x:vorgang",
        "self::text()",
        "count(ancestor-or-self::x:vorgang) = 1",
        "true()",
        "not(ancestor-or-self::x:Signature)",
        "",
    ] {
        refused.push(format!("{enveloped}{canonical}{}", xpath(expression)));
        refused.push(format!("{enveloped}{}{canonical}", xpath(expression)));
    }
    for transforms in refused {
        assert_eq!(world.code(signed(&world, &transforms)), Some(Code::NotCovered), "{transforms}");
    }
    // The default namespace is none in XPath 1.0, and another prefix is another name.
    let not = xpath("not(ancestor-or-self::ds:Signature)");
    let rebound =
        not.replace("<ds:XPath>", "<s:XPath xmlns:s='http://www.w3.org/2000/09/xmldsig#' xmlns:ds='urn:x'>");
    let rebound = rebound.replace("</ds:XPath>", "</s:XPath>");
    let rebound = signed(&world, &format!("{enveloped}{rebound}{canonical}"));
    assert_eq!(world.code(rebound), Some(Code::NotCovered));
}
