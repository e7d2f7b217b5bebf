//! Live and ready. Live: the process answers. Ready: the store is open, the disk has room, and no
//! stop is under way.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// Why the store takes nothing any more, if so.
pub type Closed = Box<dyn Fn() -> Option<String> + Send + Sync>;

/// The gateway's condition.
pub struct Health {
    closed: Closed,
    data: PathBuf,
    min_free: u64,
    draining: AtomicBool,
}

impl Health {
    /// The health of a gateway that keeps its store in `data` and accepts nothing once less than
    /// `min_free` octets are free there.
    #[must_use]
    pub fn new(closed: Closed, data: PathBuf, min_free: u64) -> Self {
        Self { closed, data, min_free, draining: AtomicBool::new(false) }
    }

    /// A stop is under way: not ready from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Why the store takes nothing any more, if so.
    #[must_use]
    pub fn closed(&self) -> Option<String> {
        (self.closed)()
    }

    /// Octets free where the store lies; `None` when the system does not tell.
    #[must_use]
    pub fn free(&self) -> Option<u64> {
        free(&self.data)
    }

    /// Why the gateway is not ready, a sentence each; ready when there is none.
    pub fn obstacles(&self) -> Vec<String> {
        let mut obstacles = Vec::new();
        if self.draining.load(Ordering::Acquire) {
            obstacles.push("stopping: requests in work are being finished".to_owned());
        }
        if let Some(why) = self.closed() {
            obstacles.push(format!("store: closed ({why}); see the log, then restart"));
        }
        match self.free() {
            Some(free) if free < self.min_free => {
                let need = self.min_free;
                obstacles.push(format!(
                    "disk: {free} octets free, store.min_free (at least 8 MiB) asks for {need}; make room"
                ));
            }
            Some(_) => {}
            None => obstacles.push("disk: its free space can't be told; look at gateway.data".to_owned()),
        }
        obstacles
    }
}

/// Octets free for this process on the disk of `folder`.
fn free(folder: &std::path::Path) -> Option<u64> {
    fs2::available_space(folder).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_ready_until_it_drains_the_store_closes_or_the_disk_fills() {
        let here = || PathBuf::from("/");
        let health = Health::new(Box::new(|| None), here(), 1);
        assert_eq!(health.obstacles(), Vec::<String>::new());
        health.drain();
        assert!(health.obstacles()[0].starts_with("stopping"));
        let closed = Health::new(Box::new(|| Some("disk fault".to_owned())), here(), 1);
        assert!(closed.obstacles()[0].contains("disk fault"));
        let full = Health::new(Box::new(|| None), here(), u64::MAX);
        assert!(full.obstacles()[0].starts_with("disk"));
        let gone = Health::new(Box::new(|| None), PathBuf::from("/nonexistent"), 1);
        assert_eq!(gone.obstacles().len(), 1);
    }

    #[test]
    fn free_space_is_told_of_a_folder_that_is_there() {
        assert!(free(std::path::Path::new("/")).is_some_and(|free| free > 0));
        assert_eq!(free(std::path::Path::new("/nonexistent/folder")), None);
    }
}
