//! An authority's server: mutual TLS, HTTP 1 and 2, answers by script, keeps what it saw.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::world::World;

/// A request as it came, whole.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) at: crate::domain::Timestamp,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub(crate) fn attempt(&self) -> u32 {
        self.header("amtsweg-attempt").parse().unwrap()
    }
}

/// What to answer.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Status, headers, body.
    Say(u16, Vec<(&'static str, String)>, String),
    /// Break the connection.
    Reset,
    /// Never.
    Hang,
    /// The same, later.
    Later(Duration, Box<Answer>),
}

/// A bare status.
pub(crate) fn status(code: u16) -> Answer {
    Answer::Say(code, Vec::new(), String::new())
}

type Script = Arc<dyn Fn(&Seen) -> Answer + Send + Sync>;

#[derive(Default)]
struct Book {
    seen: Vec<Seen>,
    active: HashMap<String, usize>,
    most: usize,
    doubled: bool,
}

/// The server; it ends with its runtime.
#[derive(Clone)]
pub(crate) struct Authority {
    pub(crate) address: SocketAddr,
    book: Arc<Mutex<Book>>,
    script: Arc<Mutex<Script>>,
    /// Answered at once, before the body was read.
    pub(crate) early: Arc<Mutex<Option<u16>>>,
}

impl Authority {
    /// Listens on loopback; `url` is known only then, so the directory is set afterwards.
    pub(crate) async fn start(
        world: &World,
        script: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let acceptor = acceptor(world);
        let script: Script = Arc::new(script);
        let authority = Self {
            address: listener.local_addr().unwrap(),
            book: Arc::default(),
            script: Arc::new(Mutex::new(script)),
            early: Arc::default(),
        };
        let server = authority.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, server) = (acceptor.clone(), server.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| server.clone().answer(request));
                    let _ = auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        authority
    }

    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}/eingang", self.address.port())
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.book.lock().unwrap().seen.clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.book.lock().unwrap().seen.len()
    }

    /// Whether one message was here twice at once.
    pub(crate) fn doubled(&self) -> bool {
        self.book.lock().unwrap().doubled
    }

    /// The most requests at once.
    pub(crate) fn most(&self) -> usize {
        self.book.lock().unwrap().most
    }

    pub(crate) fn now_answers(&self, script: impl Fn(&Seen) -> Answer + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(script);
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, std::io::Error> {
        let (head, body) = request.into_parts();
        let key = head.headers.get("idempotency-key").map(|key| key.to_str().unwrap().to_owned());
        let _active = Active::enter(&self.book, key.unwrap_or_default());
        let early = *self.early.lock().unwrap();
        if let Some(status) = early {
            // Nothing of the body is read.
            return Ok(Response::builder().status(status).body(Full::default()).unwrap());
        }
        let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
        let seen = Seen {
            path: head.uri.path().to_owned(),
            headers: head.headers,
            body,
            at: crate::domain::Timestamp::now(),
        };
        let script = self.script.lock().unwrap().clone();
        let mut answer = script(&seen);
        self.book.lock().unwrap().seen.push(seen);
        loop {
            match answer {
                Answer::Say(status, headers, body) => {
                    let mut response = Response::builder().status(status);
                    for (name, value) in headers {
                        response = response.header(name, value);
                    }
                    return Ok(response.body(Full::new(body.into())).unwrap());
                }
                Answer::Reset => return Err(std::io::Error::other("reset")),
                Answer::Hang => std::future::pending::<Infallible>().await,
                Answer::Later(wait, next) => {
                    tokio::time::sleep(wait).await;
                    answer = *next;
                    continue;
                }
            };
        }
    }
}

/// Notes that a message is being handed over, until dropped.
struct Active {
    book: Arc<Mutex<Book>>,
    key: String,
}

impl Active {
    fn enter(book: &Arc<Mutex<Book>>, key: String) -> Self {
        let mut open = book.lock().unwrap();
        let of_this = open.active.entry(key.clone()).or_default();
        *of_this += 1;
        let doubled = *of_this > 1;
        open.doubled |= doubled;
        let all = open.active.values().sum();
        open.most = open.most.max(all);
        drop(open);
        Self { book: book.clone(), key }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        *self.book.lock().unwrap().active.get_mut(&self.key).unwrap() -= 1;
    }
}

/// Takes only clients of the test's own CA.
pub(crate) fn acceptor(world: &World) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificates(&world.tls.ca).remove(0)).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            certificates(&world.server.0),
            PrivateKeyDer::from_pem_file(&world.server.1).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = world.alpn.clone();
    TlsAcceptor::from(Arc::new(config))
}

fn certificates(path: &Path) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(path).unwrap().map(Result::unwrap).collect()
}
