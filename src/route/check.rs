//! What can be said about a directory only as a whole: competences that stand twice (a fault),
//! what deserves a look (warnings), and what has run out by a day.

use std::collections::{BTreeMap, HashSet};

use jiff::civil::Date;

use super::areas::Resolved;
use super::competences::{Competence, Competences};
use super::faults::Faults;
use super::files::{AREAS, AUTHORITIES, COMPETENCES, ENDPOINTS};
use super::{Authority, Directory};
use crate::domain::EndpointId;

/// Warnings of one kind at most; beyond that they are counted.
const MAX_OF_A_KIND: usize = 100;

/// Refuses a competence that the same authority has twice on the same day.
pub(super) fn no_double(competences: &Competences, authorities: &[Authority], faults: &mut Faults) {
    let mut found: Vec<(u32, u32, &Competence)> = Vec::new();
    let same =
        |a: &Competence, b: &Competence| (a.area, a.pattern, a.authority) == (b.area, b.pattern, b.authority);
    for group in competences.all().chunk_by(same) {
        for_overlaps(group, |earlier, later| found.push((later.line, earlier.line, later)));
    }
    found.sort_unstable_by_key(|(line, other, _)| (*line, *other));
    for (line, other, row) in found {
        let id = authorities.get(row.authority as usize).map(|authority| authority.id.as_str());
        faults.add(
            COMPETENCES,
            line as usize,
            format_args!(
                "{} is competent for {} in {} in line {other} too, on the same days; remove one or part their validities",
                id.unwrap_or_default(),
                row.pattern,
                row.area
            ),
        );
    }
}

/// Calls `found` for rows whose validity meets that of an earlier one, in order of their first
/// day: each row is compared with the one so far that ends last, so this is no square of the rows.
fn for_overlaps<'a>(group: &'a [Competence], mut found: impl FnMut(&'a Competence, &'a Competence)) {
    let mut rows: Vec<&Competence> = group.iter().collect();
    rows.sort_by_key(|row| (row.validity.0.from, row.line));
    let mut last: Option<&Competence> = None;
    for row in rows {
        if let Some(earlier) = last.filter(|earlier| earlier.validity.0.overlaps(&row.validity.0)) {
            if earlier.line < row.line { found(earlier, row) } else { found(row, earlier) }
        }
        let ends_later = |earlier: &Competence| match (earlier.validity.0.to, row.validity.0.to) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(before), Some(now)) => now > before,
        };
        if last.is_none_or(ends_later) {
            last = Some(row);
        }
    }
}

/// What is allowed but deserves a look.
pub(super) fn warnings(
    directory: &Directory,
    authority_lines: &[usize],
    endpoint_lines: &BTreeMap<EndpointId, usize>,
) -> Vec<String> {
    let mut out = Vec::new();
    bounded(&mut out, ambiguous(directory));
    bounded(&mut out, never(directory));
    bounded(&mut out, not_connected(directory, authority_lines));
    bounded(&mut out, unused(directory, endpoint_lines));
    out
}

fn bounded(out: &mut Vec<String>, kind: Vec<String>) {
    let more = kind.len().saturating_sub(MAX_OF_A_KIND);
    out.extend(kind.into_iter().take(MAX_OF_A_KIND));
    if more > 0 {
        out.push(format!("… and {more} more of this kind"));
    }
}

/// Different authorities for one service key in one area on the same day: every message there is
/// refused as ambiguous.
fn ambiguous(directory: &Directory) -> Vec<String> {
    let mut found = Vec::new();
    let same = |a: &Competence, b: &Competence| (a.area, a.pattern) == (b.area, b.pattern);
    for group in directory.competences.all().chunk_by(same) {
        for_overlaps(group, |earlier, later| found.push((later.line, earlier.line, later, earlier)));
    }
    found.sort_unstable_by_key(|(line, other, ..)| (*line, *other));
    let texts = found.into_iter().map(|(line, other, row, earlier)| {
        format!(
            "{COMPETENCES}:{line}: {} is competent for {} in {} on days on which {} is, by line {other}: \
             messages for it will be refused with AW-0203; part their validities or their service keys",
            directory.id_at(row.authority),
            row.pattern,
            row.area,
            directory.id_at(earlier.authority)
        )
    });
    texts.collect()
}

