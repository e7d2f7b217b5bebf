//! The disk of the store is really full: the data folder lies on a small file system of its own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::authority::{Authority, Mood};
use super::{Portal, Watch, until};
use crate::child::{Gateway, Setup};

/// A small file system, taken down when dropped.
struct Small(PathBuf);

impl Small {
    /// `None`, with a line that says so, where mounting isn't allowed.
    fn mount(folder: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(folder)
            .output();
        if done.is_ok_and(|done| done.status.success()) {
            Some(Self(folder.to_owned()))
        } else {
            println!("skipped: a small file system can't be mounted here");
            None
        }
    }

    /// Takes all space but `left` octets.
    fn fill(&self, left: u64) {
        let mut file = std::fs::File::options().create(true).append(true).open(self.filler()).unwrap();
        loop {
            let free = fs2::available_space(&self.0).unwrap();
            let more = usize::try_from(free.saturating_sub(left).min(1 << 20)).unwrap();
            if more == 0 || file.write_all(&vec![0; more]).is_err() {
                return;
            }
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Submits until told to stop; the ids of what was acknowledged, and other answers.
async fn submit_on(setup: Arc<Setup>, stop: Arc<AtomicBool>, client: usize) -> (Vec<String>, Vec<String>) {
    let mut portal = Portal::new(&setup);
    let (mut accepted, mut refused) = (Vec::new(), Vec::new());
    let mut n = client;
    while !stop.load(Ordering::SeqCst) {
        n += 1;
        // Large enough now and then for a file of its own.
        let octets = if n.is_multiple_of(16) { 80_000 } else { 0 };
        match portal.submit(setup.sized_application(uuid::Uuid::new_v4(), n, octets)).await {
            Ok(id) => accepted.push(id),
            Err(why) => {
                refused.push(why);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    (accepted, refused)
}

async fn fills_and_recovers(min_free: &str) {
    let text = format!("min_free = {min_free}");
    let setup = Arc::new(Setup::new(|config| config.replace("min_free = 0", &text)));
    let Some(disk) = Small::mount(&setup.data(), "256m") else { return };
    let (authority, task) = Authority::serve(&setup, "authority-push", Mood::Takes).await;
    let gateway = Gateway::start(&setup).await;
    let watch = Watch::new(&setup);
    let stop = Arc::new(AtomicBool::new(false));
    let work: Vec<_> =
        (0..4).map(|n| tokio::spawn(submit_on(Arc::clone(&setup), Arc::clone(&stop), n * 1000))).collect();
    until("some are delivered", async || authority.taken() > 20).await;
    let mut portal = Portal::new(&setup);
    for left in [4 << 10, 0, 100_000] {
        until("it is refused for the full disk", async || {
            // Whatever the gateway gives back (an index that it has replaced, room ahead) is taken, too.
            disk.fill(left);
            let refusal = portal.submit(setup.signed_application(1)).await.err();
            refusal.is_some_and(|why| why.starts_with("AW-0302"))
        })
        .await;
        for _ in 0..20 {
            let _ = portal.submit(setup.signed_application(1)).await;
        }
        disk.free();
        let before = authority.taken();
        until("it accepts again by itself", async || {
            portal.submit(setup.signed_application(1)).await.is_ok()
        })
        .await;
        until("it delivers again by itself", async || authority.taken() > before).await;
        assert_eq!(watch.get("/health/ready").await.0, 200);
    }
    stop.store(true, Ordering::SeqCst);
    let (mut accepted, mut refused) = (Vec::new(), Vec::new());
    for task in work {
        let (more, others) = task.await.unwrap();
        accepted.extend(more);
        refused.extend(others);
    }
    println!("min_free {min_free}: {} acknowledged, {} refused", accepted.len(), refused.len());
    refused.retain(|why| !why.starts_with("AW-0302"));
    assert!(refused.is_empty(), "{:?}\n{}", &refused[..refused.len().min(9)], setup.log());
    portal.until_all(&accepted, &["Closed", "Available"]).await;
    gateway.kill();
    let gateway = Gateway::start(&setup).await;
    portal.until_all(&accepted, &["Closed", "Available"]).await;
    drop(gateway);
    task.abort();
    drop(disk);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_without_a_reserve_loses_nothing_and_is_recovered_from() {
    fills_and_recovers("0").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_with_a_reserve_loses_nothing_and_is_recovered_from() {
    fills_and_recovers("\"16 MiB\"").await;
}
