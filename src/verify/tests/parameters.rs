//! RSASSA-PSS with its parameters written out (RFC 9231, section 2.3.9).

use super::{Key, Profile, World};
use crate::error::Code;
use crate::verify::sign::{Form, Hash};

fn signed(world: &World, hash: Hash) -> String {
    let profile = Profile { hash, ..Profile::default() };
    let form = Form { pss_parameters: true, ..Form::default() };
    String::from_utf8(world.signer.sign_as(b"<r><b/></r>", profile, form).unwrap()).unwrap()
}

#[test]
fn sound_parameters_are_accepted() {
    let world = World::new(Key::Rsa2048);
    for hash in Hash::ALL {
        let document = signed(&world, hash);
        assert!(document.contains("RSAPSSParams"), "{document}");
        let report = world.check(&document).unwrap();
        let last = report.coverage.algorithms().last();
        assert_eq!(last, Some("http://www.w3.org/2007/05/xmldsig-more#rsa-pss"));
    }
}

#[test]
fn parameters_that_do_not_fit_are_refused_before_any_key_is_touched() {
    let world = World::new(Key::Rsa2048);
    let document = signed(&world, Hash::Sha384);
    let (digest, salt) =
        ("<ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#sha384\"/>", "48");
    let other = digest.replace("2001/04/xmldsig-more#sha384", "2001/04/xmlenc#sha256");
    let weak = digest.replace("2001/04/xmldsig-more#sha384", "2000/09/xmldsig#sha1");
    let pss = "<pss:RSAPSSParams xmlns:pss=\"http://www.w3.org/2007/05/xmldsig-more#\">";
    let mgf = "<pss:MaskGenerationFunction Algorithm=\"http://www.w3.org/2007/05/xmldsig-more#MGF1\">";
    for (from, to, code) in [
        (format!("{pss}{digest}"), format!("{pss}{other}"), Code::SignatureWeak),
        (format!("{pss}{digest}"), format!("{pss}{weak}"), Code::SignatureWeak),
        // The default is SHA-256, which MGF1 does not fit then.
        (format!("{pss}{digest}"), pss.to_owned(), Code::SignatureWeak),
        (format!("{mgf}{digest}"), format!("{mgf}{other}"), Code::SignatureWeak),
        (mgf.to_owned(), mgf.replace("#MGF1", "#MGF2"), Code::SignatureWeak),
        (format!("SaltLength>{salt}"), "SaltLength>0".to_owned(), Code::SignatureWeak),
        (format!("SaltLength>{salt}"), "SaltLength>20".to_owned(), Code::SignatureWeak),
        ("TrailerField>1".to_owned(), "TrailerField>2".to_owned(), Code::SignatureWeak),
        (
            "<pss:SaltLength>".to_owned(),
            "<pss:TrailerField>1</pss:TrailerField><pss:SaltLength>".to_owned(),
            Code::SignatureWrong,
        ),
        ("</pss:RSAPSSParams>".to_owned(), "<x/></pss:RSAPSSParams>".to_owned(), Code::SignatureWrong),
        ("</pss:RSAPSSParams>".to_owned(), "</pss:RSAPSSParams><x/>".to_owned(), Code::SignatureWrong),
    ] {
        assert!(document.contains(&from), "{from}");
        // The document is changed too: the parameters are refused without looking at it.
        let changed = document.replacen(&from, &to, 1).replace("<b/>", "<c/>");
        assert_eq!(world.code(&changed), Some(code), "{to}");
    }
}
