//! What a change of role means for sessions and for what was under way.

use super::core::{Replica, Role};
use super::input::Now;
use super::learning::Learning;
use crate::zab::{RoleChange, ServerState};

impl Replica {
    /// Everything delivered before the change is applied.
    pub(super) fn role_changed(&mut self, change: RoleChange, now: Now) {
        if matches!(change, RoleChange::Serving { .. }) {
            // Everything that a leader's snapshot may hold is applied.
            self.shared.tree.write().set_fuzzy(false);
        }
        self.looking_since_ms = matches!(change, RoleChange::Looking { .. }).then_some(now.monotonic_ms);
        match change {
            RoleChange::Serving { state: ServerState::Leading, .. } => {
                self.overlay.reset(self.shared.tree.read().digest());
                self.sessions.take_office(now.monotonic_ms);
                self.role = Role::Leading;
                self.close_orphans(now);
            }
            RoleChange::Serving { .. } => {
                self.role = Role::Learning(Learning::new(now.monotonic_ms));
                self.close_orphans(now);
            }
            RoleChange::Looking { .. } | RoleChange::Stopped => self.leave_office(),
            // Whoever was served without a leader is let go.
            RoleChange::Elected { .. } => self.role = Role::Idle,
            RoleChange::Discovered { .. } => {}
        }
    }

    /// What was under way is lost to the clients, whose connections are closed; it may be in the log all the same.
    fn leave_office(&mut self) {
        self.role = Role::Idle;
        self.in_flight.clear();
        self.validities.clear();
        self.unconfirmed.clear();
        self.syncs.clear();
        self.overlay.reset(self.shared.tree.read().digest());
        self.sessions.leave_office();
        self.locals.end_all();
    }
}
