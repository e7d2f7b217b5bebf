//! The demo's last words: who got what, how fast, and what was refused.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::Voice;
use super::campaign::{Carried, Outcome, Refused};
use crate::cli::Fault;
use crate::cli::output::Table;

/// Faults shown one by one.
const SHOWN: usize = 10;

/// All that a demo run did.
pub struct Summary {
    /// The good messages.
    pub outcome: Outcome,
    /// The bad ones.
    pub refused: Vec<Refused>,
    /// Messages left from an earlier run that were finished now.
    pub finished: usize,
    /// What went wrong besides.
    pub faults: Vec<String>,
    /// From the first message handed in to the last one closed.
    pub took: Duration,
}

impl Summary {
    /// Whether every good message is closed and every bad one was refused with its code.
    #[must_use]
    pub fn all_good(&self) -> bool {
        self.outcome.failed.is_empty() && self.faults.is_empty() && self.refused.iter().all(Refused::right)
    }

    /// Prints it as tables.
    ///
    /// # Errors
    /// When nobody reads the output any more.
    pub fn tell(&self, voice: Voice) -> Result<(), Fault> {
        voice.tell("")?;
        let mut table =
            Table::new(&["AUTHORITY", "WAY", "CLOSED", "ATTEMPTS", "FASTEST ms", "MEDIAN ms", "SLOWEST ms"]);
        for ((authority, way), carried) in self.by_authority() {
            let mut times: Vec<u128> = carried.iter().map(|c| c.took.as_millis()).collect();
            times.sort_unstable();
            let at = |i: usize| times.get(i).map(ToString::to_string).unwrap_or_default();
            let attempts: u32 = carried.iter().map(|c| c.report.attempts).sum();
            table.row([
                authority.to_owned(),
                way.to_owned(),
                carried.len().to_string(),
                attempts.to_string(),
                at(0),
                at(times.len() / 2),
                at(times.len().saturating_sub(1)),
            ]);
        }
        table.lines().iter().try_for_each(|l| voice.tell(l))?;
        voice.tell("")?;
        let right = self.refused.iter().filter(|r| r.right()).count();
        let repeats: u32 = self.outcome.carried.iter().map(|c| c.report.attempts.saturating_sub(1)).sum();
        voice.tell(format!(
            "{} messages accepted and Closed in {:.1} s, {} not; {repeats} attempts had to be repeated.",
            self.outcome.carried.len(),
            self.took.as_secs_f64(),
            self.outcome.failed.len(),
        ))?;
        voice
            .tell(format!("{right} of {} bad messages were refused with their code.", self.refused.len()))?;
        if self.finished > 0 {
            voice.tell(format!("{} messages left from before were finished.", self.finished))?;
        }
        let faults: Vec<&String> = self.outcome.failed.iter().chain(&self.faults).collect();
        faults.iter().take(SHOWN).try_for_each(|why| voice.tell(format!("NOT GOOD: {why}")))?;
        if faults.len() > SHOWN {
            voice.tell(format!("NOT GOOD: and {} more", faults.len() - SHOWN))?;
        }
        Ok(())
    }

    fn by_authority(&self) -> BTreeMap<(&str, &str), Vec<&Carried>> {
        let mut groups: BTreeMap<(&str, &str), Vec<&Carried>> = BTreeMap::new();
        for carried in &self.outcome.carried {
            let route = carried.report.route.as_ref();
            let key = route.map_or(("", ""), |r| (r.authority_name.as_str(), r.way.as_str()));
            groups.entry(key).or_default().push(carried);
        }
        groups
    }

    /// The same as one JSON object.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "verdict": if self.all_good() { "good" } else { "not good" },
            "closed": self.outcome.carried.len(),
            "took_ms": u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
            "finished_from_before": self.finished,
            "messages": self.outcome.carried.iter().map(|c| json!({
                "message_id": c.report.message_id, "service": c.service, "place": c.place,
                "authority": c.report.route.as_ref().map(|r| r.authority_name.as_str()),
                "way": c.report.route.as_ref().map(|r| r.way.as_str()),
                "state": c.report.state, "attempts": c.report.attempts,
                "took_ms": u64::try_from(c.took.as_millis()).unwrap_or(u64::MAX),
            })).collect::<Vec<_>>(),
            "refused": self.refused.iter().map(|r| json!({
                "what": r.what, "expected": r.expected.as_str(),
                "code": r.problem.as_ref().map(|p| p.code.as_str()),
                "reason": r.problem.as_ref().map(|p| p.reason.as_str()),
            })).collect::<Vec<_>>(),
            "faults": self.outcome.failed.iter().chain(&self.faults).collect::<Vec<_>>(),
        })
    }
}
