//! Payloads of transport orders under each policy.

use bytes::Bytes;

use super::whole::{Whole, application};
use super::{Code, Limits, NOW, Refusal};
use crate::domain::{DeclaredAttachment, Demand, Digest, Header};
use crate::verify::Verified;
use crate::verify::order::{Ordered, Policy};

fn ordered(author: &str, signature: Demand, schema: Demand) -> Ordered {
    let header = Header {
        namespace: String::new(),
        root: String::new(),
        standard: String::new(),
        version: String::new(),
        type_code: "frei".to_owned(),
        uuid: uuid::Uuid::nil(),
        created: String::new(),
        author: author.parse().unwrap(),
        reader: Some("kop:1".parse().unwrap()),
        service: None,
        area: None,
        date: None,
        test: false,
    };
    let policy = Policy { signature, schema, rule: "rule".to_owned() };
    Ordered { account: "a".parse().unwrap(), header, attachments: Vec::new(), xml: true, policy }
}

fn attachment(octets: &[u8]) -> DeclaredAttachment {
    DeclaredAttachment {
        name: "a".to_owned(),
        media_type: "a/b".to_owned(),
        size: octets.len() as u64,
        sha256: Digest::of(octets),
    }
}

#[test]
fn what_is_unsigned_passes_by_policy_alone_and_says_so() {
    let whole = Whole::new(Limits::default());
    let verify = |octets: &str, order: Ordered| -> Result<Verified, Refusal> {
        whole.verifier.verify_order(Bytes::copy_from_slice(octets.as_bytes()), order, NOW)
    };
    let free = "<p:x xmlns:p=\"urn:frei\"/>";
    let one = |signature, schema| ordered("wgp:1", signature, schema);
    use Demand::{IfPresent, None, Required};
    assert_eq!(verify(free, one(Required, None)).unwrap_err().code, Code::SignatureMissing);
    assert_eq!(verify(free, one(None, Required)).unwrap_err().code, Code::UnknownStandard);
    let taken = verify(free, one(IfPresent, IfPresent)).unwrap();
    let waiver = taken.signer().unwrap_err();
    assert_eq!((waiver.account.as_str(), waiver.rule.as_str()), ("a", "rule"));
    assert_eq!((&*taken.header().namespace, &*taken.header().root), ("urn:frei", "x"));
    assert_eq!(verify("<x", one(None, None)).unwrap_err().code, Code::NotWellFormed);
    let opaque = |signature, schema| Ordered { xml: false, ..one(signature, schema) };
    assert!(verify("PK", opaque(IfPresent, IfPresent)).unwrap().signer().is_err());
    assert_eq!(verify("PK", opaque(Required, None)).unwrap_err().code, Code::SignatureMissing);
    assert_eq!(verify("PK", opaque(None, Required)).unwrap_err().code, Code::UnknownStandard);
    assert_eq!(verify(" <x", opaque(None, None)).unwrap_err().code, Code::NotWellFormed, "XML in disguise");
}

#[test]
fn what_is_signed_is_verified_and_its_own_header_counts() {
    let whole = Whole::new(Limits::default());
    let application = application();
    let octets = whole.sign(&application);
    let order = |author: &str, attachments: Vec<DeclaredAttachment>| Ordered {
        attachments,
        header: Header { reader: None, ..ordered(author, Demand::Required, Demand::Required).header },
        ..ordered(author, Demand::IfPresent, Demand::IfPresent)
    };
    let came: Vec<_> = application.attachments.iter().map(|a| attachment(&a.octets)).collect();
    let verify = |octets: &Bytes, order| whole.verifier.verify_order(octets.clone(), order, NOW);
    let good = verify(&octets, order("wgp:010500100000", came.clone())).unwrap();
    assert!(good.signer().is_ok() && good.header().uuid == application.uuid);
    assert_ne!(good.attachments()[0].name, "a", "as declared under the signature");
    assert_eq!(verify(&octets, order("wgp:1", came.clone())).unwrap_err().code, Code::NotEntitled);
    let fewer = order("wgp:010500100000", Vec::new());
    assert_eq!(verify(&octets, fewer).unwrap_err().code, Code::SchemaInvalid);
    let text = String::from_utf8(octets.to_vec()).unwrap();
    let changed = Bytes::from(text.replace("99102013104000", "99102013104001"));
    assert_eq!(verify(&changed, order("wgp:010500100000", came)).unwrap_err().code, Code::SignatureWrong);
    // Attachments that the signature does not cover.
    let free = Bytes::from(whole.world.sign("<p:x xmlns:p=\"urn:frei\"></p:x>"));
    assert!(verify(&free, order("wgp:1", Vec::new())).unwrap().signer().is_ok());
    let beside = order("wgp:1", vec![attachment(b"x")]);
    assert_eq!(verify(&free, beside).unwrap_err().code, Code::NotCovered);
}
