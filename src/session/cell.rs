//! What a connection and the session table share of one session: it is touched without a lock, by every request.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU64, Ordering};

use crate::ids::SessionId;

/// Through which server a session's client speaks, as the leader knows it (`SessionTrackerImpl.checkSession`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// Nobody has spoken for it since this leader took office.
    Nobody,
    /// The leader itself.
    Here,
    /// A learner, by the number of its link.
    Learner(u64),
}

impl Owner {
    fn to_number(self) -> u64 {
        match self {
            Self::Nobody => 0,
            Self::Here => 1,
            Self::Learner(link) => link.saturating_add(2),
        }
    }
}

/// One session. Times are ms of a monotonic clock.
#[derive(Debug)]
pub struct SessionCell {
    id: SessionId,
    /// The timeout of the createSession txn: what a snapshot holds.
    created_timeout_ms: i32,
    timeout_ms: AtomicI32,
    last_touch_ms: AtomicI64,
    closing: AtomicBool,
    owner: AtomicU64,
}

impl SessionCell {
    /// A session that was just heard of.
    #[must_use]
    pub fn new(id: SessionId, timeout_ms: i32, now_ms: i64) -> Self {
        Self {
            id,
            created_timeout_ms: timeout_ms,
            timeout_ms: AtomicI32::new(timeout_ms),
            last_touch_ms: AtomicI64::new(now_ms),
            closing: AtomicBool::new(false),
            owner: AtomicU64::new(Owner::Nobody.to_number()),
        }
    }

    /// The session's id.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The timeout that the session was created with, in ms.
    #[must_use]
    pub fn created_timeout_ms(&self) -> i32 {
        self.created_timeout_ms
    }

    /// The timeout negotiated last, in ms.
    #[must_use]
    pub fn timeout_ms(&self) -> i32 {
        self.timeout_ms.load(Ordering::Relaxed)
    }

    /// The client resumed the session with another timeout.
    pub fn set_timeout_ms(&self, timeout_ms: i32) {
        self.timeout_ms.store(timeout_ms, Ordering::Relaxed);
    }

    /// The client was heard of.
    pub fn touch(&self, now_ms: i64) {
        self.last_touch_ms.fetch_max(now_ms, Ordering::Relaxed);
    }

    /// When the session is over if nothing more is heard.
    #[must_use]
    pub fn deadline_ms(&self) -> i64 {
        self.last_touch_ms.load(Ordering::Relaxed) + i64::from(self.timeout_ms())
    }

    /// From now on nothing is accepted of this session: a closeSession is under way.
    pub fn set_closing(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// The closeSession came to nothing: its leader is gone.
    pub fn set_open(&self) {
        self.closing.store(false, Ordering::Release);
    }

    /// When it was heard of last.
    #[must_use]
    pub fn touched_ms(&self) -> i64 {
        self.last_touch_ms.load(Ordering::Relaxed)
    }

    /// Its client speaks through this server from now on.
    pub fn set_owner(&self, owner: Owner) {
        self.owner.store(owner.to_number(), Ordering::Relaxed);
    }

    /// Whether its client speaks through this server; the first to ask is the one.
    #[must_use]
    pub fn is_owned_by(&self, owner: Owner) -> bool {
        let wanted = owner.to_number();
        match self.owner.load(Ordering::Relaxed) {
            0 => {
                self.owner.store(wanted, Ordering::Relaxed);
                true
            }
            current => current == wanted,
        }
    }

    /// Whether a closeSession is under way.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
}
