//! `amtsweg serve`, `check`, `accounts`: the gateway of a configuration file.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::output::{Table, note, say, say_json};
use super::{Done, Ended, Fault};
use crate::app;
use crate::config::{Config, ConfiguredAccount};
use crate::domain::Role;

/// `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The configuration (TOML).
    #[arg(long)]
    pub config: PathBuf,
}

/// `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The configuration (TOML).
    #[arg(long)]
    pub config: PathBuf,
    /// List what expires by this date (YYYY-MM-DD); without it within 30 days.
    #[arg(long, value_parser = super::input::day)]
    pub at: Option<jiff::civil::Date>,
    /// One JSON object: verdict, faults, warnings, expiring.
    #[arg(long)]
    pub json: bool,
}

/// `accounts`.
#[derive(Debug, Args)]
pub struct AccountsArgs {
    /// The configuration (TOML).
    #[arg(long)]
    pub config: PathBuf,
    /// The accounts as a JSON array.
    #[arg(long)]
    pub json: bool,
}

/// Runs `serve` until SIGTERM or SIGINT.
///
/// # Errors
/// Why the gateway does not start.
pub async fn serve(args: ServeArgs) -> Done {
    app::serve(&args.config).await.map_err(|e| Fault::said(e.to_string()))?;
    Ok(Ended::Well)
}

/// Runs `check`: exit 1 when the gateway would not start.
///
/// # Errors
/// When nobody reads the output any more.
pub fn check(args: &CheckArgs) -> Done {
    let report = app::check(&args.config, args.at);
    if args.json {
        say_json(&json!({
            "verdict": if report.is_good() { "good" } else { "faulty" },
            "faults": report.faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "warnings": report.warnings,
            "by": report.by.to_string(),
            "expiring": report.expiring.iter().map(|e| json!({
                "key": e.key, "what": e.what, "until": e.until.to_string(), "vital": e.vital,
            })).collect::<Vec<_>>(),
        }))?;
    } else {
        say_report(args, &report)?;
    }
    Ok(if report.is_good() { Ended::Well } else { Ended::Refused })
}

fn say_report(args: &CheckArgs, report: &app::Report) -> Result<(), Fault> {
    report.faults.iter().try_for_each(|f| say(format!("fault    {f}")))?;
    report.warnings.iter().try_for_each(|w| say(format!("warning  {w}")))?;
    if !report.expiring.is_empty() {
        say(format!("Ends by {}:", report.by))?;
        let mut table = Table::new(&["UNTIL", "KEY", "WHAT", "WITHOUT IT"]);
        for e in &report.expiring {
            let without = if e.vital { "the gateway can't work" } else { "" };
            table.row([e.until.to_string(), e.key.clone(), e.what.clone(), without.to_owned()]);
        }
        table.say()?;
    }
    if report.is_good() {
        say(format!("{} is good.", args.config.display()))
    } else {
        say(format!("{} has {} fault(s); see above.", args.config.display(), report.faults.len()))
    }
}

/// Runs `accounts`.
///
/// # Errors
/// When the configuration is faulty.
pub fn accounts(args: &AccountsArgs) -> Done {
    let config = load(&args.config)?;
    if args.json {
        say_json(&config.accounts.iter().map(account_json).collect::<Vec<_>>().into())?;
        return Ok(Ended::Well);
    }
    if config.accounts.is_empty() {
        note("The configuration has no accounts: nobody may use this gateway.");
    }
    let mut table = Table::new(&["ACCOUNT", "ROLES", "IDENTIFIERS", "PER MINUTE", "CERTIFICATE SHA-256"]);
    for configured in &config.accounts {
        let account = &configured.account;
        let identifiers: Vec<&str> = account.identifiers.iter().map(AsRef::as_ref).collect();
        let fingerprints: Vec<String> =
            configured.fingerprints.iter().map(|f| f.to_string().chars().take(16).collect()).collect();
        table.row([
            account.name.to_string(),
            account.roles.iter().map(|r| role(*r)).collect::<Vec<_>>().join(" "),
            identifiers.join(" "),
            account.quota.messages_per_minute.to_string(),
            fingerprints.join(" "),
        ]);
    }
    table.say()?;
    Ok(Ended::Well)
}

/// A configuration, or all its faults.
///
/// # Errors
/// All faults at once.
pub fn load(file: &std::path::Path) -> Result<Config, Fault> {
    Config::load(file).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Fault::all(&format!("{} is faulty", file.display()), &faults)
    })
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Portal => "portal",
        Role::Authority => "authority",
        Role::Operator => "operator",
    }
}

fn account_json(configured: &ConfiguredAccount) -> serde_json::Value {
    let account = &configured.account;
    json!({
        "name": account.name.as_str(),
        "roles": account.roles.iter().map(|r| role(*r)).collect::<Vec<_>>(),
        "identifiers": account.identifiers.iter().map(AsRef::<str>::as_ref).collect::<Vec<_>>(),
        "quota": {
            "in_flight": account.quota.in_flight,
            "messages_per_minute": account.quota.messages_per_minute,
            "message": account.quota.message_octets,
        },
        "fingerprints": configured.fingerprints.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
