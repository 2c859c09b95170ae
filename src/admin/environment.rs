//! The word `envi`: the environment of the process under the names that Java gives it.

use std::env;
use std::fmt::{self, Write};

use super::process::proc_mebibytes;

/// Names and values in the order of printing, without the version that comes first. Keys about a Java machine stay, since tools look
/// for them, and say that there is none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Environment {
    entries: Vec<(&'static str, String)>,
}

impl Environment {
    /// An environment of these entries.
    #[must_use]
    pub fn new(entries: Vec<(&'static str, String)>) -> Self {
        Self { entries }
    }

    /// The environment of this process (`org.apache.zookeeper.Environment.list`). Memory: free is what the system could still
    /// give, max what the machine has, total what this process holds.
    #[must_use]
    pub fn of_process() -> Self {
        let system = rustix::system::uname();
        let text = |value: &std::ffi::CStr| value.to_string_lossy().into_owned();
        let mebibytes = |file, key| format!("{}MB", proc_mebibytes(file, key));
        Self::new(vec![
            ("host.name", text(system.nodename())),
            ("java.version", "none".to_owned()),
            ("java.vendor", "Paddock".to_owned()),
            ("java.home", String::new()),
            ("java.class.path", String::new()),
            ("java.library.path", String::new()),
            ("java.io.tmpdir", env::temp_dir().display().to_string()),
            ("java.compiler", "<NA>".to_owned()),
            ("os.name", text(system.sysname())),
            ("os.arch", java_architecture().to_owned()),
            ("os.version", text(system.release())),
            ("user.name", user_name()),
            ("user.home", env::home_dir().map_or_else(|| "?".to_owned(), |home| home.display().to_string())),
            ("user.dir", env::current_dir().map_or_else(|_| String::new(), |dir| dir.display().to_string())),
            ("os.memory.free", mebibytes("/proc/meminfo", "MemAvailable")),
            ("os.memory.max", mebibytes("/proc/meminfo", "MemTotal")),
            ("os.memory.total", mebibytes("/proc/self/status", "VmRSS")),
        ])
    }
}

/// Writes `envi`.
///
/// # Errors
/// Only those of `out`.
pub(crate) fn write_environment(out: &mut String, version: &str, environment: &Environment) -> fmt::Result {
    writeln!(out, "Environment:\nzookeeper.version={version}")?;
    environment.entries.iter().try_for_each(|(key, value)| writeln!(out, "{key}={value}"))
}

/// Java's name of the processor.
fn java_architecture() -> &'static str {
    match env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "i386",
        other => other,
    }
}

/// The user's name: from the password file by user id, then from the environment, `?` when neither knows, as in Java.
fn user_name() -> String {
    let uid = rustix::process::getuid().as_raw().to_string();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_of_uid(&passwd, &uid).or_else(|| env::var("USER").ok()).unwrap_or_else(|| "?".to_owned())
}

fn name_of_uid(passwd: &str, uid: &str) -> Option<String> {
    let mut rows = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    rows.find(|fields| fields.get(2) == Some(&uid)).map(|fields| fields[0].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys, in order, as a 3.9.6 server prints them.
    const KEYS: &str = "host.name java.version java.vendor java.home java.class.path java.library.path java.io.tmpdir java.compiler \
        os.name os.arch os.version user.name user.home user.dir os.memory.free os.memory.max os.memory.total";

    #[test]
    fn the_process_has_every_key_in_order() {
        let environment = Environment::of_process();
        let keys: Vec<_> = environment.entries.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, KEYS.split_whitespace().collect::<Vec<_>>());
        let max = &environment.entries[15].1;
        assert!(max.strip_suffix("MB").and_then(|n| n.parse::<u64>().ok()).is_some_and(|n| n > 0), "{max}");
    }

    #[test]
    fn users_are_found_by_id() {
        let passwd = "root:x:0:0:root:/:/bin/sh\nshort\nzk:x:1000:1000::/:/bin/sh\n";
        assert_eq!(name_of_uid(passwd, "1000").as_deref(), Some("zk"));
        assert_eq!(name_of_uid(passwd, "x"), None);
        assert_eq!(name_of_uid(passwd, "7"), None);
    }
}
