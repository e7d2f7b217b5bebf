//! The ledger walked while it is written to, as a backup and `ledger verify` do.

use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt;

use super::fixture::*;
use crate::store::ledger::{self, LedgerFault, Place, Summary};

/// A store's ledger of 20 frames, as it lies there: the file, and where its frames are.
async fn ledger_of_twenty(folder: &std::path::Path) -> (std::path::PathBuf, Vec<Place>) {
    let store = open(folder).store;
    for n in 0..20 {
        accepted(&store, n).await;
    }
    store.close().await;
    let places = RefCell::new(Vec::new());
    walk(folder, |place| places.borrow_mut().push(place)).unwrap();
    let places = places.into_inner();
    assert_eq!(places.len(), 20);
    (folder.join("ledger/00000000000000000001.ledger"), places)
}

fn walk(folder: &std::path::Path, mut visit: impl FnMut(Place)) -> Result<Summary, LedgerFault> {
    let segments = ledger::segments(&folder.join("ledger")).unwrap();
    ledger::walk(&segments, |_, _, _, place| {
        visit(place);
        Ok(())
    })
}

#[tokio::test]
async fn a_frame_that_is_whole_by_the_time_a_later_one_is_there_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let (path, places) = ledger_of_twenty(folder.path()).await;
    let file = File::options().read(true).write(true).open(&path).unwrap();
    for broken in [0, 7, 18] {
        let at = places[broken];
        let mut good = vec![0; at.len as usize];
        file.read_exact_at(&mut good, at.offset).unwrap();
        // What lies there is read well ahead of the frame that is visited, so this one is read half written.
        let half = good.len() / 2;
        file.write_all_at(&vec![0; good.len() - half], at.offset + half as u64).unwrap();
        let damaged = walk(folder.path(), |_| {});
        assert!(
            matches!(damaged, Err(LedgerFault::Damaged { offset, .. }) if offset == at.offset),
            "{damaged:?}"
        );
        if broken > 0 {
            let end = walk(folder.path(), |place| {
                if place == places[broken - 1] {
                    file.write_all_at(&good, at.offset).unwrap();
                }
            });
            assert_eq!(end.unwrap().last, 20);
        }
        file.write_all_at(&good, at.offset).unwrap();
    }
}

#[tokio::test]
async fn room_may_be_given_back_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let (path, places) = ledger_of_twenty(folder.path()).await;
    let file = File::options().write(true).open(&path).unwrap();
    let end = file.metadata().unwrap().len();
    file.set_len(end + (4 << 20)).unwrap();
    let summary = walk(folder.path(), |_| {}).unwrap();
    assert_eq!((summary.last, summary.octets, summary.room), (20, end, 4 << 20));
    for cut_at in [0, 19] {
        file.set_len(end + (4 << 20)).unwrap();
        let visit = |place| {
            if place == places[cut_at] {
                file.set_len(end).unwrap();
            }
        };
        let summary = walk(folder.path(), visit).unwrap();
        assert_eq!((summary.last, summary.octets, summary.torn, summary.room), (20, end, 0, 0));
    }
}
