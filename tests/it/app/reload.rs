//! What SIGHUP does: whole or not at all.

use amtsweg::proto;

use super::site::Site;

const RULE: &str = "marburg;99102013*;065340014014";

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_is_swapped_as_a_whole() {
    let site = Site::new();
    let app = site.start().await;
    assert_eq!(site.competent(&app).await, "marburg");
    site.edit("directory/competences.csv", RULE, "marburg-biedenkopf-kreis;99102013*;065340014014");
    assert_eq!(site.competent(&app).await, "marburg", "files alone change nothing");
    assert_eq!(app.reload().await.unwrap(), Vec::<&str>::new());
    assert_eq!(site.competent(&app).await, "marburg-biedenkopf-kreis");
    assert!(app.metrics().render().contains("amtsweg_reloads_total{outcome=\"taken\"} 1"));
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_fault_anywhere_keeps_everything_as_it_was() {
    let site = Site::new();
    let app = site.start().await;
    // A good change of the directory, and faults elsewhere.
    site.edit("directory/competences.csv", RULE, "marburg-biedenkopf-kreis;99102013*;065340014014");
    std::fs::write(site.path("pki/ca.crl.pem"), "no list").unwrap();
    let faults = app.reload().await.unwrap_err();
    assert!(faults.iter().any(|fault| fault.key == "trust"), "{faults:?}");
    site.edit("amtsweg.toml", "[store]", "[sture]");
    let faults = app.reload().await.unwrap_err();
    assert!(faults.iter().any(|fault| fault.key == "sture"), "{faults:?}");
    assert_eq!(site.competent(&app).await, "marburg");
    site.submit(&app).await;
    assert!(app.metrics().render().contains("amtsweg_reloads_total{outcome=\"refused\"} 2"));
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_come_and_go_and_what_needs_a_restart_is_named() {
    let site = Site::new();
    let app = site.start().await;
    site.submit(&app).await;
    site.edit("amtsweg.toml", "identifiers = [\"psw:06000001\"]", "identifiers = [\"psw:06000002\"]");
    site.edit("amtsweg.toml", "drain = \"10 s\"", "drain = \"11 s\"");
    assert_eq!(app.reload().await.unwrap(), ["gateway"]);
    let request =
        proto::SubmitRequest { document: site.message(uuid::Uuid::new_v4()), attachments: Vec::new() };
    let refused = site.portal(&app).await.submit(request).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied, "{refused}");
    assert!(refused.message().contains("AW-0140"), "{refused}");
    assert_eq!(app.reload().await.unwrap(), ["gateway"], "it is named until the restart");
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_server_certificate_is_used_for_new_connections() {
    let site = Site::new();
    let app = site.start().await;
    let first = super::watching::server_certificate(&site, app.addr()).await;
    let issuer = amtsweg::cli::pki::issuer(&site.path("pki")).unwrap();
    let purpose = amtsweg::cli::pki::Purpose::Server;
    let (certificate, key) = amtsweg::cli::pki::leaf(&issuer, "renewed", purpose, 0..90).unwrap();
    std::fs::write(site.path("pki/server.pem"), certificate).unwrap();
    std::fs::write(site.path("pki/server.key"), key).unwrap();
    assert_eq!(app.reload().await.unwrap(), Vec::<&str>::new());
    let second = super::watching::server_certificate(&site, app.addr()).await;
    assert_ne!(first, second);
    site.submit(&app).await;
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reloads_in_the_midst_of_submissions_disturb_none() {
    let site = Site::new();
    let app = site.start().await;
    let portal = site.portal(&app).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let mut portal = portal.clone();
        let documents: Vec<_> = (0..10).map(|_| site.message(uuid::Uuid::new_v4())).collect();
        tasks.spawn(async move {
            for document in documents {
                let request = proto::SubmitRequest { document, attachments: Vec::new() };
                portal.submit(request).await.unwrap();
            }
        });
    }
    let mut reloads = 0;
    while !tasks.is_empty() {
        app.reload().await.unwrap();
        reloads += 1;
        while let Some(done) = tasks.try_join_next() {
            done.unwrap();
        }
    }
    assert!(reloads > 0);
    assert!(app.metrics().render().contains("amtsweg_accepted_total 80"));
    app.shutdown().await;
}
