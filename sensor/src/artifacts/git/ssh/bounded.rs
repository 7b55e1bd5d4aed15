//! A connection that ends when nobody waits for it any more, and brings no more than it may. What speaks over it runs
//! in a task of its library, which no time-out of ours reaches.

use std::io::{Error, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A bounded connection.
pub(super) struct Bounded {
    stream: TcpStream,
    left: usize,
    gone: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Bounded {
    /// Brings so many bytes at most, until the token is cancelled.
    pub(super) fn new(stream: TcpStream, most: usize, gone: CancellationToken) -> Self {
        Self {
            stream,
            left: most,
            gone: Box::pin(gone.cancelled_owned()),
        }
    }

    fn over(&mut self, context: &mut Context<'_>) -> Result<(), Error> {
        match self.gone.as_mut().poll(context) {
            Poll::Ready(()) => Err(Error::from(ErrorKind::ConnectionAborted)),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), Error>> {
        self.over(context)?;
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let came = buffer.filled().len().saturating_sub(before);
        match self.left.checked_sub(came) {
            Some(left) => {
                self.left = left;
                read
            }
            None => Poll::Ready(Err(Error::other("the server sends more than is taken"))),
        }
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, Error>> {
        self.over(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn pair(most: usize) -> (Bounded, TcpStream, CancellationToken) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap());
        let (near, far) = tokio::join!(near, listener.accept());
        let gone = CancellationToken::new();
        let bounded = Bounded::new(near.unwrap(), most, gone.clone());
        (bounded, far.unwrap().0, gone)
    }

    #[tokio::test]
    async fn it_ends_when_nobody_waits_for_it_any_more() {
        let (mut near, _far, gone) = pair(1024).await;
        let mut buffer = [0; 8];
        let read = near.read(&mut buffer);
        let (read, ()) = tokio::join!(read, async {
            tokio::task::yield_now().await;
            gone.cancel();
        });
        assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionAborted);
        let written = near.write_all(b"x").await.unwrap_err();
        assert_eq!(written.kind(), ErrorKind::ConnectionAborted);
    }

    #[tokio::test]
    async fn it_brings_no_more_than_it_may() {
        let (mut near, mut far, _gone) = pair(4).await;
        far.write_all(b"1234").await.unwrap();
        let mut buffer = [0; 4];
        near.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"1234");
        far.write_all(b"5").await.unwrap();
        assert!(near.read(&mut buffer).await.is_err());
    }
}
