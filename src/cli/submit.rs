//! `amtsweg submit`: hands a message in; attachments stream from disk.

use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use clap::Args;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::Channel;

use super::client::{Connection, refused};
use super::input::{Input, read, write_new};
use super::output::{printable, say, say_json};
use super::sign::MAX_DOCUMENT;
use super::{Done, Ended, Fault};
use crate::proto::submission_client::SubmissionClient;
use crate::proto::{AttachmentStart, SubmitChunk, SubmitRequest, SubmitResponse, submit_chunk::Part};

/// Octets of one chunk.
const CHUNK: usize = 64 << 10;
/// Documents up to this size go in one request.
const SMALL: usize = 1 << 20;

/// `submit`.
#[derive(Debug, Args)]
pub struct SubmitArgs {
    /// Connection.
    #[command(flatten)]
    pub connection: Connection,
    /// The signed message; - is standard input.
    pub file: PathBuf,
    /// An attachment, in the order in which the message declares them.
    #[arg(long)]
    pub attach: Vec<PathBuf>,
    /// Write the signed receipt to this new file.
    #[arg(long)]
    pub receipt: Option<PathBuf>,
    /// JSON: message_id, state, repeated.
    #[arg(long)]
    pub json: bool,
}

/// An attachment to hand in.
#[derive(Clone, Debug)]
pub enum Enclosure {
    /// A file, streamed from disk.
    File(PathBuf),
    /// Octets in memory, with their name.
    Memory(String, Bytes),
}

/// Runs `submit`.
///
/// # Errors
/// When a file can't be read or the gateway can't be asked.
pub async fn run(args: SubmitArgs) -> Done {
    let document = match read(&args.file, MAX_DOCUMENT)? {
        Input::Whole(octets) => Bytes::from(octets),
        Input::TooLarge => {
            return Err(Fault::said(format!(
                "{} has more than {MAX_DOCUMENT} octets; send large data as attachments",
                args.file.display()
            )));
        }
    };
    let channel = args.connection.open().await?;
    let enclosures = args.attach.iter().cloned().map(Enclosure::File).collect();
    let answer = match submit(channel, document, enclosures).await? {
        Ok(answer) => answer,
        Err(status) => return refused(&status, args.json),
    };
    if let Some(path) = &args.receipt {
        write_new(path, &answer.receipt, false, false)?;
    }
    if args.json {
        say_json(&json!({
            "message_id": answer.message_id, "state": answer.state, "repeated": answer.repeated,
        }))?;
    } else {
        let again = if answer.repeated { " (had been accepted before)" } else { "" };
        say(printable(&format!("accepted{again}: {} is {}", answer.message_id, answer.state)))?;
    }
    Ok(Ended::Well)
}

/// Hands in a document and its attachments.
///
/// # Errors
/// When a file can't be read; the gateway's own answer is the inner result.
pub async fn submit(
    channel: Channel,
    document: Bytes,
    attachments: Vec<Enclosure>,
) -> Result<Result<SubmitResponse, Status>, Fault> {
    let mut client = SubmissionClient::new(channel);
    if attachments.is_empty() && document.len() <= SMALL {
        let request = SubmitRequest { document, attachments: Vec::new() };
        return Ok(client.submit(request).await.map(tonic::Response::into_inner));
    }
    let (chunks, stream) = mpsc::channel(8);
    let reader = tokio::spawn(async move { feed(document, &attachments, &chunks).await });
    let answer = client.submit_stream(ReceiverStream::new(stream)).await;
    // The gateway may refuse before it has all: then the reader finds its channel closed. A file
    // that can't be read ends the stream early, and is the better explanation of a refusal.
    let fed = reader.await.map_err(|e| Fault::said(format!("reading the attachments failed: {e}")))?;
    match (fed, answer) {
        (Err(fault), _) => Err(fault),
        (Ok(()), answer) => Ok(answer.map(tonic::Response::into_inner)),
    }
}

/// Sends document and attachments in chunks; ends early without fault when nobody listens.
async fn feed(
    document: Bytes,
    attachments: &[Enclosure],
    to: &mpsc::Sender<SubmitChunk>,
) -> Result<(), Fault> {
    let mut listened = feed_octets(document, Part::Document, to).await;
    for attachment in attachments {
        if !listened {
            return Ok(());
        }
        listened = match attachment {
            Enclosure::File(path) => feed_file(path, to).await?,
            Enclosure::Memory(name, octets) => {
                begin(name.clone(), octets.len() as u64, to).await
                    && feed_octets(octets.clone(), Part::Content, to).await
            }
        };
    }
    Ok(())
}

/// Begins an attachment; false when nobody listens. Its media type is the one declared under the
/// signature.
async fn begin(name: String, size: u64, to: &mpsc::Sender<SubmitChunk>) -> bool {
    let start = AttachmentStart { name, media_type: String::new(), size };
    to.send(SubmitChunk { part: Some(Part::Attachment(start)) }).await.is_ok()
}

/// Sends octets in chunks; false when nobody listens.
async fn feed_octets(mut octets: Bytes, part: fn(Bytes) -> Part, to: &mpsc::Sender<SubmitChunk>) -> bool {
    while !octets.is_empty() {
        let piece = octets.split_to(CHUNK.min(octets.len()));
        if to.send(SubmitChunk { part: Some(part(piece)) }).await.is_err() {
            return false;
        }
    }
    true
}

/// Sends one file as an attachment; false when nobody listens.
async fn feed_file(path: &Path, to: &mpsc::Sender<SubmitChunk>) -> Result<bool, Fault> {
    let fault = |e: std::io::Error| Fault::file("read", path, &e);
    let mut file = tokio::fs::File::open(path).await.map_err(fault)?;
    let size = file.metadata().await.map_err(fault)?.len();
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    if !begin(name, size, to).await {
        return Ok(false);
    }
    loop {
        let mut piece = BytesMut::with_capacity(CHUNK);
        if file.read_buf(&mut piece).await.map_err(fault)? == 0 {
            return Ok(true);
        }
        if to.send(SubmitChunk { part: Some(Part::Content(piece.freeze())) }).await.is_err() {
            return Ok(false);
        }
    }
}
