//! The session password: 16 bytes drawn from `java.util.Random` seeded by the session id (`ZooKeeperServer.generatePasswd`),
//! so that a client can resume its session on any member, whatever implements it.

use crate::ids::SessionId;

/// Bytes of a session password.
pub const PASSWORD_BYTES: usize = 16;

const SUPER_SECRET: i64 = 0xB341_5C00;
const MULTIPLIER: u64 = 0x5_DEEC_E66D;
const MASK: u64 = (1 << 48) - 1;

/// The password of a session (client-protocol.md §1.5).
#[must_use]
pub fn generate(session: SessionId) -> [u8; PASSWORD_BYTES] {
    let mut state = ((session.0 ^ SUPER_SECRET) as u64 ^ MULTIPLIER) & MASK;
    let mut password = [0; PASSWORD_BYTES];
    for word in password.chunks_exact_mut(4) {
        state = (state.wrapping_mul(MULTIPLIER).wrapping_add(0xB)) & MASK;
        word.copy_from_slice(&((state >> 16) as u32).to_le_bytes());
    }
    password
}

/// Whether `password` opens `session`.
#[must_use]
pub fn matches(session: SessionId, password: &[u8]) -> bool {
    session != SessionId::NONE && password == generate(session)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The vectors of client-protocol.md §16 and quorum-protocol.md §7.
    #[test]
    fn passwords_are_those_of_java() {
        for (session, expected) in [
            (0x0100_0000_0000_0000, "f22acd4a97e69d6d20a49bb638eadb38"),
            (0x0100_0012_3456_78ab, "b7c3a6194c9474b12a7e41fccc5ebbcf"),
            (0x0000_0000_0000_0001, "054cc74a37327db215e702e20c73f005"),
            (-1, "20f62cb5648dc2d771471c8a2486a9ee"),
            (0x0100_0019_6160_0000, "92abe518b76a1c85c0a5aeef585be9d8"),
        ] {
            assert_eq!(hex(&generate(SessionId(session))), expected);
        }
    }

    #[test]
    fn no_session_has_no_password() {
        assert!(!matches(SessionId::NONE, &generate(SessionId::NONE)));
        assert!(matches(SessionId(7), &generate(SessionId(7))));
        assert!(!matches(SessionId(7), &generate(SessionId(7))[..15]));
    }
}
