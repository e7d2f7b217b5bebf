//! Watching: metrics, logs, health. Reads only; commands go through the rooms' own verbs.

pub mod health;
pub mod http;
pub mod logs;
pub mod metrics;
pub mod scrape;

pub use metrics::Metrics;
