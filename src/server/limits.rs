//! The limits as `mntr` shows them: those of the configuration, and those that are constants. `docs/limits.md` says what each is.

use crate::config::Settings;
use crate::proto::limits as fixed;

/// Names and values.
pub(super) fn view(settings: &Settings) -> Vec<(&'static str, u64)> {
    let mut all = configured(settings);
    all.extend(constants());
    all
}

fn configured(settings: &Settings) -> Vec<(&'static str, u64)> {
    let (limits, network) = (&settings.limits, &settings.network);
    vec![
        ("connections_max", network.max_cnxns.unwrap_or(0).into()),
        ("connections_per_address_max", network.max_client_cnxns.unwrap_or(0).into()),
        ("frame_bytes_max", limits.jute_max_buffer_bytes.into()),
        ("input_bytes_max", limits.input_bytes_max),
        ("large_request_bytes_max", limits.large_request_max_bytes),
        ("large_request_threshold_bytes", limits.large_request_threshold_bytes.unwrap_or(0).into()),
        ("output_bytes_max", limits.output_bytes_max),
        ("outstanding_requests_max", limits.global_outstanding_limit.into()),
        ("request_bytes_max", limits.request_bytes_max),
        ("sessionless_timeout_ms", network.sessionless_cnxn_timeout_ms),
        ("sessions_max", limits.sessions_max.into()),
        ("sockets_before_handshake_max", limits.sockets_before_handshake_max.into()),
        ("watch_bytes_max", limits.watch_bytes_max),
        ("watches_max", limits.watches_max.into()),
    ]
}

fn constants() -> [(&'static str, u64); 18] {
    [
        ("acl_bytes_per_request_byte_max", fixed::ACL_BYTES_PER_REQUEST_BYTE_MAX),
        ("acl_bytes_per_txn_free", fixed::ACL_BYTES_PER_TXN_FREE),
        ("acl_bytes_per_txn_max", fixed::ACL_BYTES_PER_TXN_MAX),
        ("acl_entries_max", fixed::ACL_ENTRIES_MAX),
        ("auth_bytes_per_connection_max", fixed::AUTH_BYTES_PER_CONNECTION_MAX),
        ("auth_ids_per_connection_max", fixed::AUTH_IDS_PER_CONNECTION_MAX),
        ("ephemeral_bytes_per_session_max", fixed::EPHEMERAL_BYTES_PER_SESSION_MAX),
        ("handshake_bytes_max", fixed::HANDSHAKE_BYTES_MAX),
        ("multi_ops_max", fixed::MULTI_OPS_MAX),
        ("multi_read_reply_bytes_max", fixed::MULTI_READ_REPLY_BYTES_MAX),
        ("output_bytes_per_connection_max", fixed::OUTPUT_BYTES_MAX),
        ("output_bytes_per_connection_pause", fixed::OUTPUT_BYTES_PAUSE),
        ("outstanding_bytes_per_connection_max", fixed::OUTSTANDING_BYTES_PER_CONNECTION_MAX),
        ("outstanding_requests_per_connection_max", fixed::OUTSTANDING_REQUESTS_PER_CONNECTION_MAX),
        ("watch_bytes_per_connection_free", fixed::WATCH_BYTES_PER_CONNECTION_FREE),
        ("watch_bytes_per_connection_max", fixed::WATCH_BYTES_PER_CONNECTION_MAX),
        ("watches_per_connection_free", fixed::WATCHES_PER_CONNECTION_FREE),
        ("watches_per_connection_max", fixed::WATCHES_PER_CONNECTION_MAX),
    ]
    .map(|(name, value)| (name, value as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_shown_once_and_documented() {
        let text = include_str!("../../docs/limits.md");
        let mut names: Vec<&str> = view(&Settings::new(std::path::Path::new("data"), 2181)).into_iter().map(|(name, _)| name).collect();
        names.iter().for_each(|name| assert!(text.contains(&format!("`{name}`")), "{name} is not in docs/limits.md"));
        names.sort_unstable();
        names.dedup();
        let source = include_str!("../proto/limits.rs");
        let constants = source.lines().filter_map(|line| line.strip_prefix("pub const ")?.split(':').next());
        for constant in constants.filter(|&constant| constant != "READ_BUFFER_BYTES") {
            assert!(text.contains(&format!("`{constant}`")), "{constant} is not in docs/limits.md");
        }
        assert_eq!(names.len(), view(&Settings::new(std::path::Path::new("data"), 2181)).len());
    }
}
