//! Bytes read or written per namespace: the first component of a path (`DataTree.updateReadStat`, `updateWriteStat`).
//!
//! Whoever reads or writes stays in one namespace for long, so its metric is looked up once and fed once a turn.

use std::sync::Arc;

use crate::admin::Metrics;
use crate::admin::summary::{Batch, Labelled, Summary};

/// Which of the two sets of metrics is fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `read_per_namespace`.
    Read,
    /// `write_per_namespace`.
    Write,
}

impl Direction {
    fn set(self, metrics: &Metrics) -> &Labelled<Summary> {
        match self {
            Self::Read => &metrics.namespaces.read,
            Self::Write => &metrics.namespaces.write,
        }
    }
}

#[derive(Debug)]
struct Current {
    name: Box<str>,
    /// `None`: there are too many namespaces already.
    summary: Option<Arc<Summary>>,
    sizes: Batch,
}

/// What one thread or connection reads or writes.
#[derive(Debug)]
pub struct Namespaces {
    direction: Direction,
    current: Option<Box<Current>>,
}

impl Namespaces {
    /// Nothing yet.
    #[must_use]
    pub fn new(direction: Direction) -> Self {
        Self { direction, current: None }
    }

    /// So many bytes at this path. The root is in no namespace.
    pub fn record(&mut self, metrics: &Metrics, path: &str, bytes: usize) {
        let Some(name) = namespace(path) else { return };
        if self.current.as_ref().is_none_or(|current| *current.name != *name) {
            self.flush(metrics);
            let summary = self.direction.set(metrics).of(name);
            self.current = Some(Box::new(Current { name: name.into(), summary, sizes: Batch::default() }));
        }
        if let Some(current) = &mut self.current {
            current.sizes.record(bytes as i64);
        }
    }

    /// Hands over what was recorded.
    pub fn flush(&mut self, metrics: &Metrics) {
        let Some(current) = &mut self.current else { return };
        let sizes = std::mem::take(&mut current.sizes);
        match &current.summary {
            Some(summary) => summary.record_batch(&sizes),
            None => metrics.own.paddock_metric_labels_refused.add(sizes.count()),
        }
    }
}

fn namespace(path: &str) -> Option<&str> {
    let below = path.strip_prefix('/')?;
    let end = below.bytes().position(|byte| byte == b'/').unwrap_or(below.len());
    (end > 0).then(|| &below[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::summary::LABELS_MAX;

    #[test]
    fn the_first_component_is_the_namespace() {
        assert_eq!(namespace("/app/a/b"), Some("app"));
        assert_eq!(namespace("/app"), Some("app"));
        assert_eq!(namespace("/"), None);
        assert_eq!(namespace(""), None);
    }

    #[test]
    fn sizes_arrive_under_their_namespace() {
        let metrics = Metrics::default();
        let mut reads = Namespaces::new(Direction::Read);
        for (path, bytes) in [("/app/a", 10), ("/app", 30), ("/other", 5), ("/", 1000), ("/app/b", 2)] {
            reads.record(&metrics, path, bytes);
        }
        reads.flush(&metrics);
        reads.flush(&metrics);
        let read = metrics.namespaces.read.all();
        let shown: Vec<_> = read.iter().map(|(name, summary)| (&**name, summary.values().count, summary.values().sum)).collect();
        assert_eq!(shown, [("app", 3, 42), ("other", 1, 5)]);
        assert!(metrics.namespaces.write.all().is_empty());
    }

    #[test]
    fn clients_cannot_make_any_number_of_namespaces() {
        let metrics = Metrics::default();
        let mut writes = Namespaces::new(Direction::Write);
        for number in 0..LABELS_MAX + 5 {
            writes.record(&metrics, &format!("/n{number}"), 1);
        }
        writes.flush(&metrics);
        assert_eq!(metrics.namespaces.write.all().len(), LABELS_MAX);
        assert_eq!(metrics.own.paddock_metric_labels_refused.value(), 5);
    }
}
