//! Watching: metrics, logs, health.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Code;

/// The gateway's counters; cheap to clone, one set per gateway (no global registry).
#[derive(Clone, Default)]
pub struct Metrics(Arc<Inner>);

#[derive(Default)]
struct Inner {}

impl Metrics {
    /// A message was accepted through `front` ("grpc", "https").
    pub fn accepted(&self, took: Duration) {
        let _ = (&self.0, took);
    }

    /// A request was refused.
    pub fn refused(&self, code: Code) {
        let _ = code;
    }

    /// An attempt ended: `outcome` is "delivered", "failed", "refused".
    pub fn attempt(&self, endpoint: &str, outcome: &'static str, took: Duration) {
        let _ = (endpoint, outcome, took);
    }

    /// The committer synced a group of `commits` and `octets`.
    pub fn committed(&self, commits: usize, octets: usize, took: Duration) {
        let _ = (commits, octets, took);
    }

    /// Verification took so long.
    pub fn verified(&self, took: Duration) {
        let _ = took;
    }

    /// A corrupt record or content was set aside.
    pub fn corrupt(&self, what: &'static str) {
        let _ = what;
    }
}
