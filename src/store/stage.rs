//! Content on its way in: in memory while it is small, in a temporary file as soon as it isn't.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_lc_rs::digest::{Context, SHA256};
use bytes::{Bytes, BytesMut};

use crate::domain::Digest;

use super::content::{file_path, io, vault_fault};
use super::ledger::sync_folder;
use super::vault::{ChunkWriter, Cipher, Owner, Secret, file_head};
use super::{StageWriter, Staged, StagedBody, StagedFile, StoreError};

/// Octets written between two looks at the free space.
const LOOK_EVERY: u64 = 4 << 20;

/// Octets of the disk that are left alone whatever the configuration says: the index can't be told
/// that the disk is full without giving up, so nothing at all is written below this.
pub const FLOOR: u64 = 16 << 20;

/// Makes and places content files.
pub(crate) struct Files {
    root: PathBuf,
    inline_max: usize,
    min_free: u64,
    /// Whether what is written is encrypted.
    seals: bool,
    /// Begins the names of this run.
    run: [u8; 6],
    counter: AtomicU64,
    /// Names that a sweep must leave alone: no commit has spoken about them yet.
    staged: Arc<Mutex<HashSet<uuid::Uuid>>>,
}

impl Files {
    pub(crate) fn new(root: &Path, inline_max: usize, min_free: u64, seals: bool) -> Self {
        let mut run = [0; 6];
        run.copy_from_slice(&uuid::Uuid::new_v4().as_bytes()[..6]);
        Self {
            root: root.to_owned(),
            inline_max,
            min_free: min_free.max(FLOOR),
            seals,
            run,
            counter: AtomicU64::new(0),
            staged: Arc::default(),
        }
    }

    /// Makes the folders that are missing, and makes all their names durable: a start that was
    /// killed or cut off may have left some of them, in any order, or all of them without a sync.
    pub(crate) fn prepare(root: &Path) -> std::io::Result<()> {
        let content = root.join("content");
        std::fs::create_dir_all(content.join("tmp"))?;
        std::fs::create_dir_all(content.join("segments"))?;
        let files = content.join("files");
        for octet in 0..=u8::MAX {
            std::fs::create_dir_all(files.join(format!("{octet:02x}")))?;
        }
        sync_folder(&files)?;
        sync_folder(&content)?;
        sync_folder(root)?;
        // The store's own name. Who may not even read the folder around it has not made it there.
        let around = root.parent().filter(|around| !around.as_os_str().is_empty());
        let _ = sync_folder(around.unwrap_or(Path::new(".")));
        Ok(())
    }

    /// Octets up to which content goes to a segment.
    pub(crate) fn inline_max(&self) -> usize {
        self.inline_max
    }

    /// A name that no other content has: this run, a counter, and the version and variant bits of
    /// a random UUID (RFC 9562).
    fn name(&self) -> uuid::Uuid {
        let mut octets = [0; 16];
        octets[..6].copy_from_slice(&self.run);
        let count = self.counter.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        octets[9..].copy_from_slice(&count[1..]);
        uuid::Builder::from_random_bytes(octets).into_uuid()
    }

    /// Whether less than the reserve would be left.
    pub(crate) fn room(&self) -> Result<(), StoreError> {
        let free = fs2::available_space(&self.root).map_err(io("asking for free space"))?;
        if free < self.min_free { Err(StoreError::Full) } else { Ok(()) }
    }

    /// Whether not even changes of accepted messages may be written.
    pub(crate) fn scarce(&self) -> bool {
        fs2::available_space(&self.root).is_ok_and(|free| free < FLOOR)
    }

    /// A new temporary file. Where content is encrypted, it is from the first octet on.
    fn create(&self) -> Result<(Sink, StagedFile), StoreError> {
        self.room()?;
        let key = if self.seals { Some(Secret::random().map_err(vault_fault)?) } else { None };
        let name = self.name();
        let path = self.root.join("content").join("tmp").join(name.to_string());
        self.staged.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
        let among = Arc::clone(&self.staged);
        let mut staged = StagedFile { path, name, kept: false, key: None, among };
        let file = File::create_new(&staged.path).map_err(io("staging content"))?;
        let sink = match &key {
            None => Sink::Plain(file),
            Some(key) => Sink::Sealed(ChunkWriter::new(file, key, name).map_err(io("staging content"))?),
        };
        staged.key = key;
        Ok((sink, staged))
    }

    /// Brings a synced temporary file to its final place, durably. It still removes itself until
    /// a commit keeps it.
    pub(crate) fn place(&self, staged: &mut StagedFile) -> Result<(), StoreError> {
        let path = file_path(&self.root, staged.name);
        std::fs::rename(&staged.path, &path).map_err(io("keeping content"))?;
        staged.path = path;
        let folder = staged.path.parent().unwrap_or(&self.root);
        sync_folder(folder).map_err(io("keeping content"))
    }

    /// Writes octets that are too many for a segment to a file of their own.
    pub(crate) fn write(&self, octets: &[u8]) -> Result<StagedFile, StoreError> {
        let (mut sink, staged) = self.create()?;
        sink.write_all(octets).and_then(|()| sink.finish()).map_err(io("keeping content"))?;
        Ok(staged)
    }

