//! What the four-letter words show of the running server, and the inbox of its connections.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::clock::wall_ms;
use super::limits;
use super::node::Node;
use crate::admin::view::{
    ConfView, ConnectionExpiryView, ConnectionView, DirectorySizes, EnsembleView, ExpiryBucket, GlobalSessionsView, LeadershipView, Mode,
    ProposalSizes, QuotaView, SessionCounts, SessionsView, TreeStats, WatchSummary,
};
use crate::admin::{Metrics, ServerStats, ServerView, Whitelist, Word, answer};
use crate::config::{EnsembleSettings, FourLetterWhitelist, Settings};
use crate::ids::{SessionId, Zxid};
use crate::net::Inbox;
use crate::replica::Input;
use crate::session::SessionTable;
use crate::storage::directory::size_bytes;
use crate::storage::{Directories, FileSystem};
use crate::zab::ServerState;

/// The node as its operators see it.
pub(super) struct Words {
    node: Arc<Node>,
    whitelist: Whitelist,
    conf: ConfView,
    limits: Vec<(&'static str, u64)>,
    fs: Arc<dyn FileSystem>,
    snap_dir: PathBuf,
    log_dir: PathBuf,
    tick_time_ms: i64,
    started_ms: i64,
    ensemble: EnsembleSettings,
    observer_master_port: Option<u16>,
}

impl Words {
    pub(super) fn new(node: Arc<Node>, settings: &Settings, directories: &Directories, fs: &Arc<dyn FileSystem>) -> Self {
        let started_ms = node.clock.now().monotonic_ms;
        Self {
            node,
            whitelist: whitelist(settings),
            conf: conf(settings, directories),
            limits: limits::view(settings),
            fs: Arc::clone(fs),
            snap_dir: directories.snap_dir().to_path_buf(),
            log_dir: directories.log_dir().to_path_buf(),
            tick_time_ms: i64::from(settings.session.tick_time_ms),
            started_ms,
            ensemble: settings.ensemble.clone(),
            observer_master_port: settings.peers.observer_master_port,
        }
    }

    /// From the monotonic clock to ms since 1970.
    fn epoch_ms(&self, monotonic_ms: i64) -> i64 {
        wall_ms() + monotonic_ms - self.node.clock.now().monotonic_ms
    }

    fn bucket_ms(&self, deadline_ms: i64) -> i64 {
        (deadline_ms.div_euclid(self.tick_time_ms) + 1) * self.tick_time_ms
    }

    fn buckets<T>(&self, members: impl Iterator<Item = (i64, T)>) -> Vec<ExpiryBucket<T>> {
        let mut buckets: BTreeMap<i64, Vec<T>> = BTreeMap::new();
        for (deadline_ms, member) in members {
            buckets.entry(self.bucket_ms(deadline_ms)).or_default().push(member);
        }
        buckets.into_iter().map(|(at, members)| ExpiryBucket { expires_epoch_ms: self.epoch_ms(at), members }).collect()
    }
}

fn whitelist(settings: &Settings) -> Whitelist {
    let value = match &settings.admin.four_letter_whitelist {
        FourLetterWhitelist::All => "*".to_owned(),
        FourLetterWhitelist::Only(words) => words.iter().map(String::as_str).collect::<Vec<_>>().join(","),
    };
    Whitelist::parse(Some(&value), settings.ensemble.read_only_mode_enabled)
}

fn conf(settings: &Settings, directories: &Directories) -> ConfView {
    let absolute = |path: &std::path::Path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()).display().to_string();
    ConfView {
        client_port: i32::from(settings.network.client_port),
        secure_client_port: -1,
        data_dir: absolute(directories.snap_dir()),
        data_log_dir: absolute(directories.log_dir()),
        tick_time_ms: settings.session.tick_time_ms,
        max_client_cnxns: settings.network.max_client_cnxns.map_or(0, |max| max as i32),
        min_session_timeout_ms: settings.session.min_session_timeout_ms(),
        max_session_timeout_ms: settings.session.max_session_timeout_ms(),
        client_port_listen_backlog: settings.network.client_port_listen_backlog.map_or(-1, |backlog| backlog as i32),
        server_id: settings.ensemble.server_id,
        ensemble_lines: String::new(),
    }
}

impl Inbox for Words {
    fn is_current(&self, now_ms: i64) -> bool {
        self.node.is_current(now_ms)
    }

