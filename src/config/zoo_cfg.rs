//! From the text of `zoo.cfg`, the `-D` flags and the arguments to settings: one pass, all problems reported together.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Problem, Reason};
use super::members::{Members, Role};
use super::notice::{Level, Notice, Origin};
use super::settings::Settings;
use super::values::{Fault, strict_bool};
use super::{ensemble, inert, jvm_flags, keys, properties};

/// A configuration file larger than this is none, bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Schemes of which a connection always or easily has an identity here.
const SCHEMES: [&str; 3] = ["digest", "ip", "world"];

/// An accepted configuration.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the server is told.
    pub settings: Settings,
    /// What the operator should know.
    pub notices: Vec<Notice>,
}

/// What a file says, whether it could be served or not.
#[derive(Clone, Debug)]
pub struct Examined {
    /// The members that it names.
    pub members: Members,
    /// Every setting as it is written. Some are secrets.
    pub values: BTreeMap<String, String>,
    /// Why a server would not start with it.
    pub problems: Vec<Problem>,
    /// What the operator should know.
    pub notices: Vec<Notice>,
}

struct Value {
    origin: Origin,
    text: String,
}

/// Reads a `zoo.cfg`. `environment` holds the variables of the process.
///
/// # Errors
/// When the file cannot be read, or says what must not or cannot be done: one problem for each bad line.
pub fn load(file: &Path, environment: &[(String, String)]) -> Result<Loaded, ConfigError> {
    parse(&read(file)?, file, environment)
}

/// Reads a `zoo.cfg` as [`load`] does, for somebody who only wants to know what would become of it.
///
/// # Errors
/// When the file cannot be read at all.
pub fn examine(file: &Path, environment: &[(String, String)]) -> Result<Examined, ConfigError> {
    let mut builder = take_text(&read(file)?, file, environment)?;
    builder.complete();
    let Builder { members, seen: values, problems, notices, .. } = builder;
    Ok(Examined { members, values, problems, notices })
}

/// What is said about a setting that has not the effect here that it has in ZooKeeper; `None` for one that has it.
#[must_use]
pub fn remark(key: &str, value: &str) -> Option<String> {
    let mut builder = Builder::new(Settings::new(Path::new(""), 0), Origin::Arguments);
    builder.take(key, &Value { origin: Origin::Arguments, text: value.to_owned() }, false);
    let problem = builder.problems.first().map(|problem| problem.reason.to_string());
    problem.or_else(|| builder.notices.first().map(|notice| notice.text.clone()))
}

fn read(file: &Path) -> Result<Vec<u8>, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { file: file.to_owned(), source };
    let size = fs::metadata(file).map_err(unreadable)?.len();
    if size > FILE_BYTES_MAX {
        return Err(ConfigError::TooLarge { file: file.to_owned(), size, limit: FILE_BYTES_MAX });
    }
    fs::read(file).map_err(unreadable)
}

fn parse(text: &[u8], file: &Path, environment: &[(String, String)]) -> Result<Loaded, ConfigError> {
    take_text(text, file, environment)?.finish()
}

fn take_text(text: &[u8], file: &Path, environment: &[(String, String)]) -> Result<Builder, ConfigError> {
    let entries = properties::parse(text).map_err(|bad| {
        let origin = Origin::line(file, bad.line);
        ConfigError::Refused(vec![Problem { origin, key: String::new(), value: None, reason: Reason::BadUnicodeEscape }])
    })?;
    let mut values = flags(environment);
    for entry in entries {
        let value = Value { origin: Origin::line(file, entry.line), text: entry.value.trim().to_owned() };
        values.insert(entry.key.trim().to_owned(), value);
    }
    let mut builder = Builder::new(Settings::new(Path::new(""), 0), Origin::File(file.to_owned()));
    builder.take_all(values);
    Ok(builder)
}

