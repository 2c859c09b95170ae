//! The arguments of `paddock migrate`, and the plan that follows from them.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::client::servers::{self, Host};

/// Servers asked at most.
const SERVERS_MAX: usize = 64;
const PATIENCE_SECONDS_MAX: u64 = 600;

const EXAMPLES: &str = "\
EXAMPLES
  paddock migrate check zk1:2181,zk2:2181,zk3:2181 --config /etc/zookeeper/zoo.cfg
  paddock migrate verify zk1:2181,zk2:2181,zk3:2181 --member 1
  paddock migrate verify zk1:2181,zk2:2181,zk3:2181 --member 1 --to java     after going back

Give the client address of every member. docs/migration.md is the way from the first to the last step.

Exit codes: 0 go, 1 not now (each reason is a line that begins with \"stop\"), 2 wrong arguments.";

/// Moves an ensemble from ZooKeeper to Paddock, or back, one member at a time.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What `paddock migrate` does.
#[derive(Subcommand, Clone, Debug)]
pub enum Action {
    /// Looks at a running ensemble and says whether it can move, and in which order.
    Check(Common),
    /// Says whether a member that was just replaced is whole, what the next step is, and the way back from this one.
    Verify {
        /// What both take.
        #[command(flatten)]
        common: Common,
        /// The member that was replaced: the number of its server line, or its client address as given.
        #[arg(long, value_name = "N|ADDRESS")]
        member: String,
    },
}

impl Action {
    /// What every action takes.
    #[must_use]
    pub fn common(&self) -> &Common {
        match self {
            Self::Check(common) | Self::Verify { common, .. } => common,
        }
    }
}

/// Where the ensemble moves.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// From Java to Paddock.
    Paddock,
    /// Back.
    Java,
}

/// What every action takes.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// The client addresses of all members: host:port,host:port.
    pub servers: String,
    /// A member's zoo.cfg: says which of its settings Paddock does not serve. Run it on that member, then myid is read too.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What the members become.
    #[arg(long, value_enum, default_value_t = Target::Paddock)]
    pub to: Target,
    /// How long members may take to serve, and to reach what the leader had, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub patience: u64,
    /// Prints the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// The arguments, checked.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The members as given.
    pub hosts: Vec<Host>,
    /// The connection string, for the commands that are printed.
    pub servers: String,
    /// The configuration file as it is named in the commands that are printed.
    pub config: String,
    /// Where the ensemble moves.
    pub target: Target,
    /// How long to wait for members that are behind.
    pub patience: Duration,
}

impl Plan {
    /// Checks the arguments.
    ///
    /// # Errors
    /// Which one cannot be used, and why.
    pub fn new(common: &Common) -> Result<Self, String> {
        let (hosts, chroot) = servers::parse(&common.servers).map_err(|error| error.to_string())?;
        if !chroot.is_empty() {
            return Err(format!("connection string {:?}: servers are looked at, so it has no chroot", common.servers));
        }
        if hosts.len() > SERVERS_MAX {
            return Err(format!("connection string: {} servers are more than {SERVERS_MAX}", hosts.len()));
        }
        if let Some(twice) = hosts.iter().enumerate().find_map(|(index, host)| hosts[..index].contains(host).then_some(host)) {
            return Err(format!("connection string {:?}: {twice} is there twice", common.servers));
        }
        if common.patience > PATIENCE_SECONDS_MAX {
            return Err(format!("--patience {}: at most {PATIENCE_SECONDS_MAX} seconds", common.patience));
        }
        let config = common.config.as_ref().map_or_else(|| "/path/to/zoo.cfg".to_owned(), |file| file.display().to_string());
        let patience = Duration::from_secs(common.patience);
        Ok(Self { hosts, servers: common.servers.clone(), config, target: common.to, patience })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(servers: &str, patience: u64) -> Result<Plan, String> {
        Plan::new(&Common { servers: servers.to_owned(), config: None, to: Target::Paddock, patience, json: false })
    }

    #[test]
    fn servers_are_named_once_and_without_a_chroot() {
        assert_eq!(plan("zk1,zk2:2182", 10).map(|plan| plan.hosts.len()), Ok(2));
        for (servers, patience, part) in [
            ("zk1,zk1:2181", 10, "zk1:2181 is there twice"),
            ("zk1/a", 10, "no chroot"),
            ("", 10, "a host is missing"),
            ("zk1", 601, "at most 600 seconds"),
            (&*vec!["a"; 65].join(","), 10, "more than 64"),
        ] {
            let why = plan(servers, patience).expect_err(servers);
            assert!(why.contains(part), "{servers}: {why}");
        }
    }
}
