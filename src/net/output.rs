//! What waits to be written to one socket.

use std::collections::VecDeque;
use std::io;

use bytes::{Buf, Bytes};

/// Buffers of a client up to this size are kept for the next turn; larger ones are given back: there are many clients.
const KEPT_BYTES: usize = 2 << 10;

/// From this size on a buffer is not appended to any more.
const SEALED_BYTES: usize = 256 << 10;
/// Room behind what waits for a slow client that is not given back.
const SPARE_BYTES_MAX: usize = 64 << 10;

/// Encoded frames in their order: first what a full socket left over, then what was queued since.
#[derive(Debug)]
pub(super) struct Output {
    /// Buffers up to this size are kept for the next turn.
    kept_bytes: usize,
    left_over: VecDeque<Bytes>,
    left_over_bytes: usize,
    queued: Vec<u8>,
    /// Bytes that are written already of the buffer that is being written.
    spent_bytes: usize,
    /// Somebody is writing; whoever queues meanwhile leaves the writing to them.
    is_writing: bool,
    /// The socket took no more: the connection's task waits for it.
    is_blocked: bool,
}

impl Default for Output {
    fn default() -> Self {
        Self::keeping(KEPT_BYTES)
    }
}

impl Output {
    /// One whose buffer is kept for the next turn up to so many bytes.
    pub(super) fn keeping(kept_bytes: usize) -> Self {
        let (left_over, queued) = (VecDeque::new(), Vec::new());
        Self { kept_bytes, left_over, left_over_bytes: 0, queued, spent_bytes: 0, is_writing: false, is_blocked: false }
    }

    /// Where frames are appended.
    pub(super) fn queue(&mut self) -> &mut Vec<u8> {
        &mut self.queued
    }

    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.left_over_bytes + self.queued.len()
    }

    /// Forgets what waits: nobody will take it.
    pub(super) fn discard(&mut self) {
        (self.left_over, self.left_over_bytes, self.queued) = (VecDeque::new(), 0, Vec::new());
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
        (!self.queued.is_empty()).then(|| self.take_queued())
    }

    /// What was queued, without much room behind it.
    fn take_queued(&mut self) -> Bytes {
        let mut queued = std::mem::take(&mut self.queued);
        if queued.capacity() - queued.len() > SPARE_BYTES_MAX.max(self.kept_bytes) {
            queued.shrink_to_fit();
        }
        Bytes::from(queued)
    }

    /// Begins a new buffer when the one that is appended to is long: one that grows for a slow client takes twice what is in it.
    pub(super) fn seal(&mut self) {
        if self.queued.len() >= SEALED_BYTES {
            self.left_over_bytes += self.queued.len();
            let sealed = self.take_queued();
            self.left_over.push_back(sealed);
        }
    }

    /// Takes note of how far a write got; gives what is to be written next, if the writer is to go on.
    pub(super) fn written(&mut self, mut bytes: Bytes, result: &io::Result<usize>) -> Option<Bytes> {
        match result {
            Ok(written) => {
                bytes.advance(*written);
                self.spent_bytes += written;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.is_blocked = true,
            // A broken socket is seen by the reader too, which ends the connection.
            Err(_) => bytes.clear(),
        }
        if bytes.is_empty() {
            self.spent_bytes = 0;
        }
        if !bytes.is_empty() {
            // What is written already is given back, at a cost that stays in proportion.
            if self.spent_bytes > SPARE_BYTES_MAX.max(bytes.len() / 2) {
                bytes = Bytes::copy_from_slice(&bytes);
                self.spent_bytes = 0;
            }
            self.left_over_bytes += bytes.len();
            self.left_over.push_front(bytes);
        } else if self.queued.capacity() == 0
            && let Ok(mut buffer) = bytes.try_into_mut().map(Vec::from)
            && buffer.capacity() <= self.kept_bytes
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

    #[test]
    fn a_buffer_that_may_be_kept_is_used_again() {
        for (kept_bytes, is_kept) in [(KEPT_BYTES, false), (256 << 10, true)] {
            let mut output = Output::keeping(kept_bytes);
            output.queue().resize(40_000, 7);
            let bytes = output.begin_write().expect("something waits");
            assert!(output.written(bytes, &Ok(40_000)).is_none());
            assert_eq!((output.queue().capacity() >= 40_000, output.len()), (is_kept, 0));
        }
    }

    #[test]
    fn what_is_written_of_a_long_buffer_is_given_back() {
        let mut output = Output::default();
        output.queue().extend((0..300_000).map(|index| index as u8));
        let whole = output.begin_write().expect("something waits");
        let start = whole.as_ptr();
        let rest = output.written(whole, &Ok(90_000)).expect("the rest");
        assert_eq!(rest.as_ptr(), start.wrapping_add(90_000), "a copy would cost more than it gives back");
        let rest = output.written(rest, &Ok(60_000)).expect("the rest");
        assert!(!(start..start.wrapping_add(300_000)).contains(&rest.as_ptr()));
        assert_eq!((rest.len(), rest[0], output.spent_bytes), (150_000, 150_000_u32 as u8, 0));
        assert!(output.written(rest, &Ok(150_000)).is_none() && output.is_idle());
    }

    #[test]
    fn long_buffers_are_sealed_and_keep_their_place() {
        let mut output = Output::default();
        output.queue().extend_from_slice(b"first");
        let first = output.begin_write().expect("something waits");
        output.queue().resize(SEALED_BYTES - 1, 7);
        output.seal();
        assert_eq!(output.left_over.len(), 0);
        output.queue().push(8);
        output.seal();
        output.queue().push(9);
        assert_eq!((output.left_over.len(), output.len()), (1, SEALED_BYTES + 1));
        let rest = output.written(first, &Ok(1)).expect("the rest comes before what was sealed");
        assert_eq!(rest, "irst");
        let sealed = output.written(rest, &Ok(4)).expect("then what was sealed");
        assert_eq!((sealed.len(), sealed.last()), (SEALED_BYTES, Some(&8)));
        assert_eq!(output.written(sealed, &Ok(SEALED_BYTES)).expect("then the rest"), [9_u8][..]);
    }
}
