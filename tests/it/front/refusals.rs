//! Every code of the error table is raised through a real front, gRPC and HTTPS alike.

use std::collections::BTreeSet;

use amtsweg::domain::Quota;
use amtsweg::error::Code;
use amtsweg::front::{Limits, status};
use amtsweg::proto;

use crate::support::{Client, Draft, Gateway, Options, client::problem, message};

/// A document, what comes with it, and the code it is refused with.
struct Case {
    code: Code,
    document: Vec<u8>,
    attachments: Vec<Vec<u8>>,
}

fn case(code: Code, document: impl Into<Vec<u8>>) -> Case {
    Case { code, document: document.into(), attachments: Vec::new() }
}

/// Hands a case in by both fronts and checks that both refuse alike.
async fn refused(portal: &Client, case: &Case, seen: &mut BTreeSet<Code>) {
    let attachments: Vec<&[u8]> = case.attachments.iter().map(Vec::as_slice).collect();
    let over_grpc = portal.submit(&case.document, &attachments).await;
    let over_grpc = over_grpc.err().unwrap_or_else(|| panic!("{} was accepted over gRPC", case.code));
    let problem = problem(&over_grpc);
    let over_https = portal.post_message(&case.document, &attachments).await;
    check(case.code, &problem, over_grpc.code(), &over_https);
    seen.insert(case.code);
}

fn check(code: Code, problem: &proto::Problem, grpc: tonic::Code, https: &crate::support::client::Answer) {
    let meaning = status::meaning(code);
    assert_eq!(problem.code, code.as_str(), "over gRPC: {}", problem.reason);
    assert!(problem.reason.len() > 10, "a sentence: {:?}", problem.reason);
    assert_eq!(grpc, meaning.grpc, "{code}");
    assert_eq!(problem.xoev, meaning.xoev, "{code}");
    assert_eq!(https.code(), code.as_str(), "over HTTPS");
    assert_eq!(https.status, meaning.http, "{code}");
    assert_eq!(https.headers["content-type"], "application/problem+xml");
    assert_eq!(https.headers.contains_key("retry-after"), meaning.retry_after.is_some(), "{code}");
}

fn replaced(document: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = std::str::from_utf8(document).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    text.replacen(from, to, 1).into_bytes()
}

/// The document without the element `name` and all that is in it.
fn without(document: &[u8], name: &str) -> Vec<u8> {
    let text = std::str::from_utf8(document).unwrap();
    let (before, rest) = text.split_once(&format!("<{name}>")).unwrap();
    let (_, after) = rest.split_once(&format!("</{name}>")).unwrap();
    format!("{before}{after}").into_bytes()
}

fn documents(gateway: &Gateway) -> Vec<Case> {
    let signer = |name: &str| gateway.pki.signer(name);
    let good = Draft::default().signed(&signer("signer"));
    let mut cut = good.clone();
    cut.truncate(good.len() / 2);
    let mut latin = Draft { content: "Gruss".to_owned(), ..Draft::default() }.xml().into_bytes();
    let at = latin.windows(5).position(|w| w == b"Gruss").unwrap();
    latin[at] = 0xe4;
    let deep = format!("{}{}", "<a>".repeat(5000), "</a>".repeat(5000));
    let unsigned = Draft::default().xml();
    let listless = Draft { directory_code: "erfunden".to_owned(), ..Draft::default() };
    vec![
        case(Code::NotWellFormed, cut),
        case(Code::Forbidden, format!("<!DOCTYPE a [<!ENTITY b \"c\">]>{unsigned}")),
        case(Code::OverLimit, deep),
        case(Code::NotUtf8, latin),
        case(Code::UnknownStandard, message::sign(b"<a xmlns=\"urn:nobody\"/>", &signer("signer"))),
        case(
            Code::SchemaInvalid,
            message::sign(&without(unsigned.as_bytes(), "a:fachdaten"), &signer("signer")),
        ),
        case(Code::UnknownCode, listless.signed(&signer("signer"))),
        case(Code::SignatureMissing, unsigned),
        case(
            Code::SignatureWeak,
            replaced(
                &good,
                "http://www.w3.org/2001/04/xmlenc#sha256",
                "http://www.w3.org/2000/09/xmldsig#sha1",
            ),
        ),
        case(Code::SignatureWrong, replaced(&good, "eines Hundes", "einer Katze")),
        case(Code::NotCovered, replaced(&good, "URI=\"\"", "URI=\"#other\"")),
        case(Code::CertificateExpired, Draft::default().signed(&signer("signer-expired"))),
        case(Code::CertificateRevoked, Draft::default().signed(&signer("signer-revoked"))),
        case(Code::CertificateUntrusted, Draft::default().signed(&signer("signer-untrusted"))),
        case(Code::CertificateMissing, without(&good, "ds:KeyInfo")),
    ]
}

fn routes(gateway: &Gateway) -> Vec<Case> {
    let signed = |draft: Draft| draft.signed(&gateway.pki.signer("signer"));
    let to = |service: &str, area: &str| {
        signed(Draft { service: service.to_owned(), area: area.to_owned(), ..Draft::default() })
    };
    vec![
        case(Code::NotEntitled, signed(Draft { author: "psw:portal2".to_owned(), ..Draft::default() })),
        case(
            Code::ReaderDiffers,
            signed(Draft { reader: Some("kop:06631013".to_owned()), ..Draft::default() }),
        ),
        case(Code::NobodyCompetent, to("99107022012000", "065340014014")),
        case(Code::NotConnected, to("99102013104000", "064120000000")),
        case(Code::Ambiguous, to("99107022012000", "066360013013")),
    ]
}

