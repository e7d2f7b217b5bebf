//! Start, stop, start again.

use amtsweg::app::{App, StartError};
use amtsweg::proto;
use amtsweg::store::OpenError;

use super::site::{Site, until};
use super::watching;

#[tokio::test(flavor = "multi_thread")]
async fn messages_outlive_a_restart_and_a_repetition_gets_the_first_receipt() {
    let site = Site::new();
    let app = site.start().await;
    let document = site.message(uuid::Uuid::new_v4());
    let request = proto::SubmitRequest { document, attachments: Vec::new() };
    let first = site.portal(&app).await.submit(request.clone()).await.unwrap().into_inner();
    assert!(!first.repeated);
    assert_eq!(first.state, "Available");
    app.shutdown().await;

    let app = site.start().await;
    let again = site.portal(&app).await.submit(request).await.unwrap().into_inner();
    assert!(again.repeated);
    assert_eq!((again.message_id, again.receipt), (first.message_id.clone(), first.receipt));
    let list = proto::ListRequest { after: 0, limit: 0 };
    let entries = site.authority(&app).await.list(list).await.unwrap().into_inner().entries;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].message_id, first.message_id);
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_requests_in_work_end_and_takes_no_new_ones() {
    let site = Site::new();
    let app = site.start().await;
    let (addr, operators) = (app.addr(), app.operators_addr());
    let half = site.half_submit(addr).await;
    let watched = watching::client(&site, operators);
    until("the request is in work", || async {
        watched.get("/metrics").await.is_some_and(|(_, text)| text.contains("\namtsweg_in_flight 1\n"))
    })
    .await;

    let stopping = tokio::spawn(app.shutdown());
    until("it is not ready any more", || async {
        watched
            .get("/health/ready")
            .await
            .is_some_and(|(status, text)| status == 503 && text.contains("stopping"))
    })
    .await;
    until("the main port is closed", || async { tokio::net::TcpStream::connect(addr).await.is_err() }).await;
    let answer = half.finish().await;
    assert_eq!(answer.state, "Available");
    stopping.await.unwrap();
    assert!(tokio::net::TcpStream::connect(operators).await.is_err());

    let app = site.start().await;
    let request = proto::StatusRequest { message_id: answer.message_id };
    site.portal(&app).await.get_status(request).await.unwrap();
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_ever() {
    let site = Site::new();
    site.edit("amtsweg.toml", "drain = \"10 s\"", "drain = \"1 s\"");
    let app = site.start().await;
    let _half = site.half_submit(app.addr()).await;
    let watched = watching::client(&site, app.operators_addr());
    until("the request is in work", || async {
        watched.get("/metrics").await.is_some_and(|(_, text)| text.contains("\namtsweg_in_flight 1\n"))
    })
    .await;
    let bound = std::time::Duration::from_secs(8);
    tokio::time::timeout(bound, app.shutdown()).await.expect("the sender is cut once the time is up");
    // The store was closed in order all the same.
    site.start().await.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_live_in_one_process_and_keep_their_messages_apart() {
    let (here, there) = (Site::new(), Site::new());
    let (one, other) = (here.start().await, there.start().await);
    let accepted = here.submit(&one).await;
    let request = proto::StatusRequest { message_id: accepted.message_id };
    here.portal(&one).await.get_status(request.clone()).await.unwrap();
    let unknown = there.portal(&other).await.get_status(request).await.unwrap_err();
    assert_eq!(unknown.code(), tonic::Code::NotFound);
    assert!(one.metrics().render().contains("amtsweg_accepted_total 1"));
    assert!(other.metrics().render().contains("amtsweg_accepted_total 0"));
    one.shutdown().await;
    other.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_leaves_nothing_behind() {
    let site = Site::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("address = \"{}\"", taken.local_addr().unwrap());
    site.edit("amtsweg.toml", "\naddress = \"127.0.0.1:0\"", &format!("\n{address}"));
    let error = App::start(site.config()).await.err().unwrap();
    assert!(matches!(error, StartError::Front(_)), "{error}");
    // Store and operators' port are free again.
    drop(taken);
    let app = site.start().await;

    site.edit("amtsweg.toml", &address, "address = \"127.0.0.1:0\"");
    let error = App::start(site.config()).await.err().unwrap();
    assert!(matches!(error, StartError::Store(OpenError::InUse(_))), "{error}");
    site.submit(&app).await;
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_in_the_files_are_told_all_at_once_before_anything_is_touched() {
    let site = Site::new();
    site.edit("directory/competences.csv", "marburg;99102013*;065340014014", "nobody;99102013*;065340014014");
    std::fs::copy(site.path("pki/portal.key"), site.path("pki/gateway.key")).unwrap();
    std::fs::write(site.path("pki/ca.crl.pem"), "no list").unwrap();
    let StartError::Faults(faults) = App::start(site.config()).await.err().unwrap() else {
        panic!("not the faults")
    };
    let keys: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
    assert!(["trust", "directory.folder", "signing"].iter().all(|key| keys.contains(key)), "{faults:#?}");
    assert!(!site.path("data").exists());
}
