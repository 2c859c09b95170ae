//! The word `dump`: sessions and connections by expiry, and ephemeral nodes in between.

use std::fmt::{self, Write};

use super::format::{java_address, java_date};
use super::view::{ExpiryBucket, GlobalSessionsView, ServerView, SessionsView};

/// Writes the three parts (`DumpCommand`, `ExpiryQueue.dump`, `DataTree.dumpEphemerals`).
///
/// # Errors
/// Only those of `out`.
pub(crate) fn write_dump(out: &mut String, view: &dyn ServerView) -> fmt::Result {
    out.write_str("SessionTracker dump:\n")?;
    write_sessions(out, &view.sessions())?;
    write_ephemerals(out, view)?;
    out.write_str("Connections dump:\nConnections ")?;
    write_buckets(out, &view.connections_by_expiry(), |connection| {
        format!("ip: {} sessionId: {}", java_address(connection.address), connection.session_id)
    })
}

/// As `LeaderSessionTracker.dumpSessions` and `LearnerSessionTracker.dumpSessions` do.
fn write_sessions(out: &mut String, sessions: &SessionsView) -> fmt::Result {
    if let Some(local) = &sessions.local {
        out.write_str("Local Session ")?;
        write_buckets(out, local, |session| session.to_string())?;
    }
    match &sessions.global {
        GlobalSessionsView::ByExpiry(buckets) => {
            out.write_str(if sessions.local.is_some() { "Global Session " } else { "Session " })?;
            write_buckets(out, buckets, |session| session.to_string())
        }
        GlobalSessionsView::ById(sessions) => {
            writeln!(out, "Global Sessions({}):", sessions.len())?;
            sessions.iter().try_for_each(|(session, timeout_ms)| writeln!(out, "{session}\t{timeout_ms}ms"))
        }
    }
}

fn write_buckets<T>(out: &mut String, buckets: &[ExpiryBucket<T>], line: impl Fn(&T) -> String) -> fmt::Result {
    let member_count: usize = buckets.iter().map(|bucket| bucket.members.len()).sum();
    writeln!(out, "Sets ({})/({member_count}):", buckets.len())?;
    for bucket in buckets {
        writeln!(out, "{} expire at {}:", bucket.members.len(), java_date(bucket.expires_epoch_ms))?;
        for member in &bucket.members {
            writeln!(out, "\t{}", line(member))?;
        }
    }
    Ok(())
}

fn write_ephemerals(out: &mut String, view: &dyn ServerView) -> fmt::Result {
    let ephemerals = view.ephemerals();
    writeln!(out, "ephemeral nodes dump:\nSessions with Ephemerals ({}):", ephemerals.len())?;
    for (session, paths) in &ephemerals {
        writeln!(out, "{session}:")?;
        for path in paths {
            writeln!(out, "\t{path}")?;
        }
    }
    Ok(())
}
