//! Checks an export with nothing but the gateway's certificate, and names the place of the first thing
//! that does not fit.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::BufRead;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::Digest;

use super::checkpoint::{Checkpoint, Numbers, Statement};
use super::event::{Seen, digest};
use super::export::{End, FORMAT, Head};
use super::tree::{self, Peaks};

/// Octets of a line at most: a bound for readers; the line with the numbers of all destinations is
/// the longest.
const MAX_LINE: u64 = 32 << 20;

/// What an intact export shows.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Events in it.
    pub events: u64,
    /// Checkpoints in it.
    pub checkpoints: u64,
    /// Destinations that had events.
    pub destinations: u64,
    /// The frame of its first event.
    pub from: u64,
    /// The checkpoint that everything before `from` rests on, if it does not begin with the ledger.
    pub start: Option<Statement>,
    /// Its last checkpoint.
    pub last: Option<Statement>,
    /// Branches: how often the ledger was put back from a backup up to then.
    pub branch: u64,
}

/// What does not fit, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct Finding {
    /// The line, from 1; the one after the last where something is missing at the end.
    pub line: u64,
    /// The frame concerned, if one is; the first of several.
    pub frame: Option<u64>,
    /// What does not fit.
    pub why: String,
}

/// Why an export does not pass.
#[derive(Debug, thiserror::Error)]
pub enum AuditFault {
    /// It is not what the gateway has signed.
    #[error("{0}")]
    Found(#[from] Finding),
    /// It can't be read.
    #[error("reading the export: {0}")]
    Read(#[from] std::io::Error),
}

/// An event on its way through a check, for those who want to know what the export says.
pub type Visit<'v> = &'v mut dyn FnMut(&Seen<'_>);

/// Checks a whole export.
///
/// # Errors
/// [`AuditFault::Found`] with the place of the first thing that does not fit.
pub fn audit<C: AsRef<[u8]>>(
    export: &mut dyn BufRead,
    certificates: &[C],
    visit: Visit<'_>,
) -> Result<Findings, AuditFault> {
    let mut auditor = Auditor::new(certificates);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = std::io::Read::take(&mut *export, MAX_LINE).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(auditor.finish()?);
        }
        auditor.line(&line, visit)?;
    }
}

/// Checks an export line by line.
#[derive(Clone)]
pub struct Auditor<'c, C> {
    certificates: &'c [C],
    line: u64,
    head: Option<Head>,
    tree: Peaks,
    numbers: Numbers,
    changed: BTreeMap<String, u64>,
    /// Digest of the last event's frame.
    frame: String,
    /// The last checkpoint, and its digest.
    last: Option<(Statement, Digest)>,
    /// The first event behind it.
    open: u64,
    findings: Findings,
    ended: bool,
}

impl<'c, C: AsRef<[u8]>> Auditor<'c, C> {
    /// Before the first line.
    #[must_use]
    pub fn new(certificates: &'c [C]) -> Self {
        Self {
            certificates,
            line: 0,
            head: None,
            tree: Peaks::default(),
            numbers: Numbers::default(),
            changed: BTreeMap::new(),
            frame: String::new(),
            last: None,
            open: 1,
            findings: Findings::default(),
            ended: false,
        }
    }

    fn finding(&self, frame: impl Into<Option<u64>>, why: impl Into<String>) -> Finding {
        Finding { line: self.line, frame: frame.into(), why: why.into() }
    }

    /// The frame that comes next.
    fn expected(&self) -> u64 {
        self.head.as_ref().map_or(1, |head| head.first) + self.tree.size()
    }

    /// Takes a line with its end.
    ///
    /// # Errors
    /// What does not fit.
    pub fn line(&mut self, line: &[u8], visit: Visit<'_>) -> Result<(), Finding> {
        self.line += 1;
        let text = std::str::from_utf8(line).ok().and_then(|text| text.strip_suffix('\n'));
        let here = (self.head.is_some() && !self.ended).then(|| self.expected());
        let Some(text) = text else {
            return Err(self.finding(here, "the line was changed or cut off: it is no whole line of text"));
        };
        if self.ended {
            return Err(self.finding(None, "this line was inserted: the export has ended before it"));
        }
        let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
        match kind {
            "event" if self.head.is_some() => self.event(rest, visit),
            "checkpoint" if self.head.is_some() => self.checkpoint(rest),
            "ledger" if self.head.is_none() => self.begin(rest),
            "start" if self.findings.events == 0 && self.last.is_none() => self.start(rest),
            "end" => self.end(rest),
            _ if self.head.is_none() => {
                Err(self.finding(None, "the export's first line is missing or was changed"))
            }
            _ => {
                Err(self.finding(here, "the line was changed or inserted: nothing of this kind belongs here"))
            }
        }
    }

