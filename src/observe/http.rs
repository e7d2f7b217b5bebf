//! `/metrics`, `/health/live` and `/health/ready`. Who may ask is the front's matter: without a
//! client certificate only from loopback, else with the operator role.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::health::Health;
use super::scrape::Sources;

/// Media type of OpenMetrics text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The three routes.
pub fn router(sources: Arc<Sources>) -> Router {
    let health = Arc::clone(&sources.health);
    let health = Router::new()
        .route("/health/live", get(|| async { "live\n" }))
        .route("/health/ready", get(ready))
        .with_state(health);
    Router::new().route("/metrics", get(metrics)).with_state(sources).merge(health)
}

async fn metrics(State(sources): State<Arc<Sources>>) -> Response {
    ([(header::CONTENT_TYPE, OPEN_METRICS)], sources.render().await).into_response()
}

async fn ready(State(health): State<Arc<Health>>) -> Response {
    let obstacles = health.obstacles();
    if obstacles.is_empty() {
        (StatusCode::OK, "ready\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, obstacles.join("\n") + "\n").into_response()
    }
}
