//! `[second_opinion]`: who verifies a share of the accepted messages once more.

use std::time::Duration;

use super::reader::Section;
use super::value::{There, count, duration, number, octets};
use super::{Gateway, TrustFiles};
use crate::deliver::opinion::Settings;
use crate::verify::opinion::Asking;

pub(super) fn opinion(
    root: &mut Section<'_, '_>,
    gateway: Option<&Gateway>,
    trust: Option<&TrustFiles>,
) -> Option<Settings> {
    let mut s = root.section("second_opinion");
    let file = s.at(There::File);
    let program = s.optional("program", file);
    let span = duration(Duration::from_millis(100)..=Duration::from_secs(600));
    let timeout = s.or("timeout", Duration::from_secs(10), span);
    let memory = s.or("memory", 512 << 20, octets(64 << 20..=1 << 36));
    let per_thousand = s.or("per_thousand", 10, number(1..=1_000));
    let at_once = s.or("at_once", 1, count(1..=64));
    s.end();
    let (anchors, folder) = (trust?.anchors.clone(), gateway?.data.join("opinions"));
    let asking = Asking { program: program?, anchors, folder, timeout, memory };
    Some(Settings { asking, per_thousand: u32::try_from(per_thousand).unwrap_or(1_000), at_once })
}
