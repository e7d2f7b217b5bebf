//! Chains, validity, use and revocation.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, date_time_ymd,
};

use super::{Key, Leaf, NOW, Pki, Profile, Signer, Timestamp, Trust, verify_signature};
use crate::domain::Note;
use crate::error::Code;
use crate::verify::Limits;
use crate::verify::trust::{Revocation, Unknown};

const DAY: Duration = Duration::from_secs(86_400);

/// The code with which a document signed with `leaf` is refused.
fn code(leaf: &Leaf, trust: &Trust, now: Timestamp) -> Option<Code> {
    let signer = Signer::from_pem(leaf.certificate.as_bytes(), leaf.key.as_bytes()).unwrap();
    let signed = signer.sign(b"<r/>", Profile::default()).unwrap();
    verify_signature(&signed, &Limits::default(), trust, now).err().map(|refusal| refusal.code)
}

fn crl(issuer: &Issuer<'_, KeyPair>, revoked: &[u64], until: u8) -> Vec<u8> {
    let revoked = revoked.iter().map(|serial| RevokedCertParams {
        serial_number: (*serial).into(),
        revocation_time: date_time_ymd(2025, 6, 1),
        reason_code: None,
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2025, 12, 1),
        next_update: date_time_ymd(2026, 1, until),
        crl_number: 1.into(),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(issuer).unwrap().der().to_vec()
}

#[test]
fn validity_is_checked_each_time() {
    let pki = Pki::new();
    let trust = Trust::from_octets(pki.anchor.as_bytes(), &[]).unwrap();
    let leaf = pki.leaf(Key::P256, |params| {
        params.not_before = date_time_ymd(2025, 12, 1);
        params.not_after = date_time_ymd(2026, 1, 3);
    });
    // Twice within: the second answer is remembered. Then outside of it, before and after.
    assert_eq!(code(&leaf, &trust, NOW), None);
    assert_eq!(code(&leaf, &trust, NOW.plus(DAY)), None);
    assert_eq!(code(&leaf, &trust, NOW.plus(3 * DAY)), Some(Code::CertificateExpired));
    assert_eq!(code(&leaf, &trust, Timestamp(NOW.0 - 40 * 86_400_000)), Some(Code::CertificateExpired));
}

#[test]
fn the_certificate_must_be_for_signing() {
    let pki = Pki::new();
    let trust = Trust::from_octets(pki.anchor.as_bytes(), &[]).unwrap();
    let verdict = |edit: fn(&mut CertificateParams)| code(&pki.leaf(Key::P256, edit), &trust, NOW);
    let untrusted = Some(Code::CertificateUntrusted);
    assert_eq!(verdict(|p| p.key_usages = vec![]), None);
    assert_eq!(verdict(|p| p.key_usages = vec![KeyUsagePurpose::ContentCommitment]), None);
    assert_eq!(verdict(|p| p.key_usages = vec![KeyUsagePurpose::KeyEncipherment]), untrusted);
    assert_eq!(verdict(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection]), None);
    assert_eq!(verdict(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]), None);
    assert_eq!(verdict(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning]), untrusted);
    assert_eq!(verdict(|p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)), untrusted);
}

#[test]
fn chains_lead_over_intermediates() {
    let pki = Pki::new();
    let trust = Trust::from_octets(pki.anchor.as_bytes(), &[]).unwrap();
    let key = Key::P384.generate();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Test Sub CA");
    params.serial_number = Some(99.into());
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let intermediate = params.signed_by(&key, &pki.issuer).unwrap().pem();
    let sub = Pki { anchor: intermediate.clone(), issuer: Issuer::new(params, key) };
    let mut leaf = sub.leaf(Key::P256, |_| {});
    assert_eq!(code(&leaf, &trust, NOW), Some(Code::CertificateUntrusted));
    leaf.certificate += &intermediate;
    assert_eq!(code(&leaf, &trust, NOW), None);
    // With CRLs, the signer's issuer must have one; the intermediate's counts where it is there.
    let root_only = Trust::from_octets(pki.anchor.as_bytes(), &[crl(&pki.issuer, &[], 9)]).unwrap();
    assert_eq!(code(&leaf, &root_only, NOW), Some(Code::RevocationUnknown));
    let sub_only = Trust::from_octets(pki.anchor.as_bytes(), &[crl(&sub.issuer, &[], 9)]).unwrap();
    assert_eq!(code(&leaf, &sub_only, NOW), None);
    let cut_off = [crl(&sub.issuer, &[], 9), crl(&pki.issuer, &[99], 9)];
    let cut_off = Trust::from_octets(pki.anchor.as_bytes(), &cut_off).unwrap();
    assert_eq!(code(&leaf, &cut_off, NOW), Some(Code::CertificateRevoked));
}

