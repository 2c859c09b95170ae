//! From a word to the bytes of its answer.
//!
//! Source of the layouts: the outputs of a standalone ZooKeeper 3.9.6. What differs: sessions, paths and connections come in the
//! order in which the server hands them out (ZooKeeper: hash order); dates are in UTC; keys about Java have no value.

use std::fmt::{self, Write};
use std::sync::atomic::Ordering::Relaxed;

use super::connections::{Detail, write_connections};
use super::dump::write_dump;
use super::environment::write_environment;
use super::format::java_double;
use super::mntr::write_mntr;
use super::view::{ConfView, Mode, ServerView};
use super::word::{Whitelist, Word};

/// What words say while the server does not serve.
const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests";

/// The bytes to write before the connection is closed; none for the end of a telnet session.
///
/// `trace_mask` holds the eight bytes behind an enabled `stmk`; without them it changes nothing and answers nothing.
#[must_use]
pub fn answer(word: Word, view: &dyn ServerView, whitelist: &Whitelist, trace_mask: Option<[u8; 8]>) -> Vec<u8> {
    if !whitelist.allows(word) {
        return format!("{} is not executed because it is not in the whitelist.\n", word.name()).into_bytes();
    }
    let mut out = String::new();
    let written = match word {
        Word::Ruok => out.write_str("imok"),
        Word::Isro => out.write_str(read_only(view)),
        Word::Envi => write_environment(&mut out, &view.version(), &view.environment()),
        Word::Gtmk => write!(out, "{}", view.stats().trace_mask.load(Relaxed)),
        Word::Stmk => set_trace_mask(&mut out, view, trace_mask),
        Word::TelnetClose => Ok(()),
        Word::Hash if !view.is_serving() => out.write_str(NOT_SERVING),
        _ if !view.is_serving() => writeln!(out, "{NOT_SERVING}"),
        _ => write_serving(&mut out, word, view),
    };
    written.expect("writing into a string cannot fail");
    out.into_bytes()
}

/// The words that need a server that serves.
fn write_serving(out: &mut String, word: Word, view: &dyn ServerView) -> fmt::Result {
    match word {
        Word::Conf => write_conf(out, view),
        Word::Cons => write_connections(out, &view.connections(), Detail::Full),
        Word::Crst => {
            view.reset_connection_stats();
            out.write_str("Connection stats reset.\n")
        }
        Word::Dirs => write_directories(out, view),
        Word::Dump => write_dump(out, view),
        Word::Hash => view.digests().iter().try_for_each(|(zxid, digest)| writeln!(out, "{:x}: {}", zxid.0, *digest as i64)),
        Word::Mntr => write_mntr(out, view),
        Word::Srst => {
            view.reset_server_stats();
            out.write_str("Server stats reset.\n")
        }
        Word::Srvr => write_status(out, view, false),
        Word::Stat => write_status(out, view, true),
        Word::Wchc => write_groups(out, &view.watches_by_session()),
        Word::Wchp => write_groups(out, &view.watches_by_path()),
        Word::Wchs => write_watch_summary(out, view),
        // These never need a server that serves: the caller has answered them.
        Word::Ruok | Word::Isro | Word::Envi | Word::Gtmk | Word::Stmk | Word::TelnetClose => Ok(()),
    }
}

fn read_only(view: &dyn ServerView) -> &'static str {
    match (view.is_serving(), view.mode()) {
        (false, _) => "null",
        (true, Mode::ReadOnly) => "ro",
        (true, _) => "rw",
    }
}

fn set_trace_mask(out: &mut String, view: &dyn ServerView, trace_mask: Option<[u8; 8]>) -> fmt::Result {
    let Some(bytes) = trace_mask else { return Ok(()) };
    let mask = i64::from_be_bytes(bytes);
    view.stats().trace_mask.store(mask, Relaxed);
    write!(out, "{mask}")
}

fn write_conf(out: &mut String, view: &dyn ServerView) -> fmt::Result {
    let (conf, sizes) = (view.config(), view.directory_sizes());
    let ConfView { client_port, secure_client_port, data_dir, data_log_dir, .. } = &conf;
    writeln!(out, "clientPort={client_port}\nsecureClientPort={secure_client_port}")?;
    writeln!(out, "dataDir={data_dir}\ndataDirSize={}", sizes.data_dir_bytes)?;
    writeln!(out, "dataLogDir={data_log_dir}\ndataLogSize={}", sizes.log_dir_bytes)?;
    writeln!(out, "tickTime={}\nmaxClientCnxns={}", conf.tick_time_ms, conf.max_client_cnxns)?;
    writeln!(out, "minSessionTimeout={}\nmaxSessionTimeout={}", conf.min_session_timeout_ms, conf.max_session_timeout_ms)?;
    writeln!(out, "clientPortListenBacklog={}\nserverId={}", conf.client_port_listen_backlog, conf.server_id)?;
    out.write_str(&conf.ensemble_lines)
}

fn write_directories(out: &mut String, view: &dyn ServerView) -> fmt::Result {
    let sizes = view.directory_sizes();
    writeln!(out, "datadir_size: {}\nlogdir_size: {}", sizes.data_dir_bytes, sizes.log_dir_bytes)
}

/// `srvr`, and with the connections `stat` (`StatCommand`, `ServerStats.toString`).
fn write_status(out: &mut String, view: &dyn ServerView, with_connections: bool) -> fmt::Result {
    let mode = view.mode();
    writeln!(out, "Zookeeper version: {}", view.version())?;
    if mode == Mode::ReadOnly {
        out.write_str("READ-ONLY mode; serving only read-only clients\n")?;
    }
    if with_connections {
        out.write_str("Clients:\n")?;
        write_connections(out, &view.connections(), Detail::Brief)?;
    }
    let (stats, tree) = (view.stats(), view.tree_stats());
    let latency = stats.request_latency.values();
    writeln!(out, "Latency min/avg/max: {}/{}/{}", latency.min, java_double(latency.average), latency.max)?;
    writeln!(out, "Received: {}\nSent: {}", stats.packets_received.value(), stats.packets_sent.value())?;
    writeln!(out, "Connections: {}\nOutstanding: {}", view.connection_count(), view.outstanding_requests())?;
    writeln!(out, "Zxid: {}\nMode: {}\nNode count: {}", tree.last_zxid, mode.name(), tree.node_count)?;
    match view.proposal_sizes() {
        Some(sizes) if mode == Mode::Leader => {
            writeln!(out, "Proposal sizes last/min/max: {}/{}/{}", sizes.last, sizes.min, sizes.max)
        }
        _ => Ok(()),
    }
}

/// A head line and, indented by a tab, its members; an empty line at the end.
fn write_groups<H: fmt::Display, M: fmt::Display>(out: &mut String, groups: &[(H, Vec<M>)]) -> fmt::Result {
    for (head, members) in groups {
        writeln!(out, "{head}")?;
        members.iter().try_for_each(|member| writeln!(out, "\t{member}"))?;
    }
    out.write_char('\n')
}

fn write_watch_summary(out: &mut String, view: &dyn ServerView) -> fmt::Result {
    let summary = view.watch_summary();
    writeln!(out, "{} connections watching {} paths", summary.connection_count, summary.path_count)?;
    writeln!(out, "Total watches:{}", summary.watch_count)
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
