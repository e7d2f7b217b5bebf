//! 100 MB in and out with little memory. The gateway runs in a process of its own, so that what is
//! measured is the gateway's and nobody else's.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use amtsweg::domain::Digest;
use amtsweg::proto::{AttachmentStart, FetchRequest, SubmitChunk, fetch_chunk, submit_chunk::Part};
use axum::body::Body;
use axum::http::Method;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http_body_util::BodyExt as _;

use crate::support::{Client, Draft, Gateway, Options, pki::Pki};

const FOLDER: &str = "AMTSWEG_TEST_FOLDER";
pub const LARGE: u64 = 100 << 20;
const CHUNK: usize = 64 * 1024;
pub const ALLOWED: u64 = 32 << 20;

/// Not a test of its own: the process that is measured.
#[tokio::test]
#[ignore = "started by the test that measures it"]
async fn gateway_of_its_own() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).expect("started by the measuring test"));
    let directory = Some(folder.join("directory")).filter(|directory| directory.is_dir());
    let options = Options { pushes: directory.is_some(), directory, ..Options::default() };
    let gateway = Gateway::start_in(&folder, Pki(folder.join("pki")), options).await;
    println!("\nlistening {}", gateway.addr);
    let wait = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    wait.await.unwrap().unwrap();
    gateway.stop().await;
}

/// A gateway in a process of its own.
pub struct Process(Child);

impl Process {
    pub fn start(folder: &Path) -> (Self, std::net::SocketAddr) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "front::large::gateway_of_its_own", "--ignored", "--nocapture"])
            .env(FOLDER, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let addr = lines
            .map_while(Result::ok)
            .find_map(|line| Some(line.strip_prefix("listening ")?.parse().unwrap()));
        (Self(child), addr.expect("the gateway started"))
    }

    /// A line of its `/proc/…/status`, in octets.
    pub fn memory(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_matches([':', '\t', ' ', 'k', 'B']).parse::<u64>().unwrap() * 1024
    }

    /// Sets the high-water mark back to the present.
    pub fn reset_peak(&self) -> u64 {
        std::fs::write(format!("/proc/{}/clear_refs", self.0.id()), "5").unwrap();
        self.memory("VmRSS")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A chunk of content that compresses badly and is never the same twice.
fn chunk(number: u64) -> Bytes {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(CHUNK / 8).flatten().collect()
}

pub fn content() -> impl Stream<Item = Bytes> + Send + 'static {
    futures_util::stream::iter((0..LARGE / CHUNK as u64).map(chunk))
}

pub fn digest() -> Digest {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for number in 0..LARGE / CHUNK as u64 {
        context.update(&chunk(number));
    }
    Digest(context.finish().as_ref().try_into().unwrap())
}

pub fn draft(digest: Digest) -> Draft {
    Draft { attachments: vec![("large.pdf".to_owned(), LARGE, digest)], ..Draft::default() }
}

async fn in_by_grpc(portal: &Client, document: Vec<u8>) -> String {
    let start = AttachmentStart { size: LARGE, ..Default::default() };
    let head = futures_util::stream::iter([Part::Document(document.into()), Part::Attachment(start)]);
    let parts = head.chain(content().map(Part::Content)).map(|part| SubmitChunk { part: Some(part) });
    portal.submission().submit_stream(parts).await.unwrap().into_inner().message_id
}

async fn in_by_https(portal: &Client, document: Vec<u8>) -> String {
    let head = b"--b\r\nContent-Type: application/xml\r\n\r\n".to_vec();
    let between = format!("\r\n--b\r\nContent-Type: application/pdf\r\nContent-Length: {LARGE}\r\n\r\n");
    let before = futures_util::stream::iter([head.into(), document.into(), between.into()]);
    let end = futures_util::stream::iter([Bytes::from_static(b"\r\n--b--\r\n")]);
    let all = before.chain(content()).chain(end).map(Ok::<_, std::io::Error>);
    let headers = [("content-type", "multipart/related; boundary=b")];
    let answer = portal.post("/v1/messages", &headers, Body::from_stream(all)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.headers["amtsweg-message-id"].to_str().unwrap().to_owned()
}

async fn out_by_grpc(authority: &Client, message_id: String) -> Digest {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let request = FetchRequest { message_id, lease_seconds: 600 };
    let mut stream = authority.mailbox().fetch(request).await.unwrap().into_inner();
    while let Some(chunk) = stream.message().await.unwrap() {
        if let Some(fetch_chunk::Part::Content(octets)) = chunk.part {
            context.update(&octets);
        }
    }
    Digest(context.finish().as_ref().try_into().unwrap())
}

/// Octets that came over HTTPS; the gateway checks the digest itself and breaks off otherwise.
async fn out_by_https(authority: &Client, id: &str) -> u64 {
    let request = authority.request(Method::GET, &format!("/v1/mailbox/{id}")).body(Body::empty()).unwrap();
    let mut body = authority.open(request).await.into_body();
    let mut octets = 0;
    while let Some(frame) = body.frame().await {
        octets += frame.unwrap().data_ref().map_or(0, Bytes::len) as u64;
    }
    octets
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_megabytes_pass_in_and_out_with_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::make(&folder.path().join("pki"));
    let (process, addr) = Process::start(folder.path());
    let portal = Client::new(&pki, addr, Some("portal"));
    let authority = Client::new(&pki, addr, Some("authority"));
    let signer = pki.signer("signer");
    let digest = digest();
    // Both ways once with little content, so that what is there anyway is there before.
    let small = Draft::default().attach("a.pdf", b"small").signed(&signer);
    let first = portal.submit(&small, &[b"small"]).await.unwrap().message_id;
    out_by_https(&authority, &first).await;
    let mut measured = Vec::new();
    let before = process.reset_peak();
    let by_grpc = in_by_grpc(&portal, draft(digest).signed(&signer)).await;
    measured.push(("in by gRPC", process.memory("VmHWM").saturating_sub(before)));
    let before = process.reset_peak();
    let by_https = in_by_https(&portal, draft(digest).signed(&signer)).await;
    measured.push(("in by HTTPS", process.memory("VmHWM").saturating_sub(before)));
    let before = process.reset_peak();
    assert_eq!(out_by_grpc(&authority, by_https).await, digest);
    measured.push(("out by gRPC", process.memory("VmHWM").saturating_sub(before)));
    let before = process.reset_peak();
    assert!(out_by_https(&authority, &by_grpc).await > LARGE);
    measured.push(("out by HTTPS", process.memory("VmHWM").saturating_sub(before)));
    for (way, octets) in &measured {
        println!("100 MB {way}: resident memory grew by {:.1} MiB", *octets as f64 / (1 << 20) as f64);
    }
    assert!(measured.iter().all(|(_, octets)| *octets < ALLOWED), "{measured:?}");
}
