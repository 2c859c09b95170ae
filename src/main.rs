//! The command line: `paddock server [FILE]`, `paddock bench WORKLOAD [SERVERS]`, `paddock migrate check|verify SERVERS`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use paddock::bench;
use paddock::config::{self, Loaded, Settings};
use paddock::migrate;
use paddock::server;
use tracing_subscriber::EnvFilter;

/// Gives memory back in the background after a mass deletion, and is faster than glibc's where one thread frees what another made.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Wrong arguments or a bad configuration (`ExitCode.INVALID_INVOCATION`).
const INVALID_INVOCATION: u8 = 2;

/// A coordination server that ZooKeeper's clients, tools and clusters use without noticing.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a server until SIGTERM or SIGINT.
    ///
    /// FILE is a zoo.cfg. Without it the server listens on port 2181 and keeps its data in ./data.
    /// `-Dzookeeper.KEY=VALUE` in the environment variables SERVER_JVMFLAGS and JVMFLAGS counts as ZooKeeper's scripts make it count:
    /// a key in the file wins. RUST_LOG sets what is logged, e.g. RUST_LOG=debug.
    ///
    /// Exit codes: 0 stopped, 1 unexpected error, 2 bad arguments or configuration, 3 data directory cannot be used.
    Server {
        /// Either one zoo.cfg, or: port, data directory, tick time in ms, connections per client address.
        #[arg(value_name = "FILE")]
        arguments: Vec<String>,
    },
    /// Puts load on a ZooKeeper-compatible ensemble and tells how fast it answers.
    Bench(Box<bench::Arguments>),
    /// Looks at an ensemble that moves from ZooKeeper to Paddock, before the move and after each step.
    Migrate(migrate::Arguments),
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Server { arguments } => serve(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Migrate(arguments) => migrate::run(&arguments),
    }
}

fn serve(arguments: &[String]) -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).init();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), pid = std::process::id(), "Paddock");
    let loaded = match load(arguments) {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("paddock: invalid configuration\n{error}");
            return ExitCode::from(INVALID_INVOCATION);
        }
    };
    for notice in &loaded.notices {
        report(notice);
    }
    match server::run(loaded.settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "cannot run");
            ExitCode::from(error.exit_code())
        }
    }
}

fn load(arguments: &[String]) -> Result<Loaded, config::ConfigError> {
    let environment: Vec<(String, String)> = std::env::vars().collect();
    match arguments {
        [] => Ok(Loaded { settings: Settings::embedded_default(&PathBuf::from("data")), notices: Vec::new() }),
        [file] => config::load(Path::new(file), &environment),
        more => config::from_arguments(more, &environment),
    }
}

fn report(notice: &config::Notice) {
    match notice.level {
        config::Level::Debug => tracing::debug!("{notice}"),
        config::Level::Info => tracing::info!("{notice}"),
        config::Level::Warn => tracing::warn!("{notice}"),
    }
}
