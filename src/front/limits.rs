//! The bounds of the fronts (invariant 10).

use std::time::Duration;

/// Everything that could grow, and how far it may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once, per port; more wait in the operating system's queue.
    pub connections: usize,
    /// Time for the TLS handshake.
    pub handshake: Duration,
    /// Time for a request's head (HTTP/1.1), and between requests.
    pub headers: Duration,
    /// Octets of a request's head.
    pub header_octets: u32,
    /// A connection without any request is closed after this time.
    pub idle: Duration,
    /// A sender or reader that makes no progress for so long is cut.
    pub stall: Duration,
    /// Requests at once on one HTTP/2 connection.
    pub streams: u32,
    /// Requests in work at once, all connections together (AW-0301 beyond).
    pub requests: usize,
    /// Watches at once, all connections together (AW-0301 beyond).
    pub watches: usize,
    /// Octets of documents held in memory at once, all requests together (AW-0301 beyond).
    pub memory_octets: u64,
    /// Octets of one document (AW-0103 beyond).
    pub document_octets: u64,
    /// Octets of one attachment (AW-0103 beyond).
    pub attachment_octets: u64,
    /// Attachments of one message (AW-0103 beyond).
    pub attachments: usize,
    /// Octets per second that a sender has to keep up on average, after `grace`.
    pub min_rate: u64,
    /// Waiting for a sender that is not counted against `min_rate`.
    pub grace: Duration,
    /// Time for requests in work to end after a stop was asked for.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            handshake: Duration::from_secs(10),
            headers: Duration::from_secs(15),
            header_octets: 16 * 1024,
            idle: Duration::from_secs(300),
            stall: Duration::from_secs(30),
            streams: 128,
            requests: 1024,
            watches: 1024,
            memory_octets: 256 << 20,
            document_octets: 16 << 20,
            attachment_octets: 256 << 20,
            attachments: 100,
            min_rate: 4 * 1024,
            grace: Duration::from_secs(20),
            drain: Duration::from_secs(20),
        }
    }
}