    fn awaits_leader(&self, now_ms: i64) -> bool {
        self.node.ensemble.get().is_some_and(|ensemble| ensemble.status().awaits_leader(now_ms))
    }

    fn submit(&self, inputs: Vec<Input>) {
        self.node.submit(inputs);
    }

    fn four_letter_word(&self, word: Word, argument: Option<[u8; 8]>) -> Vec<u8> {
        answer(word, self, &self.whitelist, argument)
    }

    fn allows_word(&self, word: Word) -> bool {
        self.whitelist.allows(word)
    }
}

impl ServerView for Words {
    fn is_serving(&self) -> bool {
        self.node.ensemble.get().is_none_or(|ensemble| ensemble.status().serves())
    }

    fn mode(&self) -> Mode {
        let Some(ensemble) = self.node.ensemble.get() else { return Mode::Standalone };
        let status = ensemble.status();
        match status.serving {
            _ if status.is_read_only => Mode::ReadOnly,
            Some(ServerState::Leading) => Mode::Leader,
            Some(ServerState::Observing) => Mode::Observer,
            _ => Mode::Follower,
        }
    }

    fn ensemble(&self) -> Option<EnsembleView> {
        let ensemble = self.node.ensemble.get()?;
        let status = ensemble.status();
        let leadership = (status.serving == Some(ServerState::Leading)).then(|| {
            let (counts, pending_syncs) = self.node.leadership();
            LeadershipView {
                learners: counts.learners as u64,
                synced_followers: counts.synced_followers as u64,
                synced_non_voting_followers: counts.synced_non_voting_followers as u64,
                synced_observers: counts.synced_observers as u64,
                pending_syncs: pending_syncs as u64,
                uptime_ms: self.node.clock.now().monotonic_ms - status.since_ms,
            }
        });
        let election_ms = status.election_ms.unwrap_or(-1);
        let (master, observers) = self.node.observers();
        Some(EnsembleView {
            peer_state: status.name(),
            quorum_size: ensemble.members.quorum_size(),
            election_ms,
            leadership,
            observer_master: master.map(|master| master.0),
            synced_observers: observers.map(|counts| counts.synced_observers as u64),
        })
    }

    fn proposal_sizes(&self) -> Option<ProposalSizes> {
        self.node.ensemble.get()?.proposal_sizes()
    }

    fn stats(&self) -> &ServerStats {
        &self.node.stats.server
    }

    fn metrics(&self) -> &Metrics {
        &self.node.stats.metrics
    }

    fn tree_stats(&self) -> TreeStats {
        let tree = self.node.shared.tree.read();
        let watch_count = self.node.shared.watches.lock().total() as u64;
        TreeStats {
            node_count: tree.node_count() as u64,
            approximate_data_size: tree.data_size(),
            ephemerals_count: tree.ephemeral_count() as u64,
            watch_count,
            last_zxid: tree.last_zxid(),
        }
    }

    fn session_counts(&self) -> SessionCounts {
        let (global, local) = self.node.session_counts();
        SessionCounts { global: global as u64, local: local as u64 }
    }

    fn connection_count(&self) -> u64 {
        self.node.table.len() as u64
    }

    fn outstanding_requests(&self) -> u64 {
        self.node.stats.outstanding() as u64
    }

    fn uptime_ms(&self) -> i64 {
        self.node.clock.now().monotonic_ms - self.started_ms
    }

    fn connections(&self) -> Vec<ConnectionView> {
        self.node.table.all().iter().map(|connection| connection.view()).collect()
    }

    fn watch_summary(&self) -> WatchSummary {
        let _tree = self.node.shared.tree.read();
        let watches = self.node.shared.watches.lock();
        WatchSummary {
            connection_count: watches.data_watches().count() as u64,
            path_count: watches.data_path_count() as u64,
            watch_count: watches.data_total() as u64,
        }
    }

    fn watches_by_session(&self) -> Vec<(SessionId, Vec<String>)> {
        let by_slot: Vec<(u32, Vec<String>)> = {
            let _tree = self.node.shared.tree.read();
            let watches = self.node.shared.watches.lock();
            watches.data_watches().map(|(slot, paths)| (slot, paths.into_iter().map(str::to_owned).collect())).collect()
        };
        let session_of = |slot| self.node.table.in_slot(slot).and_then(|connection| connection.session());
        by_slot.into_iter().filter_map(|(slot, paths)| Some((session_of(slot)?.id(), paths))).collect()
    }

