//! `amtsweg fetch`: takes a lease and writes what comes, checked against the declared digests.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::io::AsyncWriteExt;

use super::names::Names;
use super::{FetchArgs, fetched_json};
use crate::cli::client::refused;
use crate::cli::input::write_new;
use crate::cli::output::{printable, say, say_json};
use crate::cli::{Done, Ended, Fault};
use crate::proto::fetch_chunk::Part;
use crate::proto::mailbox_client::MailboxClient;
use crate::proto::{FetchChunk, FetchRequest, Lease};

/// Name of the document's file.
const DOCUMENT: &str = "message.xml";
/// Name of the receipt's file.
const RECEIPT: &str = "receipt.xml";

/// Runs `fetch`.
///
/// # Errors
/// When the gateway can't be asked, a file can't be written, or what came is not what was declared.
pub async fn fetch(args: FetchArgs) -> Done {
    for name in [DOCUMENT, RECEIPT] {
        let path = args.out.join(name);
        if path.exists() {
            return Err(Fault::said(format!("{} exists; name an empty folder with -o", path.display())));
        }
    }
    // Before the lease: a folder that can't be made must not keep the message from others.
    if args.out.exists() && !args.out.is_dir() {
        let out = args.out.display();
        return Err(Fault::said(format!("{out} is no folder; name an empty or new one with -o")));
    }
    let made = !args.out.exists();
    std::fs::create_dir_all(&args.out).map_err(|e| Fault::file("make", &args.out, &e))?;
    let done = fetch_into(&args).await;
    if made && !matches!(done, Ok(Ended::Well)) {
        // Only when nothing lies in it; what came stays.
        let _ = std::fs::remove_dir(&args.out);
    }
    done
}

async fn fetch_into(args: &FetchArgs) -> Done {
    let mut client = MailboxClient::new(args.connection.open().await?);
    let request = FetchRequest { message_id: args.id.clone(), lease_seconds: args.lease_seconds };
    let mut stream = match client.fetch(request).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return refused(&status, args.json),
    };
    let mut writing = Writing::new(&args.out);
    loop {
        match stream.message().await {
            Ok(Some(FetchChunk { part: Some(part) })) => writing.take(part).await?,
            Ok(Some(FetchChunk { part: None })) => {}
            Ok(None) => break,
            Err(status) => return refused(&status, args.json),
        }
    }
    let (lease, files) = writing.finish().await?;
    if args.json {
        say_json(&fetched_json(&lease, &files))?;
    } else {
        files.iter().try_for_each(|f| say(f.display().to_string()))?;
        say(printable(&format!("lease {} until {}", lease.token, lease.until)))?;
        say(printable(&format!(
            "when you have taken it over: amtsweg close {} --lease {}",
            lease.message_id, lease.token
        )))?;
    }
    Ok(Ended::Well)
}

/// The files as they are written. Each has a temporary name until it is whole and checked.
struct Writing<'d> {
    dir: &'d Path,
    names: Names,
    lease: Option<Lease>,
    open: Option<Open>,
    attachments: usize,
    files: Vec<PathBuf>,
}

/// One file being written.
struct Open {
    path: PathBuf,
    part: Unfinished,
    file: tokio::fs::File,
    digest: aws_lc_rs::digest::Context,
    size: u64,
    /// Declared size and digest; the document has none in the entry but its size.
    want: (u64, Option<String>),
}

/// A temporary file's path; removes an unfinished file when it goes out of scope.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Renamed already, or best effort.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl<'d> Writing<'d> {
    fn new(dir: &'d Path) -> Self {
        let names = Names::with(&[DOCUMENT, RECEIPT]);
        Self { dir, names, lease: None, open: None, attachments: 0, files: Vec::new() }
    }

    async fn take(&mut self, part: Part) -> Result<(), Fault> {
        match part {
            Part::Lease(lease) => {
                write_new(&self.dir.join(RECEIPT), &lease.receipt, false, false)?;
                self.files.push(self.dir.join(RECEIPT));
                let size = lease.entry.as_ref().map_or(0, |e| e.document_size);
                self.lease = Some(lease);
                self.begin(DOCUMENT.to_owned(), (size, None)).await
            }
            Part::Document(octets) | Part::Content(octets) => self.write(octets).await,
            Part::Attachment(start) => {
                self.end().await?;
                let entry = self.lease.as_ref().and_then(|l| l.entry.as_ref());
                let declared = entry.and_then(|e| e.attachments.get(self.attachments)).ok_or_else(|| {
                    Fault::said("the gateway sent more attachments than the message declares; nothing can be trusted here, ask its operator")
                })?;
                let want = (declared.size, Some(declared.sha256.clone()));
                self.attachments += 1;
                let name = self.names.give(&start.name);
                self.begin(name, want).await
            }
        }
    }

    async fn begin(&mut self, name: String, want: (u64, Option<String>)) -> Result<(), Fault> {
        let path = self.dir.join(&name);
        if path.exists() {
            return Err(Fault::said(format!("{} exists; name an empty folder with -o", path.display())));
        }
        let part = self.dir.join(format!("{name}.{}.part", std::process::id()));
        let file = tokio::fs::OpenOptions::new().write(true).create_new(true).open(&part).await;
        let file = file.map_err(|e| Fault::file("write", &part, &e))?;
        let digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        self.open = Some(Open { path, part: Unfinished(part), file, digest, size: 0, want });
        Ok(())
    }

    async fn write(&mut self, octets: Bytes) -> Result<(), Fault> {
        let Some(open) = &mut self.open else {
            return Err(Fault::said("the gateway sent content before the lease; ask its operator"));
        };
        open.digest.update(&octets);
        open.size = open.size.saturating_add(octets.len() as u64);
        open.file.write_all(&octets).await.map_err(|e| Fault::file("write", &open.path, &e))
    }

    /// Ends the file being written: checked, synced, renamed.
    async fn end(&mut self) -> Result<(), Fault> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let fault = |e: std::io::Error| Fault::file("write", &open.path, &e);
        let mut came = crate::domain::Digest::default();
        came.0.copy_from_slice(open.digest.finish().as_ref());
        let (size, sha256) = &open.want;
        if open.size != *size || sha256.as_ref().is_some_and(|s| !s.eq_ignore_ascii_case(&came.to_string())) {
            return Err(Fault::said(format!(
                "{} came incomplete or changed ({} of {size} octets); fetch again when the lease has run out",
                open.path.display(),
                open.size
            )));
        }
        open.file.flush().await.map_err(fault)?;
        open.file.sync_all().await.map_err(fault)?;
        tokio::fs::rename(&open.part.0, &open.path).await.map_err(fault)?;
        self.files.push(open.path);
        Ok(())
    }

    async fn finish(mut self) -> Result<(Lease, Vec<PathBuf>), Fault> {
        self.end().await?;
        let lease = self.lease.ok_or_else(|| Fault::said("the gateway sent no lease; ask its operator"))?;
        let declared = lease.entry.as_ref().map_or(0, |e| e.attachments.len());
        if declared != self.attachments {
            return Err(Fault::said(format!(
                "{} of {declared} attachments came; fetch again when the lease has run out",
                self.attachments
            )));
        }
        Ok((lease, self.files))
    }
}
