//! All sessions of the server, known from the log or opened by clients (client-protocol.md §7).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cell::{Owner, SessionCell};
use super::expiry::ExpiryQueue;
use crate::ids::{ConnectionId, SessionId};

struct Entry {
    cell: Arc<SessionCell>,
    connection: Option<ConnectionId>,
    /// The deadline that it stands in the expiry queue for; it may stand there for later ones too, which no longer count.
    scheduled_ms: i64,
    /// Whether the createSession is applied; until then the session is only proposed.
    is_created: bool,
}

/// The sessions, the connection of each, and their expiry.
pub struct SessionTable {
    sessions: BTreeMap<SessionId, Entry>,
    expiry: ExpiryQueue,
    next_id: SessionId,
    tick_time_ms: i64,
    /// When expiry was looked at last.
    looked_ms: Option<i64>,
    /// Whether sessions expire here: on a leader.
    expires: bool,
}

impl SessionTable {
    /// An empty table. Ids are formed as in `SessionTrackerImpl.initializeNextSessionId`, but from the wall clock: a machine's uptime
    /// may come again after a reboot, and with it the ids of sessions that clients still remember.
    #[must_use]
    pub fn new(server_id: u8, wall_ms: i64, tick_time_ms: i64) -> Self {
        let seed = ((wall_ms << 24) as u64 >> 8) as i64 | i64::from(server_id) << 56;
        let next_id = SessionId(if seed == i64::MIN { seed + 1 } else { seed });
        Self { sessions: BTreeMap::new(), expiry: ExpiryQueue::new(tick_time_ms), next_id, tick_time_ms, looked_ms: None, expires: true }
    }

    /// This server leads from now on: sessions expire here. Each has its whole timeout from `now_ms` on, and speaks through nobody yet.
    pub fn take_office(&mut self, now_ms: i64) {
        (self.expires, self.looked_ms) = (true, Some(now_ms));
        self.expiry.clear();
        for (&id, entry) in &mut self.sessions {
            entry.cell.touch(now_ms);
            entry.cell.set_owner(Owner::Nobody);
            entry.scheduled_ms = entry.cell.deadline_ms();
            self.expiry.schedule(id, entry.scheduled_ms);
        }
    }

    /// This server leads no more, follows nobody, and serves no client: what was only proposed is forgotten, an end that was under way
    /// did not come.
    pub fn leave_office(&mut self) {
        self.expires = false;
        self.expiry.clear();
        self.sessions.retain(|_, entry| entry.is_created);
        for entry in self.sessions.values_mut() {
            entry.cell.set_open();
            entry.connection = None;
        }
    }

    /// A fresh session id.
    pub fn allocate(&mut self) -> SessionId {
        loop {
            let id = self.next_id;
            self.next_id = SessionId(id.0.wrapping_add(1));
            if id != SessionId::NONE && !self.sessions.contains_key(&id) {
                return id;
            }
        }
    }

    /// A session is proposed: it has its whole timeout from `now_ms` on.
    pub fn track(&mut self, id: SessionId, timeout_ms: i32, now_ms: i64) -> Arc<SessionCell> {
        let cell = Arc::new(SessionCell::new(id, timeout_ms, now_ms));
        self.adopt(&cell, None);
        cell
    }

    /// A session that was kept elsewhere is proposed, with the connection it has.
    pub fn adopt(&mut self, cell: &Arc<SessionCell>, connection: Option<ConnectionId>) {
        let (id, scheduled_ms) = (cell.id(), cell.deadline_ms());
        self.sessions.insert(id, Entry { cell: Arc::clone(cell), connection, scheduled_ms, is_created: false });
        if self.expires {
            self.expiry.schedule(id, scheduled_ms);
        }
    }

    /// Gives a session and its connection away, as if it had never been here.
    pub fn take(&mut self, id: SessionId) -> Option<(Arc<SessionCell>, Option<ConnectionId>)> {
        self.sessions.remove(&id).map(|entry| (entry.cell, entry.connection))
    }

