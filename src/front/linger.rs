//! What a sender still sends when it has been answered already. An answer before the end of a request
//! is lost on many clients when the rest is cut off: over HTTP/1.1 the system resets a connection that is
//! closed with octets unread, and over HTTP/2 some take the reset of the stream for a failure
//! (curl 7.88). So the rest is taken and thrown away for a while.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;

/// Octets that are taken and thrown away at most.
const MOST: usize = 64 << 20;
/// How long at most: time for an answer to arrive, and for its reader to stop.
const SPAN: Duration = Duration::from_secs(3);

/// A request body whose rest is taken when nobody reads it any more.
pub(crate) struct Lingering<B: Rest> {
    inner: Option<B>,
    /// The sender waits to be asked for its body (`Expect: 100-continue`), and has not been.
    unasked: bool,
    span: Duration,
}

/// A body that can be read on in the background.
pub(crate) trait Rest: HttpBody<Data = Bytes> + Send + Unpin + 'static {}

impl<B: HttpBody<Data = Bytes> + Send + Unpin + 'static> Rest for B {}

impl<B: Rest> Lingering<B> {
    /// `expects`: its sender sends nothing before it is asked to; it is not asked for what is thrown away.
    pub(crate) fn new(inner: B, expects: bool) -> Self {
        Self { inner: Some(inner), unasked: expects, span: SPAN }
    }
}

impl<B: Rest> HttpBody for Lingering<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.unasked = false;
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(inner).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.inner = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl<B: Rest> Drop for Lingering<B> {
    fn drop(&mut self) {
        let rest = self.inner.take().filter(|rest| !self.unasked && !rest.is_end_stream());
        if let (Some(rest), Ok(runtime)) = (rest, tokio::runtime::Handle::try_current()) {
            runtime.spawn(tokio::time::timeout(self.span, swallow(rest)));
        }
    }
}

/// Reads to the end, or until it is too much.
async fn swallow(mut rest: impl Rest) {
    let mut left = MOST;
    while let Some(Ok(frame)) = rest.frame().await {
        let octets = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(octets) {
            Some(less) => left = less,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use axum::body::Body;
    use tokio::sync::mpsc;
    use tokio_stream::wrappers::ReceiverStream;

    fn body() -> (mpsc::Sender<Result<Bytes, Infallible>>, Body) {
        let (sender, pieces) = mpsc::channel(1);
        (sender, Body::from_stream(ReceiverStream::new(pieces)))
    }

    #[tokio::test]
    async fn what_is_left_is_taken_up_to_a_bound() {
        let piece = Bytes::from(vec![0; 1 << 20]);
        let (sender, inner) = body();
        drop(Lingering::new(inner, false));
        let mut taken = 0;
        while sender.send(Ok(piece.clone())).await.is_ok() {
            taken += piece.len();
        }
        // What the channel holds is not taken.
        assert!((MOST..=MOST + 2 * piece.len()).contains(&taken), "{taken}");
    }

    #[tokio::test]
    async fn who_waits_to_be_asked_is_not_asked_for_what_nobody_reads() {
        let (sender, inner) = body();
        drop(Lingering::new(inner, true));
        sender.closed().await;
        let (sender, inner) = body();
        let mut asked = Lingering::new(inner, true);
        sender.send(Ok(Bytes::from_static(b"a"))).await.unwrap();
        assert!(asked.frame().await.unwrap().is_ok());
        drop(asked);
        sender.send(Ok(Bytes::from_static(b"b"))).await.unwrap();
        sender.send(Ok(Bytes::from_static(b"c"))).await.unwrap();
        sender.send(Ok(Bytes::from_static(b"d"))).await.unwrap();
    }

    #[tokio::test]
    async fn it_does_not_last() {
        let (sender, inner) = body();
        let mut body = Lingering::new(inner, false);
        body.span = Duration::from_millis(20);
        drop(body);
        sender.closed().await;
    }
}
