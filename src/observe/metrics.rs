//! What is counted as it happens. Names and labels are a contract with dashboards and alerts
//! (`deploy/`); every label has a bounded set of values.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::error::Code;

/// Endpoints told apart; those of later directories beyond it count as `other`.
const MAX_ENDPOINTS: usize = 2_000;

/// The gateway's counters; cheap to clone, one set per gateway (no global registry).
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    accepted: Counter,
    refused: Family<ByCode, Counter>,
    attempts: Family<ByAttempt, Counter>,
    endpoints: Mutex<HashSet<String>>,
    corrupt: Family<ByWhat, Counter>,
    commits: Counter,
    commit_octets: Counter,
    group: Histogram,
    accept: Histogram,
    verify: Histogram,
    commit: Histogram,
    attempt: Histogram,
    in_flight: Gauge,
    reloads: Family<ByOutcome, Counter>,
    opinions: Family<ByOutcome, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCode {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByAttempt {
    endpoint: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByWhat {
    what: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    outcome: &'static str,
}

/// Counts one request as in flight until it is dropped.
pub struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn seconds() -> Histogram {
    // 50 µs to 104 s in steps of 2.
    Histogram::new(exponential_buckets(0.000_05, 2.0, 22))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut inner = Inner {
            registry: Registry::with_prefix("amtsweg"),
            accepted: Counter::default(),
            refused: Family::default(),
            attempts: Family::default(),
            endpoints: Mutex::default(),
            corrupt: Family::default(),
            commits: Counter::default(),
            commit_octets: Counter::default(),
            group: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            accept: seconds(),
            verify: seconds(),
            commit: seconds(),
            attempt: seconds(),
            in_flight: Gauge::default(),
            reloads: Family::default(),
            opinions: Family::default(),
        };
        inner.register();
        // So that rates and alerts have a zero to start from.
        for code in Code::ALL {
            drop(inner.refused.get_or_create(&ByCode { code: code.as_str() }));
        }
        for what in ["record", "content", "vault", "index", "ledger", "snapshot", "state", "proof"] {
            drop(inner.corrupt.get_or_create(&ByWhat { what }));
        }
        for outcome in ["taken", "refused"] {
            drop(inner.reloads.get_or_create(&ByOutcome { outcome }));
        }
        for outcome in ["agreed", "disagreed", "failed", "skipped"] {
            drop(inner.opinions.get_or_create(&ByOutcome { outcome }));
        }
        Self(Arc::new(inner))
    }
}

impl Inner {
    fn register(&mut self) {
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        let r = &mut self.registry;
        r.register("build", "The running version", build);
        r.register("accepted", "Messages accepted (durable, acknowledged)", self.accepted.clone());
        r.register("refused", "Requests refused, by code", self.refused.clone());
        r.register("attempts", "Attempts to deliver, by endpoint and outcome", self.attempts.clone());
        r.register("corrupt", "Corrupt records or contents set aside", self.corrupt.clone());
        r.register("commits", "Changes made durable", self.commits.clone());
        r.register("commit_octets", "Octets made durable", self.commit_octets.clone());
        r.register("commit_group_size", "Changes synced together", self.group.clone());
        r.register("accept_seconds", "Time from a whole request to its receipt", self.accept.clone());
        r.register("verify_seconds", "Time to verify a document", self.verify.clone());
        r.register("commit_seconds", "Time to make a group durable", self.commit.clone());
        r.register("attempt_seconds", "Time of an attempt to deliver", self.attempt.clone());
        r.register("in_flight", "Requests in work", self.in_flight.clone());
        r.register("reloads", "Reloads of the configuration, by outcome", self.reloads.clone());
        let opinions = self.opinions.clone();
        r.register("second_opinions", "Second opinions on accepted signatures, by outcome", opinions);
    }

    /// The endpoint itself while there are few, else `other`: a label must stay bounded, and
    /// each reload may bring other endpoints.
    fn label<'e>(&self, endpoint: &'e str) -> &'e str {
        let mut known = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(endpoint) {
            return endpoint;
        }
        if known.len() >= MAX_ENDPOINTS {
            return "other";
        }
        known.insert(endpoint.to_owned());
        endpoint
    }
}

impl Metrics {
    /// A message was accepted, so long after its request was whole.
    pub fn accepted(&self, took: Duration) {
        self.0.accepted.inc();
        self.0.accept.observe(took.as_secs_f64());
    }

    /// A request was refused.
    pub fn refused(&self, code: Code) {
        self.0.refused.get_or_create(&ByCode { code: code.as_str() }).inc();
    }