    /// A session goes on with another timeout, which may end it earlier than the one before would have.
    pub fn resume(&mut self, id: SessionId, timeout_ms: i32, now_ms: i64) {
        let Some(entry) = self.sessions.get_mut(&id) else { return };
        entry.cell.set_timeout_ms(timeout_ms);
        entry.cell.touch(now_ms);
        let deadline_ms = entry.cell.deadline_ms();
        if self.expires && self.expiry.bucket(deadline_ms) < self.expiry.bucket(entry.scheduled_ms) {
            entry.scheduled_ms = deadline_ms;
            self.expiry.schedule(id, deadline_ms);
        }
    }

    /// The createSession of a session is applied, or was found on disk. One that is not known yet has its whole timeout from `now_ms` on.
    pub fn created(&mut self, id: SessionId, timeout_ms: i32, now_ms: i64) {
        if !self.sessions.contains_key(&id) {
            self.track(id, timeout_ms, now_ms);
        }
        self.sessions.get_mut(&id).expect("it is tracked by now").is_created = true;
    }

    /// Forgets all sessions and has these instead, each created and with its whole timeout from `now_ms` on.
    pub fn reload(&mut self, sessions: &[(SessionId, i32)], now_ms: i64) {
        self.clear();
        for &(session, timeout_ms) in sessions {
            self.created(session, timeout_ms, now_ms);
        }
    }

    /// Forgets all sessions.
    pub fn clear(&mut self) {
        self.sessions.clear();
        self.expiry.clear();
    }

    /// A session has ended.
    pub fn remove(&mut self, id: SessionId) -> Option<ConnectionId> {
        self.sessions.remove(&id).and_then(|entry| entry.connection)
    }

    /// The session, if it is known.
    #[must_use]
    pub fn get(&self, id: SessionId) -> Option<&Arc<SessionCell>> {
        self.sessions.get(&id).map(|entry| &entry.cell)
    }

    /// Binds a session to a connection, or to none, and gives back the one it had.
    pub fn bind(&mut self, id: SessionId, connection: Option<ConnectionId>) -> Option<ConnectionId> {
        self.sessions.get_mut(&id).and_then(|entry| std::mem::replace(&mut entry.connection, connection))
    }

    /// The connection of a session.
    #[must_use]
    pub fn connection(&self, id: SessionId) -> Option<ConnectionId> {
        self.sessions.get(&id).and_then(|entry| entry.connection)
    }

    /// The sessions that nothing was heard of for their timeout. Each is reported until it is removed or closing.
    ///
    /// When the last look is more than two ticks ago it was the server that stood still (a stopped process, a paused machine), and what
    /// clients sent meanwhile lies unread in the sockets: nobody expires before the next tick.
    pub fn expired(&mut self, now_ms: i64) -> Vec<Arc<SessionCell>> {
        let last_ms = self.looked_ms.replace(now_ms).unwrap_or(now_ms);
        let mut expired = Vec::new();
        if now_ms - last_ms > 2 * self.tick_time_ms {
            return expired;
        }
        for id in self.expiry.due(now_ms) {
            let Some(entry) = self.sessions.get_mut(&id) else { continue };
            if self.expiry.bucket(entry.scheduled_ms) > now_ms {
                continue;
            }
            let deadline_ms = entry.cell.deadline_ms();
            if self.expiry.bucket(deadline_ms) > now_ms {
                entry.scheduled_ms = deadline_ms;
                self.expiry.schedule(id, deadline_ms);
            } else if !entry.cell.is_closing() {
                expired.push(Arc::clone(&entry.cell));
            }
        }
        expired
    }

    /// All sessions whose createSession is applied, with the timeout they were created with: what belongs into a snapshot.
    pub fn iter(&self) -> impl Iterator<Item = (SessionId, i32)> {
        self.sessions.iter().filter(|(_, entry)| entry.is_created).map(|(&id, entry)| (id, entry.cell.created_timeout_ms()))
    }

    /// The sessions that have a connection here.
    pub fn connected(&self) -> impl Iterator<Item = &Arc<SessionCell>> {
        self.sessions.values().filter(|entry| entry.connection.is_some()).map(|entry| &entry.cell)
    }

    /// All sessions.
    pub fn cells(&self) -> impl Iterator<Item = &Arc<SessionCell>> {
        self.sessions.values().map(|entry| &entry.cell)
    }

