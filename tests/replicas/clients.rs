//! Clients of the simulated ensemble, one request at a time each, and what they may believe.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jute::Encode;
use paddock::ids::{ConnectionId, SessionId, Zxid};
use paddock::proto::error_code::ErrorCode;
use paddock::proto::op_code::OpCode;
use paddock::proto::password;
use paddock::proto::records::client as requests;
use paddock::proto::records::data::{Acl, Id};
use paddock::replica::{Input, LocalSessions, Request};
use paddock::session::SessionCell;
use paddock::tree::acl::Identity;

use crate::world::{TICK_MS, Told, World};

const SESSION_MS: i32 = 30 * TICK_MS as i32;

/// What a client waits for.
enum Asked {
    Create { name: String, is_ephemeral: bool, since: Zxid },
    Sync { known: BTreeSet<String> },
}

#[derive(Default)]
struct Client {
    session: Option<SessionId>,
    cell: Option<Arc<SessionCell>>,
    connection: Option<(usize, ConnectionId)>,
    asked: Option<Asked>,
    xid: i32,
    seen: Zxid,
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
}

fn create(path: &str, is_ephemeral: bool) -> Vec<u8> {
    let anyone = Acl { perms: 31, id: Id { scheme: Some("world".into()), id: Some("anyone".into()) } };
    let flags = i32::from(is_ephemeral);
    requests::CreateRequest { path: Some(path.into()), data: None, acl: Some(vec![anyone]), flags }.to_vec()
}

impl Clients {
    pub fn new(count: usize) -> Self {
        let clients = (0..count).map(|_| Client::default()).collect();
        Self { clients, of: BTreeMap::new(), next_slot: 0, next_name: 0, acknowledged: BTreeSet::new(), newest: Zxid::ZERO }
    }

    /// Every client does something, if it waits for nothing.
    pub fn act(&mut self, world: &mut World) {
        for index in 0..self.clients.len() {
            match (self.clients[index].connection, self.clients[index].asked.is_some()) {
                (None, _) => self.connect(index, world),
                (Some((node, connection)), false) if self.clients[index].cell.is_some() => self.ask(index, node, connection, world),
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
        world.nodes[node].connections.insert(connection);
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
        let client = &mut self.clients[index];
        client.xid += 1;
        let (xid, session) = (client.xid, Arc::clone(client.cell.as_ref().expect("it has a session")));
        let (op, body, asked) = if world.random.chance(25) {
            let body = requests::SyncRequest { path: Some("/".into()) }.to_vec();
            (OpCode::SYNC, body, Asked::Sync { known: self.acknowledged.clone() })
        } else {
            self.next_name += 1;
            let is_ephemeral = world.random.chance(30);
            let name = format!("{}{}", if is_ephemeral { 'e' } else { 'p' }, self.next_name);
            let body = create(&format!("/{name}"), is_ephemeral);
            (OpCode::CREATE, body, Asked::Create { name, is_ephemeral, since: self.newest })
        };
        client.asked = Some(asked);
        let identities = [Identity::new("ip", "10.0.0.1")].into();
        world.turn(node, vec![Input::Request(Request { connection, session, xid, op, body: body.into(), identities })]);
    }

    /// The client closes its connection, and will come back.
    fn hang_up(&mut self, index: usize, world: &mut World) {
        let client = &mut self.clients[index];
        let Some((node, connection)) = client.connection.take() else { return };
        client.asked = None;
        if let Some(cell) = client.cell.take()
            && world.nodes[node].connections.remove(&connection)
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
            Told::Reply { xid, error, zxid, children } => self.answered(index, (xid, error, zxid), &children, world.local_sessions),
        }
    }

    fn lost(&mut self, index: usize, world: &mut World) {
        self.hang_up(index, world);
        self.clients[index].cell = None;
    }

    fn answered(&mut self, index: usize, (xid, error, zxid): (i32, ErrorCode, Zxid), children: &[String], local: LocalSessions) {
        let client = &mut self.clients[index];
        assert_eq!(xid, client.xid, "session order: replies come in the order of the requests");
        assert!(zxid >= client.seen, "session order: the zxid of a session goes back from {} to {zxid}", client.seen);
        client.seen = zxid;
        match client.asked.take().expect("a reply has a request") {
            Asked::Create { name, is_ephemeral, since } => match error {
                ErrorCode::OK => {
                    assert!(!is_ephemeral || local != LocalSessions::Kept, "a session that nobody else knows owns no ephemerals");
                    assert!(zxid > since, "linearizable writes: {name} at {zxid}, begun after {since} was told");
                    self.newest = self.newest.max(zxid);
                    if !is_ephemeral {
                        self.acknowledged.insert(name);
                    }
                }
                ErrorCode::EPHEMERAL_ON_LOCAL_SESSION if is_ephemeral && local == LocalSessions::Kept => {}
                ErrorCode::SESSION_EXPIRED => self.clients[index].session = None,
                other => panic!("{name}: {other:?}"),
            },
            Asked::Sync { known } => {
                let missing: Vec<_> = known.iter().filter(|name| !children.contains(name)).collect();
                assert!(error == ErrorCode::OK && missing.is_empty(), "a sync shows what was acknowledged before it: {missing:?}");
            }
        }
    }
}
