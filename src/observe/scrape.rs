//! What is looked up when metrics are asked for: queues, free space, validities. Built anew each
//! time, so that an endpoint that is gone is gone from the metrics too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Metrics;
use super::health::Health;
use crate::backup::Keeper;
use crate::deliver::Deliver;
use crate::domain::Timestamp;
use crate::store::{Depth, ReadPort};

type Decimal = Gauge<f64, std::sync::atomic::AtomicU64>;

/// Until when the gateway's own certificates hold, by their use (`tls`, `signing`).
pub type Validities = BTreeMap<&'static str, Timestamp>;

/// Where the metrics come from.
pub struct Sources {
    /// What was counted.
    pub metrics: Metrics,
    /// The queues.
    pub read: Arc<dyn ReadPort>,
    /// The breakers.
    pub deliver: Arc<Deliver>,
    /// The disk.
    pub health: Arc<Health>,
    /// Ends of validity; swapped on reload.
    pub validities: Arc<arc_swap::ArcSwap<Validities>>,
    /// Backups, where the gateway makes any.
    pub backups: Option<Arc<Keeper>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByState {
    endpoint: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByEndpoint {
    endpoint: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByUse {
    certificate: &'static str,
}

impl Sources {
    /// All metrics as one OpenMetrics text. Queues are left out while the store does not answer
    /// (`amtsweg_store_up` is 0 then).
    pub async fn render(&self) -> String {
        let now = Timestamp::now();
        let depths = self.read.depths().await;
        let controls = self.read.controls().await.unwrap_or_default();
        let suspended: Vec<&str> =
            controls.iter().filter(|control| control.suspended).map(|c| c.endpoint.as_str()).collect();
        let mut registry = Registry::with_prefix("amtsweg");
        let up = Gauge::<i64>::default();
        // A store that a fault closed may still read.
        up.set(i64::from(depths.is_ok() && self.health.closed().is_none()));
        registry.register("store_up", "1 when the store answers and takes changes", up);
        self.queues(&mut registry, &depths.unwrap_or_default(), &suspended, now);
        self.surroundings(&mut registry, now);
        let mut out = self.metrics.render_open();
        // Writing to a String can't fail.
        let _ = text::encode_registry(&mut out, &registry);
        let _ = text::encode_eof(&mut out);
        out
    }

    fn queues(&self, registry: &mut Registry, depths: &[Depth], suspended: &[&str], now: Timestamp) {
        let count = Family::<ByState, Gauge>::default();
        let oldest = Family::<ByEndpoint, Decimal>::default();
        let breaker = Family::<ByEndpoint, Decimal>::default();
        let flying = Family::<ByEndpoint, Gauge>::default();
        let halted = Family::<ByEndpoint, Gauge>::default();
        for depth in depths {
            let endpoint = ByEndpoint { endpoint: depth.endpoint.to_string() };
            for (state, messages) in &depth.by_state {
                let label = ByState { endpoint: endpoint.endpoint.clone(), state };
                count.get_or_create(&label).set(whole(*messages));
            }
            let age = depth.oldest.map_or(Duration::ZERO, |at| now.since(at));
            oldest.get_or_create(&endpoint).set(age.as_secs_f64());
            halted.get_or_create(&endpoint).set(i64::from(suspended.contains(&depth.endpoint.as_str())));
            if let Some(condition) = self.deliver.condition(&depth.endpoint) {
                let open = match condition.breaker {
                    "open" => 1.0,
                    "half-open" => 0.5,
                    _ => 0.0,
                };
                breaker.get_or_create(&endpoint).set(open);
                let in_flight = u64::try_from(condition.in_flight).unwrap_or(u64::MAX);
                flying.get_or_create(&endpoint).set(whole(in_flight));
            }
        }
        registry.register("queue_messages", "Messages by endpoint and state", count);
        registry.register("queue_oldest_seconds", "Age of the oldest open message, by endpoint", oldest);
        registry.register("breaker_open", "1 open, 0.5 half-open, 0 closed, by push endpoint", breaker);
        registry.register("attempts_in_flight", "Attempts in flight, by push endpoint", flying);
        registry.register("endpoint_suspended", "1 when an operator suspended the endpoint", halted);
    }

    fn surroundings(&self, registry: &mut Registry, now: Timestamp) {
        if let Some(free) = self.health.free() {
            let gauge = Gauge::<i64>::default();
            gauge.set(whole(free));
            registry.register("store_free_octets", "Octets free on the disk of the store", gauge);
        }
        if let Some(backups) = &self.backups {
            let gauge = Decimal::default();
            gauge.set(backups.newest().map_or(0.0, |at| Duration::from_millis(at.0).as_secs_f64()));
            let help = "When the newest generation of the backup was made; 0 while there is none";
            registry.register("backup_last_success_timestamp_seconds", help, gauge);
        }
        let days = Family::<ByUse, Decimal>::default();
        for (certificate, until) in self.validities.load().iter() {
            days.get_or_create(&ByUse { certificate }).set(days_left(*until, now));
        }
        registry.register(
            "certificate_expiry_days",
            "Days until the gateway's own certificates expire; negative once they have",
            days,
        );
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn days_left(until: Timestamp, now: Timestamp) -> f64 {
    const DAY: f64 = 86_400.0;
    if until >= now { until.since(now).as_secs_f64() / DAY } else { -now.since(until).as_secs_f64() / DAY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_negative_after_the_end() {
        let (early, late) = (Timestamp(0), Timestamp(2 * 86_400_000));
        assert!((days_left(late, early) - 2.0).abs() < 1e-9);
        assert!((days_left(early, late) + 2.0).abs() < 1e-9);
    }
}
