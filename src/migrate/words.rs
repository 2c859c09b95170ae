//! Four-letter words, from the side that asks.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::dial;

/// How long one word may take from the connection to the end of the answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// What is read of one answer at most; `mntr` of a server with many namespaces is the longest.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// What became of a word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The answer.
    Text(String),
    /// The word is not in the whitelist.
    NotAllowed,
    /// The server has no role at the moment.
    NotServing,
    /// There is no answer; the text says why.
    None(String),
}

/// Asks a word.
#[must_use]
pub fn ask(addresses: &[SocketAddr], word: &str) -> Answer {
    match exchange(addresses, word) {
        Ok(bytes) => classify(&bytes),
        Err(error) => Answer::None(error.to_string()),
    }
}

fn exchange(addresses: &[SocketAddr], word: &str) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + PATIENCE;
    let mut socket = dial::connect(addresses, deadline)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.write_all(word.as_bytes())?;
    let mut answer = Vec::new();
    while dial::read_more(&mut socket, &mut answer, ANSWER_BYTES_MAX, deadline)? {}
    Ok(answer)
}

/// What an answer is.
fn classify(bytes: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(bytes);
    if text.contains("is not executed because it is not in the whitelist") {
        return Answer::NotAllowed;
    }
    if text.contains("not currently serving requests") {
        return Answer::NotServing;
    }
    if bytes.is_empty() {
        return Answer::None("it closed the connection without an answer; a port for TLS does that".to_owned());
    }
    if text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        return Answer::None("its answer is no text; a port for TLS does that".to_owned());
    }
    Answer::Text(text.into_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn answers_are_told_apart() {
        assert_eq!(classify(b"imok"), Answer::Text("imok".to_owned()));
        assert_eq!(classify(b"mntr is not executed because it is not in the whitelist.\n"), Answer::NotAllowed);
        assert_eq!(classify(b"This ZooKeeper instance is not currently serving requests\n"), Answer::NotServing);
        assert!(matches!(classify(b""), Answer::None(_)));
        assert!(matches!(classify(&[0x15, 3, 3, 0, 2, 2, 80]), Answer::None(_)));
    }

    #[test]
    fn a_flood_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let flood = thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("a connection");
            let mut word = [0; 4];
            socket.read_exact(&mut word).expect("a word");
            while socket.write_all(&[b'a'; 4096]).is_ok() {}
            word
        });
        let answer = ask(&[address], "mntr");
        assert_eq!(answer, Answer::None(format!("it sent more than {ANSWER_BYTES_MAX} bytes")));
        assert_eq!(&flood.join().expect("ends"), b"mntr");
    }

    #[test]
    fn nobody_answers() {
        let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
        assert!(matches!(ask(&[address], "ruok"), Answer::None(_)));
        assert_eq!(ask(&[], "ruok"), Answer::None("the name has no address".to_owned()));
    }
}
