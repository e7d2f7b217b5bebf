//! Bodies and streams with bounds: a paced request body, a response body that holds what its
//! request occupies, and a socket that notices a reader that has stopped.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

use crate::error::{Code, Refusal};

/// A response body that keeps `G` until it has gone out, or nobody wants it any more.
pub(crate) struct Guarded<G> {
    inner: Body,
    guard: Option<G>,
}

impl<G> Guarded<G> {
    pub(crate) fn new(inner: Body, guard: G) -> Self {
        Self { inner, guard: Some(guard) }
    }
}

impl<G: Unpin> HttpBody for Guarded<G> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if frame.is_none() {
            self.guard = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The memory for documents, in units of a KiB, shared by all requests. One account gets a share
/// of it at most, so that it can't keep the others out.
#[derive(Clone)]
pub(crate) struct Memory {
    all: Arc<Semaphore>,
    /// Units that one account may hold.
    share: u64,
}

/// Units of the memory that an account holds at the moment.
pub(crate) type Share = Arc<AtomicU64>;

const UNIT: u64 = 1024;

impl Memory {
    /// `octets` in all, of which one account may hold `share`.
    pub(crate) fn new(octets: u64, share: u64) -> Self {
        let units = usize::try_from(octets / UNIT).unwrap_or(usize::MAX);
        let all = Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS)));
        Self { all, share: share.div_ceil(UNIT) }
    }

    /// An empty hold, for one request of the account with this `share`.
    pub(crate) fn hold(&self, share: Share) -> Hold {
        let held = Held { octets: 0, permit: None, share };
        Hold { memory: self.clone(), held: Arc::new(Mutex::new(held)) }
    }
}

/// What one request holds of the memory for documents; given back when its last clone is dropped.
#[derive(Clone)]
pub(crate) struct Hold {
    memory: Memory,
    held: Arc<Mutex<Held>>,
}

struct Held {
    octets: u64,
    permit: Option<OwnedSemaphorePermit>,
    share: Share,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.share.fetch_sub(self.octets.div_ceil(UNIT), Ordering::AcqRel);
    }
}

impl Hold {
    /// Takes `octets` more.
    ///
    /// # Errors
    /// AW-0301 when there is no room, AW-0303 when the account has its share; what is held already
    /// stays held.
    pub(crate) fn take(&self, octets: usize) -> Result<(), Refusal> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let after = held.octets.saturating_add(octets as u64);
        let units = after.div_ceil(UNIT) - held.octets.div_ceil(UNIT);
        let more = u32::try_from(units)
            .ok()
            .and_then(|units| self.memory.all.clone().try_acquire_many_owned(units).ok())
            .ok_or_else(|| {
                Refusal::new(
                    Code::Overloaded,
                    "the gateway's memory for documents is in use; try again later",
                )
            })?;
        if held.share.fetch_add(units, Ordering::AcqRel).saturating_add(units) > self.memory.share {
            held.share.fetch_sub(units, Ordering::AcqRel);
            return Err(Refusal::new(
                Code::Quota,
                "the account's documents in work fill its share of the gateway's memory; wait for some to end",
            ));
        }
        held.octets = after;
        match &mut held.permit {
            Some(permit) => permit.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}

/// How fast a sender has to be.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub min_rate: u64,
    pub grace: Duration,
    pub stall: Duration,
}

/// A request body that ends with a refusal when its sender dawdles, sends too much, or fills
/// the memory for documents. Only time spent waiting for the sender counts.
pub(crate) struct Paced {
    inner: Body,
    pace: Pace,
    bound: u64,
    hold: Option<Hold>,
    received: u64,
    /// Waiting that the sender may still cause.
    credit: Duration,
    waiting: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    ended: bool,
}

impl Paced {
    /// At most `bound` octets; with `hold` each octet is also counted against the memory.
    pub(crate) fn new(inner: Body, pace: Pace, bound: u64, hold: Option<Hold>) -> Self {
        let timer = Box::pin(tokio::time::sleep(Duration::ZERO));
        let credit = pace.grace;
        Self { inner, pace, bound, hold, received: 0, credit, waiting: None, timer, ended: false }
    }

