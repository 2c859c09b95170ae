//! The registry of metrics: one field per name of ZooKeeper 3.9.6, in the order in which `mntr` prints them.
//!
//! A stage that this server does not have keeps its name with value 0, so that dashboards and alert rules keep resolving.
//! `mntr_names.txt` holds the order, taken from a standalone 3.9.6; it comes from Java's hash tables and means nothing.

use super::summary::{Batch, Counter, Labelled, PercentileSummary, Summary};

/// A struct of metrics of one kind whose fields are listed, in order, with their names.
macro_rules! registry {
    ($(#[$doc:meta])* pub struct $group:ident: $kind:ident { $($(#[$field_doc:meta])* $field:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Default, Debug)]
        pub struct $group {
            $($(#[$field_doc])* pub $field: $kind,)+
        }

        impl $group {
            /// Every metric with its name, in the order of printing.
            #[must_use]
            pub fn all(&self) -> Vec<(&'static str, &$kind)> {
                vec![$((stringify!($field), &self.$field),)+]
            }
        }
    };
}

registry! {
    /// Everything that is only counted, in the order in which `mntr` prints it.
    pub struct Counters: Counter {
        /// Bytes of watch events sent.
        watch_bytes,
        /// Stale requests dropped.
        stale_requests_dropped,
        /// Requests answered THROTTLEDOP.
        throttled_ops,
        /// Plain HTTP calls on a unified admin port.
        insecure_admin_count,
        /// Connections refused (throttle or limits).
        connection_rejected,
        /// Connections closed for never opening a session.
        sessionless_connections_expired,
        /// Closed watchers queued for cleanup.
        dead_watchers_queued,
        /// Requests found stale.
        stale_requests,
        /// Connections closed by the server side.
        connection_drop_count,
        /// GetData replies served from cache.
        response_packet_cache_hits,
        /// Bytes read from clients.
        bytes_received_count,
        /// Ms stalled because dead-watcher queue was full.
        add_dead_watcher_stall_time,
        /// Times the throttler stalled.
        request_throttle_wait_count,
        /// See the property of that name.
        requests_not_forwarded_to_commit_processor,
        /// GetData replies not in cache.
        response_packet_cache_misses,
        /// Requests put in the first write stage.
        prep_processor_request_queued,
        /// Replies for closed connections.
        stale_replies,
        /// Bytes of replies sent.
        response_bytes,
        /// Refused "ensemble" auth calls.
        ensemble_auth_fail,
        /// Learners synced by DIFF.
        diff_count,
        /// Reconnects that needed revalidation.
        connection_revalidate_count,
        /// Leader stepped down after losing a voter during reconfig.
        quit_leading_due_to_disloyal_voter,
        /// Fatal errors in critical threads.
        unrecoverable_error_count,
        /// Failed TLS handshakes.
        unsuccessful_handshake,
        /// Transactions committed on this leader.
        commit_count,
        /// Speculative change records added.
        outstanding_changes_queued,
        /// Commits queued in the commit stage.
        request_commit_queued,
        /// "ensemble" auth calls without a name or feature off.
        ensemble_auth_skip,
        /// See the property of that name.
        skip_learner_request_to_next_processor_count,
        /// Proposals issued by this leader.
        proposal_count,
        /// Large requests refused.
        large_requests_rejected,
        /// Speculative change records removed.
        outstanding_changes_removed,
        /// Failed restores.
        restore_error_count,
        /// Connections closed before the server was up.
        cnxn_closed_without_zk_server_running,
        /// Times this peer entered leader election.
        looking_count,
        /// Snapshot commands refused by the limiter.
        snapshot_rate_limited_count,
        /// Proposals received by this learner.
        learner_proposal_received_count,
        /// Tree digest disagreed with the leader's.
        digest_mismatches_count,
        /// Closed watchers cleaned.
        dead_watchers_cleared,
        /// Accepted "ensemble" auth calls.
        ensemble_auth_success,
        /// Commits received by this learner.
        learner_commit_received_count,
        /// Failed snapshots (automatic or by AdminServer).
        snapshot_error_count,
        /// Session connect requests seen.
        connection_request_count,
        /// Same for getChildren.
        response_packet_get_children_cache_misses,
        /// Learners synced by whole snapshot.
        snap_count,
        /// Sessions expired.
        stale_sessions_expired,
        /// Restore commands refused by the limiter.
        restore_rate_limited_count,
        /// Same for getChildren.
        response_packet_get_children_cache_hits,
        /// Requests queued for the log writer.
        sync_processor_request_queued,
        /// Connections refused: handshake limit.
        tls_handshake_exceeded,
        /// Session revalidations asked of the leader.
        revalidate_count,
    }
}

registry! {
    /// Basic summaries: average, minimum, maximum, count, sum.
    pub struct Summaries: Summary {
        /// Ms to close learner sockets.
        socket_closing_time,
        /// Ms in the proposal stage.
        proposal_process_time,
        /// Same, measured when it becomes leader.
        leader_unavailable_time,
        /// Watches fired per create.
        node_created_watch_count,
        /// Session queues emptied per turn.
        session_queues_drained,
        /// Writes queued at the stage.
        write_commit_proc_req_queued,
        /// Tokens missing in the connection throttle.
        connection_token_deficit,
        /// Reads queued at the stage.
        read_commit_proc_req_queued,
        /// Watches fired per delete.
        node_deleted_watch_count,
        /// Ms of that replay.
        startup_txns_load_time,
        /// Length of the log writer's queue.
        sync_processor_queue_size,
        /// Ms to bring a follower in sync.
        follower_sync_time,
        /// Length of that queue.
        prep_processor_queue_size,
        /// Ms per log fsync.
        fsynctime,
        /// Concurrent snapshot syncs.
        inflight_snap_count,
        /// Reads released after a write.
        reads_issued_from_session_queue,
        /// Ms per restore.
        restore_time,
        /// Queue of the learner's request stage.
        learner_request_processor_queue_size,
        /// Ms per snapshot.
        snapshottime,
        /// Ms this peer was not in broadcast.
        unavailable_time,
        /// Transactions replayed at start.
        startup_txns_loaded,
        /// Reads queued directly after a write.
        reads_after_write_in_session_queue,
        /// Requests per session queue.
        requests_in_session_queue,
        /// Writes issued per turn.
        write_commit_proc_issued,
        /// Ms in that stage.
        prep_process_time,
        /// Sessions with pending requests.
        pending_session_queue_size,
        /// Ms waiting for readers to finish.
        time_waiting_empty_pool_in_commit_processor_read_ms,
        /// Ms in the commit stage.
        commit_process_time,
        /// Ms to load snapshot and replay log.
        dbinittime,
        /// Concurrent diff syncs.
        inflight_diff_count,
        /// Bytes queued per Netty connection.
        netty_queued_buffer_capacity,
        /// Ms from looking to decided.
        election_time,
        /// Commits queued at the stage.
        commit_commit_proc_req_queued,
        /// Transactions per flush (group commit size).
        sync_processor_batch_size,
        /// Child watches fired.
        node_children_watch_count,
        /// Ms per commit batch.
        write_batch_time_in_commit_processor,
        /// Reads issued per turn.
        read_commit_proc_issued,
        /// Requests in flight in the stage.
        concurrent_request_processing_in_commit_processor,
        /// Ms to bring an observer in sync.
        observer_sync_time,
        /// Watches fired per setData.
        node_changed_watch_count,
        /// Ms handling one request in the log writer.
        sync_process_time,
        /// Ms to read the snapshot.
        startup_snap_load_time,
    }
}

registry! {
    /// Summaries that also have percentiles.
    pub struct PercentileSummaries: PercentileSummary {
        /// Wait before the first write stage.
        prep_processor_queue_time_ms,
        /// Stop-the-world pauses seen by the monitor.
        jvm_pause_time_ms,
        /// Ms to prepare a close-session txn.
        close_session_prep_time,
        /// Ms a read spent in the stage.
        read_commitproc_time_ms,
        /// Ms of writes issued on this server.
        updatelatency,
        /// Ms from commit to apply, local writes.
        local_write_committed_time_ms,
        /// Ms in the throttler.
        request_throttle_queue_time_ms,
        /// Ms of reads, arrival to final stage.
        readlatency,
        /// Ms from proposal to quorum of acks.
        quorum_ack_latency,
        /// Observer master: commit handling.
        om_commit_process_time_ms,
        /// Ms of a read in the final stage.
        read_final_proc_time_ms,
        /// Ms until the commit arrived here.
        commit_propagation_latency,
        /// Ms per cleanup batch.
        dead_watchers_cleaner_latency,
        /// Ms of a write in the final stage.
        write_final_proc_time_ms,
        /// Ms until the ack was made.
        proposal_ack_creation_latency,
        /// Ms until a proposal reached this follower.
        proposal_latency,
        /// Observer master: proposal handling.
        om_proposal_process_time_ms,
        /// Queue plus flush time in the log writer.
        sync_processor_queue_and_flush_time_ms,
        /// Ms from leader's receipt to apply here.
        propagation_latency,
        /// Same, writes of other servers.
        server_write_committed_time_ms,
        /// Wait in the log writer's queue.
        sync_processor_queue_time_ms,
        /// Time of a flush.
        sync_processor_queue_flush_time_ms,
        /// Ms a write spent in the stage.
        write_commitproc_time_ms,
    }
}

registry! {
    /// What only this server counts; printed last, so that the lines above stay ZooKeeper's.
    pub struct OwnCounters: Counter {
        /// Values not recorded because a labelled metric had its limit of labels.
        paddock_metric_labels_refused,
        /// Connections closed because their clients did not take what waited for them.
        paddock_slow_readers_closed,
    }
}

/// Metrics that exist once per first component of a path.
#[derive(Default, Debug)]
pub struct NamespaceMetrics {
    /// Writes refused or over the limit of a quota.
    pub quota_exceeded_error: Labelled<Counter>,
    /// Bytes read: path and data of each read.
    pub read: Labelled<Summary>,
    /// Bytes written: path and data of each write.
    pub write: Labelled<Summary>,
}

/// All metrics of one server.
#[derive(Default, Debug)]
pub struct Metrics {
    /// What is only counted.
    pub counters: Counters,
    /// What has average, minimum, maximum, count and sum.
    pub summaries: Summaries,
    /// What also has percentiles.
    pub percentile_summaries: PercentileSummaries,
    /// What is kept per namespace.
    pub namespaces: NamespaceMetrics,
    /// What ZooKeeper does not have.
    pub own: OwnCounters,
}

impl Metrics {
    /// Adds the sizes in bytes of reads below a namespace.
    pub fn record_reads(&self, namespace: &str, sizes: &Batch) {
        self.record_sizes(&self.namespaces.read, namespace, sizes);
    }

    /// Adds the sizes in bytes of writes below a namespace.
    pub fn record_writes(&self, namespace: &str, sizes: &Batch) {
        self.record_sizes(&self.namespaces.write, namespace, sizes);
    }

    /// Counts a write that exceeded the quota of a namespace.
    pub fn record_quota_exceeded(&self, namespace: &str) {
        match self.namespaces.quota_exceeded_error.of(namespace) {
            Some(counter) => counter.inc(),
            None => self.own.paddock_metric_labels_refused.inc(),
        }
    }

    fn record_sizes(&self, set: &Labelled<Summary>, namespace: &str, sizes: &Batch) {
        match set.of(namespace) {
            Some(summary) => summary.record_batch(sizes),
            None => self.own.paddock_metric_labels_refused.inc(),
        }
    }

    /// Sets everything back to 0, as `srst` does; labels stay.
    pub fn reset(&self) {
        self.counters.all().iter().for_each(|(_, metric)| metric.reset());
        self.own.all().iter().for_each(|(_, metric)| metric.reset());
        self.summaries.all().iter().for_each(|(_, metric)| metric.reset());
        self.percentile_summaries.all().iter().for_each(|(_, metric)| metric.reset());
        self.namespaces.quota_exceeded_error.all().iter().for_each(|(_, metric)| metric.reset());
        self.namespaces.read.all().iter().for_each(|(_, metric)| metric.reset());
        self.namespaces.write.all().iter().for_each(|(_, metric)| metric.reset());
    }
}

#[cfg(test)]
mod tests {
    use super::super::summary::LABELS_MAX;
    use super::*;

    #[test]
    fn a_reset_reaches_every_group() {
        let metrics = Metrics::default();
        let mut sizes = Batch::default();
        sizes.record(10);
        metrics.counters.bytes_received_count.add(7);
        metrics.summaries.fsynctime.record(3);
        metrics.percentile_summaries.readlatency.record(4);
        metrics.record_reads("app", &sizes);
        metrics.record_writes("app", &sizes);
        metrics.record_quota_exceeded("app");
        metrics.own.paddock_metric_labels_refused.inc();
        metrics.reset();
        assert_eq!(metrics.counters.bytes_received_count.value(), 0);
        assert_eq!(metrics.summaries.fsynctime.values().count, 0);
        assert_eq!(metrics.percentile_summaries.readlatency.values().count, 0);
        assert_eq!(metrics.namespaces.read.all()[0].1.values().sum, 0);
        assert_eq!(metrics.namespaces.write.all()[0].1.values().sum, 0);
        assert_eq!(metrics.namespaces.quota_exceeded_error.all()[0].1.value(), 0);
        assert_eq!(metrics.own.paddock_metric_labels_refused.value(), 0);
    }

    #[test]
    fn refused_labels_are_counted() {
        let metrics = Metrics::default();
        for i in 0..LABELS_MAX + 3 {
            metrics.record_quota_exceeded(&i.to_string());
        }
        assert_eq!(metrics.own.paddock_metric_labels_refused.value(), 3);
    }
}
