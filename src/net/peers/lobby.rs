//! Connections that have not said who they are. There are so many places; who comes when all are taken gets the place of the oldest: a
//! server says its name at once, and whoever says nothing loses its place first.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::task::AbortHandle;

use super::limits::LOBBY_CONNECTIONS_MAX;

/// It is said no more often that there is no place left.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// Those who wait, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Lobby {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// With the handle of the task, once it runs.
    guests: VecDeque<(u64, Option<AbortHandle>)>,
    next: u64,
    /// When it was last said that there is no place left.
    told: Option<Instant>,
}

/// A place. Given back when it is dropped.
pub(super) struct Place {
    lobby: Arc<Lobby>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.lobby.waiting.lock().guests.retain(|(number, _)| *number != self.number);
    }
}

impl Lobby {
    /// Runs the task of a connection, which drops its place as soon as the other end has said who it is.
    pub(super) fn admit<F: Future<Output = ()> + Send + 'static>(self: &Arc<Self>, task: impl FnOnce(Place) -> F) {
        let (number, oldest) = self.enter();
        if let Some(oldest) = oldest {
            oldest.abort();
        }
        // Not under the lock: a runtime that is shutting down drops the task, and so the place, at once.
        let task = tokio::spawn(task(Place { lobby: Arc::clone(self), number }));
        if let Some((_, handle)) = self.waiting.lock().guests.iter_mut().find(|(guest, _)| *guest == number) {
            *handle = Some(task.abort_handle());
        }
    }

    /// Takes a place; gives the task whose place it was.
    fn enter(&self) -> (u64, Option<AbortHandle>) {
        let mut waiting = self.waiting.lock();
        let number = waiting.next;
        waiting.next += 1;
        waiting.guests.push_back((number, None));
        let oldest = if waiting.guests.len() > LOBBY_CONNECTIONS_MAX { waiting.guests.pop_front() } else { None };
        // Whoever floods the port does not flood the log.
        if oldest.is_some() && waiting.told.is_none_or(|told| told.elapsed() >= TOLD_EVERY) {
            waiting.told = Some(Instant::now());
            tracing::info!(limit = LOBBY_CONNECTIONS_MAX, "too many connections of servers that say nothing: closing the oldest");
        }
        (number, oldest.and_then(|(_, task)| task))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_loses_its_place() {
        let lobby = Arc::new(Lobby::default());
        let (sender, mut ended) = tokio::sync::mpsc::unbounded_channel();
        for guest in 0..LOBBY_CONNECTIONS_MAX + 2 {
            let sender = sender.clone();
            lobby.admit(|place| async move {
                struct Tell(usize, tokio::sync::mpsc::UnboundedSender<usize>);
                impl Drop for Tell {
                    fn drop(&mut self) {
                        let _ = self.1.send(self.0);
                    }
                }
                let _tell = Tell(guest, sender);
                let _place = place;
                std::future::pending::<()>().await;
            });
            tokio::task::yield_now().await;
        }
        assert_eq!((ended.recv().await, ended.recv().await), (Some(0), Some(1)));
        assert_eq!(lobby.waiting.lock().guests.len(), LOBBY_CONNECTIONS_MAX);
    }

    #[tokio::test]
    async fn a_place_is_given_back() {
        let lobby = Arc::new(Lobby::default());
        let (sender, done) = tokio::sync::oneshot::channel();
        lobby.admit(|place| async move {
            drop(place);
            let _ = sender.send(());
        });
        done.await.expect("it ran");
        assert!(lobby.waiting.lock().guests.is_empty());
    }
}
