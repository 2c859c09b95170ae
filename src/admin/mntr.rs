//! The word `mntr`: gauges read from the server now, then every metric.
//!
//! The order is that of a standalone ZooKeeper 3.9.6 (`MonitorCommand`, `DefaultMetricsProvider.dump`): gauges, labelled gauges,
//! counters, labelled counters, summaries, summaries with percentiles, labelled summaries.

use std::fmt::{self, Display, Write};

use super::format::java_double;
use super::process::{max_file_descriptors, open_file_descriptors};
use super::summary::{Labelled, Summary, Values};
use super::view::{EnsembleView, QuotaView, ServerView};

/// Writes `mntr`.
///
/// # Errors
/// Only those of `out`.
pub(crate) fn write_mntr(out: &mut String, view: &dyn ServerView) -> fmt::Result {
    line(out, "version", view.version())?;
    line(out, "server_state", view.mode().name())?;
    let ensemble = view.ensemble();
    if let Some(ensemble) = &ensemble {
        line(out, "peer_state", ensemble.peer_state)?;
        if let Some(master) = ensemble.observer_master {
            line(out, "observer_master_id", master)?;
        }
    }
    write_gauges(out, view)?;
    if let Some(ensemble) = &ensemble {
        write_ensemble(out, view, ensemble)?;
    }
    write_quotas(out, &view.quotas())?;
    write_metrics(out, view)?;
    view.holdings().into_iter().try_for_each(|(name, value)| line(out, format_args!("paddock_{name}"), value))
}

fn line(out: &mut String, key: impl Display, value: impl Display) -> fmt::Result {
    writeln!(out, "zk_{key}\t{value}")
}

/// Gauges of what this server does not do are 0: TLS, certificates, dropping of connections by chance.
fn write_gauges(out: &mut String, view: &dyn ServerView) -> fmt::Result {
    let (tree, sessions, stats) = (view.tree_stats(), view.session_counts(), view.stats());
    let latency = stats.request_latency.values();
    let (response_last, response_min, response_max) = stats.client_response_size.values();
    line(out, "ephemerals_count", tree.ephemerals_count)?;
    line(out, "num_alive_connections", view.connection_count())?;
    line(out, "avg_latency", java_double(latency.average))?;
    line(out, "outstanding_requests", view.outstanding_requests())?;
    line(out, "znode_count", tree.node_count)?;
    line(out, "global_sessions", sessions.global)?;
    line(out, "non_mtls_remote_conn_count", 0)?;
    line(out, "last_client_response_size", response_last)?;
    line(out, "packets_sent", stats.packets_sent.value())?;
    line(out, "packets_received", stats.packets_received.value())?;
    line(out, "max_client_response_size", response_max)?;
    line(out, "connection_drop_probability", java_double(0.0))?;
    line(out, "watch_count", tree.watch_count)?;
    line(out, "auth_failed_count", 0)?;
    line(out, "min_latency", latency.min)?;
    line(out, "max_file_descriptor_count", max_file_descriptors())?;
    line(out, "approximate_data_size", tree.approximate_data_size)?;
    line(out, "open_file_descriptor_count", open_file_descriptors())?;
    line(out, "local_sessions", sessions.local)?;
    line(out, "uptime", view.uptime_ms())?;
    line(out, "max_latency", latency.max)?;
    line(out, "outstanding_tls_handshake", 0)?;
    line(out, "min_client_response_size", response_min)?;
    line(out, "non_mtls_local_conn_count", 0)
}

fn write_ensemble(out: &mut String, view: &dyn ServerView, ensemble: &EnsembleView) -> fmt::Result {
    line(out, "quorum_size", ensemble.quorum_size)?;
    line(out, "paddock_last_election_ms", ensemble.election_ms)?;
    if let Some(observers) = ensemble.synced_observers {
        line(out, "synced_observers", observers)?;
    }
    let Some(leadership) = &ensemble.leadership else { return Ok(()) };
    line(out, "learners", leadership.learners)?;
    line(out, "followers", leadership.synced_followers + leadership.synced_non_voting_followers)?;
    line(out, "synced_followers", leadership.synced_followers)?;
    line(out, "synced_non_voting_followers", leadership.synced_non_voting_followers)?;
    line(out, "synced_observers", leadership.synced_observers)?;
    line(out, "pending_syncs", leadership.pending_syncs)?;
    line(out, "leader_uptime", leadership.uptime_ms)?;
    let Some(sizes) = view.proposal_sizes() else { return Ok(()) };
    line(out, "last_proposal_size", sizes.last)?;
    line(out, "max_proposal_size", sizes.max)?;
    line(out, "min_proposal_size", sizes.min)
}