    /// Number of sessions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_byte_of_an_id_is_the_server() {
        let mut table = SessionTable::new(1, 123_456, 2000);
        let first = table.allocate();
        assert_eq!((first.0 >> 56, table.allocate().0 - first.0), (1, 1));
    }

    #[test]
    fn a_touched_session_lives_on() {
        let mut table = SessionTable::new(1, 0, 1000);
        let cell = table.track(SessionId(9), 4000, 0);
        cell.touch(3500);
        assert!(table.expired(5000).is_empty());
        assert!(table.expired(7999).is_empty());
        let expired = table.expired(8000);
        assert_eq!(expired.iter().map(|cell| cell.id()).collect::<Vec<_>>(), [SessionId(9)]);
    }

    #[test]
    fn nobody_expires_while_the_server_stood_still() {
        let mut table = SessionTable::new(1, 0, 1000);
        let heard = table.track(SessionId(1), 4000, 0);
        table.track(SessionId(2), 4000, 0);
        assert!(table.expired(1000).is_empty());
        assert!(table.expired(60_000).is_empty(), "the look is 59 s late");
        heard.touch(60_500);
        let expired = table.expired(61_000);
        assert_eq!(expired.iter().map(|cell| cell.id()).collect::<Vec<_>>(), [SessionId(2)]);
    }

    #[test]
    fn a_session_resumed_with_a_shorter_timeout_ends_earlier() {
        let mut table = SessionTable::new(1, 0, 1000);
        table.track(SessionId(9), 30_000, 0);
        table.resume(SessionId(9), 4000, 500);
        assert!(table.expired(4999).is_empty());
        assert_eq!(table.expired(5000).len(), 1);
        table.remove(SessionId(9));
        assert!(table.expired(31_000).is_empty());
    }

    #[test]
    fn a_session_that_stands_in_the_queue_twice_is_looked_at_once() {
        let mut table = SessionTable::new(1, 0, 1000);
        let cell = table.track(SessionId(9), 30_000, 0);
        table.resume(SessionId(9), 4000, 500);
        for now_ms in (1000..60_000).step_by(1000) {
            cell.touch(now_ms);
            assert!(table.expired(now_ms).is_empty(), "at {now_ms}");
        }
        let waiting: usize = (0..100).map(|second| table.expiry.due(60_000 + second * 1000).len()).sum();
        assert_eq!(waiting, 1);
    }

    #[test]
    fn a_closing_session_does_not_expire_again() {
        let mut table = SessionTable::new(1, 0, 1000);
        table.track(SessionId(9), 1000, 0).set_closing();
        assert!(table.expired(10_000).is_empty());
    }

    #[test]
    fn a_proposed_session_belongs_into_no_snapshot() {
        let mut table = SessionTable::new(1, 0, 1000);
        table.track(SessionId(9), 1000, 0);
        assert_eq!((table.len(), table.iter().count()), (1, 0));
        table.created(SessionId(9), 1000, 0);
        table.created(SessionId(10), 2000, 0);
        assert_eq!(table.iter().collect::<Vec<_>>(), [(SessionId(9), 1000), (SessionId(10), 2000)]);
    }

    #[test]
    fn a_session_moves_to_another_table_with_its_connection() {
        let (mut from, mut to) = (SessionTable::new(1, 0, 1000), SessionTable::new(1, 0, 1000));
        let connection = Some(ConnectionId { slot: 1, generation: 0 });
        let cell = from.track(SessionId(9), 4000, 0);
        from.bind(SessionId(9), connection);
        let (taken, bound) = from.take(SessionId(9)).expect("it is there");
        to.adopt(&taken, bound);
        assert!(from.take(SessionId(9)).is_none() && from.expired(60_000).is_empty() && Arc::ptr_eq(&cell, &taken));
        assert_eq!((to.connection(SessionId(9)), to.iter().count(), to.expired(5000).len()), (connection, 0, 1));
        to.created(SessionId(9), 4000, 0);
        assert_eq!(to.iter().collect::<Vec<_>>(), [(SessionId(9), 4000)]);
    }

    #[test]
    fn binding_gives_back_the_old_connection() {
        let mut table = SessionTable::new(1, 0, 1000);
        table.track(SessionId(9), 1000, 0);
        let connection = |slot| Some(ConnectionId { slot, generation: 0 });
        assert_eq!(table.bind(SessionId(9), connection(1)), None);
        assert_eq!(table.bind(SessionId(9), connection(2)), connection(1));
        assert_eq!(table.remove(SessionId(9)), connection(2));
    }
}
