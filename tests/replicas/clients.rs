//! Clients of the simulated ensemble, one request at a time each, and what they may believe.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jute::Encode;
use paddock::ids::{ConnectionId, SessionId, Zxid};
use paddock::proto::error_code::ErrorCode;
use paddock::proto::op_code::OpCode;
use paddock::proto::password;
use paddock::proto::records::client as records;
use paddock::replica::{Input, LocalSessions, Request};
use paddock::session::SessionCell;
use paddock::tree::acl::Identity;

use crate::members;
use crate::promises::{Promises, Written};
use crate::requests::{self, Part, Read};
use crate::watches::Watches;
use crate::world::{Answer, TICK_MS, Told, World};

const SESSION_MS: i32 = 30 * TICK_MS as i32;

/// What a client waits for.
enum Asked {
    Write { parts: Vec<Part>, since: Zxid },
    Sync { known: BTreeSet<String> },
    Read(Read),
    Close,
}

#[derive(Default)]
struct Client {
    session: Option<SessionId>,
    cell: Option<Arc<SessionCell>>,
    connection: Option<(usize, ConnectionId)>,
    /// With the number of each request, in their order.
    asked: VecDeque<(i32, Asked)>,
    xid: i32,
    seen: Zxid,
    watches: Watches,
}

/// All clients, and the checkers.
pub struct Clients {
    clients: Vec<Client>,
    of: BTreeMap<ConnectionId, usize>,
    next_slot: u32,
    next_name: u64,
    /// Names of persistent znodes whose creation was acknowledged.
    pub acknowledged: BTreeSet<String>,
    /// The newest zxid that any client was told of by a write.
    newest: Zxid,
    promises: Promises,
}

impl Clients {
    pub fn new(count: usize) -> Self {
        let clients = (0..count).map(|_| Client::default()).collect();
        Self {
            clients,
            of: BTreeMap::new(),
            next_slot: 0,
            next_name: 0,
            acknowledged: BTreeSet::new(),
            newest: Zxid::ZERO,
            promises: Promises::default(),
        }
    }

    /// All that they were told. Connections that last to the end are judged like the others.
    pub fn promises(mut self) -> Promises {
        self.clients.iter_mut().for_each(|client| client.watches.end(&mut self.promises));
        self.promises
    }

    /// Every client does something, if it waits for nothing.
    pub fn act(&mut self, world: &mut World) {
        for index in 0..self.clients.len() {
            match (self.clients[index].connection, self.clients[index].asked.is_empty()) {
                (None, _) => self.connect(index, world),
                (Some((node, connection)), true) if self.clients[index].cell.is_some() => self.ask(index, node, connection, world),
                (Some(_), _) => {}
            }
            if let Some(cell) = &self.clients[index].cell
                && world.random.chance(90)
            {
                cell.touch(world.now);
            }
        }
    }

    fn connect(&mut self, index: usize, world: &mut World) {
        let node = world.random.between(0, world.nodes.len() as i64 - 1) as usize;
        // What a client has seen it wants to see again (client-protocol.md §1.4 step 4).
        if world.nodes[node].replica.is_none() || self.clients[index].seen > world.nodes[node].shared.tree.read().last_zxid() {
            return;
        }
        self.next_slot += 1;
        let connection = ConnectionId { slot: self.next_slot, generation: 0 };
        self.of.insert(connection, index);
        self.clients[index].connection = Some((node, connection));
        world.connect_client(node, connection);
        let input = match self.clients[index].session {
            None => Input::OpenSession { connection, timeout_ms: SESSION_MS, takes_read_only: false },
            Some(session) => {
                let password = password::generate(session).to_vec();
                Input::ResumeSession { connection, session, password, timeout_ms: SESSION_MS, takes_read_only: false }
            }
        };
        world.turn(node, vec![input]);
    }

    fn ask(&mut self, index: usize, node: usize, connection: ConnectionId, world: &mut World) {
        if world.random.chance(2) {
            return self.hang_up(index, world);
        }
        let session = Arc::clone(self.clients[index].cell.as_ref().expect("it has a session"));
        let client = (connection, session.id());
        if world.random.chance(30) {
            return self.read(index, node, client, world, false);
        }
        let (op, body, asked) = match world.random.between(0, 99) {
            0 => (OpCode::CLOSE_SESSION, Vec::new(), Asked::Close),
            1..25 => {
                let body = records::SyncRequest { path: Some("/".into()) }.to_vec();
                (OpCode::SYNC, body, Asked::Sync { known: self.acknowledged.clone() })
            }
            _ => {
                self.next_name += 1;
                let parts = if world.changes && world.random.chance(5) {
                    vec![members::change(world.nodes.len(), &mut world.random)]
                } else {
                    requests::write(&mut world.random, self.next_name)
                };
                let (op, body) = requests::encode(&parts);
                (op, body, Asked::Write { parts, since: self.newest })
            }
        };
        let reads_behind = matches!(asked, Asked::Write { .. }) && world.random.chance(30);
        let xid = self.number(index, asked);
        if reads_behind {
            self.read(index, node, client, world, true);
        }
        let identities = [Identity::new("ip", "10.0.0.1")].into();
        world.turn(node, vec![Input::Request(Request { connection, session, xid, op, body: body.into(), identities })]);
    }