    /// An attempt ended: `outcome` is "delivered", "failed", "refused".
    pub fn attempt(&self, endpoint: &str, outcome: &'static str, took: Duration) {
        let endpoint = self.0.label(endpoint).to_owned();
        self.0.attempts.get_or_create(&ByAttempt { endpoint, outcome }).inc();
        self.0.attempt.observe(took.as_secs_f64());
    }

    /// The committer synced a group of `commits` and `octets`.
    pub fn committed(&self, commits: usize, octets: usize, took: Duration) {
        let commits = u64::try_from(commits).unwrap_or(u64::MAX);
        self.0.commits.inc_by(commits);
        self.0.commit_octets.inc_by(u64::try_from(octets).unwrap_or(u64::MAX));
        self.0.group.observe(f64::from(u32::try_from(commits).unwrap_or(u32::MAX)));
        self.0.commit.observe(took.as_secs_f64());
    }

    /// Verification took so long.
    pub fn verified(&self, took: Duration) {
        self.0.verify.observe(took.as_secs_f64());
    }

    /// A corrupt record or content was set aside.
    pub fn corrupt(&self, what: &'static str) {
        self.0.corrupt.get_or_create(&ByWhat { what }).inc();
    }

    /// A reload ended: `outcome` is "taken" or "refused".
    pub fn reloaded(&self, outcome: &'static str) {
        self.0.reloads.get_or_create(&ByOutcome { outcome }).inc();
    }

    /// A second opinion was asked for: "agreed", "disagreed", "failed", "skipped".
    pub fn second_opinion(&self, outcome: &'static str) {
        self.0.opinions.get_or_create(&ByOutcome { outcome }).inc();
    }

    /// Counts a request as in flight for as long as the guard lives.
    #[must_use]
    pub fn enter(&self) -> InFlight {
        self.0.in_flight.inc();
        InFlight(self.0.in_flight.clone())
    }

    /// What was counted, as OpenMetrics text without its end mark: `scrape` appends what is only
    /// looked up when asked for.
    pub(super) fn render_open(&self) -> String {
        let mut out = String::new();
        // Writing to a String can't fail.
        let _ = text::encode_registry(&mut out, &self.0.registry);
        out
    }

    /// What was counted, as a whole OpenMetrics text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = self.render_open();
        let _ = text::encode_eof(&mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_was_counted() {
        let metrics = Metrics::default();
        metrics.accepted(Duration::from_millis(3));
        metrics.accepted(Duration::from_millis(5));
        metrics.refused(Code::SignatureWrong);
        metrics.attempt("marburg-push", "delivered", Duration::from_millis(20));
        metrics.attempt("marburg-push", "failed", Duration::from_millis(20));
        metrics.attempt("marburg-push", "failed", Duration::from_millis(20));
        metrics.committed(7, 4096, Duration::from_millis(1));
        metrics.verified(Duration::from_micros(80));
        metrics.corrupt("record");
        metrics.reloaded("taken");
        let guard = metrics.enter();
        let text = metrics.render();
        for line in [
            "amtsweg_accepted_total 2",
            "amtsweg_refused_total{code=\"AW-0122\"} 1",
            "amtsweg_refused_total{code=\"AW-0500\"} 0",
            "amtsweg_attempts_total{endpoint=\"marburg-push\",outcome=\"failed\"} 2",
            "amtsweg_commits_total 7",
            "amtsweg_commit_octets_total 4096",
            "amtsweg_corrupt_total{what=\"record\"} 1",
            "amtsweg_reloads_total{outcome=\"taken\"} 1",
            "amtsweg_in_flight 1",
            "amtsweg_accept_seconds_count 2",
            "amtsweg_verify_seconds_count 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
        assert!(text.contains("amtsweg_build_info{version="));
        assert!(text.ends_with("# EOF\n"));
        drop(guard);
        assert!(metrics.render().lines().any(|line| line == "amtsweg_in_flight 0"));
    }

    #[test]
    fn two_gateways_in_one_process_count_apart() {
        let (one, other) = (Metrics::default(), Metrics::default());
        one.accepted(Duration::ZERO);
        assert!(one.render().contains("amtsweg_accepted_total 1"));
        assert!(other.render().contains("amtsweg_accepted_total 0"));
    }

    #[test]
    fn endpoints_beyond_the_bound_count_as_other() {
        let metrics = Metrics::default();
        for n in 0..MAX_ENDPOINTS + 5 {
            metrics.attempt(&format!("e{n}"), "delivered", Duration::ZERO);
        }
        metrics.attempt("e0", "delivered", Duration::ZERO);
        let text = metrics.render();
        assert!(text.contains("amtsweg_attempts_total{endpoint=\"other\",outcome=\"delivered\"} 5"));
        assert!(text.contains("amtsweg_attempts_total{endpoint=\"e0\",outcome=\"delivered\"} 2"));
    }
}
