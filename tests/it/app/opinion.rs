//! Second opinions: what xmlsec1 says of accepted messages, and what becomes of those it refuses.

use std::path::Path;

use amtsweg::proto::StatusRequest;

use super::site::{Site, until};

fn asking(program: &str) -> Site {
    let site = Site::new();
    let section =
        format!("[second_opinion]\nprogram = \"{program}\"\nper_thousand = 1000\nat_once = 4\n[store]");
    site.edit("amtsweg.toml", "[store]", &section);
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_the_second_opinion_refuses_is_set_aside_with_an_alarm() {
    let site = asking("/bin/false");
    let app = site.start().await;
    let id = site.submit(&app).await.message_id;
    let state = || async {
        let request = StatusRequest { message_id: id.clone() };
        site.portal(&app).await.get_status(request).await.unwrap().into_inner()
    };
    until("the message is set aside", || async { state().await.state == "Parked" }).await;
    let report = state().await;
    let last = report.facts.last().unwrap();
    assert!(last.kind == "parked" && last.detail.contains("second opinion"), "{last:?}");
    let counted = "amtsweg_second_opinions_total{outcome=\"disagreed\"} 1";
    until("it is counted", || async { app.metrics().render().contains(counted) }).await;
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn xmlsec1_agrees_with_accepted_messages_and_nothing_changes() {
    if !Path::new("/usr/bin/xmlsec1").exists() {
        println!("skipped: /usr/bin/xmlsec1 not found");
        return;
    }
    let site = asking("/usr/bin/xmlsec1");
    let app = site.start().await;
    let id = site.submit(&app).await.message_id;
    let counted = "amtsweg_second_opinions_total{outcome=\"agreed\"} 1";
    until("xmlsec1 agrees", || async { app.metrics().render().contains(counted) }).await;
    let request = StatusRequest { message_id: id };
    let report = site.portal(&app).await.get_status(request).await.unwrap().into_inner();
    assert_eq!(report.state, "Available");
    let coverage = report.coverage.unwrap();
    assert_eq!((coverage.form.as_str(), coverage.algorithms.len()), ("XMLDSig", 4));
    assert!(coverage.covered.starts_with("the whole document") && !coverage.until.is_empty());
    assert!(coverage.notes.is_empty(), "{coverage:?}");
    app.shutdown().await;
}
