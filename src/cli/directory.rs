//! `amtsweg route …`: arguments of the questions to a directory. The answers are `route`'s.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::output::note;
use super::{Done, Ended, Fault, route};
use crate::domain::{Ars, ServiceKey};
use crate::route::{Directory, Files};

/// `route …`.
#[derive(Debug, Subcommand)]
pub enum RouteCommand {
    /// Who is competent for a service in an area, and why (exit 1 when a message would be refused).
    Explain(ExplainArgs),
    /// For every municipality: who is competent for a service, and are they connected?
    Coverage(CoverageArgs),
}

/// Which directory is asked.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct Which {
    /// The directory of this configuration.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// The directory in this folder; without both, the built-in sample of Hesse.
    #[arg(long)]
    pub directory: Option<PathBuf>,
}

/// `route explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The directory.
    #[command(flatten)]
    pub which: Which,
    /// LeiKa/FIM service key: 14 digits.
    #[arg(long)]
    pub service: ServiceKey,
    /// Amtlicher Regionalschlüssel: 2, 3, 5, 9 or 12 digits.
    #[arg(long)]
    pub area: Ars,
    /// The day the competence is asked for (YYYY-MM-DD); without it today.
    #[arg(long, value_parser = super::input::day)]
    pub at: Option<jiff::civil::Date>,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
}

/// `route coverage`.
#[derive(Debug, Args)]
pub struct CoverageArgs {
    /// The directory.
    #[command(flatten)]
    pub which: Which,
    /// LeiKa/FIM service key: 14 digits.
    #[arg(long)]
    pub service: ServiceKey,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Runs `route …`.
///
/// # Errors
/// When the directory is faulty or the output can't be written.
pub fn run(command: &RouteCommand) -> Done {
    // Gathered first: the writer below then has one fault alone, that of standard output.
    let mut out = Vec::new();
    let status = match command {
        RouteCommand::Explain(args) => {
            let directory = directory(&args.which)?;
            route::explain(&directory, &args.service, &args.area, args.at, args.json, &mut out)
        }
        RouteCommand::Coverage(args) => {
            let directory = directory(&args.which)?;
            route::coverage(&directory, &args.service, args.json, &mut out)
        }
    };
    let status = status.and_then(|status| out.flush().map(|()| status));
    let status = status.map_err(|e| Fault::said(format!("cannot write the answer: {e}")))?;
    super::output::say_octets(&out)?;
    Ok(if status == 0 { Ended::Well } else { Ended::Refused })
}

fn directory(which: &Which) -> Result<Directory, Fault> {
    let loaded = match (&which.config, &which.directory) {
        (Some(config), _) => Directory::load(&super::serve::load(config)?.directory),
        (None, Some(folder)) if !folder.is_dir() => {
            let folder = folder.display();
            return Err(Fault::said(format!(
                "{folder} is no folder; name the one with areas.csv and the others"
            )));
        }
        (None, Some(folder)) => Directory::load(folder),
        (None, None) => {
            note("asking the built-in sample directory of Hesse; name another with --config or --directory");
            Directory::parse(&Files::embedded())
        }
    };
    loaded.map_err(|faults| Fault::all("the directory is faulty", &faults))
}
