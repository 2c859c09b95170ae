//! The text of `zoo.cfg` with its lines of an ensemble, and the flags of a JVM beside it.

use std::path::PathBuf;

use paddock::config::{Members, from_arguments, load, with_dynamic_file};

/// What stands before the first byte 0xff is the value of `SERVER_JVMFLAGS`, the rest the file. Without one it is all file.
pub fn run(data: &[u8]) {
    let (flags, text) = match data.iter().position(|&byte| byte == 0xff) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (&data[..0], data),
    };
    let flags = String::from_utf8_lossy(flags).into_owned();
    let environment = [("SERVER_JVMFLAGS".to_owned(), flags.clone()), ("JVMFLAGS".to_owned(), flags)];
    let file = Scratch::new(text);
    match load(&file.0, &environment) {
        Ok(loaded) => {
            let _ = format!("{:?}", loaded.settings);
            loaded.notices.iter().for_each(|notice| assert!(!notice.to_string().is_empty()));
            assert!(loaded.settings.session.min_session_timeout_ms() <= loaded.settings.session.max_session_timeout_ms());
            assert!(loaded.settings.session.tick_time_ms > 0);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    configuration(text);
    let words: Vec<String> = String::from_utf8_lossy(text).split_whitespace().take(5).map(str::to_owned).collect();
    let _ = from_arguments(&words, &environment);
}

/// The same bytes as another server's list of members, and as a file that loses its own.
fn configuration(text: &[u8]) {
    match Members::parse(text) {
        Ok((members, version)) => {
            let told = members.text(version);
            // A backslash in a name escapes what follows it.
            let again = Members::parse(told.as_bytes()).ok().filter(|_| !told.contains('\\'));
            assert!(
                again.is_none_or(|(again, read)| (again.servers, read) == (members.servers, version)),
                "{told:?} is read as another list"
            );
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let rewritten = with_dynamic_file(text, "/c/zoo.cfg.dynamic.1", true);
    assert_eq!(with_dynamic_file(&rewritten, "/c/zoo.cfg.dynamic.1", true), rewritten, "once more changes nothing");
}

/// A file that is gone when the run is over.
struct Scratch(PathBuf);

impl Scratch {
    fn new(text: &[u8]) -> Self {
        let name = format!("paddock-fuzz-{}-{:?}.cfg", std::process::id(), std::thread::current().id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).expect("the temporary directory takes a file");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
