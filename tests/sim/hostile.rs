//! What partners that keep to no rule send: packets of every kind, with the numbers that hurt, and again what was sent before.

use bytes::Bytes;
use paddock::ids::{Epoch, ServerId, Zxid};
use paddock::zab::{Introduction, Packet, Rider, RiderKind};

use crate::random::Random;

/// What a partner knows of the core that it attacks.
pub struct Knowledge {
    pub epoch: Epoch,
    pub last: Zxid,
    pub delivered: Zxid,
    /// It may send these again.
    pub sent: Vec<Packet>,
}

pub fn payload(random: &mut Random) -> Bytes {
    Bytes::copy_from_slice(&random.next().to_be_bytes())
}

impl Knowledge {
    pub fn zxid(&self, random: &mut Random) -> Zxid {
        let near = [self.last, self.delivered, self.epoch.zxid()][random.between(0, 2) as usize];
        match random.between(0, 9) {
            0 => Zxid([0, -1, i64::MIN, i64::MAX][random.between(0, 3) as usize]),
            1 => Zxid(random.next() as i64),
            // Only the first txn of an epoch can stand behind that of another.
            2..=4 => Zxid::new(Epoch(self.epoch.0 + random.between(-1, 2)), [0, 1, 1, 1, 2, u32::MAX][random.between(0, 5) as usize]),
            _ => Zxid(near.0.wrapping_add(random.between(-3, 3))),
        }
    }

    fn epoch(&self, random: &mut Random) -> Epoch {
        let near = Epoch(self.epoch.0 + random.between(-2, 2));
        [near, near, near, Epoch(0), Epoch(-1), Epoch(i64::from(i32::MIN)), Epoch::LAST][random.between(0, 6) as usize]
    }

    fn sid(random: &mut Random) -> ServerId {
        ServerId([1, 2, 3, 4, 77, 0, -1, i64::MIN, i64::MAX][random.between(0, 8) as usize])
    }

    fn rider(&self, random: &mut Random) -> Packet {
        let kind =
            [RiderKind::Ping, RiderKind::Ping, RiderKind::Request, RiderKind::Revalidate, RiderKind::Sync][random.between(0, 4) as usize];
        let data = random.chance(50).then(|| payload(random));
        Packet::Rider(Rider { kind, zxid: self.zxid(random), data, authinfo: None })
    }

    /// Anything.
    pub fn packet(&self, random: &mut Random) -> Packet {
        if random.chance(25)
            && let Some(index) = (self.sent.len() as i64).checked_sub(1).filter(|last| *last >= 0)
        {
            return self.sent[random.between(0, index) as usize].clone();
        }
        let zxid = self.zxid(random);
        let info = Introduction {
            accepted_epoch: self.epoch(random),
            sid: random.chance(90).then(|| Self::sid(random)),
            config_version: i64::from(random.chance(10)),
            is_paddock: random.chance(50),
            serves_observers: zxid.0 & 1 == 1,
        };
        match random.between(0, 17) {
            0 => Packet::FollowerInfo(info),
            1 => Packet::ObserverInfo(info),
            2 => Packet::LeaderInfo { epoch: self.epoch(random), version: random.next() as i32, is_paddock: random.chance(50) },
            3 => Packet::AckEpoch { last_zxid: zxid, current_epoch: random.chance(70).then(|| self.epoch(random)) },
            4 => Packet::Diff { zxid },
            5 => Packet::Trunc { zxid },
            6 => Packet::Snap { zxid },
            7 => Packet::NewLeader { epoch: self.epoch(random), config: random.chance(70).then(|| payload(random)) },
            8 => Packet::UpToDate,
            9 | 10 => Packet::Proposal { zxid, payload: payload(random) },
            11 | 12 => Packet::Ack { zxid },
            13 => Packet::Commit { zxid },
            14 => Packet::Inform { zxid, payload: payload(random) },
            15 if random.chance(50) => Packet::CommitAndActivate { zxid, designated_leader: Self::sid(random) },
            15 => Packet::InformAndActivate { zxid, designated_leader: Self::sid(random), payload: payload(random) },
            16 => self.rider(random),
            _ => Packet::Unknown { type_code: random.next() as i32, zxid, data: None },
        }
    }
}
