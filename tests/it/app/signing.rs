//! What the operator asks of signatures, and what messages say of theirs.

use amtsweg::proto::{StatusRequest, SubmitRequest};
use uuid::Uuid;

use super::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_must_sign_with_xades_is_told_so_and_its_receipts_say_what_is_covered() {
    let site = Site::new();
    site.edit("amtsweg.toml", "roles = [\"portal\"]", "roles = [\"portal\"]\nxades = \"required\"");
    let app = site.start().await;
    let submit = |document: bytes::Bytes| async {
        let request = SubmitRequest { document, attachments: Vec::new() };
        site.portal(&app).await.submit(request).await
    };
    let refused = submit(site.message(Uuid::new_v4())).await.unwrap_err();
    assert!(refused.message().contains("AW-0121") && refused.message().contains("--xades"), "{refused}");
    let accepted = submit(site.message_with_properties(Uuid::new_v4())).await.unwrap().into_inner();
    let receipt = String::from_utf8(accepted.receipt.to_vec()).unwrap();
    for part in ["<antrag:deckung>", "<antrag:form>XAdES B-B<", "<antrag:unterschrieben>", "xmlenc#sha256<"] {
        assert!(receipt.contains(part), "{part} is missing in {receipt}");
    }
    let request = StatusRequest { message_id: accepted.message_id };
    let report = site.portal(&app).await.get_status(request).await.unwrap().into_inner();
    let coverage = report.coverage.unwrap();
    assert_eq!((coverage.form.as_str(), coverage.algorithms.len()), ("XAdES B-B", 4));
    assert!(!coverage.signed_at.is_empty() && coverage.signer_sha256.len() == 64, "{coverage:?}");
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_revocation_list_counts_from_its_reload_on_also_for_signers_known_as_good() {
    let site = Site::new();
    let app = site.start().await;
    site.submit(&app).await;
    // The development CA has a key: it revokes the signer of the messages.
    let read = |name: &str| std::fs::read_to_string(site.path(name)).unwrap();
    let key = rcgen::KeyPair::from_pem(&read("pki/ca.key")).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(&read("pki/ca.pem"), key).unwrap();
    let (_, pem) = x509_parser::pem::parse_x509_pem(read("pki/signer.pem").as_bytes()).unwrap();
    let serial = pem.parse_x509().unwrap().raw_serial().to_vec();
    let now = rcgen::date_time_ymd(2030, 1, 1);
    let list = rcgen::CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2026, 1, 1),
        next_update: now,
        crl_number: rcgen::SerialNumber::from(9_u64),
        issuing_distribution_point: None,
        revoked_certs: vec![rcgen::RevokedCertParams {
            serial_number: rcgen::SerialNumber::from_slice(&serial),
            revocation_time: rcgen::date_time_ymd(2026, 1, 1),
            reason_code: None,
            invalidity_date: None,
        }],
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    std::fs::write(site.path("pki/ca.crl.pem"), list.signed_by(&issuer).unwrap().pem().unwrap()).unwrap();
    site.submit(&app).await;
    app.reload().await.unwrap();
    let document = site.message(Uuid::new_v4());
    let request = SubmitRequest { document, attachments: Vec::new() };
    let refused = site.portal(&app).await.submit(request).await.unwrap_err();
    assert!(refused.message().contains("AW-0131"), "{refused}");
    app.shutdown().await;
}