#[test]
fn revocation_is_known_or_refused() {
    let pki = Pki::new();
    let leaf = pki.leaf(Key::P256, |_| {});
    let trust = |crls: &[Vec<u8>]| Trust::from_octets(pki.anchor.as_bytes(), crls).unwrap();
    assert_eq!(code(&leaf, &trust(&[crl(&pki.issuer, &[1], 9)]), NOW), None);
    assert_eq!(code(&leaf, &trust(&[crl(&pki.issuer, &[4711], 9)]), NOW), Some(Code::CertificateRevoked));
    let forged = crl(&Pki::new().issuer, &[], 9);
    assert_eq!(code(&leaf, &trust(&[forged]), NOW), Some(Code::RevocationUnknown));
    // A list runs out, also for an answer that is remembered; a newer one beside it counts.
    let short = crl(&pki.issuer, &[], 3);
    let running_out = trust(std::slice::from_ref(&short));
    assert_eq!(code(&leaf, &running_out, NOW), None);
    assert_eq!(code(&leaf, &running_out, NOW.plus(5 * DAY)), Some(Code::RevocationUnknown));
    let renewed = trust(&[short, crl(&pki.issuer, &[], 9)]);
    assert_eq!(code(&leaf, &renewed, NOW.plus(5 * DAY)), None);
}

