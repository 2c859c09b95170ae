//! Numbers of this process that the operating system knows: descriptors and memory.

use rustix::process::{Resource, getrlimit};

/// Open file descriptors; -1 where the system does not tell.
pub(crate) fn open_file_descriptors() -> i64 {
    // The listing itself needs one, which is closed again when we have counted it.
    std::fs::read_dir("/proc/self/fd").map_or(-1, |entries| entries.count() as i64 - 1)
}

/// How many file descriptors this process may have; `i64::MAX` without a limit.
pub(crate) fn max_file_descriptors() -> i64 {
    getrlimit(Resource::Nofile).current.map_or(i64::MAX, |limit| i64::try_from(limit).unwrap_or(i64::MAX))
}

/// A value in mebibytes from a file of `/proc` with lines like `VmRSS:  1234 kB`; 0 when it is not there.
pub(crate) fn proc_mebibytes(file: &str, key: &str) -> u64 {
    std::fs::read_to_string(file).map_or(0, |text| kibibytes_in(&text, key) / 1024)
}

fn kibibytes_in(text: &str, key: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    value.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opened_file_is_counted() {
        // Other tests open files too, so many are opened here.
        let before = open_file_descriptors();
        let files: Vec<_> = (0..200).map(|_| std::fs::File::open("/proc/self/stat").expect("Linux has it")).collect();
        let after = open_file_descriptors();
        assert!(before > 0 && after >= before + 100, "{before} {after}");
        assert!(after < max_file_descriptors());
        drop(files);
    }

    #[test]
    fn values_of_proc_files_are_found() {
        let text = "VmRSSX:\t 9 kB\nVmRSS:\t  204800 kB\nBad: x\n";
        assert_eq!(kibibytes_in(text, "VmRSS"), 204_800);
        assert_eq!(kibibytes_in(text, "Bad"), 0);
        assert_eq!(kibibytes_in(text, "None"), 0);
        assert!(proc_mebibytes("/proc/meminfo", "MemTotal") > 0);
        assert_eq!(proc_mebibytes("/proc/no-such-file", "MemTotal"), 0);
    }
}
