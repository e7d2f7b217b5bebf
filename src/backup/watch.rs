//! How far a backup is, and how it is told to stop.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::BackupFault;

/// What a backup is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Copying files.
    #[default]
    Copying,
    /// Reading again what it has written, and comparing contents.
    Checking,
}

impl Phase {
    /// A stable lower-case word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Copying => "copying",
            Self::Checking => "checking",
        }
    }
}

/// How far a backup is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Files copied so far; those that are shared with the generation before are not counted.
    pub files: u64,
    /// Octets in them.
    pub octets: u64,
}

/// Watches one backup.
#[derive(Debug, Default)]
pub struct Watch {
    checking: AtomicBool,
    files: AtomicU64,
    octets: AtomicU64,
    stop: AtomicBool,
}

impl Watch {
    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let phase = if self.checking.load(Ordering::Relaxed) { Phase::Checking } else { Phase::Copying };
        let (files, octets) = (self.files.load(Ordering::Relaxed), self.octets.load(Ordering::Relaxed));
        Progress { phase, files, octets }
    }

    /// Has it end soon, with [`BackupFault::Stopped`].
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(super) fn go_on(&self) -> Result<(), BackupFault> {
        if self.stop.load(Ordering::Relaxed) { Err(BackupFault::Stopped) } else { Ok(()) }
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.checking.store(phase == Phase::Checking, Ordering::Relaxed);
    }

    pub(super) fn copied(&self, octets: u64) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.octets.fetch_add(octets, Ordering::Relaxed);
    }
}
