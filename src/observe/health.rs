//! Live and ready. Live: the process answers. Ready: the store is open, the disk has room, and no
//! stop is under way.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::store::ReadPort;

/// The gateway's condition.
pub struct Health {
    read: Arc<dyn ReadPort>,
    data: PathBuf,
    min_free: u64,
    draining: AtomicBool,
}

impl Health {
    /// The health of a gateway that keeps its store in `data` and accepts nothing once less than
    /// `min_free` octets are free there.
    #[must_use]
    pub fn new(read: Arc<dyn ReadPort>, data: PathBuf, min_free: u64) -> Self {
        Self { read, data, min_free, draining: AtomicBool::new(false) }
    }

    /// A stop is under way: not ready from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Octets free where the store lies; `None` when the system does not tell.
    #[must_use]
    pub fn free(&self) -> Option<u64> {
        free(&self.data)
    }

    /// Why the gateway is not ready, a sentence each; ready when there is none.
    pub async fn obstacles(&self) -> Vec<String> {
        let mut obstacles = Vec::new();
        if self.draining.load(Ordering::Acquire) {
            obstacles.push("stopping: requests in work are being finished".to_owned());
        }
        if let Err(error) = self.read.depths().await {
            obstacles.push(format!("store: {error}"));
        }
        match self.free() {
            Some(free) if free < self.min_free => {
                let need = self.min_free;
                obstacles
                    .push(format!("disk: {free} octets free, store.min_free asks for {need}; make room"));
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
    fn free_space_is_told_of_a_folder_that_is_there() {
        assert!(free(std::path::Path::new("/")).is_some_and(|free| free > 0));
        assert_eq!(free(std::path::Path::new("/nonexistent/folder")), None);
    }
}
