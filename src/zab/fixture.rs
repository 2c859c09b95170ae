//! What tests of this room begin with.

use super::{Configuration, HistoryLimits, Membership, QuorumVerifier, Settings, Timing};
use crate::ids::ServerId;

/// Servers 1 to `count` vote.
pub(super) fn voters(count: i64) -> Configuration {
    Configuration::of(0, QuorumVerifier::majority((1..=count).map(ServerId)))
}

/// Settings of one of three voters, or of an observer beside them: a tick of 2000 ms, initLimit 10 and syncLimit 5.
pub(super) fn settings(server_id: i64) -> Settings {
    Settings {
        server_id: ServerId(server_id),
        membership: Membership::new(voters(3)),
        reader: None,
        is_standalone: false,
        timing: Timing::new(2000, 10, 5),
        history: HistoryLimits::default(),
        reads_disk: false,
        forces_snapshot: false,
        has_observer_masters: false,
        seed: 1,
    }
}