    fn allowance(&self) -> Duration {
        self.credit.min(self.pace.stall)
    }

    /// Octets earn time, but no more than can be needed at once: who sends much at first must not
    /// then hold it in memory for hours.
    fn earn(&mut self, octets: u64) {
        let nanos = octets.saturating_mul(1_000_000_000).checked_div(self.pace.min_rate).unwrap_or(u64::MAX);
        let most = self.pace.grace.max(self.pace.stall);
        self.credit = self.credit.saturating_add(Duration::from_nanos(nanos)).min(most);
    }

    fn count(&mut self, octets: usize) -> Result<(), Refusal> {
        self.received = self.received.saturating_add(octets as u64);
        self.earn(octets as u64);
        if self.received > self.bound {
            return Err(over(self.bound));
        }
        self.hold.as_ref().map_or(Ok(()), |hold| hold.take(octets))
    }

    fn too_slow(&self) -> Refusal {
        Refusal::new(
            Code::OverLimit,
            format!(
                "the request came too slowly ({} octets so far); send at least {} octets per second without \
                 pauses of more than {} s",
                self.received,
                self.pace.min_rate,
                self.pace.stall.as_secs()
            ),
        )
    }
}

/// Appends a piece to a document of at most `bound` octets (already checked). Its room grows eightfold: each growth
/// takes fresh pages while the old ones are still there, and where pages are huge these are 2 MiB
/// or more, however little is written to them; room that nothing is written to takes no memory.
pub(crate) fn append(document: &mut BytesMut, piece: &[u8], bound: u64) {
    let needed = document.len().saturating_add(piece.len());
    if needed > document.capacity() {
        let most = usize::try_from(bound).unwrap_or(usize::MAX).max(needed);
        document.reserve(needed.saturating_mul(8).min(most) - document.len());
    }
    document.extend_from_slice(piece);
}

/// The refusal of a request larger than `bound`.
pub(crate) fn over(bound: u64) -> Refusal {
    Refusal::new(
        Code::OverLimit,
        format!("the request has more than the {bound} octets that are allowed here; send less"),
    )
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = Refusal;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Refusal>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        let polled = Pin::new(&mut this.inner).poll_frame(cx);
        let result = match polled {
            Poll::Pending => {
                if this.waiting.is_none() {
                    let now = Instant::now();
                    this.waiting = Some(now);
                    let until = now + this.allowance();
                    this.timer.as_mut().reset(until);
                }
                ready!(this.timer.as_mut().poll(cx));
                Err(this.too_slow())
            }
            Poll::Ready(None) => {
                this.ended = true;
                return Poll::Ready(None);
            }
            Poll::Ready(Some(Err(_))) => {
                Err(Refusal::new(Code::NotWellFormed, "the request ended early; send it again whole"))
            }
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(since) = this.waiting.take() {
                    this.credit = this.credit.saturating_sub(since.elapsed());
                }
                this.count(frame.data_ref().map_or(0, Bytes::len)).map(|()| frame)
            }
        };
        this.ended = result.is_err();
        Poll::Ready(Some(result))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A stream whose writes fail when the other end takes nothing for `stall`.
pub(crate) struct StallIo<T> {
    inner: T,
    stall: Duration,
    timer: Pin<Box<Sleep>>,
    blocked: bool,
}

impl<T> StallIo<T> {
    pub(crate) fn new(inner: T, stall: Duration) -> Self {
        Self { inner, stall, timer: Box::pin(tokio::time::sleep(Duration::ZERO)), blocked: false }
    }

