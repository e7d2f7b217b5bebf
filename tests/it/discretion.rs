//! What the gateway tells about messages: nothing of what is in them, and each refusal once.

use std::time::{Duration, Instant};

use amtsweg::proto::operator_client::OperatorClient;
use amtsweg::proto::{MessagesRequest, QueuesRequest, StatusRequest};

use crate::child::{Gateway, Setup};
use crate::wire::{self, Http};

/// What stands in the test applications and nowhere else.
const PAYLOAD: [&str; 4] = ["Angabe zum Hund", "Rasse", "Halter", "urn:example:formular"];

/// Log entries that say that a request was refused with `code`.
fn refusals(log: &str, code: &str) -> usize {
    let entries = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    entries.filter(|entry| entry["message"] == "refused" && entry["code"] == code).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_metrics_and_operators_answers_hold_no_payload_and_each_refusal_is_logged_once() {
    let setup = Setup::new(|config| config + "[log]\nlevel = \"trace\"\n");
    let gateway = Gateway::start(&setup).await;
    let portal = Http::new(&setup.pki(), Some("portal"));
    let url = gateway.url("/v1/messages");
    // One that nobody can be pushed (its authority is not there), one that is pulled.
    for number in [1, 2] {
        let answer = portal.post(&url, setup.signed_application(number)).await.unwrap();
        assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
    }
    let good = String::from_utf8(setup.signed_application(3)).unwrap();
    let root = good.find("<a:").or_else(|| good.rfind("?>").map(|at| at + 2)).unwrap();
    let bad = [
        ("AW-0122", good.replacen("Halter", "Halterin", 1)),
        ("AW-0101", good.replacen("</f:feld>", "</f:Halter>", 1)),
        ("AW-0102", format!("{}<!DOCTYPE Halter>{}", &good[..root], &good[root..])),
    ];
    for (code, document) in &bad {
        let answer = portal.post(&url, document.clone()).await.unwrap();
        assert_eq!(answer.code(), *code, "{}", String::from_utf8_lossy(&answer.body));
    }

    let origin = format!("https://localhost:{}", setup.operators).parse().unwrap();
    let mut operator = OperatorClient::with_origin(wire::grpc(&setup.pki(), "operator"), origin);
    let began = Instant::now();
    let shown = loop {
        let all = operator.messages(MessagesRequest { limit: 10, ..Default::default() }).await.unwrap();
        let all = all.into_inner().reports;
        let failed = all.iter().any(|report| report.attempts > 0 && report.state == "Queued");
        if failed && bad.iter().all(|(code, _)| refusals(&setup.log(), code) > 0) {
            break all;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "no failed attempt: {all:?}\n{}", setup.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(shown.len(), 2);
    let mut told = format!("{shown:?}{:?}", operator.queues(QueuesRequest {}).await.unwrap());
    for report in shown {
        let request = StatusRequest { message_id: report.message_id };
        told += &format!("{:?}", operator.show(request).await.unwrap());
    }
    let metrics = format!("https://localhost:{}/metrics", setup.operators);
    let metrics = Http::new(&setup.pki(), None).get(&metrics).await.unwrap();
    assert_eq!(metrics.status, 200);
    told += &String::from_utf8_lossy(&metrics.body);
    gateway.kill();
    let log = setup.log();
    for (code, _) in &bad {
        assert_eq!(refusals(&log, code), 1, "{code} is logged once\n{log}");
    }
    told += &log;
    for word in PAYLOAD {
        assert!(
            !told.contains(word),
            "{word:?} is told: {}",
            told.lines().find(|l| l.contains(word)).unwrap()
        );
    }
    for entry in std::fs::read_dir(setup.pki()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "key") {
            let pem = std::fs::read_to_string(&path).unwrap();
            let line = pem.lines().find(|line| !line.starts_with("-----")).unwrap();
            assert!(line.len() >= 32 && !told.contains(line), "the key {} is told", path.display());
        }
    }
}
