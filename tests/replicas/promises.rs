//! What the clients were told, held against what was committed in the end.

use std::iter::Peekable;

use paddock::ids::{SessionId, Zxid};
use paddock::proto::error_code::ErrorCode;
use paddock::tree::watch::EventType;

use crate::disk::History;
use crate::model::{Done, Model, parent_of};
use crate::requests::{Found, Part, Query, Read, is_sequential};
use crate::watches::Kind;

/// A write that was answered.
pub struct Written {
    pub zxid: Zxid,
    pub asked_by: (SessionId, i32),
    pub parts: Vec<Part>,
    /// The paths that it says it created, or why it failed and at which part.
    pub outcome: Result<Vec<String>, (ErrorCode, usize)>,
}

/// A watch that fired.
pub struct Fired {
    pub zxid: Zxid,
    pub event: EventType,
    pub path: String,
    pub kind: Kind,
    /// The zxid of the reply that set it.
    pub since: Zxid,
}

/// A watch that did not fire as long as its connection lasted.
pub struct Quiet {
    pub path: String,
    pub kind: Kind,
    /// The zxid of the reply that set it.
    pub since: Zxid,
    /// The zxid of the last reply.
    pub seen: Zxid,
}

#[derive(Default)]
pub struct Promises {
    pub writes: Vec<Written>,
    pub reads: Vec<(Zxid, Read, Found)>,
    pub fired: Vec<Fired>,
    pub quiet: Vec<Quiet>,
    /// Sessions that their clients closed.
    pub closed: Vec<(Zxid, SessionId)>,
}

/// Whether a write must fail like this, as things stood before it.
fn is_justified(model: &Model, part: &Part, error: ErrorCode) -> bool {
    let znode = model.znodes.get(part.path());
    let parent = model.znodes.get(parent_of(part.path()));
    match (part, error) {
        (Part::Create { .. }, ErrorCode::NO_NODE) => parent.is_none(),
        (Part::Create { flags, .. }, ErrorCode::NODE_EXISTS) => znode.is_some() && !is_sequential(*flags),
        (Part::Create { .. }, ErrorCode::NO_CHILDREN_FOR_EPHEMERALS) => parent.is_some_and(|parent| parent.owner != 0),
        (Part::Create { flags, .. }, ErrorCode::EPHEMERAL_ON_LOCAL_SESSION) => crate::requests::is_ephemeral(*flags),
        (Part::Reconfig { .. }, error) => {
            // Whether that is so only the leader of the moment knows.
            let passing = [ErrorCode::RECONFIG_IN_PROGRESS, ErrorCode::NEW_CONFIG_NO_QUORUM, ErrorCode::SESSION_EXPIRED];
            passing.contains(&error)
        }
        (_, ErrorCode::NO_NODE) => znode.is_none(),
        (Part::Delete { .. }, ErrorCode::NOT_EMPTY) => znode.is_some_and(|znode| !znode.children.is_empty()),
        (Part::Check { version, .. }, ErrorCode::BAD_VERSION) => znode.is_some_and(|znode| *version != -1 && *version != znode.version),
        (_, error) => error == ErrorCode::SESSION_EXPIRED,
    }
}

fn holds(model: &Model, part: &Part) -> bool {
    let Part::Check { path, version } = part else { return true };
    model.znodes.get(path).is_some_and(|znode| *version == -1 || *version == znode.version)
}

impl Written {
    fn check_before(&self, model: &Model) {
        match &self.outcome {
            Ok(_) => {
                assert!(self.parts.iter().all(|part| holds(model, part)), "{}: a check that does not hold: {:?}", self.zxid, self.parts)
            }
            Err((error, index)) => {
                let part = &self.parts[*index];
                assert!(is_justified(model, part, *error), "{}: {part:?} must not fail with {error:?}", self.zxid);
            }
        }
    }

    fn check_after(&self, done: &Done) {
        assert_eq!(done.asked_by, self.asked_by, "{}: the answer to {:?} is that of another txn", self.zxid, self.parts);
        match &self.outcome {
            Ok(created) => assert_eq!(done.created, *created, "{}: what was acknowledged is what is committed", self.zxid),
            Err(_) => assert!(done.is_idle, "{}: a failed write leaves nothing: {:?}", self.zxid, self.parts),
        }
    }
}

fn check_read(model: &Model, (zxid, read, found): &(Zxid, Read, Found)) {
    let expected = match (model.znodes.get(&read.path), read.query) {
        (None, _) => Found::Nothing,
        (Some(znode), Query::Data) => Found::Data(znode.data.clone(), znode.version),
        (Some(znode), Query::Exists) => Found::Version(znode.version),
        (Some(znode), Query::Children) => Found::Children(znode.children.clone()),
    };
    assert_eq!(*found, expected, "a read shows what was committed up to its zxid, whole: {read:?} at {zxid}");
}

fn first_change(model: &Model, path: &str, kind: Kind, since: Zxid) -> Option<(Zxid, EventType)> {
    let changes = model.changes.get(path).map_or(&[][..], Vec::as_slice);
    let behind = changes.partition_point(|(zxid, _)| *zxid <= since);
    changes[behind..].iter().copied().find(|(_, event)| kind.concerns(*event))
}

fn take_until<T>(items: &mut Peekable<impl Iterator<Item = T>>, is_due: impl Fn(&T) -> bool) -> Vec<T> {
    std::iter::from_fn(|| items.next_if(&is_due)).collect()
}

impl Promises {
    /// Judges everything by the history that all servers agree on; gives what it makes of the znodes.
    pub fn check(mut self, history: &History) -> Model {
        self.writes.sort_by_key(|written| written.zxid);
        self.reads.sort_by_key(|(zxid, _, _)| *zxid);
        self.closed.sort();
        let mut model = Model::new();
        let mut writes = self.writes.iter().peekable();
        let (mut reads, mut closed) = (self.reads.iter().peekable(), self.closed.iter().peekable());
        for (zxid, payload) in history {
            take_until(&mut reads, |(read, _, _)| read < zxid).into_iter().for_each(|read| check_read(&model, read));
            let answered = take_until(&mut writes, |written| written.zxid <= *zxid);
            answered.iter().for_each(|written| written.check_before(&model));
            let done = model.apply(*zxid, payload);
            answered.iter().for_each(|written| written.check_after(&done));
            for (_, session) in take_until(&mut closed, |(closed, _)| closed <= zxid) {
                assert!(model.owned_by(session.0).is_empty(), "{zxid}: a session that was closed owns ephemerals");
            }
        }
        reads.for_each(|read| check_read(&model, read));
        assert!(writes.next().is_none(), "every acknowledged write has its txn");
        self.check_watches(&model);
        for part in self.writes.iter().filter(|written| written.outcome.is_err()).flat_map(|written| &written.parts) {
            // The other names may come again.
            let is_unique = part.path().starts_with("/m");
            assert!(!is_unique || !model.created.contains(part.path()), "{part:?} failed, and was done");
        }
        model
    }

    fn check_watches(&self, model: &Model) {
        for Fired { zxid, event, path, kind, since } in &self.fired {
            let first = first_change(model, path, *kind, *since);
            assert_eq!(Some((*zxid, *event)), first, "a {kind:?} watch on {path} set at {since} tells of the first change");
        }
        for Quiet { path, kind, since, seen } in &self.quiet {
            let missed = first_change(model, path, *kind, *since).filter(|(zxid, _)| zxid <= seen);
            assert_eq!(missed, None, "a {kind:?} watch on {path} set at {since} is lost: its client has seen {seen}");
        }
    }
}