async fn special(options: Options, code: Code, seen: &mut BTreeSet<Code>) {
    let gateway = Gateway::start(options).await;
    let portal = Client::new(&gateway.pki, gateway.addr, Some("portal"));
    let pdf = vec![7u8; 100_000];
    let document = Draft::default().attach("a.pdf", &pdf).signed(&gateway.pki.signer("signer"));
    refused(&portal, &Case { code, document, attachments: vec![pdf] }, seen).await;
    gateway.stop().await;
}

/// The same author's UUID with other content.
async fn used_ids(gateway: &Gateway, portal: &Client, seen: &mut BTreeSet<Code>) {
    let first = Draft::default();
    let signer = gateway.pki.signer("signer");
    portal.submit(&first.signed(&signer), &[]).await.unwrap();
    let other = Draft { content: "etwas anderes".to_owned(), ..first };
    refused(portal, &case(Code::IdUsed, other.signed(&signer)), seen).await;
}

async fn unknown_ids_and_lost_leases(gateway: &Gateway, portal: &Client, seen: &mut BTreeSet<Code>) {
    let absent = "urn:de:xta:messageid:probe:01900000-0000-7000-8000-000000000000".to_owned();
    let request = proto::StatusRequest { message_id: absent.clone() };
    let status = portal.submission().get_status(request).await.unwrap_err();
    let answer = portal.get(&format!("/v1/messages/{absent}")).await;
    check(Code::UnknownMessage, &problem(&status), status.code(), &answer);
    seen.insert(Code::UnknownMessage);
    let document = Draft::default().signed(&gateway.pki.signer("signer"));
    let message_id = portal.submit(&document, &[]).await.unwrap().message_id;
    let authority = Client::new(&gateway.pki, gateway.addr, Some("authority"));
    let request = proto::CloseRequest { message_id: message_id.clone(), token: String::new() };
    let status = authority.mailbox().close(request).await.unwrap_err();
    let answer = authority.post(&format!("/v1/mailbox/{message_id}/close"), &[], "").await;
    check(Code::LeaseLost, &problem(&status), status.code(), &answer);
    seen.insert(Code::LeaseLost);
}

/// The one code that stands in no answer but in the signed refusal of a returned message.
async fn returned(gateway: &Gateway, portal: &Client, seen: &mut BTreeSet<Code>) {
    let document = Draft::default().signed(&gateway.pki.signer("signer"));
    let id = portal.submit(&document, &[]).await.unwrap().message_id;
    let authority = Client::new(&gateway.pki, gateway.addr, Some("authority"));
    let fetched = authority.get(&format!("/v1/mailbox/{id}")).await;
    let lease = [("amtsweg-lease", fetched.headers["amtsweg-lease"].to_str().unwrap())];
    authority.post(&format!("/v1/mailbox/{id}/reject"), &lease, "Unterschrift fehlt").await;
    let refusal = portal.get(&format!("/v1/messages/{id}/refusal")).await;
    let text = String::from_utf8_lossy(&refusal.body);
    assert!(text.contains("fehler>AW-0204<") && text.contains("Unterschrift fehlt"), "{text}");
    seen.insert(Code::Returned);
}

/// The store is closed underneath: nothing is accepted, and the caller is told so.
async fn closed_store(seen: &mut BTreeSet<Code>) {
    let gateway = Gateway::start(Options::default()).await;
    let portal = Client::new(&gateway.pki, gateway.addr, Some("portal"));
    gateway.store.close().await;
    let document = Draft::default().signed(&gateway.pki.signer("signer"));
    refused(&portal, &case(Code::Internal, document), seen).await;
    gateway.stop().await;
}

#[tokio::test]
async fn every_code_comes_through_both_fronts_as_the_table_says() {
    let gateway = Gateway::start(Options::default()).await;
    let portal = Client::new(&gateway.pki, gateway.addr, Some("portal"));
    let mut seen = BTreeSet::new();
    for case in documents(&gateway).into_iter().chain(routes(&gateway)) {
        refused(&portal, &case, &mut seen).await;
    }
    used_ids(&gateway, &portal, &mut seen).await;
    unknown_ids_and_lost_leases(&gateway, &portal, &mut seen).await;
    returned(&gateway, &portal, &mut seen).await;
    gateway.stop().await;
    let usual = Options::default;
    special(Options { crl: "crl-stale.pem", ..usual() }, Code::RevocationUnknown, &mut seen).await;
    let limits = Limits { memory_octets: 2048, ..Limits::default() };
    special(Options { limits, ..usual() }, Code::Overloaded, &mut seen).await;
    let limits = Limits { requests: 0, ..Limits::default() };
    special(Options { limits, ..usual() }, Code::Overloaded, &mut seen).await;
    special(Options { min_free: u64::MAX / 2, ..usual() }, Code::DiskFull, &mut seen).await;
    let none = Quota { messages_per_minute: 0, ..usual().quota };
    special(Options { quota: none, ..usual() }, Code::Quota, &mut seen).await;
    let idle = Quota { in_flight: 0, ..usual().quota };
    special(Options { quota: idle, ..usual() }, Code::Quota, &mut seen).await;
    let small = Quota { message_octets: 50_000, ..usual().quota };
    special(Options { quota: small, ..usual() }, Code::OverLimit, &mut seen).await;
    closed_store(&mut seen).await;
    let all: BTreeSet<Code> = Code::ALL.iter().copied().collect();
    let missing: Vec<_> = all.difference(&seen).map(|code| code.as_str()).collect();
    println!("{} of {} codes raised through gRPC and HTTPS", seen.len(), all.len());
    assert!(missing.is_empty(), "not raised: {missing:?}");
}
