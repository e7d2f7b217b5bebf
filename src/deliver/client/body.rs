//! Bodies of requests: texts and stored content in a row.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http_body::{Body, Frame, SizeHint};

use super::{BoxError, Chunks, Piece};

/// A body of known length, streamed. An error in it breaks the request off: the authority sees
/// fewer octets than announced and must not take them for a message.
pub(crate) struct Outgoing {
    left: u64,
    chunks: Chunks,
}

impl From<Piece> for Outgoing {
    fn from(piece: Piece) -> Self {
        Self { left: piece.len, chunks: piece.chunks }
    }
}

impl Outgoing {
    /// Nothing so far.
    pub(crate) fn empty() -> Self {
        Self { left: 0, chunks: Box::pin(stream::empty()) }
    }

    /// Adds a text.
    pub(crate) fn text(&mut self, text: String) {
        let octets = Bytes::from(text);
        self.piece(Piece { len: octets.len() as u64, chunks: Box::pin(stream::iter([Ok(octets)])) });
    }

    /// Adds content.
    pub(crate) fn piece(&mut self, piece: Piece) {
        self.left += piece.len;
        let before = std::mem::replace(&mut self.chunks, Box::pin(stream::empty()));
        self.chunks = Box::pin(before.chain(piece.chunks));
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let next = ready!(Stream::poll_next(self.chunks.as_mut(), cx));
        Poll::Ready(match next {
            Some(Ok(chunk)) => match self.left.checked_sub(chunk.len() as u64) {
                Some(left) => {
                    self.left = left;
                    Some(Ok(Frame::data(chunk)))
                }
                None => Some(Err("the content is longer than announced".into())),
            },
            Some(Err(error)) => Some(Err(error)),
            None if self.left > 0 => Some(Err("the content is shorter than announced".into())),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        false
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn content_of_another_length_breaks_the_request_off() {
        for (len, text) in [(5, "abc"), (2, "abc")] {
            let chunks = Box::pin(stream::iter([Ok(Bytes::from_static(text.as_bytes()))]));
            let body = Outgoing { left: len, chunks };
            assert!(body.collect().await.is_err());
        }
    }
}