    fn watch<R>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if polled.is_ready() {
            self.blocked = false;
            return polled;
        }
        if !self.blocked {
            self.blocked = true;
            self.timer.as_mut().reset(Instant::now() + self.stall);
        }
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the other end takes nothing")))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for StallIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for StallIo<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.watch(cx, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        self.watch(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.watch(cx, polled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    fn pace() -> Pace {
        Pace { min_rate: 100, grace: Duration::from_millis(150), stall: Duration::from_millis(60) }
    }

    #[tokio::test]
    async fn a_sender_that_stalls_is_refused_after_the_stall_time() {
        let silent = futures_util::stream::pending::<Result<Bytes, io::Error>>();
        let mut body = Paced::new(Body::from_stream(silent), pace(), 1000, None);
        let start = Instant::now();
        let refusal = body.frame().await.unwrap().unwrap_err();
        assert_eq!(refusal.code, Code::OverLimit);
        assert!(start.elapsed() >= Duration::from_millis(60));
        assert!(body.frame().await.is_none(), "ends after the refusal");
    }

    #[tokio::test]
    async fn a_sender_that_trickles_is_refused_when_its_allowance_is_used_up() {
        let trickle = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Some((Ok::<_, io::Error>(Bytes::from_static(b"x")), ()))
        });
        let mut body = Paced::new(Body::from_stream(trickle), pace(), 1000, None);
        let start = Instant::now();
        let refusal = loop {
            if let Err(refusal) = body.frame().await.unwrap() {
                break refusal;
            }
        };
        assert_eq!(refusal.code, Code::OverLimit);
        assert!(start.elapsed() >= Duration::from_millis(150), "each octet earns 10 ms and costs 20");
    }

    #[tokio::test]
    async fn speed_at_the_beginning_buys_no_trickle_later() {
        let pace = Pace { stall: Duration::from_millis(200), ..pace() };
        let fast = Bytes::from(vec![0; 100_000]);
        let parts = futures_util::stream::unfold(fast, |next| async move {
            if next.len() == 1 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Some((Ok::<_, io::Error>(next), Bytes::from_static(b"x")))
        });
        let mut body = Paced::new(Body::from_stream(parts), pace, 1_000_000, None);
        let cut = tokio::time::timeout(Duration::from_secs(10), async {
            while body.frame().await.unwrap().is_ok() {}
        });
        assert!(cut.await.is_ok(), "100,000 octets must not earn 1,000 seconds");
    }

    #[tokio::test]
    async fn too_much_is_refused_and_memory_comes_back() {
        let memory = Memory::new(4096, 4096);
        let hold = memory.hold(Share::default());
        let mut body = Paced::new(Body::from(vec![0; 2000]), pace(), 10_000, Some(hold.clone()));
        assert!(body.frame().await.unwrap().is_ok());
        assert_eq!(memory.hold(Share::default()).take(3000).unwrap_err().code, Code::Overloaded);
        drop((body, hold));
        assert!(memory.hold(Share::default()).take(4096).is_ok());
        let mut body = Paced::new(Body::from(vec![0; 2000]), pace(), 1999, None);
        assert_eq!(body.frame().await.unwrap().unwrap_err().code, Code::OverLimit);
    }

    #[test]
    fn a_document_grows_in_few_steps_and_its_room_is_bounded() {
        let (mut document, mut growths, bound) = (BytesMut::new(), 0, 1 << 20);
        for n in 0..bound / 64 {
            let before = document.capacity();
            append(&mut document, &[n as u8; 64], bound);
            growths += usize::from(document.capacity() != before);
        }
        assert_eq!(document.len() as u64, bound);
        assert!(document.iter().enumerate().all(|(at, octet)| *octet == (at / 64) as u8));
        assert!(growths <= 6, "{growths} growths");
        assert!(document.capacity() as u64 <= 2 * bound, "{}", document.capacity());
    }

    #[test]
    fn one_account_can_not_keep_the_others_out() {
        let memory = Memory::new(10 * UNIT, 5 * UNIT);
        let (greedy, other) = (Share::default(), Share::default());
        let first = memory.hold(greedy.clone());
        assert!(first.take(3000).is_ok());
        let second = memory.hold(greedy.clone());
        assert!(second.take(2048).is_ok());
        assert_eq!(second.take(1).unwrap_err().code, Code::Quota, "three and two units are its share");
        assert!(memory.hold(other).take(5 * 1024).is_ok());
        drop(first);
        assert!(second.take(3000).is_ok(), "what was given back can be taken again");
        drop(second);
        assert_eq!(greedy.load(Ordering::Acquire), 0);
    }
}
