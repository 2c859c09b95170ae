//! Which words exist, and which of them an operator has enabled.
//!
//! Source of the rules: ZooKeeper's `FourLetterCommands`.

/// Name, wire bytes and meaning of each word, kept in one place.
macro_rules! words {
    ($($(#[$doc:meta])* $variant:ident = $bytes:literal, $name:literal;)+) => {
        /// A four-letter word.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Word {
            $($(#[$doc])* $variant,)+
        }

        impl Word {
            /// Every word, in the order of their names.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word as the whitelist and the refusal spell it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The four bytes that a client sends.
            #[must_use]
            pub fn bytes(self) -> [u8; 4] {
                match self { $(Self::$variant => *$bytes,)+ }
            }
        }
    };
}

words! {
    /// The effective configuration.
    Conf = b"conf", "conf";
    /// Every connection with its statistics.
    Cons = b"cons", "cons";
    /// Reset the statistics of every connection.
    Crst = b"crst", "crst";
    /// Sizes of the two data directories.
    Dirs = b"dirs", "dirs";
    /// Sessions by expiry, ephemeral nodes, connections by expiry.
    Dump = b"dump", "dump";
    /// The environment of the process.
    Envi = b"envi", "envi";
    /// Show the trace mask.
    Gtmk = b"gtmk", "gtmk";
    /// Recent digests of the tree.
    Hash = b"hash", "hash";
    /// Is this server read-only?
    Isro = b"isro", "isro";
    /// Everything that can be counted, for monitoring agents.
    Mntr = b"mntr", "mntr";
    /// Does the process answer?
    Ruok = b"ruok", "ruok";
    /// Reset the statistics of the server and all metrics.
    Srst = b"srst", "srst";
    /// Short status of the server.
    Srvr = b"srvr", "srvr";
    /// `srvr` with the list of connections.
    Stat = b"stat", "stat";
    /// Set the trace mask; eight more bytes follow.
    Stmk = b"stmk", "stmk";
    /// What a telnet client sends at its end: interrupt process, do.
    TelnetClose = b"\xff\xf4\xff\xfd", "telnet close";
    /// Data watches by session.
    Wchc = b"wchc", "wchc";
    /// Data watches by path.
    Wchp = b"wchp", "wchp";
    /// How many data watches there are.
    Wchs = b"wchs", "wchs";
}

impl Word {
    /// How many bytes the client sends behind the word.
    #[must_use]
    pub fn argument_bytes(self) -> usize {
        if self == Self::Stmk { 8 } else { 0 }
    }

    /// Whether it lists or counts what there may be many of.
    #[must_use]
    pub fn may_take_long(self) -> bool {
        matches!(self, Self::Cons | Self::Dump | Self::Mntr | Self::Stat | Self::Wchc | Self::Wchp | Self::Wchs)
    }
}

/// The word that the first four bytes of a connection spell. `None`: no word, so the bytes are the length of the first frame.
#[must_use]
pub fn recognise(first_four: [u8; 4]) -> Option<Word> {
    Word::ALL.iter().copied().find(|word| word.bytes() == first_four)
}

/// The words that an operator has enabled (`4lw.commands.whitelist`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Whitelist {
    /// One bit per word, by its place in the enum.
    enabled: u32,
}

impl Default for Whitelist {
    /// What a server allows when nothing is configured: `srvr`, which `zkServer.sh status` needs.
    fn default() -> Self {
        Self::parse(None, false)
    }
}

impl Whitelist {
    /// Reads the value of `4lw.commands.whitelist`: names between commas, blanks around them ignored, `*` for all.
    /// Names that are no words are ignored, as ZooKeeper does. `srvr` is always on, `isro` also when
    /// `read_only_mode_enabled` (the Java property `readonlymode.enabled` is exactly `true`).
    #[must_use]
    pub fn parse(value: Option<&str>, read_only_mode_enabled: bool) -> Self {
        let mut whitelist = Self { enabled: 0 };
        for name in value.unwrap_or_default().split(',') {
            whitelist.enable_named(name.trim_matches(|c| c <= ' '));
        }
        if read_only_mode_enabled {
            whitelist.enable(Word::Isro);
        }
        whitelist.enable(Word::Srvr);
        whitelist
    }

    /// May `word` be executed?
    #[must_use]
    pub fn allows(&self, word: Word) -> bool {
        self.enabled & (1 << word as u32) != 0
    }

    fn enable_named(&mut self, name: &str) {
        for &word in Word::ALL.iter().filter(|word| name == "*" || name == word.name()) {
            self.enable(word);
        }
    }

    fn enable(&mut self, word: Word) {
        self.enabled |= 1 << word as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn allowed(whitelist: &Whitelist) -> Vec<&'static str> {
        Word::ALL.iter().filter(|w| whitelist.allows(**w)).map(|w| w.name()).collect()
    }

    #[test]
    fn every_word_is_recognised_by_its_bytes_only() {
        for &word in Word::ALL {
            assert_eq!(recognise(word.bytes()), Some(word));
            let mut upper = word.bytes();
            upper[0] ^= 0x20;
            assert_eq!(recognise(upper), None, "{}", word.name());
        }
        assert_eq!(Word::ALL.len(), 19);
    }

    #[test]
    fn the_default_is_srvr_only() {
        assert_eq!(allowed(&Whitelist::default()), ["srvr"]);
        assert_eq!(allowed(&Whitelist::parse(Some(""), false)), ["srvr"]);
        assert_eq!(allowed(&Whitelist::parse(None, true)), ["isro", "srvr"]);
    }

    #[test]
    fn lists_are_trimmed_and_unknown_names_are_ignored() {
        assert_eq!(allowed(&Whitelist::parse(Some(" ruok,\tmntr ,,nope,RUOK"), false)), ["mntr", "ruok", "srvr"]);
    }

    #[test]
    fn a_star_anywhere_enables_everything() {
        for text in ["*", "ruok, * ", "*,nope"] {
            assert_eq!(allowed(&Whitelist::parse(Some(text), false)).len(), Word::ALL.len(), "{text}");
        }
        assert_eq!(allowed(&Whitelist::parse(Some("r*"), false)), ["srvr"]);
    }

    #[test]
    fn only_stmk_has_an_argument() {
        let with: Vec<_> = Word::ALL.iter().filter(|w| w.argument_bytes() > 0).collect();
        assert_eq!(with, [&Word::Stmk]);
    }

    proptest! {
        #[test]
        fn recognition_agrees_with_the_list(bytes in any::<[u8; 4]>()) {
            let expected = Word::ALL.iter().copied().find(|w| w.bytes() == bytes);
            prop_assert_eq!(recognise(bytes), expected);
        }

        #[test]
        fn any_whitelist_keeps_srvr(text in ".*") {
            prop_assert!(Whitelist::parse(Some(&text), false).allows(Word::Srvr));
        }
    }
}
