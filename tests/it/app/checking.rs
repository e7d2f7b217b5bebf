//! `amtsweg check`.

use amtsweg::app::check;

use super::site::Site;

fn in_days(days: i64) -> Option<jiff::civil::Date> {
    amtsweg::domain::Timestamp::now().date().checked_add(jiff::Span::new().days(days)).ok()
}

#[test]
fn a_good_site_has_no_faults_and_nothing_expires_soon() {
    let site = Site::new();
    let report = check(&site.config_file(), None);
    assert!(report.is_good(), "{:#?}", report.faults);
    assert_eq!(report.expiring, Vec::new());
    assert!(!site.path("data").exists(), "a check makes nothing");
}

#[test]
fn what_expires_by_a_date_is_listed() {
    let site = Site::new();
    let report = check(&site.config_file(), in_days(500));
    assert!(report.is_good());
    let keys: Vec<&str> = report.expiring.iter().map(|expiry| expiry.key.as_str()).collect();
    for key in ["tls.certificate", "signing.certificate", "trust.crls", "account portal"] {
        assert!(keys.contains(&key), "{key} is missing in {keys:?}");
    }
    assert!(!keys.contains(&"trust.anchors"), "the CA holds for longer: {keys:?}");
}

#[test]
fn the_certificates_that_the_directory_names_for_encryption_expire_too() {
    let site = Site::new();
    std::fs::copy(site.path("pki/authority.pem"), site.path("directory/reader.pem")).unwrap();
    site.edit(
        "directory/endpoints.toml",
        "id = \"marburg-mailbox\"",
        "id = \"marburg-mailbox\"\nencryption = \"reader.pem\"",
    );
    let report = check(&site.config_file(), in_days(500));
    assert!(report.is_good(), "{:#?}", report.faults);
    assert!(report.expiring.iter().any(|expiry| expiry.key == "endpoint marburg-mailbox: encryption"));
}

#[test]
fn an_expired_certificate_of_the_gateway_is_a_fault() {
    let site = Site::new();
    let issuer = amtsweg::cli::pki::issuer(&site.path("pki")).unwrap();
    let purpose = amtsweg::cli::pki::Purpose::Signer;
    let (certificate, key) = amtsweg::cli::pki::leaf(&issuer, "old", purpose, -60..-10).unwrap();
    std::fs::write(site.path("pki/gateway.pem"), certificate).unwrap();
    std::fs::write(site.path("pki/gateway.key"), key).unwrap();
    let report = check(&site.config_file(), None);
    assert_eq!(report.faults.len(), 1, "{:#?}", report.faults);
    assert_eq!(report.faults[0].key, "signing.certificate");
}

#[test]
fn faults_of_all_files_come_at_once() {
    let site = Site::new();
    std::fs::copy(site.path("pki/portal.key"), site.path("pki/server.key")).unwrap();
    std::fs::write(site.path("pki/ca.crl.pem"), "no list").unwrap();
    site.edit("directory/endpoints.toml", "kind = \"push\"", "kind = \"pigeon\"");
    std::fs::write(site.path("data"), "no folder").unwrap();
    let report = check(&site.config_file(), None);
    let keys: Vec<&str> = report.faults.iter().map(|fault| fault.key.as_str()).collect();
    for key in ["tls", "trust", "directory.folder", "delivery", "gateway.data"] {
        assert!(keys.contains(&key), "{key} is missing in {:#?}", report.faults);
    }
}

#[test]
fn a_fault_of_the_configuration_does_not_hide_those_of_its_files() {
    let site = Site::new();
    site.edit("amtsweg.toml", "[gateway]", "[gateway]\ncolour = \"red\"");
    site.edit("directory/endpoints.toml", "kind = \"push\"", "kind = \"pigeon\"");
    let report = check(&site.config_file(), None);
    let keys: Vec<&str> = report.faults.iter().map(|fault| fault.key.as_str()).collect();
    for key in ["gateway.colour", "directory.folder"] {
        assert!(keys.contains(&key), "{key} is missing in {:#?}", report.faults);
    }
}

#[test]
fn a_mailbox_that_nobody_can_pull_from_is_warned_about() {
    let site = Site::new();
    let report = check(&site.config_file(), None);
    let lonely = |name: &str| report.warnings.iter().any(|w| w.contains(&format!("authority {name} pulls")));
    assert!(lonely("wetzlar"), "{:#?}", report.warnings);
    assert!(!lonely("marburg"), "{:#?}", report.warnings);
}
