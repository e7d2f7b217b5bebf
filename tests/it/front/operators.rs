//! The operators' port.

use amtsweg::proto::{self, ActRequest, EndpointRequest, MessagesRequest, QueuesRequest, StatusRequest};

use crate::support::{Client, Draft, Gateway, Options, client::problem};

#[tokio::test]
async fn open_paths_need_no_certificate_on_loopback_and_nothing_else_is_open() {
    let gateway = Gateway::start(Options::default()).await;
    let anybody = Client::new(&gateway.pki, gateway.operators, None);
    let alive = anybody.get("/health/live").await;
    assert_eq!((alive.status.as_u16(), &*alive.body), (200, &b"alive"[..]));
    assert_eq!(anybody.get("/elsewhere").await.status, 404);
    let refused = anybody.operator().queues(QueuesRequest {}).await.unwrap_err();
    assert_eq!(problem(&refused).code, "AW-0140");
    let portal = Client::new(&gateway.pki, gateway.operators, Some("portal"));
    let refused = portal.operator().queues(QueuesRequest {}).await.unwrap_err();
    assert_eq!(problem(&refused).code, "AW-0140");
    // The content type alone opens no door.
    let sneaky = anybody.post("/amtsweg.v1.Operator/Queues", &[("content-type", "text/plain")], "").await;
    assert_eq!(sneaky.code(), "AW-0140");
    gateway.stop().await;
}

#[tokio::test]
async fn operators_see_all_and_steer() {
    let gateway = Gateway::start(Options::default()).await;
    let portal = Client::new(&gateway.pki, gateway.addr, Some("portal"));
    let operator = Client::new(&gateway.pki, gateway.operators, Some("operator"));
    let document = Draft::default().signed(&gateway.pki.signer("signer"));
    let message_id = portal.submit(&document, &[]).await.unwrap().message_id;
    let queues = operator.operator().queues(QueuesRequest {}).await.unwrap().into_inner().queues;
    let queue = queues.iter().find(|queue| queue.endpoint == "marburg-mailbox").unwrap();
    assert_eq!((&*queue.way, queue.by_state.get("Available")), ("pull", Some(&1)));
    assert!(queues.iter().any(|queue| queue.endpoint == "darmstadt-push"), "idle endpoints are shown too");
    let filter = MessagesRequest { endpoint: "marburg-mailbox".to_owned(), ..Default::default() };
    let found = operator.operator().messages(filter).await.unwrap().into_inner().reports;
    assert_eq!(found.iter().map(|report| &*report.account).collect::<Vec<_>>(), ["portal"]);
    let act = |reason: &str| ActRequest { message_id: message_id.clone(), reason: reason.to_owned() };
    let parked = operator.operator().park(act("to be looked at")).await.unwrap().into_inner();
    assert_eq!(parked.state, "Parked");
    assert!(parked.facts.iter().any(|fact| fact.detail.contains("to be looked at")));
    let retried = operator.operator().retry(act("all right")).await.unwrap().into_inner();
    assert_eq!(retried.state, "Available");
    let shown = operator.operator().show(StatusRequest { message_id }).await.unwrap().into_inner();
    assert_eq!(shown.facts.len(), retried.facts.len());
    gateway.stop().await;
}

#[tokio::test]
async fn an_endpoint_is_suspended_and_resumed() {
    let gateway = Gateway::start(Options::default()).await;
    let operator = Client::new(&gateway.pki, gateway.operators, Some("operator"));
    let endpoint =
        |name: &str| EndpointRequest { endpoint: name.to_owned(), reason: "works on the line".to_owned() };
    let queue = operator.operator().suspend(endpoint("darmstadt-push")).await.unwrap().into_inner();
    assert!(queue.suspended && queue.suspended_reason == "works on the line");
    let queue = operator.operator().resume(endpoint("darmstadt-push")).await.unwrap().into_inner();
    assert!(!queue.suspended);
    let unknown = operator.operator().suspend(endpoint("nowhere")).await.unwrap_err();
    assert_eq!(problem(&unknown).code, "AW-0401");
    gateway.stop().await;
}

#[tokio::test]
async fn anybody_with_an_account_may_ask_who_is_competent() {
    let gateway = Gateway::start(Options::default()).await;
    let portal = Client::new(&gateway.pki, gateway.addr, Some("portal"));
    let ask = |service: &str, area: &str| proto::ExplainRequest {
        service: service.to_owned(),
        area: area.to_owned(),
        date: "2026-06-01".to_owned(),
    };
    let answer = portal.routing().explain(ask("99102013104000", "065340014014")).await.unwrap().into_inner();
    assert_eq!(answer.outcome, "connected");
    assert_eq!(answer.route.unwrap().authority_id, "marburg");
    assert!(!answer.explanation.is_empty());
    let answer = portal.routing().explain(ask("99107022012000", "066360013013")).await.unwrap().into_inner();
    assert_eq!((&*answer.outcome, &*answer.problem.unwrap().code), ("ambiguous", "AW-0203"));
    let wrong = portal.routing().explain(ask("1", "2")).await.unwrap_err();
    assert_eq!(problem(&wrong).code, "AW-0111");
    gateway.stop().await;
}
