//! The verifier as a whole, with the built-in rules and schemas.

use std::sync::Arc;

use bytes::Bytes;

use super::{Code, Key, Limits, NOW, Profile, Refusal, World};
use crate::antrag::{Application, samples};
use crate::domain::Digest;
use crate::verify::header::Rules;
use crate::verify::schema::Schemas;
use crate::verify::trust::Trust;
use crate::verify::{Came, Settings, Verified, Verifier};

/// An application with attachments.
pub(super) fn application() -> Application {
    let author = samples::portal("wgp:010500100000").unwrap();
    let (service, area) = ("99102013104000".parse().unwrap(), "065340014014".parse().unwrap());
    samples::application(0, &author, &service, &area, NOW)
}

fn came(application: &Application) -> Vec<Came> {
    let came =
        |a: &crate::antrag::Attachment| Came { size: a.octets.len() as u64, sha256: Digest::of(&a.octets) };
    application.attachments.iter().map(came).collect()
}

pub(super) struct Whole {
    pub(super) world: World,
    pub(super) verifier: Verifier,
}

impl Whole {
    pub(super) fn new(limits: Limits) -> Self {
        let world = World::new(Key::Rsa2048);
        let trust = Trust::from_octets(world.pki.anchor.as_bytes(), &[]).unwrap();
        let verifier = Verifier::new(Settings {
            limits,
            rules: Arc::new(Rules::built_in()),
            schemas: Arc::new(Schemas::load(&[]).unwrap()),
            trust: Arc::new(trust),
        });
        Self { world, verifier }
    }

    pub(super) fn sign(&self, application: &Application) -> Bytes {
        self.world.signer.sign(&application.to_xml().unwrap(), Profile::default()).unwrap().into()
    }

    fn verify(&self, octets: &Bytes, came: &[Came]) -> Result<Verified, Refusal> {
        self.verifier.verify(octets.clone(), came, NOW)
    }
}

#[test]
fn accepts_a_good_application_unchanged() {
    let whole = Whole::new(Limits::default());
    let application = application();
    let octets = whole.sign(&application);
    let verified = whole.verify(&octets, &came(&application)).unwrap();
    assert_eq!(verified.octets(), &octets);
    assert_eq!(verified.header().uuid, application.uuid);
    assert_eq!(verified.header().author.as_str(), "wgp:010500100000");
    assert_eq!(verified.attachments().len(), application.attachments.len());
    assert_eq!(verified.signer().unwrap().fingerprint, Digest::of(whole.world.signer.certificate()));
    assert_eq!(&whole.verifier.validate(&octets).unwrap(), verified.header());
    assert!(whole.verifier.signature(&octets, NOW).is_ok());
}

#[test]
fn attachments_must_be_those_declared() {
    let whole = Whole::new(Limits::default());
    let application = application();
    let octets = whole.sign(&application);
    let right = came(&application);
    assert!(!right.is_empty());
    let code = |came: &[Came]| whole.verify(&octets, came).unwrap_err();
    assert_eq!(code(&[]).code, Code::SchemaInvalid);
    assert_eq!(code(&[right.clone(), right.clone()].concat()).code, Code::SchemaInvalid);
    for change in [|came: &mut Came| came.size += 1, |came: &mut Came| came.sha256.0[0] ^= 1] {
        let mut wrong = right.clone();
        change(&mut wrong[0]);
        let refusal = code(&wrong);
        assert_eq!(refusal.code, Code::SignatureWrong);
        assert!(refusal.reason.starts_with("attachment 1 "), "{}", refusal.reason);
    }
    let few = Whole::new(Limits { attachments: 0, ..Limits::default() });
    let octets = few.sign(&application);
    assert_eq!(few.verify(&octets, &right).unwrap_err().code, Code::OverLimit);
}

#[test]
fn the_first_fault_in_order_counts() {
    let whole = Whole::new(Limits::default());
    let application = application();
    let unsigned = String::from_utf8(application.to_xml().unwrap()).unwrap();
    let refused = |octets: String| whole.verify(&Bytes::from(octets), &[]).unwrap_err().code;
    assert_eq!(refused(unsigned.clone()), Code::SignatureMissing);
    assert_eq!(refused(whole.world.sign("<r/>")), Code::UnknownStandard);
    assert_eq!(refused("<r>".to_owned()), Code::NotWellFormed);
    let uuid = application.uuid.to_string();
    assert_eq!(refused(unsigned.replace(&uuid, "none")), Code::SchemaInvalid);
    // A header that is invisible to the signature is invisible to the picker, too.
    let split = uuid.replacen('-', "<!-- x -->-", 1);
    let commented = whole.world.sign(&unsigned).replace(&uuid, &split);
    let verified = whole.verify(&Bytes::from(commented), &came(&application));
    assert_eq!(verified.unwrap().header().uuid, application.uuid);
    // Signed, but not valid against the schema.
    let invalid =
        whole.world.sign(&unsigned.replacen("<nachrichtenkopf.g2g>", "<nachrichtenkopf.g2g><!-- --><x/>", 1));
    assert_eq!(
        whole.verify(&Bytes::from(invalid), &came(&application)).unwrap_err().code,
        Code::SchemaInvalid
    );
}