/// The properties of the environment by their key in `zoo.cfg`.
fn flags(environment: &[(String, String)]) -> BTreeMap<String, Value> {
    let mut values = BTreeMap::new();
    for variable in jvm_flags::VARIABLES {
        for (_, flags) in environment.iter().filter(|(name, _)| name == variable) {
            for (name, text) in jvm_flags::properties(flags) {
                if let Some(key) = jvm_flags::key_of(&name) {
                    values.insert(key.to_owned(), Value { origin: Origin::Flag { variable }, text });
                }
            }
        }
    }
    values
}

/// The form without a file: `<port> <dataDir> [tickTime] [maxClientCnxns]`.
///
/// # Errors
/// When there are too few or too many arguments, or one is not what it must be.
pub fn from_arguments(arguments: &[String], environment: &[(String, String)]) -> Result<Loaded, ConfigError> {
    const KEYS: [&str; 4] = ["clientPort", "dataDir", "tickTime", "maxClientCnxns"];
    let mut settings = Settings::new(Path::new(""), 0);
    // Started this way the Java server limits nobody.
    settings.network.max_client_cnxns = None;
    let mut values = flags(environment);
    for (key, text) in KEYS.iter().zip(arguments) {
        values.insert((*key).to_owned(), Value { origin: Origin::Arguments, text: text.clone() });
    }
    let mut builder = Builder::new(settings, Origin::Arguments);
    if arguments.len() > KEYS.len() {
        builder.refuse(Origin::Arguments, "", None, Reason::NotOneOf { expected: "PORT DATADIR [TICKTIME] [MAXCLIENTCNXNS]" });
    }
    builder.take_all(values);
    builder.finish()
}

struct Builder {
    settings: Settings,
    whole: Origin,
    members: Members,
    seen: BTreeMap<String, String>,
    problems: Vec<Problem>,
    notices: Vec<Notice>,
}

impl Builder {
    fn new(settings: Settings, whole: Origin) -> Self {
        Self { settings, whole, members: Members::default(), seen: BTreeMap::new(), problems: Vec::new(), notices: Vec::new() }
    }

    fn refuse(&mut self, origin: Origin, key: &str, value: Option<&str>, reason: Reason) {
        let is_secret = key.to_ascii_lowercase().contains("password") || key.to_ascii_lowercase().contains("digest");
        let value = value.filter(|_| !is_secret).map(str::to_owned);
        self.problems.push(Problem { origin, key: key.to_owned(), value, reason });
    }

    fn note(&mut self, level: Level, origin: Origin, key: &str, text: impl Into<String>) {
        self.notices.push(Notice { level, origin, key: key.to_owned(), text: text.into() });
    }

    fn take_all(&mut self, values: BTreeMap<String, Value>) {
        let multi_address = values.get("multiAddress.enabled").is_some_and(|value| value.text.eq_ignore_ascii_case("true"));
        for (key, value) in values {
            self.take(&key, &value, multi_address);
            self.seen.insert(key, value.text);
        }
    }

    fn take(&mut self, key: &str, value: &Value, multi_address: bool) {
        let Value { origin, text } = value;
        if demands_protection(key, text) {
            return self.refuse(origin.clone(), key, Some(text), Reason::ProtectionMissing { what: protection(key) });
        }
        match keys::set(&mut self.settings, key, text) {
            Some(Ok(())) => {}
            Some(Err(Fault::Refuse(reason))) => self.refuse(origin.clone(), key, Some(text), reason),
            Some(Err(Fault::Keep(reason))) => {
                self.note(Level::Warn, origin.clone(), key, format!("{reason}; the default stands, as in ZooKeeper"))
            }
            Some(Err(Fault::Taken(remark))) => self.note(Level::Warn, origin.clone(), key, remark),
            None => self.take_other(key, value, multi_address),
        }
    }