    /// After the last line.
    ///
    /// # Errors
    /// What is missing.
    pub fn finish(mut self) -> Result<Findings, Finding> {
        self.line += 1;
        if !self.ended {
            return Err(self.finding(self.expected(), "the export is cut off: its last line is missing"));
        }
        self.findings.destinations = self.numbers.all().len() as u64;
        Ok(self.findings)
    }

    fn begin(&mut self, json: &str) -> Result<(), Finding> {
        let head: Head = exactly(json)
            .ok_or_else(|| self.finding(None, "the export's first line was changed: it can't be read"))?;
        if head.format != FORMAT {
            return Err(
                self.finding(None, format!("the format is {:?}, this program knows {FORMAT}", head.format))
            );
        }
        if head.from < head.first || head.first == 0 {
            return Err(
                self.finding(None, "the export's first line was changed: it begins before the ledger")
            );
        }
        self.findings.from = head.from;
        self.open = head.from;
        self.head = Some(head);
        Ok(())
    }

    /// The statement of a checkpoint, signed by one of the certificates, about this ledger.
    fn statement(&self, json: &str) -> Result<(Checkpoint, Statement), Finding> {
        let changed = |why: String| self.finding(None, format!("the checkpoint was changed: {why}"));
        let checkpoint: Checkpoint = exactly(json).ok_or_else(|| changed("it can't be read".to_owned()))?;
        let statement =
            checkpoint.signed.check(self.certificates).map_err(|doubt| changed(doubt.to_string()))?;
        let ours = |head: &Head| head.ledger == statement.ledger && head.first == statement.first;
        if !self.head.as_ref().is_some_and(ours) {
            return Err(
                self.finding(None, "the checkpoint is of another ledger than the export's first line says")
            );
        }
        Ok((checkpoint, statement))
    }

    fn start(&mut self, json: &str) -> Result<(), Finding> {
        let (checkpoint, statement) = self.statement(json)?;
        let tree = checkpoint.tree(statement.size).filter(|tree| tree.root() == statement.root);
        let Some(tree) = tree else {
            return Err(self.finding(None, "the checkpoint was changed: its peaks don't make its root"));
        };
        self.numbers = Numbers::new(checkpoint.numbers);
        if self.numbers.digest() != statement.destinations {
            return Err(self.finding(None, "the checkpoint was changed: its numbers are not what was signed"));
        }
        if self.findings.from != statement.frame() + 1 {
            return Err(self.finding(None, "the checkpoint is not the one before the export's first event"));
        }
        self.tree = tree;
        self.frame = statement.head.to_string();
        self.last = Some((statement.clone(), checkpoint.signed.digest()));
        self.findings.branch = statement.branch;
        self.findings.start = Some(statement);
        Ok(())
    }

