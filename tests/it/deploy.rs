//! What is shipped beside the binary fits the binary.

use std::collections::BTreeSet;
use std::path::Path;

use amtsweg::observe::Metrics;

fn deploy(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file)).unwrap()
}

/// Names that a scrape adds to what [`Metrics`] counts; `app::watching` checks that it does.
pub const SCRAPED: [&str; 9] = [
    "amtsweg_store_up",
    "amtsweg_queue_messages",
    "amtsweg_queue_oldest_seconds",
    "amtsweg_breaker_open",
    "amtsweg_attempts_in_flight",
    "amtsweg_endpoint_suspended",
    "amtsweg_store_free_octets",
    "amtsweg_certificate_expiry_days",
    "amtsweg_backup_last_success_timestamp_seconds",
];

fn names(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !word(c)).filter(|w| w.starts_with("amtsweg_")).map(str::to_owned).collect()
}

#[test]
fn alerts_and_dashboard_use_metrics_that_there_are() {
    let metrics = Metrics::default();
    metrics.attempt("some-endpoint", "delivered", std::time::Duration::ZERO);
    let shown = metrics.render();
    for file in ["alerts.yml", "dashboard.json"] {
        let used = names(&deploy(file));
        assert!(used.len() >= 8, "{file} uses {used:?}");
        for name in used {
            let base = name.trim_end_matches("_total").trim_end_matches("_bucket");
            let known = shown.contains(&format!("# TYPE {base} ")) || SCRAPED.contains(&base);
            assert!(known, "{file} uses {name}, which the gateway does not show");
        }
    }
}

#[test]
fn the_dashboard_is_json_and_the_service_drains_longer_than_the_gateway() {
    let dashboard: serde_json::Value = serde_json::from_str(&deploy("dashboard.json")).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() >= 6);
    let service = deploy("amtsweg.service");
    let stop = service.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap();
    assert!(stop.parse::<u64>().unwrap() > 30, "gateway.drain is 30 s by default");
}

/// What the README tells operators to do ends in a good configuration.
#[test]
fn the_shipped_configuration_fits_the_development_pki_and_the_sample_directory() {
    let temp = tempfile::tempdir().unwrap();
    let path = |name: &str| temp.path().join(name).to_str().unwrap().to_owned();
    let amtsweg = |args: [&str; 4]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_amtsweg")).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stdout));
    };
    amtsweg(["pki", "init", "--dir", &path("pki")]);
    std::fs::create_dir(path("directory")).unwrap();
    for file in ["areas.csv", "services.csv", "authorities.csv", "competences.csv", "endpoints.toml"] {
        std::fs::write(temp.path().join("directory").join(file), deploy(&format!("hessen/{file}"))).unwrap();
    }
    let text = deploy("amtsweg.toml").replace("/var/lib/amtsweg", "data");
    let text: String = text
        .lines()
        .map(|line| {
            line.strip_prefix("#|").map_or(line, |l| l.strip_prefix(' ').unwrap_or(l)).to_owned() + "\n"
        })
        .collect();
    std::fs::write(path("amtsweg.toml"), &text).unwrap();
    amtsweg(["check", "--config", &path("amtsweg.toml"), "--json"]);
    // Receipts bear the gateway's own certificate, not the one of the sample portal.
    let value: toml::Value = toml::from_str(&text).unwrap();
    assert_eq!(value["signing"]["certificate"].as_str(), Some("pki/gateway.pem"));
}
