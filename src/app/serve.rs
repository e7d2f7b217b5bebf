//! `amtsweg serve`: one gateway until SIGTERM or SIGINT; SIGHUP reloads.

use std::path::Path;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{App, StartError};
use crate::config::Config;
use crate::observe::logs;

/// Runs the gateway of a configuration file until it is told to stop. Told a second time it does
/// not wait for what is in work.
///
/// # Errors
/// [`StartError`]. A signal during start takes effect once the gateway is up.
pub async fn serve(file: &Path) -> Result<(), StartError> {
    let config = Config::load(file).map_err(StartError::Faults)?;
    logs::install(&config.log).map_err(StartError::Log)?;
    let mut hang_up = listen(SignalKind::hangup())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let app = App::start(config).await?;
    loop {
        tokio::select! {
            _ = hang_up.recv() => reload(&app).await,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    tracing::info!("stopping: requests and attempts in work are being finished");
    tokio::select! {
        () = app.shutdown() => {}
        // Like a killed process: nothing acknowledged is lost, the next start looks closer.
        _ = terminate.recv() => tracing::warn!("told to stop twice: what is in work is cut"),
        _ = interrupt.recv() => tracing::warn!("told to stop twice: what is in work is cut"),
    }
    Ok(())
}

fn listen(kind: SignalKind) -> Result<Signal, StartError> {
    signal(kind).map_err(|source| StartError::System { what: "listening for signals", source })
}

async fn reload(app: &App) {
    match app.reload().await {
        Ok(restart) if restart.is_empty() => tracing::info!("reloaded"),
        Ok(restart) => {
            tracing::warn!(
                sections = restart.join(", "),
                "reloaded; these sections take effect after a restart"
            );
        }
        Err(faults) => {
            for fault in &faults {
                tracing::error!(%fault, "reload refused");
            }
            tracing::error!(faults = faults.len(), "reload refused as a whole; the old state stays in force");
        }
    }
}