#[test]
fn files_and_folders_are_loaded_or_refused_with_their_names() {
    let pki = Pki::new();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("anchors")).unwrap();
    std::fs::create_dir(path("crls")).unwrap();
    let empty = Trust::load(&path("anchors"), Some(&path("crls"))).err().unwrap();
    assert_eq!(empty.len(), 2, "{empty:?}");
    std::fs::write(path("anchors").join("ca.pem"), &pki.anchor).unwrap();
    std::fs::write(path("anchors").join("README"), "not read").unwrap();
    std::fs::write(path("crls").join("ca.crl"), crl(&pki.issuer, &[], 9)).unwrap();
    assert_eq!(Trust::load(&path("anchors"), Some(&path("crls"))).unwrap().counts(), (1, 1));
    assert_eq!(Trust::load(&path("anchors").join("ca.pem"), None).unwrap().counts(), (1, 0));
    std::fs::write(
        path("anchors").join("broken.pem"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    std::fs::write(path("crls").join("broken.crl"), "nothing").unwrap();
    let faults = Trust::load(&path("anchors"), Some(&path("crls"))).err().unwrap();
    assert!(
        faults.len() == 2 && faults[0].contains("broken.pem") && faults[1].contains("broken.crl"),
        "{faults:?}"
    );
    assert!(Trust::load(&path("nowhere"), None).is_err());
}

#[test]
fn the_newest_list_counts_even_if_an_older_one_is_in_force_for_longer() {
    let pki = Pki::new();
    let leaf = pki.leaf(Key::P256, |params| params.serial_number = Some(4711.into()));
    let list = |(month, until): (u8, u8), revoked: bool| {
        let revoked = revoked.then(|| RevokedCertParams {
            serial_number: 4711.into(),
            revocation_time: date_time_ymd(2025, 11, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2025, month, 1),
            next_update: date_time_ymd(2026, 1, until),
            crl_number: u64::from(month).into(),
            issuing_distribution_point: None,
            revoked_certs: revoked.into_iter().collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&pki.issuer).unwrap().der().to_vec()
    };
    let (old, new) = (list((10, 20), false), list((12, 9), true));
    for lists in [[old.clone(), new.clone()], [new, old]] {
        let trust = Trust::from_octets(pki.anchor.as_bytes(), &lists).unwrap();
        assert_eq!(code(&leaf, &trust, NOW), Some(Code::CertificateRevoked));
    }
}

#[test]
fn a_folder_of_anchors_may_hold_other_pem_blocks_too() {
    let pki = Pki::new();
    let leaf = pki.leaf(Key::P256, |_| {});
    let dir = tempfile::tempdir().unwrap();
    let block = |kind: &str| format!("-----BEGIN {kind}-----\nMAA=\n-----END {kind}-----\n");
    std::fs::write(dir.path().join("ca.crl.pem"), block("X509 CRL")).unwrap();
    let alone = Trust::load(dir.path(), None).err().unwrap();
    assert!(alone.len() == 1 && alone[0].contains("no trust anchor"), "{alone:?}");
    std::fs::write(dir.path().join("ca.pem"), &pki.anchor).unwrap();
    let trust = Trust::load(dir.path(), None).unwrap();
    assert_eq!((trust.counts(), code(&leaf, &trust, NOW)), ((1, 0), None));
    // What is no PEM at all stays a fault, and a single file must hold what it was named for.
    let single = Trust::load(&dir.path().join("ca.crl.pem"), None).err().unwrap();
    assert!(single[0].contains("no PEM certificate"), "{single:?}");
    std::fs::write(dir.path().join("rubbish.pem"), "hello").unwrap();
    let rubbish = Trust::load(dir.path(), None).err().unwrap();
    assert!(rubbish.len() == 1 && rubbish[0].contains("rubbish.pem"), "{rubbish:?}");
}

#[test]
fn a_folder_of_lists_may_hold_certificates_too() {
    let pki = Pki::new();
    let leaf = pki.leaf(Key::P256, |params| params.serial_number = Some(5.into()));
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ca.pem"), &pki.anchor).unwrap();
    let alone = Trust::load(dir.path(), Some(dir.path())).err().unwrap();
    assert!(alone.len() == 1 && alone[0].contains("no CRL there"), "{alone:?}");
    std::fs::write(dir.path().join("ca.crl"), crl(&pki.issuer, &[5], 9)).unwrap();
    std::fs::create_dir(dir.path().join("anchors")).unwrap();
    std::fs::copy(dir.path().join("ca.pem"), dir.path().join("anchors/ca.pem")).unwrap();
    let trust = Trust::load(&dir.path().join("anchors"), Some(dir.path())).unwrap();
    assert_eq!((trust.counts(), code(&leaf, &trust, NOW)), ((1, 1), Some(Code::CertificateRevoked)));
}

/// Until when the signer stands, and what deserves a look; or the code.
fn notes(leaf: &Leaf, trust: &Trust, now: Timestamp) -> Result<Vec<Note>, Code> {
    let signer = Signer::from_pem(leaf.certificate.as_bytes(), leaf.key.as_bytes()).unwrap();
    let signed = signer.sign(b"<r/>", Profile::default()).unwrap();
    let report = verify_signature(&signed, &Limits::default(), trust, now).map_err(|refusal| refusal.code);
    report.map(|report| report.coverage.notes)
}

#[test]
fn doubt_about_revocation_is_refused_or_marked_as_the_operator_says() {
    let pki = Pki::new();
    let leaf = pki.leaf(Key::P256, |_| {});
    let revoked = pki.leaf(Key::P256, |params| params.serial_number = Some(1.into()));
    let list = crl(&pki.issuer, &[1], 3);
    let trust = |lists: &[Vec<u8>], unknown, max_age: Option<Duration>| {
        let trust = Trust::from_octets(pki.anchor.as_bytes(), lists).unwrap();
        trust.with_revocation(Revocation { unknown, max_age })
    };
    let later = NOW.plus(5 * DAY);
    let lists = std::slice::from_ref(&list);
    let (refuse, mark) = (trust(lists, Unknown::Refuse, None), trust(lists, Unknown::Mark, None));
    assert_eq!(notes(&leaf, &refuse, NOW), Ok(Vec::new()));
    assert_eq!(notes(&leaf, &mark, NOW), Ok(Vec::new()));
    // The list runs out, also for a verdict that is remembered.
    assert_eq!(notes(&leaf, &refuse, later), Err(Code::RevocationUnknown));
    assert_eq!(notes(&leaf, &mark, later), Ok(vec![Note::RevocationStale]));
    // Whoever stands on it stays revoked, and a forged list is no list.
    for at in [NOW, later] {
        assert_eq!(notes(&revoked, &mark, at), Err(Code::CertificateRevoked));
    }
    let forged = Pki::new();
    let forged = trust(&[crl(&forged.issuer, &[], 9)], Unknown::Mark, None);
    assert_eq!(notes(&leaf, &forged, NOW), Err(Code::RevocationUnknown));
    // No list of this issuer, and no list at all.
    let mut name = CertificateParams::default();
    name.distinguished_name.push(DnType::CommonName, "Somebody else");
    name.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    name.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let other = Issuer::new(name, Key::P256.generate());
    let other = [crl(&other, &[], 9)];
    assert_eq!(notes(&leaf, &trust(&other, Unknown::Refuse, None), NOW), Err(Code::RevocationUnknown));
    assert_eq!(notes(&leaf, &trust(&other, Unknown::Mark, None), NOW), Ok(vec![Note::RevocationUnknown]));
    assert_eq!(notes(&leaf, &trust(&[], Unknown::Refuse, None), NOW), Ok(vec![Note::RevocationUnknown]));
    // A list that says it is good for long may be too old for the operator: it is of 1 December.
    let aged = |unknown| trust(&[crl(&pki.issuer, &[1], 9)], unknown, Some(32 * DAY));
    assert_eq!(notes(&leaf, &aged(Unknown::Refuse), NOW), Ok(Vec::new()));
    assert_eq!(notes(&leaf, &aged(Unknown::Refuse), NOW.plus(2 * DAY)), Err(Code::RevocationUnknown));
    assert_eq!(notes(&leaf, &aged(Unknown::Mark), NOW.plus(2 * DAY)), Ok(vec![Note::RevocationStale]));
    let running = aged(Unknown::Refuse);
    assert_eq!(notes(&leaf, &running, NOW), Ok(Vec::new()));
    assert_eq!(notes(&leaf, &running, NOW.plus(2 * DAY)), Err(Code::RevocationUnknown));
}

#[test]
fn a_chain_stands_until_its_first_certificate_expires() {
    let pki = Pki::new();
    let key = Key::P384.generate();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Test Sub CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.not_after = date_time_ymd(2026, 2, 1);
    let intermediate = params.signed_by(&key, &pki.issuer).unwrap().pem();
    let sub = Pki { anchor: intermediate.clone(), issuer: Issuer::new(params, key) };
    let mut leaf = sub.leaf(Key::P256, |params| params.not_after = date_time_ymd(2026, 3, 1));
    leaf.certificate += &intermediate;
    // One that is not on the path does not count.
    leaf.certificate +=
        &pki.leaf(Key::P256, |params| params.not_after = date_time_ymd(2026, 1, 5)).certificate;
    let signer = Signer::from_pem(leaf.certificate.as_bytes(), leaf.key.as_bytes()).unwrap();
    let signed = signer.sign(b"<r/>", Profile::default()).unwrap();
    let trust = Trust::from_octets(pki.anchor.as_bytes(), &[]).unwrap();
    let report = verify_signature(&signed, &Limits::default(), &trust, NOW).unwrap();
    assert_eq!(report.coverage.until.to_string(), "2026-02-01T00:00:00.000Z");
    assert_eq!(report.signer.not_after.to_string(), "2026-03-01T00:00:00.000Z");
}

#[test]
fn name_constraints_hold() {
    let pki = Pki::new();
    let trust = Trust::from_octets(pki.anchor.as_bytes(), &[]).unwrap();
    let key = Key::P256.generate();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Constrained CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.name_constraints = Some(rcgen::NameConstraints {
        permitted_subtrees: vec![rcgen::GeneralSubtree::DnsName("hessen.example".to_owned())],
        excluded_subtrees: Vec::new(),
    });
    let intermediate = params.signed_by(&key, &pki.issuer).unwrap().pem();
    let sub = Pki { anchor: intermediate.clone(), issuer: Issuer::new(params, key) };
    for (name, expected) in
        [("amt.hessen.example", None), ("amt.elsewhere.example", Some(Code::CertificateUntrusted))]
    {
        let names = vec![rcgen::SanType::DnsName(name.try_into().unwrap())];
        let mut leaf = sub.leaf(Key::P256, |params| params.subject_alt_names = names);
        leaf.certificate += &intermediate;
        assert_eq!(code(&leaf, &trust, NOW), expected, "{name}");
    }
}

#[test]
fn certificates_come_in_any_order() {
    let pki = Pki::new();
    let trust = Trust::from_octets(pki.anchor.as_bytes(), &[]).unwrap();
    let key = Key::P256.generate();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Test Sub CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let intermediate = params.signed_by(&key, &pki.issuer).unwrap().pem();
    let sub = Pki { anchor: intermediate.clone(), issuer: Issuer::new(params, key) };
    let mut leaf = sub.leaf(Key::P256, |_| {});
    let foreign = pki.leaf(Key::P256, |_| {}).certificate;
    leaf.certificate = [leaf.certificate.as_str(), &intermediate, &pki.anchor, &foreign].concat();
    let signer = Signer::from_pem(leaf.certificate.as_bytes(), leaf.key.as_bytes()).unwrap();
    let signed = String::from_utf8(signer.sign(b"<r/>", Profile::default()).unwrap()).unwrap();
    let from = signed.find("<ds:X509Certificate>").unwrap();
    let to = signed.find("</ds:X509Data>").unwrap();
    let own = "</ds:X509Certificate>";
    let list: Vec<String> = signed[from..to].split_inclusive(own).map(str::to_owned).collect();
    assert_eq!(list.len(), 4);
    for turn in 0..4 {
        let mut turned = list.clone();
        turned.rotate_left(turn);
        for order in [turned.clone(), turned.into_iter().rev().collect()] {
            let document = format!("{}{}{}", &signed[..from], order.concat(), &signed[to..]);
            let report = verify_signature(document.as_bytes(), &Limits::default(), &trust, NOW).unwrap();
            assert_eq!(report.signer.serial, "1267");
        }
    }
}
