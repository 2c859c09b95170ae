//! Values in slots addressed by 32-bit ids.

/// The id of nothing.
pub(super) const NONE: u32 = u32::MAX;

const CHUNK_SHIFT: u32 = 12;
const CHUNK: usize = 1 << CHUNK_SHIFT;

/// Slots in chunks, so that growing never copies and empty chunks go back to the system.
pub(super) struct Slab<T> {
    /// An empty chunk owns nothing.
    chunks: Vec<Chunk<T>>,
    /// Chunks that have a free slot; the last one is used first.
    with_room: Vec<u32>,
    live: usize,
}

struct Chunk<T> {
    slots: Vec<Option<T>>,
    free: Vec<u16>,
    live: usize,
}

impl<T> Chunk<T> {
    fn empty() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), live: 0 }
    }
}

impl<T> Slab<T> {
    pub(super) fn new() -> Self {
        Self { chunks: Vec::new(), with_room: Vec::new(), live: 0 }
    }

    pub(super) fn get(&self, id: u32) -> Option<&T> {
        self.chunks.get((id >> CHUNK_SHIFT) as usize)?.slots.get(id as usize & (CHUNK - 1))?.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        self.chunks.get_mut((id >> CHUNK_SHIFT) as usize)?.slots.get_mut(id as usize & (CHUNK - 1))?.as_mut()
    }

    pub(super) fn insert(&mut self, value: T) -> u32 {
        let index = match self.with_room.last() {
            Some(&index) => index,
            None => self.add_chunk(),
        };
        let chunk = &mut self.chunks[index as usize];
        let slot = match chunk.free.pop() {
            Some(slot) => {
                chunk.slots[slot as usize] = Some(value);
                slot as usize
            }
            None => {
                chunk.slots.push(Some(value));
                chunk.slots.len() - 1
            }
        };
        chunk.live += 1;
        self.live += 1;
        if chunk.live == CHUNK {
            self.with_room.pop();
        }
        index << CHUNK_SHIFT | slot as u32
    }

    fn add_chunk(&mut self) -> u32 {
        let index = self.chunks.iter().position(|chunk| chunk.slots.capacity() == 0).unwrap_or_else(|| {
            self.chunks.push(Chunk::empty());
            self.chunks.len() - 1
        });
        assert!(index < (NONE >> CHUNK_SHIFT) as usize, "a slab is limited to {NONE} slots");
        self.chunks[index].slots.reserve_exact(CHUNK);
        self.with_room.push(index as u32);
        index as u32
    }

    pub(super) fn remove(&mut self, id: u32) -> T {
        let index = (id >> CHUNK_SHIFT) as usize;
        let chunk = &mut self.chunks[index];
        let slot = id as usize & (CHUNK - 1);
        let value = chunk.slots[slot].take().expect("an id names a live slot");
        if chunk.live == CHUNK {
            self.with_room.push(index as u32);
        }
        chunk.live -= 1;
        chunk.free.push(slot as u16);
        self.live -= 1;
        if chunk.live == 0 && self.live > 0 {
            self.chunks[index] = Chunk::empty();
            self.with_room.retain(|&other| other as usize != index);
        }
        value
    }

    /// All live values.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.chunks.iter_mut().flat_map(|chunk| chunk.slots.iter_mut().flatten())
    }

    /// Number of live values.
    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// One more than the highest id in use.
    pub(super) fn slot_count(&self) -> u32 {
        (self.chunks.len() << CHUNK_SHIFT) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned<T>(slab: &Slab<T>) -> usize {
        slab.chunks.iter().filter(|chunk| chunk.slots.capacity() > 0).count()
    }

    #[test]
    fn ids_are_reused_and_empty_chunks_given_back() {
        let mut slab = Slab::new();
        let ids: Vec<u32> = (0..3 * CHUNK).map(|value| slab.insert(value)).collect();
        assert_eq!((slab.len(), owned(&slab)), (3 * CHUNK, 3));
        for &id in &ids[1..] {
            slab.remove(id);
        }
        assert_eq!((slab.len(), owned(&slab)), (1, 1));
        assert_eq!(slab.get(ids[0]), Some(&0));
        assert_eq!(slab.get(ids[1]), None);
        let again: Vec<u32> = (0..2 * CHUNK).map(|value| slab.insert(value)).collect();
        assert!(again.iter().all(|id| ids.contains(id)), "slots are used again before new ones are made");
        assert_eq!(slab.get(NONE), None);
    }
}
