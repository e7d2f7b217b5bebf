//! The command line: one file per group of commands, each thin. Exit codes are `main`'s.

pub mod backup;
pub mod check;
pub mod client;
pub mod compare;
pub mod demo;
pub mod directory;
pub mod input;
pub mod keys;
pub mod ledger;
pub mod mailbox;
pub mod operator;
pub mod output;
pub mod pki;
pub mod proof;
pub mod report;
pub mod route;
pub mod schemas;
pub mod serve;
pub mod sign;
pub mod status;
pub mod submit;

use std::path::Path;

use clap::{Parser, Subcommand};

/// How a command ended, when nothing was wrong with the call itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Done, accepted, known.
    Well,
    /// Refused, unknown, or not all good; said on stdout or stderr already.
    Refused,
}

/// Why a command could not do its work: a usage or I/O fault.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Nobody reads our output any more.
    #[error("the output was closed")]
    PipeClosed,
    /// A sentence that says what is wrong and what to do.
    #[error("{0}")]
    Said(String),
}

impl Fault {
    /// A fault with this sentence.
    #[must_use]
    pub fn said(sentence: impl Into<String>) -> Self {
        Self::Said(sentence.into())
    }

    /// A fault of a file.
    #[must_use]
    pub fn file(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::Said(format!("cannot {doing} {}: {error}", path.display()))
    }

    /// Several faults at once, one a line.
    #[must_use]
    pub fn all(what: &str, faults: &[String]) -> Self {
        match faults {
            [one] => Self::Said(format!("{what}: {one}")),
            many => Self::Said(format!("{what}:\n  {}", many.join("\n  "))),
        }
    }
}

/// What every command returns.
pub type Done = Result<Ended, Fault>;

/// Interoperability gateway: accepts signed XÖV messages, keeps them safe and brings them to the
/// competent authority.
#[derive(Debug, Parser)]
#[command(name = "amtsweg", version, about, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// See the whole main job on this machine: gateway, portal, authorities, 50 applications.
    Demo(demo::DemoArgs),
    /// Run the gateway (SIGTERM drains, SIGHUP reloads directory, schemas, trust, accounts).
    Serve(serve::ServeArgs),
    /// Check a configuration: all faults at once, and what expires.
    Check(serve::CheckArgs),
    /// List the accounts of a configuration.
    Accounts(serve::AccountsArgs),
    /// Make a development PKI.
    #[command(subcommand)]
    Pki(pki::PkiCommand),
    /// Sign an XML document: one enveloped signature over the whole of it.
    Sign(sign::SignArgs),
    /// Say whether a message would be accepted: exit 0 accepted, 1 refused (code on stdout).
    Verify(check::VerifyArgs),
    /// Check limits, header and schema alone.
    Validate(check::ValidateArgs),
    /// Ask a directory who is competent.
    #[command(subcommand)]
    Route(directory::RouteCommand),
    /// Check, export and compare the ledger; check a message's proof.
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    /// Copy a store while the gateway works, here or by the gateway itself: a new generation, checked.
    Backup(backup::BackupArgs),
    /// Put a generation back into an empty folder.
    Restore(backup::RestoreArgs),
    /// Portal: hand in a signed message with its attachments.
    Submit(submit::SubmitArgs),
    /// Portal, authority: what became of a message (exit 1 when it is unknown).
    Status(status::StatusArgs),
    /// Portal, authority: the proof of how far a message has come.
    Proof(proof::ProofArgs),
    /// Portal, authority: follow a message until it is closed or returned.
    Watch(status::WatchArgs),
    /// Authority: what lies in the mailbox.
    List(mailbox::ListArgs),
    /// Authority: take a lease and write document and attachments to a folder.
    Fetch(mailbox::FetchArgs),
    /// Authority: the message is taken over.
    Close(mailbox::CloseArgs),
    /// Authority: refuse the message for good; its author is told.
    Reject(mailbox::RejectArgs),
    /// Operator: all queues in numbers.
    Queues(operator::QueuesArgs),
    /// Operator: messages, in order of acceptance.
    Messages(operator::MessagesArgs),
    /// Operator: one message with its history.
    Show(operator::ShowArgs),
    /// Operator: try a waiting or parked message again, now.
    Retry(operator::ActArgs),
    /// Operator: route a message anew.
    Reroute(operator::RerouteArgs),
    /// Operator: set a message aside.
    Park(operator::ActArgs),
    /// Operator: push nothing to an endpoint until it is resumed.
    Suspend(operator::EndpointArgs),
    /// Operator: push to a suspended endpoint again.
    Resume(operator::EndpointArgs),
}

/// Runs a command.
///
/// # Errors
/// Usage and I/O faults, as a sentence.
pub fn run(cli: Cli) -> Done {
    match cli.command {
        Command::Demo(args) => block_on(demo::run(args)),
        Command::Serve(args) => block_on(serve::serve(args)),
        Command::Check(args) => serve::check(&args),
        Command::Accounts(args) => serve::accounts(&args),
        Command::Route(command) => directory::run(&command),
        Command::Ledger(command) => ledger::run(&command),
        Command::Backup(args) => backup::backup(args),
        Command::Restore(args) => block_on(backup::restore(args)),
        Command::Proof(args) => block_on(proof::run(args)),
        Command::Pki(command) => pki::run(&command),
        Command::Sign(args) => sign::run(&args),
        Command::Verify(args) => check::verify(&args),
        Command::Validate(args) => check::validate(&args),
        Command::Submit(args) => block_on(submit::run(args)),
        Command::Status(args) => block_on(status::status(args)),
        Command::Watch(args) => block_on(status::watch(args)),
        Command::List(args) => block_on(mailbox::list(args)),
        Command::Fetch(args) => block_on(mailbox::fetch(args)),
        Command::Close(args) => block_on(mailbox::close(args)),
        Command::Reject(args) => block_on(mailbox::reject(args)),
        Command::Queues(args) => block_on(operator::queues(args)),
        Command::Messages(args) => block_on(operator::messages(args)),
        Command::Show(args) => block_on(operator::show(args)),
        Command::Retry(args) => block_on(operator::retry(args)),
        Command::Reroute(args) => block_on(operator::reroute(args)),
        Command::Park(args) => block_on(operator::park(args)),
        Command::Suspend(args) => block_on(operator::suspend(args)),
        Command::Resume(args) => block_on(operator::resume(args)),
    }
}

fn block_on(work: impl Future<Output = Done>) -> Done {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Fault::said(format!("cannot start the runtime: {e}")))?
        .block_on(work)
}