    fn event(&mut self, rest: &str, visit: Visit<'_>) -> Result<(), Finding> {
        let expected = self.expected();
        if expected < self.findings.from {
            return Err(self.finding(None, "the checkpoint with which the export starts is missing"));
        }
        let (hash, json) = rest.split_once(' ').unwrap_or((rest, ""));
        let leaf = tree::leaf(json.as_bytes());
        if digest(hash) != Some(leaf) {
            let why = format!("the record of frame {expected} was changed: its hash does not fit");
            return Err(self.finding(expected, why));
        }
        let Ok(seen) = serde_json::from_str::<Seen<'_>>(json) else {
            let why = format!("the record of frame {expected} was changed: it can't be read");
            return Err(self.finding(expected, why));
        };
        if seen.frame != expected {
            let why = match seen.frame.checked_sub(expected) {
                Some(1) => {
                    format!("frame {expected} is missing here: frame {} stands in its place", seen.frame)
                }
                Some(_) => format!(
                    "frames {expected} to {} are missing here: frame {} stands in their place",
                    seen.frame - 1,
                    seen.frame
                ),
                None => format!(
                    "frame {} was inserted, doubled or moved: frame {expected} should stand here",
                    seen.frame
                ),
            };
            return Err(self.finding(expected, why));
        }
        let number = self.numbers.next(seen.endpoint);
        if seen.number != number {
            let why = format!(
                "frame {expected} is event {} for {}, and event {number} comes next: the record was changed, or events \
                 for this destination are missing before it",
                seen.number, seen.endpoint
            );
            return Err(self.finding(expected, why));
        }
        match self.changed.get_mut(seen.endpoint) {
            Some(last) => *last = number,
            None => drop(self.changed.insert(seen.endpoint.to_owned(), number)),
        }
        visit(&seen);
        self.tree.push(leaf);
        seen.digest.clone_into(&mut self.frame);
        self.findings.events += 1;
        Ok(())
    }

    fn checkpoint(&mut self, json: &str) -> Result<(), Finding> {
        let (checkpoint, statement) = self.statement(json)?;
        let (expected, open) = (self.expected(), self.open);
        let last = expected.saturating_sub(1);
        let (number, previous) =
            self.last.as_ref().map_or((0, Digest::default()), |(s, digest)| (s.number, *digest));
        if statement.number > number + 1 && statement.frame() == last {
            let why = format!("checkpoint {} is missing between frames {open} and {last}", number + 1);
            return Err(self.finding(open, why));
        }
        if statement.number != number + 1 || statement.previous != previous {
            let why = format!(
                "checkpoint {} was inserted or moved, or others are missing before it",
                statement.number
            );
            return Err(self.finding(expected, why));
        }
        if statement.frame() != last {
            let why = format!(
                "checkpoint {} is about frames up to {}, and frame {last} is the last before it: records are missing, \
                 inserted or moved",
                statement.number,
                statement.frame()
            );
            return Err(self.finding(expected.min(statement.frame()), why));
        }
        let differs = |what: Cow<'static, str>| {
            let why = format!(
                "frames {open} to {last} are not what was signed in checkpoint {} ({what}): at least one record among \
                 them was changed together with its hash",
                statement.number
            );
            self.finding(open, why)
        };
        if self.tree.root() != statement.root {
            return Err(differs("the root of the tree differs".into()));
        }
        if self.frame != statement.head.to_string() {
            return Err(differs("the last frame's digest differs".into()));
        }
        if self.numbers.digest() != statement.destinations {
            return Err(differs("the destinations' numbers differ".into()));
        }
        if checkpoint.numbers != self.changed || checkpoint.tree(statement.size).as_ref() != Some(&self.tree)
        {
            return Err(
                self.finding(last, "the checkpoint was changed: its peaks or numbers don't fit the events")
            );
        }
        if self.last.as_ref().is_some_and(|(last, _)| last.branch > statement.branch) {
            return Err(self.finding(last, "the checkpoint is of an earlier branch than the one before"));
        }
        self.changed.clear();
        self.open = expected;
        self.findings.checkpoints += 1;
        self.findings.branch = statement.branch;
        self.findings.last = Some(statement.clone());
        self.last = Some((statement, checkpoint.signed.digest()));
        Ok(())
    }

    fn end(&mut self, json: &str) -> Result<(), Finding> {
        let expected = self.expected();
        let end: End = exactly(json)
            .ok_or_else(|| self.finding(expected, "the export's last line was changed: it can't be read"))?;
        if self.open != expected || self.findings.checkpoints == 0 && self.findings.events > 0 {
            let why = format!("the checkpoint behind frame {} is missing", expected.saturating_sub(1));
            return Err(self.finding(expected, why));
        }
        if (end.events, end.checkpoints) != (self.findings.events, self.findings.checkpoints) {
            let why = format!(
                "the last line says {} events and {} checkpoints, and there are {} and {}: frames from {expected} on are \
                 missing",
                end.events, end.checkpoints, self.findings.events, self.findings.checkpoints
            );
            return Err(self.finding(expected, why));
        }
        self.ended = true;
        Ok(())
    }
}

/// A value that is written exactly as this program writes it: nothing else can hide in its line.
fn exactly<T: Serialize + DeserializeOwned>(json: &str) -> Option<T> {
    let value: T = serde_json::from_str(json).ok()?;
    (serde_json::to_string(&value).ok()? == json).then_some(value)
}
