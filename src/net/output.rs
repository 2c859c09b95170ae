//! What waits to be written to one socket.

use std::collections::VecDeque;
use std::io;

use bytes::{Buf, Bytes};

/// Buffers up to this size are kept for the next turn; larger ones are given back.
const KEPT_BYTES: usize = 2 << 10;

/// Encoded frames in their order: first what a full socket left over, then what was queued since.
#[derive(Debug, Default)]
pub(super) struct Output {
    left_over: VecDeque<Bytes>,
    left_over_bytes: usize,
    queued: Vec<u8>,
    /// Somebody is writing; whoever queues meanwhile leaves the writing to them.
    is_writing: bool,
    /// The socket took no more: the connection's task waits for it.
    is_blocked: bool,
}

impl Output {
    /// Where frames are appended.
    pub(super) fn queue(&mut self) -> &mut Vec<u8> {
        &mut self.queued
    }

    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.left_over_bytes + self.queued.len()
    }

    /// Whether the socket must become writable first.
    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// The socket may take bytes again.
    pub(super) fn unblock(&mut self) {
        self.is_blocked = false;
    }

    /// Nothing waits and nobody writes.
    pub(super) fn is_idle(&self) -> bool {
        self.len() == 0 && !self.is_writing
    }

    /// Takes what is to be written next; `None` when there is nothing, or somebody writes already.
    pub(super) fn begin_write(&mut self) -> Option<Bytes> {
        if self.is_writing || self.is_blocked {
            return None;
        }
        let next = self.next()?;
        self.is_writing = true;
        Some(next)
    }

    fn next(&mut self) -> Option<Bytes> {
        if let Some(bytes) = self.left_over.pop_front() {
            self.left_over_bytes -= bytes.len();
            return Some(bytes);
        }
        (!self.queued.is_empty()).then(|| Bytes::from(std::mem::take(&mut self.queued)))
    }

    /// Takes note of how far a write got; gives what is to be written next, if the writer is to go on.
    pub(super) fn written(&mut self, mut bytes: Bytes, result: &io::Result<usize>) -> Option<Bytes> {
        match result {
            Ok(written) => bytes.advance(*written),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.is_blocked = true,
            // A broken socket is seen by the reader too, which ends the connection.
            Err(_) => bytes.clear(),
        }
        if !bytes.is_empty() {
            self.left_over_bytes += bytes.len();
            self.left_over.push_front(bytes);
        } else if self.queued.capacity() == 0
            && let Ok(mut buffer) = bytes.try_into_mut().map(Vec::from)
            && buffer.capacity() <= KEPT_BYTES
        {
            buffer.clear();
            self.queued = buffer;
        }
        let next = if self.is_blocked { None } else { self.next() };
        self.is_writing = next.is_some();
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn would_block() -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    #[test]
    fn order_survives_a_full_socket() {
        let mut output = Output::default();
        output.queue().extend_from_slice(b"abc");
        let first = output.begin_write().expect("something waits");
        output.queue().extend_from_slice(b"def");
        assert!(output.begin_write().is_none(), "one writes at a time");
        let rest = output.written(first, &Ok(1)).expect("the rest");
        assert_eq!(rest, "bc");
        assert!(output.written(rest, &would_block()).is_none());
        assert_eq!((output.len(), output.is_blocked(), output.is_idle()), (5, true, false));
        output.unblock();
        let rest = output.begin_write().expect("left over");
        assert_eq!(rest, "bc");
        let last = output.written(rest, &Ok(2)).expect("queued since");
        assert_eq!(last, "def");
        assert!(output.written(last, &Ok(3)).is_none());
        assert!(output.is_idle());
    }
}
