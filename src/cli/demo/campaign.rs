//! Carries the demo's messages: hands them in as the portal does, follows each to its end, and
//! shows its way.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tonic::transport::Channel;

use super::Voice;
use crate::cli::Fault;
use crate::cli::client::problem_of;
use crate::cli::submit::{Enclosure, submit};
use crate::error::Code;
use crate::proto::submission_client::SubmissionClient;
use crate::proto::{Problem, Report, StatusRequest};

/// Messages on their way at once.
const AT_ONCE: usize = 16;

/// A message of the demo.
#[derive(Clone, Debug)]
pub struct Case {
    /// The service's name.
    pub service: String,
    /// The place's name; for a bad case, what is wrong with it.
    pub place: String,
    /// The signed document.
    pub document: Bytes,
    /// Its attachments.
    pub attachments: Vec<Enclosure>,
}

/// A message that was carried to `Closed`.
#[derive(Clone, Debug)]
pub struct Carried {
    /// The case.
    pub service: String,
    /// Its place.
    pub place: String,
    /// The report at the end.
    pub report: Report,
    /// From handing in to the end.
    pub took: Duration,
}

/// What became of the good messages.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Closed.
    pub carried: Vec<Carried>,
    /// Not closed, and why.
    pub failed: Vec<String>,
}

/// Carries all `cases` to their ends, at most [`AT_ONCE`] at once; `deadline` bounds it all.
///
/// # Errors
/// When nobody reads the output any more.
pub async fn carry(
    channel: &Channel,
    cases: Vec<Case>,
    deadline: Duration,
    voice: Voice,
) -> Result<Outcome, Fault> {
    let (all, started) = (cases.len(), Instant::now());
    let mut running =
        stream::iter(cases.into_iter().map(|case| one(channel.clone(), case))).buffer_unordered(AT_ONCE);
    let mut outcome = Outcome::default();
    loop {
        let left = deadline.saturating_sub(started.elapsed());
        let Ok(next) = tokio::time::timeout(left, running.next()).await else {
            let done = outcome.carried.len() + outcome.failed.len();
            outcome.failed.push(format!("{} messages were not closed within {deadline:?}", all - done));
            return Ok(outcome);
        };
        match next {
            None => return Ok(outcome),
            Some(Ok(carried)) => {
                outcome.carried.push(carried);
                if let Some(carried) = outcome.carried.last() {
                    voice.tell(line(outcome.carried.len() + outcome.failed.len(), all, carried))?;
                }
            }
            Some(Err(why)) => {
                voice.tell(format!("  FAILED  {why}"))?;
                outcome.failed.push(why);
            }
        }
    }
}

/// Hands one message in and follows it to its end.
async fn one(channel: Channel, case: Case) -> Result<Carried, String> {
    let what = format!("{}, {}", case.service, case.place);
    let begun = Instant::now();
    let answer = submit(channel.clone(), case.document, case.attachments)
        .await
        .map_err(|fault| format!("{what}: {fault}"))?
        .map_err(|status| format!("{what}: {}", refusal(&status)))?;
    let report = follow(channel, answer.message_id).await.map_err(|why| format!("{what}: {why}"))?;
    if report.state != "Closed" {
        return Err(format!("{what}: {} ended as {}", report.message_id, report.state));
    }
    Ok(Carried { service: case.service, place: case.place, report, took: begun.elapsed() })
}

/// Follows a message until it is closed or returned.
///
/// # Errors
/// Why it can't be followed.
pub async fn follow(channel: Channel, message_id: String) -> Result<Report, String> {
    let mut client = SubmissionClient::new(channel);
    let request = StatusRequest { message_id: message_id.clone() };
    let mut reports = client.watch(request).await.map_err(|s| refusal(&s))?.into_inner();
    let mut last = None;
    while let Some(report) = reports.message().await.map_err(|s| refusal(&s))? {
        let over = matches!(report.state.as_str(), "Closed" | "Returned");
        last = Some(report);
        if over {
            break;
        }
    }
    last.ok_or_else(|| format!("the gateway told nothing about {message_id}"))
}