    fn take_other(&mut self, key: &str, value: &Value, multi_address: bool) {
        let Value { origin, text } = value;
        if key == "dynamicConfigFile" {
            self.take_dynamic_file(origin, text, multi_address);
        } else if Members::owns(key) && key != "server.principal" && key != "server.realm" {
            if let Err(error) = self.members.add(key, text, multi_address) {
                self.refuse(origin.clone(), key, Some(text), Reason::Member(error));
            }
        } else if let Some(reason) = self.bad_inert(key, text) {
            self.refuse(origin.clone(), key, Some(text), reason);
        } else if let Some(reason) = inert::reason(key) {
            let level = if reason.contains("stays closed") || reason.contains("not served") { Level::Warn } else { Level::Info };
            self.note(level, origin.clone(), key, reason);
        } else if !matches!(key, "enforce.auth.enabled" | "enforce.auth.schemes" | "sessionRequireClientSASLAuth" | "sslQuorum")
            && !key.starts_with("quorum.auth.")
        {
            self.note(Level::Warn, origin.clone(), key, "is no key that this server knows; a misspelt key has no effect");
        }
    }

    /// The file with the member lines (operations.md §3). Its version is in its name, not in it.
    fn take_dynamic_file(&mut self, origin: &Origin, file: &str, multi_address: bool) {
        let file = Path::new(file);
        let unreadable = |text: String| Reason::FileUnreadable(text);
        let text = match fs::metadata(file).map(|found| found.len() <= FILE_BYTES_MAX) {
            Ok(true) => fs::read(file).map_err(|error| unreadable(error.to_string())),
            Ok(false) => Err(unreadable(format!("it has more than {FILE_BYTES_MAX} bytes"))),
            Err(error) => Err(unreadable(error.to_string())),
        };
        let entries = text.and_then(|text| properties::parse(&text).map_err(|_| Reason::BadUnicodeEscape));
        let entries = match entries {
            Ok(entries) => entries,
            Err(reason) => return self.refuse(origin.clone(), "dynamicConfigFile", file.to_str(), reason),
        };
        self.settings.ensemble.config_version = version_in_name(file);
        for entry in entries {
            let (origin, key, value) = (Origin::line(file, entry.line), entry.key.trim(), entry.value.trim());
            if !Members::owns(key) {
                self.refuse(origin, key, Some(value), Reason::NotADynamicKey);
            } else if let Err(error) = self.members.add(key, value, multi_address) {
                self.refuse(origin, key, Some(value), Reason::Member(error));
            }
        }
    }

    /// Keys without an effect whose values the Java server checks all the same.
    fn bad_inert(&self, key: &str, text: &str) -> Option<Reason> {
        match key {
            "electionAlg" if text != "3" => Some(Reason::NotOneOf { expected: "3" }),
            "peerType" if !matches!(text.to_ascii_lowercase().as_str(), "participant" | "observer") => {
                Some(Reason::NotOneOf { expected: "participant or observer" })
            }
            "syncEnabled" | "portUnification" => strict_bool(text).err(),
            _ => None,
        }
    }

    /// Checks what only the whole can show.
    fn complete(&mut self) {
        self.check_sessions();
        self.check_enforced_auth();
        self.check_members();
        self.check_presence();
    }

    fn finish(mut self) -> Result<Loaded, ConfigError> {
        self.complete();
        if self.settings.storage.data_log_dir == PathBuf::new() {
            self.settings.storage.data_log_dir = self.settings.storage.data_dir.clone();
        }
        self.settings.ensemble.members = self.members;
        if self.problems.is_empty() {
            Ok(Loaded { settings: self.settings, notices: self.notices })
        } else {
            Err(ConfigError::Refused(self.problems))
        }
    }

    fn check_presence(&mut self) {
        let whole = self.whole.clone();
        if !self.seen.contains_key("dataDir") {
            self.refuse(whole.clone(), "dataDir", None, Reason::Missing);
        }
        if !self.seen.contains_key("clientPort") && self.settings.network.client_port == 0 {
            let reason = if self.seen.contains_key("secureClientPort") { Reason::OnlySecurePort } else { Reason::NoClientPort };
            self.refuse(whole, "clientPort", None, reason);
        }
    }

    fn check_sessions(&mut self) {
        let (min_ms, max_ms) = (self.settings.session.min_session_timeout_ms(), self.settings.session.max_session_timeout_ms());
        if min_ms > max_ms {
            self.refuse(self.whole.clone(), "", None, Reason::SessionClampsCross { min_ms, max_ms });
        }
    }

