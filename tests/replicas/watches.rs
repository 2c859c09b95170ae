//! The one-shot watches of one connection, as its client reckons them.

use std::collections::BTreeMap;

use paddock::ids::Zxid;
use paddock::tree::watch::EventType;

use crate::promises::{Fired, Promises, Quiet};
use crate::requests::{Found, Query, Read};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Set by a read of the data, or of whether there is a znode.
    Data,
    Child,
}

impl Kind {
    pub fn concerns(self, event: EventType) -> bool {
        match event {
            EventType::NodeDeleted => true,
            EventType::NodeChildrenChanged => self == Self::Child,
            EventType::NodeCreated | EventType::NodeDataChanged => self == Self::Data,
        }
    }
}

/// A watch that has not fired: what its client saw when it was set, and what it has seen since.
struct Waiting {
    since: Zxid,
    seen: Zxid,
}

#[derive(Default)]
pub struct Watches {
    waiting: BTreeMap<(String, Kind), Waiting>,
}

impl Watches {
    /// A read was answered.
    pub fn answered(&mut self, read: &Read, found: &Found, zxid: Zxid) {
        // A znode that is not there can only be watched by `exists`.
        if read.watch && (read.query == Query::Exists || *found != Found::Nothing) {
            let kind = if read.query == Query::Children { Kind::Child } else { Kind::Data };
            self.waiting.entry((read.path.clone(), kind)).or_insert(Waiting { since: zxid, seen: zxid });
        }
    }

    /// Any reply: what it reflects, the watches have been told of.
    pub fn seen(&mut self, zxid: Zxid) {
        self.waiting.values_mut().for_each(|waiting| waiting.seen = zxid);
    }

    pub fn fire(&mut self, zxid: Zxid, event: EventType, path: &str, promises: &mut Promises) {
        let mut is_awaited = false;
        for kind in [Kind::Data, Kind::Child].into_iter().filter(|kind| kind.concerns(event)) {
            let Some(Waiting { since, seen }) = self.waiting.remove(&(path.to_owned(), kind)) else { continue };
            is_awaited = true;
            assert!(zxid > seen, "{event:?} of {path} at {zxid} is told after a reply that reflects {seen}");
            promises.fired.push(Fired { zxid, event, path: path.to_owned(), kind, since });
        }
        assert!(is_awaited, "{event:?} of {path} at {zxid} is told to a client that does not wait for it");
    }

    /// The connection is over.
    pub fn end(&mut self, promises: &mut Promises) {
        let ended = std::mem::take(&mut self.waiting).into_iter();
        promises.quiet.extend(ended.map(|((path, kind), Waiting { since, seen })| Quiet { path, kind, since, seen }));
    }
}
