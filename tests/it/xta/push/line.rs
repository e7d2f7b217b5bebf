//! A line between two gateways that can be cut, and that can lose an answer: it passes octets on
//! and looks at none of them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use amtsweg::store::{Filter, ReadPort as _, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::Gateway;

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Passes everything on.
    Up,
    /// Breaks every connection.
    Down,
    /// Breaks as soon as the far end says anything once it has a message.
    LosesAnswers,
}

pub struct Line {
    pub addr: SocketAddr,
    /// Answers lost so far.
    pub lost: AtomicUsize,
    mood: Mutex<Mood>,
    far: SocketAddr,
    store: Arc<Store>,
}

impl Line {
    /// A line to a gateway; it ends with its runtime.
    pub async fn to(gateway: &Gateway, mood: Mood) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let line = Arc::new(Self {
            addr: listener.local_addr().unwrap(),
            lost: AtomicUsize::new(0),
            mood: Mutex::new(mood),
            far: gateway.addr,
            store: gateway.store.clone(),
        });
        let served = line.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let line = served.clone();
                tokio::spawn(async move { line.carry(near).await });
            }
        });
        line
    }

    pub fn turn(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn mood(&self) -> Mood {
        *self.mood.lock().unwrap()
    }

    async fn carry(&self, mut near: TcpStream) {
        let Ok(mut far) = TcpStream::connect(self.far).await else { return };
        let (mut there, mut back) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        loop {
            let passed = tokio::select! {
                read = near.read(&mut there) => match read {
                    Ok(n) if n > 0 && self.mood() != Mood::Down => far.write_all(&there[..n]).await,
                    _ => return,
                },
                read = far.read(&mut back) => match read {
                    Ok(n) if n > 0 && self.passes().await => near.write_all(&back[..n]).await,
                    _ => return,
                },
            };
            if passed.is_err() {
                return;
            }
        }
    }

    /// Whether what the far end says is passed on. It answers only once the message is in its store.
    async fn passes(&self) -> bool {
        match self.mood() {
            Mood::Up => true,
            Mood::Down => false,
            Mood::LosesAnswers => {
                let there = self.store.list(&Filter { limit: 1, ..Filter::default() }).await.unwrap();
                if !there.is_empty() {
                    self.lost.fetch_add(1, Ordering::SeqCst);
                }
                there.is_empty()
            }
        }
    }
}