fn refusal(status: &tonic::Status) -> String {
    problem_of(status).map_or_else(
        || format!("{:?} {}", status.code(), status.message()),
        |p| format!("{} {}", p.code, p.reason),
    )
}

/// One message's way on one line.
fn line(nr: usize, all: usize, carried: &Carried) -> String {
    let report = &carried.report;
    let (authority, way) =
        report.route.as_ref().map_or(("", ""), |r| (r.authority_name.as_str(), r.way.as_str()));
    let width = all.to_string().len();
    format!(
        "{nr:>width$}/{all}  {}  {}  {}  {way:<4}  {:>2} {}  {:>6} ms  {}",
        fit(&carried.service, 26),
        fit(&carried.place, 16),
        fit(authority, 34),
        report.attempts,
        if report.attempts == 1 { "attempt " } else { "attempts" },
        carried.took.as_millis(),
        way_of(report),
    )
}

/// The states a message went through, failed attempts with their reason.
fn way_of(report: &Report) -> String {
    let mut steps: Vec<String> = Vec::new();
    for fact in &report.facts {
        match fact.kind.as_str() {
            "sending" => {}
            "failed" => steps.push(fact.detail.chars().take(24).collect()),
            kind => steps.push(kind.to_owned()),
        }
    }
    crate::cli::output::printable(&steps.join(" → "))
}

/// Cut or padded to a width in characters.
fn fit(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width {
        return format!("{text}{}", " ".repeat(width - count));
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// A message that must be refused.
#[derive(Clone, Debug)]
pub struct BadCase {
    /// The case; `place` says what is wrong with it.
    pub case: Case,
    /// The code it must be refused with.
    pub expected: Code,
}

/// What became of a bad message.
#[derive(Clone, Debug)]
pub struct Refused {
    /// What was wrong with it.
    pub what: String,
    /// The code it must be refused with.
    pub expected: Code,
    /// The refusal; none when it was accepted or something else went wrong.
    pub problem: Option<Problem>,
    /// What happened instead.
    pub instead: String,
}

impl Refused {
    /// Whether it was refused as it had to be.
    #[must_use]
    pub fn right(&self) -> bool {
        self.problem.as_ref().is_some_and(|p| p.code == self.expected.as_str())
    }
}

/// Hands in messages that must be refused, one after the other.
///
/// # Errors
/// When a file can't be read or nobody reads the output any more.
pub async fn provoke(channel: &Channel, cases: Vec<BadCase>, voice: Voice) -> Result<Vec<Refused>, Fault> {
    let mut all = Vec::new();
    for BadCase { case, expected } in cases {
        let answer = submit(channel.clone(), case.document, case.attachments).await?;
        let (problem, instead) = match answer {
            Ok(accepted) => (None, format!("accepted as {}", accepted.message_id)),
            Err(status) => (problem_of(&status), refusal(&status)),
        };
        let refused = Refused { what: case.place, expected, problem, instead };
        if refused.right() {
            let reason = refused.problem.as_ref().map(|p| p.reason.as_str()).unwrap_or_default();
            voice.tell(format!("  {expected}  {}  {reason}", fit(&refused.what, 40)))?;
        } else {
            voice.tell(format!("  WRONG: {} should be {expected}: {}", refused.what, refused.instead))?;
        }
        all.push(refused);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Fact;

    #[test]
    fn a_way_shows_failed_attempts_with_their_reason() {
        let fact =
            |kind: &str, detail: &str| Fact { kind: kind.into(), detail: detail.into(), ..Fact::default() };
        let report = Report {
            facts: vec![
                fact("accepted", ""),
                fact("sending", "x"),
                fact("failed", "HTTP 503"),
                fact("sending", "x"),
                fact("delivered", "HTTP 201"),
                fact("closed", ""),
            ],
            ..Report::default()
        };
        assert_eq!(way_of(&report), "accepted → HTTP 503 → delivered → closed");
        assert_eq!(fit("Großalmerode", 6), "Großa…");
        assert_eq!(fit("Usingen", 9), "Usingen  ");
    }
}
