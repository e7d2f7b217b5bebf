//! The log of the binary: one line per entry on standard error. Libraries and tests install
//! nothing; `serve` does, once.

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Installs the log for this process.
///
/// # Errors
/// A sentence when the level is no filter or a log is installed already.
pub fn install(log: &Log) -> Result<(), String> {
    let filter = EnvFilter::try_new(directives(&log.level)).map_err(|error| format!("log.level: {error}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let done = match log.format {
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
        LogFormat::Text => builder.with_ansi(false).try_init(),
    };
    done.map_err(|error| format!("a log is installed already: {error}"))
}

/// The gateway at `level`, what it is built of no louder than `warn`: libraries may log what they
/// parse, and payload must not get into the log.
fn directives(level: &str) -> String {
    let others = if level == "error" { "error" } else { "warn" };
    format!("{others},amtsweg={level}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_stay_quiet_however_loud_the_gateway_is() {
        for level in ["error", "warn", "info", "debug", "trace"] {
            let directives = directives(level);
            EnvFilter::try_new(&directives).unwrap();
            assert!(directives.starts_with("warn") || directives == "error,amtsweg=error");
        }
    }
}
