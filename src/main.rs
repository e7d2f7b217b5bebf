//! Arguments to command; the only place with exit codes: 0 done (or accepted), 1 refused, unknown
//! or not all good, 2 usage or I/O fault.

use std::io::Write;
use std::process::ExitCode;

use amtsweg::cli::{Cli, Ended, Fault};
use clap::Parser;

fn main() -> ExitCode {
    match amtsweg::cli::run(Cli::parse()) {
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::Refused) => ExitCode::from(1),
        // Whoever reads our output has seen enough (`amtsweg messages | head`).
        Err(Fault::PipeClosed) => ExitCode::SUCCESS,
        Err(Fault::Said(sentence)) => {
            let _ = writeln!(std::io::stderr(), "amtsweg: {sentence}");
            ExitCode::from(2)
        }
    }
}
