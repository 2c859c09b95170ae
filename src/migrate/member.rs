//! What is known about one server.

use std::collections::BTreeMap;

use super::facts::{Status, Table, digests};
use super::membership::Membership;
use super::release::Kind;
use super::words::Answer;
use crate::ids::{ServerId, Zxid};

/// The words that are asked, in the order of a whitelist line.
pub const WORDS: [&str; 6] = ["srvr", "ruok", "mntr", "conf", "envi", "hash"];

/// One server as it showed itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Member {
    /// Its client address, as given.
    pub address: String,
    /// Its id, if it told it.
    pub id: Option<ServerId>,
    /// Why nothing else is known, if so.
    pub silence: Option<String>,
    /// Whether it said that it does not serve.
    pub is_without_role: bool,
    /// Whether it gave a session, where that was tried.
    pub has_given_session: Option<bool>,
    /// `srvr`, or `stat` where that is not allowed.
    pub status: Option<Status>,
    /// `mntr`.
    pub numbers: Option<Table>,
    /// `conf`.
    pub conf: Option<Table>,
    /// The members that `conf` lists.
    pub membership: Option<Membership>,
    /// `envi`.
    pub environment: Option<Table>,
    /// `hash`.
    pub digests: BTreeMap<Zxid, String>,
    /// Words that its whitelist does not have.
    pub refused: Vec<&'static str>,
}

impl Member {
    /// A server of which nothing is known yet.
    #[must_use]
    pub fn new(address: String) -> Self {
        Self { address, ..Self::default() }
    }

    /// Takes what it answered to a word.
    pub fn take(&mut self, word: &'static str, answer: Answer) {
        match answer {
            Answer::Text(text) => self.take_text(word, &text),
            Answer::NotAllowed => self.refused.push(word),
            Answer::NotServing => self.is_without_role = true,
            Answer::None(why) => self.silence = self.silence.take().or(Some(why)),
        }
    }

    fn take_text(&mut self, word: &str, text: &str) {
        match word {
            "srvr" | "stat" => self.status = Status::parse(text),
            "mntr" => self.numbers = Some(Table::parse(text, '\t')),
            "conf" => {
                let conf = Table::parse(text, '=');
                self.id = conf.number("serverId").map(ServerId);
                self.membership = Membership::parse(text);
                self.conf = Some(conf);
            }
            "envi" => self.environment = Some(Table::parse(text, '=')),
            "hash" => self.digests = digests(text),
            _ => {}
        }
    }

    /// Its mode, while it has one.
    #[must_use]
    pub fn mode(&self) -> Option<&str> {
        self.status.as_ref().map(|status| status.mode.as_str())
    }

    /// Whether it leads, or stands alone.
    #[must_use]
    pub fn leads(&self) -> bool {
        matches!(self.mode(), Some("leader" | "standalone"))
    }

    /// Whether it serves writes in some role.
    #[must_use]
    pub fn serves(&self) -> bool {
        matches!(self.mode(), Some("leader" | "follower" | "observer" | "standalone"))
    }

    /// The last zxid that it told.
    #[must_use]
    pub fn zxid(&self) -> Option<Zxid> {
        self.status.as_ref().and_then(|status| status.zxid)
    }

    /// What runs there, by the version that it gives.
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind::parse(self.status.as_ref().map_or("", |status| &status.version))
    }

    /// A number of `mntr`, without the `zk_`.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        self.numbers.as_ref()?.number(&format!("zk_{name}"))
    }

    /// How lines name it.
    #[must_use]
    pub fn name(&self) -> String {
        self.id.map_or_else(|| self.address.clone(), |id| format!("server {id} ({})", self.address))
    }

    /// The whitelist line that it would need, if one is missing.
    #[must_use]
    pub fn missing_whitelist(&self) -> Option<String> {
        (!self.refused.is_empty()).then(|| format!("4lw.commands.whitelist={}", WORDS.join(",")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;

    #[test]
    fn what_it_says_becomes_facts() {
        let member = fixtures::member(2, "leader");
        assert_eq!((member.id, member.mode(), member.zxid()), (Some(ServerId(2)), Some("leader"), Some(Zxid(0x1_0000_0100))));
        assert!(member.leads() && member.serves());
        assert_eq!((member.number("synced_followers"), member.number("nothing")), (Some(2), None));
        assert_eq!(member.membership.as_ref().map(Membership::voter_count), Some(3));
        assert_eq!(member.name(), "server 2 (zk2:2181)");
        assert_eq!(member.missing_whitelist(), None);
    }

    #[test]
    fn what_it_does_not_say_is_known_to_be_missing() {
        let mut member = Member::new("zk1:2181".to_owned());
        member.take("srvr", Answer::NotServing);
        member.take("mntr", Answer::NotAllowed);
        member.take("conf", Answer::None("late".to_owned()));
        member.take("hash", Answer::None("later".to_owned()));
        assert!(member.is_without_role && !member.serves());
        assert_eq!((member.silence.as_deref(), member.name().as_str()), (Some("late"), "zk1:2181"));
        assert_eq!(member.missing_whitelist().as_deref(), Some("4lw.commands.whitelist=srvr,ruok,mntr,conf,envi,hash"));
    }
}
