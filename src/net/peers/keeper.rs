//! The task that keeps up the connection to one peer: when to dial, and what comes of it.
//!
//! The first attempt waits for nothing, nor does the first after a connection that lasted. Then pauses double. Whoever wants a connection now
//! (a vote is to be sent, the peer asks to be called back) need not wait for the end of a pause.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep_until, timeout};

use super::election::Election;
use super::limits::{CALL_BACK_WAIT, DIAL_PAUSE, DIAL_SPACING};
use super::peer::Peer;
use super::sockets::dial;

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Failed,
    /// The peer has the larger sid: it knows now that it is to call back.
    Asked,
    /// There is a connection, by this attempt or otherwise.
    Linked,
}

/// When to dial next.
#[derive(Debug)]
struct Pace {
    /// The next attempt waits for this moment.
    due: Instant,
    /// And for this one if somebody is waiting for it.
    due_if_urgent: Instant,
    pause: Duration,
    /// Since when there is a connection.
    linked: Option<Instant>,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { due: now, due_if_urgent: now, pause: DIAL_PAUSE.0, linked: None }
    }

    fn attempted(&mut self, outcome: Outcome, now: Instant) {
        let (pause, spacing) =
            if outcome == Outcome::Asked { (self.pause.max(CALL_BACK_WAIT), CALL_BACK_WAIT) } else { (self.pause, DIAL_SPACING) };
        (self.due, self.due_if_urgent) = (now + pause, now + spacing);
        self.pause = (pause * 2).min(DIAL_PAUSE.1);
    }

    /// There is no connection: one that lasted shows that the peer is well.
    fn unlinked(&mut self, now: Instant) {
        if self.linked.take().is_some_and(|since| now - since >= DIAL_PAUSE.1) {
            self.pause = DIAL_PAUSE.0;
        }
    }
}

/// Keeps up the connection to a member as long as it is one. To a server outside the configuration, which asked to be called back, it makes
/// one attempt.
pub(super) async fn keep(election: Arc<Election>, peer: Arc<Peer>) {
    let mut pace = Pace::new(Instant::now());
    loop {
        let state = wait(&peer, &mut pace).await;
        if state == Wanted::Nothing {
            break;
        }
        let outcome = attempt(&election, &peer).await;
        pace.attempted(outcome, Instant::now());
        if outcome == Outcome::Failed {
            election.tell(&peer);
        }
        let mut state = peer.state.lock();
        if !state.is_member() && !state.is_urgent {
            state.is_kept = false;
            break;
        }
    }
    election.forget_stranger(&peer);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Attempt,
    /// The peer is gone.
    Nothing,
}

/// Waits until it is time to dial.
async fn wait(peer: &Peer, pace: &mut Pace) -> Wanted {
    loop {
        let due = {
            let mut state = peer.state.lock();
            if state.is_removed {
                return Wanted::Nothing;
            }
            match &state.link {
                Some(link) => {
                    pace.linked = Some(link.since);
                    state.is_urgent = false;
                    None
                }
                None => {
                    pace.unlinked(Instant::now());
                    Some(if state.is_urgent { pace.due_if_urgent } else { pace.due })
                }
            }
        };
        match due {
            None => peer.wake.notified().await,
            Some(due) if due <= Instant::now() => return Wanted::Attempt,
            Some(due) => {
                tokio::select! {
                    () = sleep_until(due) => return Wanted::Attempt,
                    () = peer.wake.notified() => {}
                }
            }
        }
    }
}

async fn attempt(election: &Arc<Election>, peer: &Arc<Peer>) -> Outcome {
    let addresses = {
        let mut state = peer.state.lock();
        state.is_urgent = false;
        state.addresses()
    };
    match try_dial(election, peer, &addresses).await {
        Ok(outcome) => outcome,
        Err(error) => {
            tracing::debug!(sid = %peer.sid, %error, "cannot connect to the election port");
            let mut state = peer.state.lock();
            state.has_failed = state.link.is_none();
            if state.has_failed { Outcome::Failed } else { Outcome::Linked }
        }
    }
}

async fn try_dial(election: &Arc<Election>, peer: &Arc<Peer>, addresses: &[crate::config::HostPort]) -> io::Result<Outcome> {
    let limit = election.settings.connect_timeout();
    let mut stream = dial(addresses, limit).await?;
    // The peer may have connected meanwhile: a greeting would make it give that connection up.
    if peer.state.lock().link.is_some() {
        return Ok(Outcome::Linked);
    }
    timeout(limit, stream.write_all(&election.greeting())).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    if peer.sid > election.settings.server_id {
        return Ok(Outcome::Asked);
    }
    election.link(peer, stream, BytesMut::new());
    Ok(Outcome::Linked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(pace: &Pace, start: Instant) -> (u128, u128) {
        ((pace.due - start).as_millis(), (pace.due_if_urgent - start).as_millis())
    }

    #[test]
    fn the_first_attempt_is_instant_and_pauses_double() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert_eq!(ms(&pace, start), (0, 0));
        let pauses: Vec<u128> = (0..8)
            .map(|_| {
                pace.attempted(Outcome::Failed, start);
                ms(&pace, start).0
            })
            .collect();
        assert_eq!(pauses, [20, 40, 80, 160, 320, 640, 1000, 1000]);
        assert_eq!(ms(&pace, start).1, 5, "whoever wants a connection now");
        pace.linked = Some(start);
        pace.unlinked(start + Duration::from_millis(999));
        pace.attempted(Outcome::Linked, start);
        assert_eq!(ms(&pace, start).0, 1000, "one that breaks at once is no reason to hurry");
        pace.linked = Some(start);
        pace.unlinked(start + Duration::from_secs(1));
        pace.attempted(Outcome::Failed, start);
        assert_eq!(ms(&pace, start).0, 20);
    }

    /// A second greeting would make the peer give up the connection that is under way.
    #[test]
    fn who_was_asked_to_call_back_gets_time_for_it() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        pace.attempted(Outcome::Asked, start);
        assert_eq!(ms(&pace, start), (200, 200));
        pace.attempted(Outcome::Asked, start);
        assert_eq!(ms(&pace, start), (400, 200));
    }
}