    fn check_enforced_auth(&mut self) {
        if !self.seen.get("enforce.auth.enabled").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return;
        }
        let text = self.seen.get("enforce.auth.schemes").cloned().unwrap_or_default();
        let schemes: Vec<&str> = text.split(',').map(str::trim).filter(|scheme| !scheme.is_empty()).collect();
        let whole = self.whole.clone();
        if schemes.is_empty() {
            self.refuse(whole, "enforce.auth.schemes", None, Reason::NoEnforcedScheme);
        } else if let Some(scheme) = schemes.iter().find(|scheme| !SCHEMES.contains(scheme)) {
            let reason = match *scheme {
                "sasl" | "x509" => Reason::ProtectionMissing { what: "SASL or TLS authentication of clients" },
                other => Reason::UnknownScheme { scheme: other.to_owned() },
            };
            self.refuse(whole, "enforce.auth.schemes", Some(&text), reason);
        } else {
            self.settings.auth.enforce_schemes = Some(schemes.into_iter().map(str::to_owned).collect());
        }
    }

    /// Standalone without server lines, or with one participant (operations.md §1).
    fn check_members(&mut self) {
        let (voters, observers) = (self.members.count(Role::Participant), self.members.count(Role::Observer));
        let whole = self.whole.clone();
        if let Err(error) = self.members.check_groups() {
            self.refuse(whole.clone(), "", None, Reason::Member(error));
        }
        match (voters, observers) {
            (0, 0) => {}
            (0, _) => self.refuse(whole, "", None, Reason::OnlyObservers),
            (1, 0) if self.settings.ensemble.standalone_enabled => {
                self.note(Level::Warn, whole, "", "one server in the list: running standalone");
            }
            (voters, _) => self.check_ensemble(voters),
        }
    }

    /// The server is a member of an ensemble.
    fn check_ensemble(&mut self, voters: usize) {
        let whole = self.whole.clone();
        let ensemble = &self.settings.ensemble;
        for (key, ticks) in [("initLimit", ensemble.init_limit_ticks), ("syncLimit", ensemble.sync_limit_ticks)] {
            if ticks == 0 {
                self.refuse(whole.clone(), key, None, Reason::MissingInEnsemble);
            }
        }
        if voters.is_multiple_of(2) {
            self.note(Level::Warn, whole.clone(), "", format!("{voters} voters bear no more failures than {} would", voters - 1));
        }
        self.settings.ensemble.config_file = if let Origin::File(file) = &whole { Some(file.clone()) } else { None };
        self.settings.ensemble.members = self.members.clone();
        self.settings.ensemble.is_member = true;
        if let Err(reason) = ensemble::take_place(&mut self.settings) {
            self.refuse(whole, "", None, reason);
        }
    }
}

/// The version of a dynamic file: the hexadecimal number behind the last dot of its name, 0 if that is none (`getVersionFromFilename`).
fn version_in_name(file: &Path) -> i64 {
    let extension = file.extension().and_then(|extension| extension.to_str());
    extension.and_then(|digits| i64::from_str_radix(digits, 16).ok()).unwrap_or(0)
}

/// Keys that promise protection: the start is refused rather than served without it.
fn demands_protection(key: &str, value: &str) -> bool {
    let switches = [
        "sslQuorum",
        "sessionRequireClientSASLAuth",
        "quorum.auth.enableSasl",
        "quorum.auth.serverRequireSasl",
        "quorum.auth.learnerRequireSasl",
        "admin.forceHttps",
    ];
    switches.contains(&key) && key != "quorum.auth.enableSasl" && key != "admin.forceHttps" && value.eq_ignore_ascii_case("true")
}

