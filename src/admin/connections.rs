//! Connection lines of `cons` and `stat` (`ServerCnxn.dumpConnectionInfo`).

use std::fmt::{self, Write};

use super::format::java_address;
use super::view::{ConnectionSessionView, ConnectionView};

/// How much of a connection is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// As in `stat`.
    Brief,
    /// As in `cons`.
    Full,
}

/// One line per connection, then an empty line.
///
/// # Errors
/// Only those of `out`.
pub(crate) fn write_connections(out: &mut String, connections: &[ConnectionView], detail: Detail) -> fmt::Result {
    for connection in connections {
        let ConnectionView { interest_ops, queued, received, sent, .. } = connection;
        let address = java_address(connection.address);
        write!(out, " {address}[{interest_ops:x}](queued={queued},recved={received},sent={sent}")?;
        if let (Some(session), Detail::Full) = (&connection.session, detail) {
            write_session(out, session)?;
        }
        out.write_str(")\n")?;
    }
    out.write_char('\n')
}

fn write_session(out: &mut String, session: &ConnectionSessionView) -> fmt::Result {
    let ConnectionSessionView { session_id, last_operation, established_epoch_ms, timeout_ms, .. } = session;
    write!(out, ",sid={session_id},lop={last_operation},est={established_epoch_ms},to={timeout_ms}")?;
    if session.last_cxid >= 0 {
        write!(out, ",lcxid=0x{:x}", session.last_cxid)?;
    }
    let ConnectionSessionView { last_zxid, last_response_ms, last_latency_ms, .. } = session;
    let ConnectionSessionView { min_latency_ms, avg_latency_ms, max_latency_ms, .. } = session;
    write!(out, ",lzxid={last_zxid},lresp={last_response_ms},llat={last_latency_ms}")?;
    write!(out, ",minlat={min_latency_ms},avglat={avg_latency_ms},maxlat={max_latency_ms}")
}
