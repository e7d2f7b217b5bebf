//! 100 MB in and out by MTOM with little memory.

use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;

use super::wire::{OSCI, Order, WSA, XTA, between, envelope, mtom, place};
use crate::front::large::{ALLOWED, LARGE, Process, content, digest, draft};
use crate::support::{Client, pki::Pki};

fn path(port: &str) -> String {
    format!("/services/XTAService/{port}")
}

/// An id, and the request that sends `document` and the large content under it.
pub async fn sent(portal: &Client, document: &[u8]) -> String {
    let (port, action) = place("CreateMessageID");
    let (media, octets) = mtom(&action, &envelope(&action, "", ""), &[]);
    let answer = portal.post(&path(port), &[("content-type", &media)], octets).await;
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let id =
        between(&text, "<wsa:MessageID xmlns:wsa=\"http://www.w3.org/2005/08/addressing\">", "<").unwrap();
    let include = |id: &str| {
        format!("<i:Include xmlns:i=\"http://www.w3.org/2004/08/xop/include\" href=\"cid:{id}\"/>")
    };
    let body = format!(
        "<x:GenericContentContainer xmlns:x=\"{XTA}\"><x:ContentContainer><x:Message contentType=\"text/xml\">{}</x:Message>\
         <x:Attachment contentType=\"application/pdf\">{}</x:Attachment></x:ContentContainer></x:GenericContentContainer>",
        include("a"),
        include("b")
    );
    let order = Order { kind: "0100".to_owned(), ..Order::default() };
    let (port, action) = place("SendMessage");
    let (media, mut octets) =
        mtom(&action, &envelope(&action, &order.xml(&id), &body), &[("a", document), ("b", b"")]);
    let end = octets.split_off(octets.len() - "\r\n--uuid:11111111-2222--".len());
    let before = futures_util::stream::iter([Bytes::from(octets)]);
    let all = before.chain(content()).chain(futures_util::stream::iter([Bytes::from(end)]));
    let all = Body::from_stream(all.map(Ok::<_, std::io::Error>));
    let answer = portal.post(&path(port), &[("content-type", &media)], all).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    id
}

async fn fetched(authority: &Client, id: &str) -> u64 {
    let (port, action) = place("MsgBoxFetchRequest");
    let body = format!(
        "<o:MsgBoxFetchRequest xmlns:o=\"{OSCI}\"><o:MsgSelector><a:MessageID xmlns:a=\"{WSA}\">{id}</a:MessageID>\
         </o:MsgSelector></o:MsgBoxFetchRequest>"
    );
    let (media, octets) = mtom(&action, &envelope(&action, "", &body), &[]);
    let request = authority.request(axum::http::Method::POST, &path(port)).header("content-type", media);
    let answer = authority.open(request.body(octets.into()).unwrap()).await;
    let announced: u64 = answer.headers()["content-length"].to_str().unwrap().parse().unwrap();
    let (mut body, mut came) = (answer.into_body(), 0);
    while let Some(frame) = body.frame().await {
        came += frame.unwrap().data_ref().map_or(0, Bytes::len) as u64;
    }
    assert_eq!(came, announced);
    came
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_megabytes_pass_by_mtom_with_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::make(&folder.path().join("pki"));
    let (process, addr) = Process::start(folder.path());
    let portal = Client::new(&pki, addr, Some("portal"));
    let authority = Client::new(&pki, addr, Some("authority"));
    let document = draft(digest()).signed(&pki.signer("signer"));
    let before = process.reset_peak();
    let id = sent(&portal, &document).await;
    let sending = process.memory("VmHWM").saturating_sub(before);
    let before = process.reset_peak();
    assert!(fetched(&authority, &id).await > LARGE);
    let fetching = process.memory("VmHWM").saturating_sub(before);
    let mib = |octets: u64| octets as f64 / f64::from(1 << 20);
    println!(
        "100 MB by MTOM: resident memory grew by {:.1} MiB in, {:.1} MiB out",
        mib(sending),
        mib(fetching)
    );
    assert!(sending < ALLOWED && fetching < ALLOWED, "{sending} {fetching}");
}
