//! Answers that come bit by bit: a bounded channel from the task that makes them to the connection
//! that takes them. What breaks off ends with an error, so that nobody takes a part for the whole.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use http_body::{Body, Frame};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::Status;

use super::status;
use crate::error::{Code, Refusal};

/// The sending end.
pub(crate) struct Feed<T> {
    sender: mpsc::Sender<Result<T, Refusal>>,
    complete: Arc<AtomicBool>,
    stall: Duration,
}

/// The other end has gone, or takes nothing: there is no use in going on.
#[derive(Debug)]
pub(crate) struct Gone;

impl<T> Feed<T> {
    /// A feed that holds at most `depth` answers and waits `stall` for a reader.
    pub(crate) fn new(depth: usize, stall: Duration) -> (Self, Answers<T>) {
        let (sender, receiver) = mpsc::channel(depth);
        let complete = Arc::new(AtomicBool::new(false));
        (Self { sender, complete: complete.clone(), stall }, Answers { receiver, complete, ended: false })
    }

    /// Sends one answer.
    ///
    /// # Errors
    /// [`Gone`].
    pub(crate) async fn send(&self, value: T) -> Result<(), Gone> {
        match timeout(self.stall, self.sender.send(Ok(value))).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Gone),
        }
    }

    /// Everything has been sent. Without this, or [`Feed::fail`], the answers end with an error.
    pub(crate) fn complete(self) {
        self.complete.store(true, Ordering::Release);
    }

    /// Ends the answers with a refusal.
    pub(crate) async fn fail(self, refusal: Refusal) {
        // A reader that has gone does not want to hear it either.
        if let Ok(Ok(())) = timeout(self.stall, self.sender.send(Err(refusal))).await {
            self.complete();
        }
    }

    /// The reader has gone.
    pub(crate) async fn gone(&self) {
        self.sender.closed().await;
    }

    /// Whether the reader has gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.sender.is_closed()
    }
}

/// The receiving end: a stream of gRPC answers, or the body of an HTTPS answer.
pub(crate) struct Answers<T> {
    receiver: mpsc::Receiver<Result<T, Refusal>>,
    complete: Arc<AtomicBool>,
    ended: bool,
}

impl<T> Answers<T> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, Refusal>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match ready!(self.receiver.poll_recv(cx)) {
            Some(answer) => {
                self.ended = answer.is_err();
                Poll::Ready(Some(answer))
            }
            None => {
                self.ended = true;
                let complete = self.complete.load(Ordering::Acquire);
                Poll::Ready((!complete).then(|| Err(broken())))
            }
        }
    }
}

fn broken() -> Refusal {
    Refusal::new(Code::Overloaded, "the answer broke off, because it was not taken in time; ask again")
}

impl<T> Stream for Answers<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let answer = ready!(self.poll(cx));
        Poll::Ready(answer.map(|result| result.map_err(|refusal| status::status(&refusal))))
    }
}

impl Body for Answers<Bytes> {
    type Data = Bytes;
    type Error = Refusal;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Refusal>>> {
        let answer = ready!(self.poll(cx));
        Poll::Ready(answer.map(|result| result.map(Frame::data)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt as _;

    #[tokio::test]
    async fn what_is_complete_ends_well_and_what_breaks_off_ends_with_an_error() {
        let (feed, answers) = Feed::new(4, Duration::from_secs(9));
        feed.send(1).await.unwrap();
        feed.complete();
        let all: Vec<_> = answers.map(Result::ok).collect().await;
        assert_eq!(all, [Some(1)]);
        let (feed, answers) = Feed::new(4, Duration::from_secs(9));
        feed.send(1).await.unwrap();
        drop(feed);
        let all: Vec<_> = answers.map(|r| r.map_err(|s| s.code())).collect().await;
        assert_eq!(all, [Ok(1), Err(tonic::Code::Unavailable)]);
    }

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_given_up_and_learns_of_it() {
        let (feed, answers) = Feed::new(1, Duration::from_millis(20));
        feed.send(1).await.unwrap();
        assert!(feed.send(2).await.is_err());
        drop(feed);
        let all: Vec<_> = answers.map(|r| r.is_ok()).collect().await;
        assert_eq!(all, [true, false]);
    }
}