/// One gauge of a quota: its name and where its value is.
type QuotaGauge = (&'static str, fn(&QuotaView) -> i64);

fn write_quotas(out: &mut String, quotas: &[QuotaView]) -> fmt::Result {
    let gauges: [QuotaGauge; 4] = [
        ("quota_bytes_limit_per_namespace", |quota| quota.bytes_limit),
        ("quota_count_usage_per_namespace", |quota| quota.count_usage),
        ("quota_count_limit_per_namespace", |quota| quota.count_limit),
        ("quota_bytes_usage_per_namespace", |quota| quota.bytes_usage),
    ];
    for (name, value) in gauges {
        for quota in quotas {
            line(out, format_args!("{}_{name}", quota.namespace), value(quota))?;
        }
    }
    Ok(())
}

fn write_metrics(out: &mut String, view: &dyn ServerView) -> fmt::Result {
    let metrics = view.metrics();
    for (name, counter) in metrics.counters.all() {
        line(out, name, counter.value())?;
    }
    for (label, counter) in metrics.namespaces.quota_exceeded_error.all() {
        line(out, format_args!("{label}_quota_exceeded_error_per_namespace"), counter.value())?;
    }
    for (name, summary) in metrics.summaries.all() {
        write_values(out, name, summary.values())?;
    }
    for (name, summary) in metrics.percentile_summaries.all() {
        write_values(out, name, summary.values())?;
        let percentiles = summary.percentiles();
        line(out, format_args!("p50_{name}"), percentiles.p50)?;
        line(out, format_args!("p95_{name}"), percentiles.p95)?;
        line(out, format_args!("p99_{name}"), percentiles.p99)?;
        line(out, format_args!("p999_{name}"), percentiles.p999)?;
    }
    write_labelled(out, "read_per_namespace", &metrics.namespaces.read)?;
    write_labelled(out, "write_per_namespace", &metrics.namespaces.write)?;
    metrics.own.all().into_iter().try_for_each(|(name, counter)| line(out, name, counter.value()))
}

fn write_labelled(out: &mut String, name: &str, set: &Labelled<Summary>) -> fmt::Result {
    let all = set.all();
    all.iter().try_for_each(|(label, summary)| write_values(out, format_args!("{label}_{name}"), summary.values()))
}

fn write_values(out: &mut String, name: impl Display, values: Values) -> fmt::Result {
    line(out, format_args!("avg_{name}"), java_double(values.average))?;
    line(out, format_args!("min_{name}"), values.min)?;
    line(out, format_args!("max_{name}"), values.max)?;
    line(out, format_args!("cnt_{name}"), values.count)?;
    line(out, format_args!("sum_{name}"), values.sum)
}

#[cfg(test)]
mod tests {
    use super::super::fake::FakeServer;
    use super::super::summary::Batch;
    use super::*;

    /// Every key of a fresh standalone 3.9.6, in its order.
    const JAVA_NAMES: &str = include_str!("testdata/mntr_names.txt");

    fn mntr(server: &FakeServer) -> String {
        let mut out = String::new();
        write_mntr(&mut out, server).expect("a string takes everything");
        out
    }

    #[test]
    fn a_fresh_server_prints_the_names_of_zookeeper_in_its_order() {
        let text = mntr(&FakeServer::empty());
        let names: Vec<_> = text.lines().map(|l| l.split_once('\t').expect("a tab in every line").0).collect();
        let expected: Vec<_> = JAVA_NAMES.lines().collect();
        assert_eq!(names[..expected.len()], expected);
        assert!(names[expected.len()..].iter().all(|name| name.starts_with("zk_paddock_")), "{names:?}");
    }

    #[test]
    fn a_follower_that_serves_observers_counts_them() {
        let follower = EnsembleView {
            peer_state: "following - broadcast",
            quorum_size: 3,
            election_ms: 5,
            leadership: None,
            observer_master: None,
            synced_observers: Some(2),
        };
        let mut out = String::new();
        write_ensemble(&mut out, &FakeServer::empty(), &follower).expect("a string takes everything");
        assert_eq!(out, "zk_quorum_size\t3\nzk_paddock_last_election_ms\t5\nzk_synced_observers\t2\n");
    }

    #[test]
    fn gauges_print_what_the_server_says() {
        let text = mntr(&FakeServer::busy());
        for expected in [
            "zk_version\t3.9.6-test, built on never\nzk_server_state\tstandalone\nzk_ephemerals_count\t3\n",
            "zk_num_alive_connections\t3\nzk_avg_latency\t2.0625\nzk_outstanding_requests\t0\nzk_znode_count\t9\n",
            "zk_global_sessions\t2\n",
            "zk_packets_sent\t43\nzk_packets_received\t41\n",
            "zk_watch_count\t5\n",
            "zk_approximate_data_size\t84\n",
            "zk_uptime\t259054\nzk_max_latency\t16\n",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }

    #[test]
    fn metrics_and_labels_print_with_their_values() {
        let server = FakeServer::busy();
        let mut sizes = Batch::default();
        sizes.record(10);
        sizes.record(15);
        server.metrics().record_reads("app", &sizes);
        server.metrics().record_quota_exceeded("app");
        server.metrics().counters.stale_sessions_expired.add(4);
        server.metrics().percentile_summaries.updatelatency.record(3);
        let text = mntr(&server);
        for expected in [
            "zk_app_quota_bytes_limit_per_namespace\t10000\nzk_app_quota_count_usage_per_namespace\t402\n\
             zk_app_quota_count_limit_per_namespace\t-1\nzk_app_quota_bytes_usage_per_namespace\t4000\nzk_watch_bytes\t0\n",
            "zk_stale_sessions_expired\t4\n",
            "\nzk_paddock_output_bytes\t77\n",
            "zk_revalidate_count\t0\nzk_app_quota_exceeded_error_per_namespace\t1\nzk_avg_socket_closing_time\t0.0\n",
            "zk_avg_updatelatency\t3.0\nzk_min_updatelatency\t3\nzk_max_updatelatency\t3\nzk_cnt_updatelatency\t1\n\
             zk_sum_updatelatency\t3\nzk_p50_updatelatency\t3\nzk_p95_updatelatency\t3\nzk_p99_updatelatency\t3\n\
             zk_p999_updatelatency\t3\n",
            "zk_avg_app_read_per_namespace\t12.5\nzk_min_app_read_per_namespace\t10\nzk_max_app_read_per_namespace\t15\n\
             zk_cnt_app_read_per_namespace\t2\nzk_sum_app_read_per_namespace\t25\n",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }
}