/// Competences for an area on days on which it does not exist.
fn never(directory: &Directory) -> Vec<String> {
    let rows = directory.competences.all().iter();
    let mut rows: Vec<_> = rows.filter(|row| directory.areas.never(row.area, &row.validity.0)).collect();
    rows.sort_unstable_by_key(|row| row.line);
    let texts = rows.into_iter().map(|row| {
        format!(
            "{COMPETENCES}:{}: area {} is not valid on any day of this competence, so it never applies; correct \
             the area or the days",
            row.line, row.area
        )
    });
    texts.collect()
}

fn not_connected(directory: &Directory, lines: &[usize]) -> Vec<String> {
    let competent: HashSet<u32> = directory.competences.all().iter().map(|row| row.authority).collect();
    let all = directory.authorities.iter().zip(lines).enumerate();
    let texts = all.filter(|(_, (authority, _))| authority.endpoint.is_none()).map(|(at, (authority, line))| {
        let id = &authority.id;
        if u32::try_from(at).is_ok_and(|at| competent.contains(&at)) {
            format!(
                "{AUTHORITIES}:{line}: {id} is competent but has no endpoint: messages for it are refused with AW-0202"
            )
        } else {
            format!("{AUTHORITIES}:{line}: {id} has neither competences nor an endpoint; remove it or complete it")
        }
    });
    texts.collect()
}

fn unused(directory: &Directory, lines: &BTreeMap<EndpointId, usize>) -> Vec<String> {
    let used: HashSet<_> =
        directory.authorities.iter().filter_map(|authority| authority.endpoint.as_ref()).collect();
    let mut unused: Vec<_> = lines.iter().filter(|(id, _)| !used.contains(id)).collect();
    unused.sort_by_key(|(_, line)| **line);
    let texts = unused.into_iter().map(|(id, line)| {
        format!("{ENDPOINTS}:{line}: no authority uses endpoint {id}; name it in {AUTHORITIES} or remove it")
    });
    texts.collect()
}

/// What has run out by `date` and leaves a gap.
pub(super) fn expiring(directory: &Directory, date: Date) -> Vec<String> {
    let mut out = Vec::new();
    for (key, area) in directory.areas.ended(date) {
        out.push(format!(
            "{AREAS}:{}: area {key} ({}) is valid {} and has no successor; add one",
            area.line, area.name, area.validity
        ));
    }
    let mut gaps: Vec<&Competence> = Vec::new();
    let same = |a: &Competence, b: &Competence| (a.area, a.pattern) == (b.area, b.pattern);
    for group in directory.competences.all().chunk_by(same) {
        let Some(first) = group.first() else { continue };
        if directory.areas.is_out_of_date(first.area, date) {
            // One that never applied leaves nothing behind; the warnings name it.
            let mut applied = group.iter().filter(|row| !directory.areas.never(row.area, &row.validity.0));
            out.extend(applied.next().and_then(|row| left_behind(directory, row, date)));
        } else if !group.iter().any(|row| row.validity.0.contains(date)) {
            gaps.extend(group.iter().filter(|row| row.validity.0.to.is_some_and(|to| to < date)));
        }
    }
    gaps.sort_unstable_by_key(|row| row.line);
    out.extend(gaps.into_iter().map(|row| {
        format!(
            "{COMPETENCES}:{}: {} is competent for {} in {} only {}, and on {date} nobody is by that key and area; \
             prolong it or name who follows",
            row.line,
            directory.id_at(row.authority),
            row.pattern,
            row.area,
            row.validity.0
        )
    }));
    out
}

/// A competence for an area key that is retired on a day, while its successor has none for that
/// service key: applications for it stop being taken on the day of the change.
fn left_behind(directory: &Directory, row: &Competence, date: Date) -> Option<String> {
    let Resolved::Area(next, _) = directory.areas.resolve(row.area, date) else { return None };
    let mut there = directory.competences.of_area(next).iter();
    if there.any(|other| other.pattern.matches(row.pattern) && other.validity.0.contains(date)) {
        return None;
    }
    Some(format!(
        "{COMPETENCES}:{}: {} is competent for {} in {}, a key that is retired on {date}, and nobody is by that service \
         key in its successor {next}; enter who is",
        row.line,
        directory.id_at(row.authority),
        row.pattern,
        row.area
    ))
}