    /// Gives an encrypted file its head, durably: from now on its owner's key opens it. It holds `len`
    /// octets of content.
    pub(crate) fn own(
        &self,
        staged: &StagedFile,
        (owner, cipher): &(Owner, Arc<Cipher>),
        len: u64,
    ) -> Result<(), StoreError> {
        let Some(key) = &staged.key else { return Ok(()) };
        let head = file_head(owner, cipher, key, len, &staged.name).map_err(vault_fault)?;
        let write = || {
            let file = File::options().write(true).open(&staged.path)?;
            file.write_all_at(&head, 0)?;
            file.sync_data()
        };
        write().map_err(io("keeping content"))
    }

    /// Files in `content/tmp` (`None`) or in a folder of content files that nobody is staging: whether
    /// a record names them is for the caller to find out, after this. What is not ours by name is left
    /// out: somebody put it there.
    pub(crate) fn idle(&self, octet: Option<u8>) -> std::io::Result<Vec<(uuid::Uuid, PathBuf)>> {
        let content = self.root.join("content");
        let folder = match octet {
            None => content.join("tmp"),
            Some(octet) => content.join("files").join(format!("{octet:02x}")),
        };
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.parse::<uuid::Uuid>().ok());
            found.extend(name.map(|name| (name, path)));
        }
        let staged = self.staged.lock().unwrap_or_else(PoisonError::into_inner);
        found.retain(|(name, _)| !staged.contains(name));
        Ok(found)
    }
}

/// Where staged octets go.
enum Sink {
    Plain(File),
    Sealed(ChunkWriter),
}

impl Sink {
    fn write_all(&mut self, octets: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(file) => file.write_all(octets),
            Self::Sealed(chunks) => chunks.write_all(octets),
        }
    }

    fn finish(self) -> std::io::Result<()> {
        match self {
            Self::Plain(file) => file.sync_data(),
            Self::Sealed(chunks) => chunks.finish(),
        }
    }
}

/// What has come in so far.
struct Progress {
    files: Arc<Files>,
    bound: u64,
    len: u64,
    looked: u64,
    hash: Context,
    memory: BytesMut,
    file: Option<(Sink, StagedFile)>,
}

impl Progress {
    /// Whether a chunk fits into memory with what is there.
    fn small(&self, chunk: &Bytes) -> bool {
        self.file.is_none() && self.memory.len() + chunk.len() <= self.files.inline_max
    }

    fn remember(&mut self, chunk: &Bytes) {
        self.hash.update(chunk);
        self.len += chunk.len() as u64;
        self.memory.extend_from_slice(chunk);
    }

    /// Blocking.
    fn spill(&mut self, chunk: &Bytes) -> Result<(), StoreError> {
        let (file, _) = match &mut self.file {
            Some(file) => file,
            None => {
                let mut made = self.files.create()?;
                made.0.write_all(&std::mem::take(&mut self.memory)).map_err(io("staging content"))?;
                self.file.insert(made)
            }
        };
        if self.len - self.looked >= LOOK_EVERY {
            self.files.room()?;
            self.looked = self.len;
        }
        file.write_all(chunk).map_err(io("staging content"))?;
        self.hash.update(chunk);
        self.len += chunk.len() as u64;
        Ok(())
    }

    /// Blocking where there is a file.
    fn finish(self) -> Result<Staged, StoreError> {
        let mut sha256 = Digest::default();
        sha256.0.copy_from_slice(self.hash.finish().as_ref());
        let body = match self.file {
            Some((file, staged)) => {
                file.finish().map_err(io("staging content"))?;
                StagedBody::File(staged, self.len)
            }
            None => StagedBody::Memory(self.memory.freeze()),
        };
        Ok(Staged { len: self.len, sha256, body })
    }
}

/// Stages one piece of content.
pub(crate) struct Stage(Option<Progress>);

impl Stage {
    /// A stage for at most `bound` octets.
    pub(crate) fn new(files: &Arc<Files>, bound: u64) -> Result<Self, StoreError> {
        files.room()?;
        Ok(Self(Some(Progress {
            files: Arc::clone(files),
            bound,
            len: 0,
            looked: 0,
            hash: Context::new(&SHA256),
            memory: BytesMut::new(),
            file: None,
        })))
    }
}

/// After an error or a cancelled write the rest is gone.
fn interrupted() -> StoreError {
    StoreError::Closed("staging this content was interrupted; begin again".to_owned())
}

#[async_trait]
impl StageWriter for Stage {
    async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError> {
        let mut progress = self.0.take().ok_or_else(interrupted)?;
        if progress.len + chunk.len() as u64 > progress.bound {
            return Err(StoreError::TooLarge(progress.bound));
        }
        if progress.small(&chunk) {
            progress.remember(&chunk);
        } else {
            let spilled = tokio::task::spawn_blocking(move || progress.spill(&chunk).map(|()| progress));
            progress = spilled.await.map_err(|_| interrupted())??;
        }
        self.0 = Some(progress);
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<Staged, StoreError> {
        let progress = self.0.take().ok_or_else(interrupted)?;
        if progress.file.is_none() {
            return progress.finish();
        }
        tokio::task::spawn_blocking(move || progress.finish()).await.map_err(|_| interrupted())?
    }
}
