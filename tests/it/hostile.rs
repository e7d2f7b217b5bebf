//! Hostile input, against the real program in a process of its own: each case is refused with its
//! code, memory stays within invariant 10, and the gateway goes on working.

mod corpus;

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::child::{Gateway, Setup};
use crate::wire::Http;

/// Octets that a hostile input may cost beside four times its size (invariant 10).
const SPARE: u64 = 8 << 20;

fn setup() -> Setup {
    Setup::new(|config| {
        config.replace("[limits]", "[limits]\nbody = \"3s\"\nheader = \"3s\"\nhandshake = \"3s\"")
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_hostile_document_is_refused_with_its_code_in_bounded_memory() {
    let setup = setup();
    let gateway = Gateway::start(&setup).await;
    let portal = Http::new(&setup.pki(), Some("portal"));
    let good = setup.signed_application(1);
    let cases = corpus::all(&good);
    let mut wrong = Vec::new();
    // The case that came nearest to its bound: what it took, what it might have, its name.
    let mut dearest = (0, 1, "");
    // The first requests warm the allocator's and the runtime's arenas up.
    for n in 0..20 {
        let answer =
            portal.post(&gateway.url("/v1/messages"), setup.signed_application(100 + n)).await.unwrap();
        assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
    }
    for case in &cases {
        let before = gateway.reset_peak();
        let size = case.octets.len() as u64;
        let answer = portal.post(&gateway.url("/v1/messages"), case.octets.clone()).await;
        let Ok(answer) = answer else {
            wrong.push(format!("{}: the connection broke", case.name));
            continue;
        };
        let grown = gateway.peak().saturating_sub(before);
        let bound = 4 * size + SPARE;
        if grown > bound {
            wrong.push(format!("{}: {size} octets cost {grown}", case.name));
        }
        if grown * dearest.1 > dearest.0 * bound {
            dearest = (grown, bound, &case.name);
        }
        if !case.codes.iter().any(|code| code.as_str() == answer.code()) {
            wrong.push(format!(
                "{}: {} {} instead of {:?}",
                case.name,
                answer.status,
                answer.code(),
                case.codes
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    println!("{} hostile documents refused, each with its code", cases.len());
    let (grown, bound, name) = dearest;
    println!("the dearest of them took {} of {} KiB: {name}", grown >> 10, bound >> 10);
    let answer = portal.post(&gateway.url("/v1/messages"), good).await.unwrap();
    assert_eq!(answer.status, 201, "the good message is still taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_parts_are_refused_early() {
    let setup = setup();
    let gateway = Gateway::start(&setup).await;
    let portal = Http::new(&setup.pki(), Some("portal"));
    let mut body = Vec::new();
    body.extend_from_slice(b"--b\r\nContent-Type: application/xml\r\n\r\n");
    body.extend_from_slice(&setup.signed_application(1));
    for n in 0..10_000 {
        body.extend_from_slice(
            format!("\r\n--b\r\nContent-Type: text/plain\r\nContent-ID: <{n}>\r\n\r\nx").as_bytes(),
        );
    }
    body.extend_from_slice(b"\r\n--b--\r\n");
    let size = body.len() as u64;
    let before = gateway.reset_peak();
    let answer = portal
        .call(
            "POST",
            &gateway.url("/v1/messages"),
            &[("content-type", "multipart/related; boundary=b")],
            body,
        )
        .await
        .unwrap();
    assert_eq!(answer.code(), "AW-0103", "{}", String::from_utf8_lossy(&answer.body));
    let grown = gateway.peak().saturating_sub(before);
    assert!(grown <= 4 * size + SPARE, "{size} octets cost {grown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_senders_are_cut_and_hurt_nobody() {
    let setup = setup();
    let gateway = Gateway::start(&setup).await;
    let mut slow = Vec::new();
    for n in 0..64 {
        let mut stream = gateway.tls_stream(&setup, "portal").await;
        let head: &[u8] = if n % 2 == 0 {
            b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/xml\r\nContent-Length: 4096\r\n\r\n<a>"
        } else {
            b"POST /v1/messages HTTP/1.1\r\nHost: loc"
        };
        stream.write_all(head).await.unwrap();
        slow.push(stream);
    }
    let portal = Http::new(&setup.pki(), Some("portal"));
    let answer = portal.post(&gateway.url("/v1/messages"), setup.signed_application(1)).await.unwrap();
    assert_eq!(answer.status, 201, "others are served meanwhile");
    let began = Instant::now();
    for mut stream in slow {
        let mut rest = Vec::new();
        tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest))
            .await
            .expect("a slow sender's connection ends")
            .ok();
    }
    assert!(began.elapsed() < Duration::from_secs(20));
}
