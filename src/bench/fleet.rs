//! All connections of a run on one thread: one epoll, and in each turn of a connection one read and one write call.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

use super::args::Plan;
use super::error::{BenchError, system};
use super::interrupt;
use super::link::{Link, Sent};
use crate::client::frames::Reply;
use crate::client::servers::Servers;

/// What one read call takes at most, in bytes.
const READ_BYTES: usize = 256 << 10;
/// Sockets that one wait reports at most.
const EVENTS_MAX: usize = 1_024;
/// How often time alone is looked at, in ns.
const SWEEP_EVERY: u64 = 10_000_000;
/// How long no further connection may open, while not all are open, before the run gives up, in ns.
const OPENING_PATIENCE: u64 = 10_000_000_000;

/// How long the end of a run waits for the answers to closeSession, in ns.
const CLOSING_PATIENCE: u64 = 10_000_000_000;

/// What a run does with its connections. All times are in ns of the fleet's clock.
pub trait Load {
    /// A session is open, for the first time or again.
    fn opened(&mut self, link: &mut Link, now: u64);
    /// A reply came.
    fn answered(&mut self, link: &mut Link, sent: Sent, reply: &Reply<'_>, now: u64);
    /// A request was lost with its connection.
    fn lost(&mut self, link: &mut Link, sent: Sent, now: u64);
    /// A watch event came.
    fn told(&mut self, link: &mut Link, now: u64);
    /// The turn of an open connection ends: it may send.
    fn refill(&mut self, link: &mut Link, now: u64);
}

/// What all connections share.
#[derive(Debug)]
pub struct Wire {
    epoll: OwnedFd,
    base: Instant,
    addresses: Vec<SocketAddr>,
    /// Schemes and credentials that each connection begins with.
    pub(super) auth: Vec<(String, String)>,
    /// The buffer that every connection reads into.
    pub(super) scratch: Vec<u8>,
    /// What the connections count.
    pub(super) counts: Counts,
    last_failure: String,
}

/// What the connections count themselves.
#[derive(Clone, Copy, Default, Debug)]
pub struct Counts {
    /// Sessions opened or resumed.
    pub opened: u64,
    /// Sessions resumed.
    pub reconnects: u64,
    /// Sessions that could not be resumed.
    pub expired: u64,
    /// Replies out of order or to nothing, and zxids that went back.
    pub disorder: u64,
}

impl Wire {
    /// Now, in ns since the fleet was made.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.base.elapsed().as_nanos() as u64
    }

    pub(super) fn server_count(&self) -> usize {
        self.addresses.len()
    }

    fn address(&self, server: usize) -> SocketAddr {
        self.addresses[server % self.addresses.len()]
    }

    /// Begins to connect to server number `server`; the socket becomes writable when that has come to an end.
    pub(super) fn connect(&self, server: usize, index: usize) -> io::Result<TcpStream> {
        let address = self.address(server);
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&address.into()) {
            Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => return Err(error),
            _ => {}
        }
        epoll::add(&self.epoll, &socket, epoll::EventData::new_u64(index as u64), epoll::EventFlags::IN | epoll::EventFlags::OUT)?;
        Ok(socket.into())
    }

    /// Says whether it matters that the socket can be written.
    pub(super) fn set_interest(&self, socket: &TcpStream, index: usize, wants_write: bool) -> io::Result<()> {
        let flags = if wants_write { epoll::EventFlags::IN | epoll::EventFlags::OUT } else { epoll::EventFlags::IN };
        Ok(epoll::modify(&self.epoll, socket, epoll::EventData::new_u64(index as u64), flags)?)
    }

    /// Remembers why a connection broke, for the message in case none comes back.
    pub(super) fn failed(&mut self, server: usize, why: &str) {
        self.last_failure = format!("{}: {why}", self.address(server));
    }
}

/// All connections of a run.
pub struct Fleet {
    wire: Wire,
    links: Vec<Link>,
    events: Vec<epoll::Event>,
    next_sweep: u64,
}

