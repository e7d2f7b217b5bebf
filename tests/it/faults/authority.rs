//! An authority that is pushed to, in a mood that can be changed.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::child::Setup;

/// What it does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Takes it.
    Takes,
    /// Says 503.
    Refuses,
    /// Never answers.
    Hangs,
    /// Takes it with an answer of 1 GB.
    Floods,
    /// Answers with headers that never end.
    Headers,
}

/// An authority.
pub struct Authority {
    mood: Mutex<Mood>,
    /// Requests that came.
    pub requests: AtomicUsize,
    taken: Mutex<BTreeSet<String>>,
}

impl Authority {
    /// Listens at the set-up's port with the certificate `name`, until the task is aborted.
    pub async fn serve(setup: &Setup, name: &str, mood: Mood) -> (Arc<Self>, tokio::task::JoinHandle<()>) {
        let pki = setup.pki();
        let chain = CertificateDer::pem_file_iter(pki.join(format!("{name}.pem")))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let key = PrivateKeyDer::from_pem_file(pki.join(format!("{name}.key"))).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", setup.authority)).await.unwrap();
        let this =
            Arc::new(Self { mood: Mutex::new(mood), requests: AtomicUsize::new(0), taken: Mutex::default() });
        let served = Arc::clone(&this);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, served) = (acceptor.clone(), Arc::clone(&served));
                connections.spawn(async move {
                    let Ok(tls) = acceptor.accept(tcp).await else { return };
                    // Ends when the gateway goes away.
                    let _ = served.connection(tls).await;
                });
            }
        });
        (this, task)
    }

    /// Changes its mood.
    pub fn turn(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// How many messages it has taken.
    pub fn taken(&self) -> usize {
        self.taken.lock().unwrap().len()
    }

    async fn connection(
        &self,
        stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>,
    ) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let (mut length, mut id) = (0, String::new());
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).await? == 0 {
                    return Ok(());
                }
                match line.trim_end().split_once(": ") {
                    Some(("content-length", value)) => length = value.parse().unwrap(),
                    Some(("idempotency-key", value)) => id = value.to_owned(),
                    Some(_) => {}
                    None if line.trim_end().is_empty() => break,
                    None => {}
                }
            }
            stream.read_exact(&mut vec![0; length]).await?;
            self.requests.fetch_add(1, Ordering::SeqCst);
            let mood = *self.mood.lock().unwrap();
            if matches!(mood, Mood::Takes | Mood::Floods) {
                self.taken.lock().unwrap().insert(id);
            }
            answer(&mut stream, mood).await?;
            stream.flush().await?;
        }
    }
}

async fn answer(
    stream: &mut BufReader<tokio_rustls::server::TlsStream<tokio::net::TcpStream>>,
    mood: Mood,
) -> std::io::Result<()> {
    match mood {
        Mood::Takes => stream.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n").await,
        Mood::Refuses => {
            stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").await
        }
        Mood::Hangs => {
            tokio::time::sleep(Duration::from_secs(600)).await;
            Ok(())
        }
        Mood::Floods => {
            stream.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 1073741824\r\n\r\n").await?;
            for _ in 0..16384 {
                stream.write_all(&[b'x'; 65536]).await?;
            }
            Ok(())
        }
        Mood::Headers => {
            stream.write_all(b"HTTP/1.1 201 Created\r\n").await?;
            for n in 0_u64.. {
                stream.write_all(format!("x-{n}: {}\r\n", "y".repeat(1000)).as_bytes()).await?;
            }
            Ok(())
        }
    }
}
