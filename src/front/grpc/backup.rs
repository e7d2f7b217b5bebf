//! Backups that operators ask for.

use std::sync::Arc;

use tonic::Response;

use super::operator::Reply;
use crate::backup::{BackupFault, Keeper, Last, State};
use crate::error::{Code, Refusal};
use crate::front::Core;
use crate::front::status::status;
use crate::proto;

/// Begins one.
pub(super) async fn begin(core: &Core, by: String, full: bool) -> Reply<proto::BackupReport> {
    answer(core, move |keeper| match keeper.begin(&by, full) {
        Ok(()) => Ok(keeper.state()),
        Err(fault) => Err(refusal(&fault)),
    })
    .await
}

/// How things are.
pub(super) async fn state(core: &Core) -> Reply<proto::BackupReport> {
    answer(core, |keeper| Ok(keeper.state())).await
}

/// Asks the keeper, who looks at a disk that may be slow.
async fn answer(
    core: &Core,
    ask: impl FnOnce(&Arc<Keeper>) -> Result<State, Refusal> + Send + 'static,
) -> Reply<proto::BackupReport> {
    let Some(keeper) = core.parts.backups.clone() else {
        let words = "this gateway makes no backups itself: name a folder in backup.folder of its configuration, or run \
                     `amtsweg backup --data … --to …` on its machine";
        return Err(status(&Refusal::new(Code::LeaseLost, words)));
    };
    let asked = tokio::task::spawn_blocking(move || ask(&keeper)).await;
    let state = asked.unwrap_or_else(|fault| {
        tracing::error!(%fault, "a backup could not be asked for");
        Err(Refusal::new(Code::Internal, "the gateway failed; the reason is in its log"))
    });
    state.map(|state| Response::new(report(state))).map_err(|refusal| status(&refusal))
}

fn refusal(fault: &BackupFault) -> Refusal {
    let code = match fault {
        BackupFault::Busy(_) | BackupFault::Stopped => Code::Overloaded,
        BackupFault::NoFolder(_) => Code::LeaseLost,
        fault => {
            tracing::error!(%fault, "a backup could not be begun");
            return Refusal::new(
                Code::Internal,
                "no backup could be begun; the reason is in the gateway's log",
            );
        }
    };
    Refusal::new(code, fault.to_string())
}

fn report(state: State) -> proto::BackupReport {
    let mut report = proto::BackupReport { last: state.last.map(result), ..proto::BackupReport::default() };
    if let Some((by, since, progress)) = state.running {
        report.phase = progress.phase.as_str().to_owned();
        (report.by, report.since) = (by, since.to_string());
        (report.files, report.octets) = (progress.files, progress.octets);
    }
    if let Some((generation, at)) = state.newest {
        (report.newest, report.newest_at) = (generation, at.to_string());
    }
    report
}

fn result(last: Last) -> proto::BackupResult {
    let told = proto::BackupResult {
        by: last.by,
        began: last.began.to_string(),
        ended: last.ended.to_string(),
        ..proto::BackupResult::default()
    };
    match last.made {
        Err(fault) => proto::BackupResult { fault, ..told },
        Ok(made) => proto::BackupResult {
            generation: made.generation,
            frame: made.last,
            files: made.files as u64,
            octets: made.octets,
            copied: made.copied,
            checked: made.checked,
            ..told
        },
    }
}