    fn watches_by_path(&self) -> Vec<(String, Vec<SessionId>)> {
        let mut by_path: BTreeMap<String, Vec<SessionId>> = BTreeMap::new();
        for (session, paths) in self.watches_by_session() {
            for path in paths {
                by_path.entry(path).or_default().push(session);
            }
        }
        by_path.into_iter().collect()
    }

    fn sessions(&self) -> SessionsView {
        let expires = matches!(self.mode(), Mode::Standalone | Mode::Leader);
        self.node.view_sessions(|global, local| {
            let buckets = |table: &SessionTable| self.buckets(table.cells().map(|cell| (cell.deadline_ms(), cell.id())));
            let global =
                if expires { GlobalSessionsView::ByExpiry(buckets(global)) } else { GlobalSessionsView::ById(global.iter().collect()) };
            SessionsView { local: local.map(buckets), global }
        })
    }

    fn connections_by_expiry(&self) -> Vec<ExpiryBucket<ConnectionExpiryView>> {
        let now_ms = self.node.clock.now().monotonic_ms;
        let view = |connection: &Arc<crate::net::Connection>| {
            let session = connection.session();
            let deadline_ms = session.as_ref().map_or(now_ms, |session| session.deadline_ms());
            let session_id = session.map_or(SessionId::NONE, |session| session.id());
            (deadline_ms, ConnectionExpiryView { address: connection.address(), session_id })
        };
        self.buckets(self.node.table.all().iter().map(view))
    }

    fn ephemerals(&self) -> Vec<(SessionId, Vec<String>)> {
        let tree = self.node.shared.tree.read();
        tree.ephemeral_owners().map(|session| (session, tree.ephemerals_of(session).into_iter().collect())).collect()
    }

    fn digests(&self) -> Vec<(Zxid, u64)> {
        self.node.shared.tree.read().digest_log().collect()
    }

    fn config(&self) -> ConfView {
        let lines = self.node.ensemble.get().map(|ensemble| ensemble.members.conf_lines(&self.ensemble, self.observer_master_port));
        let moved = self.node.client_port.borrow().as_ref().map(|moved| i32::from(moved.port));
        ConfView { ensemble_lines: lines.unwrap_or_default(), client_port: moved.unwrap_or(self.conf.client_port), ..self.conf.clone() }
    }

    fn directory_sizes(&self) -> DirectorySizes {
        let size = |dir| size_bytes(self.fs.as_ref(), dir).unwrap_or(0);
        DirectorySizes { data_dir_bytes: size(&self.snap_dir), log_dir_bytes: size(&self.log_dir) }
    }

    fn quotas(&self) -> Vec<QuotaView> {
        let tree = self.node.shared.tree.read();
        let mut by_namespace: BTreeMap<String, QuotaView> = BTreeMap::new();
        let limit = |hard: i64, soft: i64| if hard > -1 { hard } else { soft };
        for path in tree.quota_paths() {
            let Some((_, limits, usage)) = tree.quota_of(path) else { continue };
            let namespace = path.split('/').nth(1).unwrap_or_default().to_owned();
            let view = by_namespace.entry(namespace.clone()).or_insert(QuotaView {
                namespace,
                count_limit: 0,
                bytes_limit: 0,
                count_usage: 0,
                bytes_usage: 0,
            });
            view.count_limit += limit(limits.count_hard_limit(), limits.count());
            view.bytes_limit += limit(limits.byte_hard_limit(), limits.bytes());
            view.count_usage += usage.count();
            view.bytes_usage += usage.bytes();
        }
        by_namespace.into_values().collect()
    }

    fn holdings(&self) -> Vec<(&'static str, u64)> {
        let stats = &self.node.stats;
        let watch_bytes = {
            let _tree = self.node.shared.tree.read();
            self.node.shared.watches.lock().path_bytes()
        };
        let held = [
            ("input_bytes", stats.input.bytes()),
            ("output_bytes", stats.output.bytes()),
            ("request_bytes", stats.requests.bytes()),
            ("watch_bytes", watch_bytes),
        ];
        held.into_iter().map(|(name, bytes)| (name, bytes as u64)).chain(self.limits.iter().copied()).collect()
    }

    fn reset_connection_stats(&self) {
        self.node.table.all().iter().for_each(|connection| connection.reset_stats());
    }
}