impl Fleet {
    /// `count` connections that are still closed, spread over the servers.
    ///
    /// # Errors
    /// When the system gives no epoll.
    pub fn new(servers: &Servers, plan: &Plan, count: usize) -> Result<Self, BenchError> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|error| system("epoll_create")(error.into()))?;
        let wire = Wire {
            epoll,
            base: Instant::now(),
            addresses: servers.addresses.clone(),
            auth: plan.auth.clone(),
            scratch: vec![0; READ_BYTES],
            counts: Counts::default(),
            last_failure: "none".to_owned(),
        };
        let links = (0..count).map(|index| Link::new(index, index, plan.session_timeout_ms)).collect();
        Ok(Self { wire, links, events: Vec::with_capacity(EVENTS_MAX), next_sweep: 0 })
    }

    /// Now, in ns since the fleet was made.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.wire.now()
    }

    /// What the connections have counted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.wire.counts
    }

    /// The connections.
    #[must_use]
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// How many requests are on their way.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.links.iter().map(Link::outstanding).sum()
    }

    /// Why the last connection broke that did.
    #[must_use]
    pub fn last_failure(&self) -> &str {
        &self.wire.last_failure
    }

    /// Gives the load one turn with a connection, and sends what it says.
    pub fn poke<L: Load>(&mut self, load: &mut L, index: usize, act: impl FnOnce(&mut Link, &mut L, u64)) {
        let now = self.wire.now();
        let link = &mut self.links[index];
        act(link, load, now);
        link.finish_turn(&mut self.wire, load, now);
    }

    /// Begins to open a new session on a closed connection.
    pub fn open<L: Load>(&mut self, load: &mut L, index: usize) {
        let now = self.wire.now();
        self.links[index].reopen(now);
        self.links[index].start(&mut self.wire, load, now);
    }

    /// Opens all connections, `at_once` at a time, and waits until they are.
    ///
    /// # Errors
    /// When for a while none of those that are still closed opens.
    pub fn open_all<L: Load>(&mut self, load: &mut L, at_once: usize) -> Result<(), BenchError> {
        let (mut begun, mut opened, mut since) = (0, 0, self.now());
        loop {
            let open = self.links.iter().filter(|link| link.is_open()).count();
            if open == self.links.len() {
                return Ok(());
            }
            if open > opened {
                (opened, since) = (open, self.now());
            }
            while begun < self.links.len() && begun - open.min(begun) < at_once {
                self.open(load, begun);
                begun += 1;
            }
            if interrupt::requested() {
                return Err(BenchError::Interrupted);
            }
            if self.now() - since > OPENING_PATIENCE {
                return Err(BenchError::NotAllOpen { open, wanted: self.links.len(), last: self.last_failure().to_owned() });
            }
            self.turn(load, self.next_sweep)?;
        }
    }

    /// Waits until something comes, at most until `until`, and lets every connection that has something make its turn.
    ///
    /// # Errors
    /// When the system refuses to wait.
    pub fn turn<L: Load>(&mut self, load: &mut L, until: u64) -> Result<(), BenchError> {
        let wait = until.min(self.next_sweep).saturating_sub(self.wire.now());
        let timeout = Timespec { tv_sec: (wait / 1_000_000_000) as i64, tv_nsec: (wait % 1_000_000_000) as i64 };
        self.events.clear();
        match epoll::wait(&self.wire.epoll, spare_capacity(&mut self.events), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(system("epoll_wait")(error.into())),
        }
        for event in &self.events {
            let (index, flags) = (event.data.u64() as usize, event.flags);
            self.links[index].ready(&mut self.wire, load, flags);
        }
        let now = self.wire.now();
        if now >= self.next_sweep {
            self.next_sweep = now + SWEEP_EVERY;
            for link in &mut self.links {
                link.sweep(&mut self.wire, load, now);
            }
        }
        Ok(())
    }

    /// Ends all sessions, and waits for the servers' answers, but not for long.
    ///
    /// # Errors
    /// When the system refuses to wait.
    pub fn close_all<L: Load>(&mut self, load: &mut L) -> Result<(), BenchError> {
        for index in 0..self.links.len() {
            if self.links[index].is_open() {
                self.poke(load, index, |link, _, now| link.close(now));
            }
        }
        let deadline = self.now() + CLOSING_PATIENCE;
        while self.links.iter().any(|link| link.outstanding() > 0) && self.now() < deadline {
            self.turn(load, deadline)?;
        }
        Ok(())
    }
}
