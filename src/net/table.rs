//! All connections, by slot. A watch names the slot alone; everything that may come late names the generation too.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::RwLock;

use super::connection::Connection;
use crate::ids::ConnectionId;

#[derive(Default)]
struct Slot {
    generation: u32,
    connection: Option<Arc<Connection>>,
}

#[derive(Default)]
struct Inner {
    slots: Vec<Slot>,
    free: Vec<u32>,
    per_address: BTreeMap<IpAddr, usize>,
    count: usize,
}

/// The connections of the server.
#[derive(Default)]
pub struct ConnectionTable {
    inner: RwLock<Inner>,
}

impl ConnectionTable {
    /// Adds a connection, made by `make` for its id. `None` when a limit (0: none) is reached.
    pub fn add(
        &self,
        address: IpAddr,
        per_address_max: usize,
        total_max: usize,
        make: impl FnOnce(ConnectionId) -> Arc<Connection>,
    ) -> Option<Arc<Connection>> {
        let mut inner = self.inner.write();
        let here = inner.per_address.get(&address).copied().unwrap_or(0);
        if (per_address_max > 0 && here >= per_address_max) || (total_max > 0 && inner.count >= total_max) {
            return None;
        }
        inner.count += 1;
        inner.per_address.insert(address, here + 1);
        let slot = inner.free.pop().unwrap_or_else(|| {
            inner.slots.push(Slot::default());
            inner.slots.len() as u32 - 1
        });
        let place = &mut inner.slots[slot as usize];
        let connection = make(ConnectionId { slot, generation: place.generation });
        place.connection = Some(Arc::clone(&connection));
        Some(connection)
    }

    /// Frees the slot. The caller has removed the watches of the slot already.
    pub fn remove(&self, id: ConnectionId, address: IpAddr) {
        let mut inner = self.inner.write();
        let slot = &mut inner.slots[id.slot as usize];
        if slot.generation != id.generation || slot.connection.take().is_none() {
            return;
        }
        slot.generation = slot.generation.wrapping_add(1);
        inner.free.push(id.slot);
        inner.count -= 1;
        if let Some(here) = inner.per_address.get_mut(&address) {
            *here -= 1;
            if *here == 0 {
                inner.per_address.remove(&address);
            }
        }
    }

    /// The connection of an id, if it is still there.
    #[must_use]
    pub fn get(&self, id: ConnectionId) -> Option<Arc<Connection>> {
        let inner = self.inner.read();
        inner.slots.get(id.slot as usize).filter(|slot| slot.generation == id.generation)?.connection.clone()
    }

    /// The connection in a slot.
    #[must_use]
    pub fn in_slot(&self, slot: u32) -> Option<Arc<Connection>> {
        self.inner.read().slots.get(slot as usize)?.connection.clone()
    }

    /// All connections.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Connection>> {
        self.inner.read().slots.iter().filter_map(|slot| slot.connection.clone()).collect()
    }

    /// Number of connections.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.read().count
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
