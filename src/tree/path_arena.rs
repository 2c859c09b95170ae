//! Many paths in one buffer, each addressed by 32 bits: an allocation of its own would cost a path as much again.

/// Entries begin at multiples of so many bytes, so that 32 bits address 8 GiB.
const UNIT_BYTES: usize = 2;
/// In place of a short length: four bytes of length follow.
const LONG: u16 = u16::MAX;
/// So much garbage is not worth a copy.
const GARBAGE_BYTES_FREE: usize = 64 << 10;

/// An arena of more bytes is full: half of what can be addressed.
const ARENA_BYTES_FULL: usize = UNIT_BYTES * (u32::MAX / 2) as usize;

/// Paths, and the room that removed ones have left.
#[derive(Default)]
pub(super) struct PathArena {
    bytes: Vec<u8>,
    garbage_bytes: usize,
}

fn entry_bytes(path_bytes: usize) -> usize {
    let length_bytes = if path_bytes < usize::from(LONG) { 2 } else { 6 };
    (length_bytes + path_bytes).next_multiple_of(UNIT_BYTES)
}

impl PathArena {
    /// Adds a path; gives where it is.
    ///
    /// # Panics
    /// Far beyond [`Self::is_full`]: whoever adds heeds it.
    pub(super) fn insert(&mut self, path: &[u8]) -> u32 {
        let at = u32::try_from(self.bytes.len() / UNIT_BYTES).expect("paths are limited to what 32 bits address");
        let length = u32::try_from(path.len()).expect("a path came in a frame");
        if length < LONG.into() {
            self.bytes.extend_from_slice(&(length as u16).to_le_bytes());
        } else {
            self.bytes.extend_from_slice(&LONG.to_le_bytes());
            self.bytes.extend_from_slice(&length.to_le_bytes());
        }
        self.bytes.extend_from_slice(path);
        self.bytes.resize(self.bytes.len().next_multiple_of(UNIT_BYTES), 0);
        at
    }

    /// The path at a place where one was put.
    pub(super) fn get(&self, at: u32) -> &[u8] {
        let entry = &self.bytes[at as usize * UNIT_BYTES..];
        let (short, rest) = entry.split_first_chunk().expect("an entry begins with its length");
        match u16::from_le_bytes(*short) {
            LONG => {
                let (length, rest) = rest.split_first_chunk().expect("a long one follows");
                &rest[..u32::from_le_bytes(*length) as usize]
            }
            length => &rest[..usize::from(length)],
        }
    }

    /// Gives a path up. Its bytes are there until [`Self::compact`].
    pub(super) fn remove(&mut self, at: u32) {
        self.garbage_bytes += entry_bytes(self.get(at).len());
    }

    /// Whether nothing should be added any more.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() > ARENA_BYTES_FULL
    }

    /// Whether more is garbage than not.
    pub(super) fn is_wasteful(&self) -> bool {
        self.garbage_bytes > GARBAGE_BYTES_FREE && self.garbage_bytes > self.bytes.len() / 2
    }

    /// Copies what is in use, of which every place is given once, and changes the places.
    pub(super) fn compact<'a>(&mut self, places: impl Iterator<Item = &'a mut u32>) {
        let mut compact = Self { bytes: Vec::with_capacity(self.bytes.len() - self.garbage_bytes), garbage_bytes: 0 };
        for place in places {
            *place = compact.insert(self.get(*place));
        }
        *self = compact;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_come_back() {
        let mut arena = PathArena::default();
        let paths: Vec<String> = (0..20).chain(65_530..65_540).map(|length| "p".repeat(length)).collect();
        let places: Vec<u32> = paths.iter().map(|path| arena.insert(path.as_bytes())).collect();
        for (path, &place) in paths.iter().zip(&places) {
            assert_eq!(arena.get(place), path.as_bytes());
        }
    }

    #[test]
    fn garbage_goes_when_it_is_the_larger_part() {
        let mut arena = PathArena::default();
        let mut places: Vec<u32> = (0..10_000).map(|index| arena.insert(format!("/node-{index:05}").as_bytes())).collect();
        let full = arena.bytes.len();
        for place in places.drain(..6_000) {
            arena.remove(place);
        }
        assert!(arena.is_wasteful());
        arena.compact(places.iter_mut());
        assert!(!arena.is_wasteful());
        assert_eq!(arena.bytes.len(), full * 4 / 10);
        for (index, &place) in places.iter().enumerate() {
            assert_eq!(arena.get(place), format!("/node-{:05}", index + 6_000).as_bytes());
        }
    }

    #[test]
    fn a_little_garbage_stays() {
        let mut arena = PathArena::default();
        let place = arena.insert(b"/a");
        arena.remove(place);
        assert!(!arena.is_wasteful());
    }
}
