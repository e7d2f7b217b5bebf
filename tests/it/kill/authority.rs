//! An authority that is pushed to: takes, refuses for now, hangs or breaks the connection at
//! random, and writes down what it got.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use amtsweg::domain::Digest;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::load::Ack;
use crate::child::Setup;

/// What arrived at the authorities, by the author's UUID.
#[derive(Default)]
pub struct Seen {
    messages: Mutex<HashMap<uuid::Uuid, Arrived>>,
    in_flight: Mutex<HashMap<String, usize>>,
    overlaps: Mutex<Vec<String>>,
}

#[derive(Default)]
struct Arrived {
    ids: BTreeSet<String>,
    digests: BTreeSet<Digest>,
    times: usize,
}

impl Seen {
    /// Notes an arrival.
    pub fn note(&self, id: &str, document: &[u8]) {
        let text = String::from_utf8_lossy(document);
        let (_, rest) = text.split_once("nachrichtenUUID>").expect("a UUID");
        let uuid = rest[..36].parse().expect("a UUID");
        let mut messages = self.messages.lock().unwrap();
        let arrived = messages.entry(uuid).or_default();
        arrived.ids.insert(id.to_owned());
        arrived.digests.insert(Digest::of(document));
        arrived.times += 1;
    }

    /// Messages that arrived.
    pub fn messages(&self) -> usize {
        self.messages.lock().unwrap().len()
    }

    /// Messages that arrived more than once.
    pub fn repeated(&self) -> usize {
        self.messages.lock().unwrap().values().filter(|a| a.times > 1).count()
    }

    /// Every acknowledged message arrived unchanged under its one id; no attempts overlapped.
    pub fn check(&self, acknowledged: &[Ack]) {
        let messages = self.messages.lock().unwrap();
        for ack in acknowledged {
            let arrived = messages.get(&ack.uuid).unwrap_or_else(|| panic!("{} never arrived", ack.id));
            assert_eq!(arrived.ids.iter().collect::<Vec<_>>(), [&ack.id], "another id");
            assert_eq!(arrived.digests.iter().collect::<Vec<_>>(), [&ack.digest], "other octets");
        }
        assert!(messages.values().all(|a| a.ids.len() == 1), "a message arrived under two ids");
        let overlaps = self.overlaps.lock().unwrap();
        assert!(overlaps.is_empty(), "attempts at once: {overlaps:?}");
    }

    fn enter(self: &Arc<Self>, id: &str) -> Guard {
        let mut in_flight = self.in_flight.lock().unwrap();
        let count = in_flight.entry(id.to_owned()).or_default();
        *count += 1;
        if *count > 1 {
            self.overlaps.lock().unwrap().push(id.to_owned());
        }
        Guard { seen: Arc::clone(self), id: id.to_owned() }
    }
}

struct Guard {
    seen: Arc<Seen>,
    id: String,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(count) = self.seen.in_flight.lock().unwrap().get_mut(&self.id) {
            *count -= 1;
        }
    }
}

/// Serves at the set-up's authority port until aborted.
pub async fn serve(setup: &Setup, seen: Arc<Seen>, seed: u64) -> tokio::task::JoinHandle<()> {
    let pki = setup.pki();
    let chain =
        CertificateDer::pem_file_iter(pki.join("authority-push.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(pki.join("authority-push.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", setup.authority)).await.unwrap();
    let rng = Arc::new(Mutex::new(StdRng::seed_from_u64(seed)));
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (acceptor, seen, rng) = (acceptor.clone(), Arc::clone(&seen), Arc::clone(&rng));
            tokio::spawn(async move {
                let Ok(tls) = acceptor.accept(tcp).await else { return };
                let service = hyper::service::service_fn(move |request| {
                    answer(request, Arc::clone(&seen), Arc::clone(&rng))
                });
                let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(tls), service).await;
            });
        }
    })
}

async fn answer(
    request: hyper::Request<Incoming>,
    seen: Arc<Seen>,
    rng: Arc<Mutex<StdRng>>,
) -> Result<hyper::Response<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
    let id = request
        .headers()
        .get("idempotency-key")
        .map(|v| v.to_str().map(str::to_owned))
        .transpose()?
        .unwrap_or_default();
    let _guard = seen.enter(&id);
    let document = request.into_body().collect().await?.to_bytes();
    let mood: u32 = rng.lock().unwrap().random_range(0..100);
    let status = match mood {
        // Refuses for now.
        0..10 => 503,
        // Takes it, and breaks the connection before it says so.
        10..15 => {
            seen.note(&id, &document);
            return Err("broken on purpose".into());
        }
        // Takes its time.
        15..25 => {
            tokio::time::sleep(Duration::from_millis(u64::from(mood) * 10)).await;
            seen.note(&id, &document);
            201
        }
        _ => {
            seen.note(&id, &document);
            201
        }
    };
    Ok(hyper::Response::builder().status(status).body(Full::new(Bytes::new()))?)
}
