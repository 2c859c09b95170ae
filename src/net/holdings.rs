//! What all connections together make the server hold, in bytes. Each connection counts its share; small shares are free.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes up to which the share of a connection is not counted: small holders are never the trouble, and touch no shared counter.
pub(super) const FREE_BYTES: usize = 16 << 10;

/// Bytes of one kind that are held.
#[derive(Debug, Default)]
pub struct Held(AtomicUsize);

impl Held {
    /// So many bytes are held now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.load(Relaxed)
    }
}

/// What one connection holds of a kind.
#[derive(Debug, Default)]
pub(super) struct Share(usize);

impl Share {
    /// The connection holds so many bytes now.
    pub(super) fn set(&mut self, held: &Held, bytes: usize) {
        let counted = if bytes > FREE_BYTES { bytes } else { 0 };
        if counted > self.0 {
            held.0.fetch_add(counted - self.0, Relaxed);
        } else if counted < self.0 {
            held.0.fetch_sub(self.0 - counted, Relaxed);
        }
        self.0 = counted;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_shares_are_free_and_large_ones_count_whole() {
        let held = Held::default();
        let (mut one, mut other) = (Share::default(), Share::default());
        one.set(&held, FREE_BYTES);
        assert_eq!(held.bytes(), 0);
        one.set(&held, FREE_BYTES + 1);
        other.set(&held, 100_000);
        assert_eq!(held.bytes(), FREE_BYTES + 1 + 100_000);
        one.set(&held, 0);
        other.set(&held, 50_000);
        assert_eq!(held.bytes(), 50_000);
    }
}