fn protection(key: &str) -> &'static str {
    match key {
        "sslQuorum" => "TLS between servers",
        "sessionRequireClientSASLAuth" => "SASL authentication of clients",
        _ => "SASL authentication between servers",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{FourLetterWhitelist, PeerLinkSettings};

    fn parsed(text: &str) -> Result<Loaded, ConfigError> {
        parse(text.as_bytes(), Path::new("zoo.cfg"), &[])
    }

    fn with(text: &str) -> Result<Loaded, ConfigError> {
        parsed(&format!("dataDir=/d\nclientPort=2181\n{text}"))
    }

    fn refusal(text: &str) -> String {
        with(text).expect_err("refused").to_string()
    }

    #[test]
    fn a_file_that_does_not_load_is_examined_all_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("zoo.cfg");
        let text = "dataDir=/nowhere\nclientPort=2181\ninitLimit=5\nsyncLimit=2\nserver.1=a:1:2\nserver.2=b:1:2\nsslQuorum=true\nnio.numWorkerThreads=3\n";
        fs::write(&file, text).expect("writable");
        assert!(load(&file, &[]).is_err());
        let examined = examine(&file, &[]).expect("readable");
        assert_eq!(examined.members.servers.len(), 2);
        assert_eq!(examined.values.get("sslQuorum").map(String::as_str), Some("true"));
        let reasons: Vec<_> = examined.problems.iter().map(|problem| &problem.reason).collect();
        assert!(matches!(reasons[..], [Reason::ProtectionMissing { .. }, Reason::MyIdUnreadable { .. }]), "{reasons:?}");
        assert!(examined.notices.iter().any(|notice| notice.key == "nio.numWorkerThreads"));
        assert!(examine(&folder.path().join("none"), &[]).is_err());
    }

    #[test]
    fn a_setting_without_its_effect_has_a_remark() {
        assert_eq!(remark("snapCount", "1000"), None);
        assert!(remark("sslQuorum", "true").is_some_and(|text| text.contains("TLS between servers")));
        assert!(remark("nio.numWorkerThreads", "3").is_some_and(|text| text.contains("has no effect")));
    }

    #[test]
    fn a_sample_file_loads() {
        let loaded = parsed(
            "tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir=/var/lib/zookeeper\nclientPort=2181\nmaxClientCnxns=0\n\
            autopurge.purgeInterval=24\n4lw.commands.whitelist=srvr, mntr,ruok\nsnapCount=1000\nadmin.enableServer=true\n",
        )
        .expect("a common file");
        let settings = &loaded.settings;
        assert_eq!((settings.session.tick_time_ms, settings.network.client_port, settings.storage.snap_count), (2000, 2181, Some(1000)));
        assert_eq!(settings.storage.data_log_dir, settings.storage.data_dir);
        assert_eq!((settings.network.max_client_cnxns, settings.storage.autopurge_purge_interval_hours), (None, Some(24)));
        assert!(matches!(&settings.admin.four_letter_whitelist, FourLetterWhitelist::Only(words) if words.contains("mntr")));
    }

    /// What kazoo's harness gives to every server.
    #[test]
    fn keys_of_tls_and_sasl_are_warnings() {
        let loaded = with("secureClientPort=2281\nserverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\n\
            ssl.keyStore.location=/k.jks\nssl.keyStore.password=x\nauthProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n")
            .expect("accepted");
        assert_eq!(loaded.notices.len(), 5);
        assert!(loaded.notices.iter().all(|notice| !notice.text.contains('x') || notice.key != "ssl.keyStore.password"));
    }

    #[test]
    fn a_key_without_effect_says_so() {
        for line in [
            "flushDelay=5",
            "maxBatchSize=9",
            "request_throttle_stall_time=7",
            "throttledOpWaitTime=1",
            "multiAddress.reachabilityCheckEnabled=true",
        ] {
            let notices = with(line).expect("accepted").notices;
            assert!(notices.len() == 1 && notices[0].text.starts_with("has no effect here: "), "{line}: {notices:?}");
        }
    }

    #[test]
    fn the_ensemble_scheme_is_configured_by_its_provider() {
        let provider = "authProvider.1=org.apache.zookeeper.server.auth.EnsembleAuthenticationProvider\nensembleAuthName=foo, bar\n";
        let loaded = with(provider).expect("accepted");
        assert!(loaded.settings.auth.ensemble_scheme && loaded.notices.is_empty());
        assert_eq!(loaded.settings.auth.ensemble_names, Some(["foo", "bar"].map(str::to_owned).into()));
    }

    #[test]
    fn protection_that_is_not_there_stops_the_start() {
        for line in [
            "sslQuorum=true",
            "sessionRequireClientSASLAuth=true",
            "quorum.auth.serverRequireSasl=true",
            "quorum.auth.learnerRequireSasl=true",
            "enforce.auth.enabled=true\nenforce.auth.schemes=sasl",
            "enforce.auth.enabled=true",
            "enforce.auth.enabled=true\nenforce.auth.schemes=nix",
        ] {
            assert!(with(line).is_err(), "{line}");
        }
        assert!(parsed("dataDir=/d\nsecureClientPort=2281\n").is_err());
        let enforced = with("enforce.auth.enabled=true\nenforce.auth.schemes=digest, ip").expect("both are served");
        assert_eq!(enforced.settings.auth.enforce_schemes.map(|schemes| schemes.len()), Some(2));
    }

    #[test]
    fn bad_lines_are_named_with_file_line_key_and_reason() {
        assert_eq!(refusal("tickTime=0"), "zoo.cfg:3: tickTime=0: must be between 1 and 2147483647");
        assert!(refusal("standaloneEnabled=maybe").contains("must be true or false"));
        assert!(refusal("minSessionTimeout=9\nmaxSessionTimeout=8").contains("above"));
        assert!(refusal("snapshot.compression.method=zip").contains("gz or snappy"));
        assert!(parsed("clientPort=1").expect_err("no dataDir").to_string().contains("dataDir"));
    }

    #[test]
    fn a_member_of_an_ensemble_needs_its_limits_and_its_id() {
        assert!(!with("server.1=a:1:2").expect("standalone").settings.ensemble.is_member);
        let dir = tempfile::tempdir().expect("a directory");
        let member = |more: &str| {
            let text = format!("dataDir={}\nserver.1=a:1:2\nserver.2=b:1:2;2190\nserver.3=c:1:2\n{more}", dir.path().display());
            parsed(&text).map(|loaded| loaded.settings).map_err(|error| error.to_string())
        };
        let limits = "initLimit=10\nsyncLimit=5\n";
        assert!(member(limits).expect_err("no myid").contains("myid"));
        fs::write(dir.path().join("myid"), "2\n").expect("writable");
        let settings = member(limits).expect("a member");
        assert!(settings.ensemble.is_member && settings.ensemble.server_id == 2);
        assert_eq!(settings.network.client_port, 2190, "its own line names it");
        assert!(member("initLimit=10\n").expect_err("no syncLimit").contains("syncLimit"));
        assert!(member(&format!("{limits}clientPort=2181")).expect_err("two client ports").contains("2190"));
        fs::write(dir.path().join("myid"), "9\n").expect("writable");
        assert!(member(limits).expect_err("nobody's id").contains("server.9"));
    }

    #[test]
    fn the_member_lines_may_stand_in_a_file_of_their_own() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("zoo.cfg.dynamic");
        fs::write(dir.path().join("myid"), "1\n").expect("writable");
        fs::write(&file, "server.1=a:1:2;2191\nserver.2=b:1:2\nserver.3=c:1:2:observer\n").expect("writable");
        let text = format!("dataDir={}\ninitLimit=5\nsyncLimit=2\ndynamicConfigFile={}\n", dir.path().display(), file.display());
        let settings = parsed(&text).expect("accepted").settings;
        assert_eq!((settings.ensemble.members.servers.len(), settings.network.client_port), (3, 2191));
        fs::write(&file, "server.1=a:1:2\nclientPort=2181\n").expect("writable");
        assert!(parsed(&text).expect_err("no member line").to_string().contains("dynamic"));
        fs::remove_file(&file).expect("it is there");
        assert!(parsed(&text).expect_err("no file").to_string().contains("cannot be read"));
    }

    #[test]
    fn keys_of_the_links_between_servers() {
        let settings = with(
            "server.1=a:1:2|b:3:4\nmultiAddress.enabled=true\ninitLimit=10\nsyncLimit=5\nquorumListenOnAllIPs=true\n\
            cnxTimeout=100\nquorumCnxnTimeoutMs=-1\nelectionPortBindRetry=0\nleaderConnectDelayDuringRetryMs=7\ntcpKeepAlive=true\n\
            connectToLearnerMasterLimit=0\nobserverMasterPort=2191\nobserverMaster.sizeLimit=9\nobserver.reconnectDelayMs=3\n\
            jute.maxbuffer=5000\njute.maxbuffer.extrasize=10\n",
        )
        .expect("accepted")
        .settings;
        assert_eq!((settings.ensemble.init_limit_ticks, settings.ensemble.sync_limit_ticks), (10, 5));
        assert_eq!(settings.ensemble.members.servers.len(), 1);
        let peers = PeerLinkSettings {
            listens_on_all_ips: true,
            multi_address_enabled: true,
            connect_timeout_ms: 100,
            handshake_timeout_ms: None,
            connect_to_leader_limit_ticks: None,
            leader_connect_pause_ms: 7,
            election_port_bind_attempts: 0,
            tcp_keep_alive: true,
            observer_master_port: Some(2191),
            observer_queue_bytes_max: 9,
        };
        assert_eq!((settings.peers, settings.ensemble.observer_reconnect_delay_max_ms), (peers, 3));
        assert_eq!(with("observerMasterPort=-1").expect("off").settings.peers.observer_master_port, None);
        assert_eq!(settings.limits.record_bytes_max(), 5000 + 1024);
        assert_eq!(with("").expect("accepted").settings.limits.record_bytes_max(), 2 * 0xf_ffff);
        assert!(with("quorumListenOnAllIPs=yes").is_err() && with("initLimit=-1").is_err());
        assert!(with("observerMasterPort=65536").is_err() && with("observerMasterPort=x").is_err());
    }

    #[test]
    fn sessions_are_local_where_the_file_says_so() {
        let local = |text: &str| {
            let loaded = with(text).expect("accepted");
            assert!(loaded.notices.is_empty(), "{text}: {:?}", loaded.notices);
            (loaded.settings.ensemble.local_sessions_enabled, loaded.settings.ensemble.local_sessions_upgrading_enabled)
        };
        assert_eq!(local(""), (false, false));
        assert_eq!(local("localSessionsEnabled=true"), (true, false));
        assert_eq!(local("localSessionsEnabled=TRUE\nlocalSessionsUpgradingEnabled=true"), (true, true));
        assert!(with("localSessionsEnabled=yes").is_err() && with("localSessionsUpgradingEnabled=1").is_err());
    }

    #[test]
    fn flags_count_unless_the_file_says_otherwise() {
        let environment =
            [("JVMFLAGS".to_owned(), "-Dzookeeper.snapCount=50 -Djute.maxbuffer=4096 -Dzookeeper.extendedTypesEnabled=true".to_owned())];
        let text = b"dataDir=/d\nclientPort=1\nsnapCount=70\n";
        let settings = parse(text, Path::new("zoo.cfg"), &environment).expect("accepted").settings;
        assert_eq!((settings.storage.snap_count, settings.limits.jute_max_buffer_bytes), (Some(70), 4096));
        assert!(settings.tree.extended_types_enabled);
    }

    #[test]
    fn arguments_stand_for_a_file() {
        let arguments = ["2182", "/d", "500"].map(str::to_owned);
        let settings = from_arguments(&arguments, &[]).expect("accepted").settings;
        assert_eq!((settings.network.client_port, settings.session.tick_time_ms, settings.network.max_client_cnxns), (2182, 500, None));
        assert!(from_arguments(&["x".to_owned(), "/d".to_owned()], &[]).is_err());
        assert!(from_arguments(&["1", "/d", "1", "1", "1"].map(str::to_owned), &[]).is_err());
    }

    /// Seed 7 of a small linear congruential generator.
    #[test]
    fn random_bytes_never_panic() {
        let mut state = 7_u64;
        for _ in 0..2000 {
            let text: Vec<u8> = (0..60)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    b"\\u=:# \n.aserv1group".get((state >> 33) as usize % 24).copied().unwrap_or((state >> 40) as u8)
                })
                .collect();
            let _ = parse(&text, Path::new("zoo.cfg"), &[]);
        }
    }
}