    fn read(&mut self, index: usize, node: usize, client: (ConnectionId, SessionId), world: &mut World, waits: bool) {
        let read = requests::read(&mut world.random);
        let xid = self.number(index, Asked::Read(read.clone()));
        world.read(node, client, (xid, read), waits);
    }

    fn number(&mut self, index: usize, asked: Asked) -> i32 {
        let client = &mut self.clients[index];
        client.xid += 1;
        client.asked.push_back((client.xid, asked));
        client.xid
    }

    /// The client closes its connection, and will come back.
    fn hang_up(&mut self, index: usize, world: &mut World) {
        let client = &mut self.clients[index];
        let Some((node, connection)) = client.connection.take() else { return };
        client.asked.clear();
        client.watches.end(&mut self.promises);
        if let Some(cell) = client.cell.take()
            && world.end(node, connection)
        {
            world.turn(node, vec![Input::Disconnected { connection, session: cell.id() }]);
        }
    }

    /// A client hears something.
    pub fn told(&mut self, connection: ConnectionId, told: Told, world: &mut World) {
        let Some(&index) = self.of.get(&connection) else { return };
        if self.clients[index].connection.is_none_or(|(_, current)| current != connection) {
            return;
        }
        match told {
            Told::Opened(cell) => {
                let client = &mut self.clients[index];
                assert!(client.session.is_none_or(|session| session == cell.id()), "a client gets its own session");
                (client.session, client.cell) = (Some(cell.id()), Some(cell));
            }
            Told::Refused => {
                self.clients[index].session = None;
                self.lost(index, world);
            }
            Told::Closed => self.lost(index, world),
            Told::Reply { xid, zxid, answer, children } => {
                if let Some(asked) = self.replied(index, xid, zxid) {
                    self.answered(index, (xid, asked), (zxid, answer), &children, world);
                }
            }
            Told::Read { xid, zxid, frame } => {
                let Some(Asked::Read(read)) = self.replied(index, xid, zxid) else { panic!("the answer to no read") };
                let found = read.decode(&frame);
                self.clients[index].watches.answered(&read, &found, zxid);
                self.promises.reads.push((zxid, read, found));
            }
            Told::Event { zxid, event, path } => {
                let client = &mut self.clients[index];
                client.seen = client.seen.max(zxid);
                client.watches.fire(zxid, event, &path, &mut self.promises);
            }
        }
    }

    fn lost(&mut self, index: usize, world: &mut World) {
        self.hang_up(index, world);
        self.clients[index].cell = None;
    }

    /// Gives what a reply is for.
    fn replied(&mut self, index: usize, xid: i32, zxid: Zxid) -> Option<Asked> {
        let client = &mut self.clients[index];
        assert!(zxid >= client.seen, "session order: the zxid of a session goes back from {} to {zxid}", client.seen);
        client.seen = zxid;
        client.watches.seen(zxid);
        let (asked, request) = client.asked.pop_front().expect("a reply has a request");
        assert_eq!(xid, asked, "session order: replies come in the order of the requests");
        Some(request)
    }

    fn answered(
        &mut self,
        index: usize,
        (xid, asked): (i32, Asked),
        (zxid, answer): (Zxid, Answer),
        children: &[String],
        world: &mut World,
    ) {
        match asked {
            Asked::Write { parts, since } => self.written(index, (xid, parts), (zxid, since), answer, world.local_sessions),
            Asked::Sync { known } => {
                let missing: Vec<_> = known.iter().filter(|name| !children.contains(name)).collect();
                assert!(answer.is_ok() && missing.is_empty(), "a sync shows what was acknowledged before it: {missing:?}");
            }
            Asked::Close => {
                self.promises.closed.extend(self.clients[index].session.take().map(|session| (zxid, session)));
                self.lost(index, world);
            }
            Asked::Read(_) => panic!("a read is answered as if it were a write"),
        }
    }

    fn written(&mut self, index: usize, (xid, parts): (i32, Vec<Part>), (zxid, since): (Zxid, Zxid), answer: Answer, local: LocalSessions) {
        let is_ephemeral = |part: &Part| matches!(part, Part::Create { flags, .. } if requests::is_ephemeral(*flags));
        let asked_by = (self.clients[index].session.expect("it has a session"), xid);
        match &answer {
            Ok(created) => {
                assert!(
                    !parts.iter().any(is_ephemeral) || local != LocalSessions::Kept,
                    "a session that nobody else knows owns no ephemerals"
                );
                assert!(zxid > since, "linearizable writes: {parts:?} at {zxid}, begun after {since} was told");
                self.newest = self.newest.max(zxid);
                // Nobody deletes these.
                let names = created.iter().filter_map(|path| path.strip_prefix('/'));
                self.acknowledged.extend(names.filter(|name| name.starts_with(['p', 'm'])).map(Into::into));
            }
            Err((ErrorCode::SESSION_EXPIRED, _)) => self.clients[index].session = None,
            Err(_) => {}
        }
        self.promises.writes.push(Written { zxid, asked_by, parts, outcome: answer });
    }
}
