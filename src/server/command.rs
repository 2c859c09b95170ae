//! What the log thread is asked to do, in this order.

use bytes::Bytes;

use crate::ids::{Epoch, Zxid};
use crate::zab::{self, Configuration};

/// One order to the log thread. `zab::Output` says of each what answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Append a txn. Appends that stand together are made durable together.
    Append { zxid: Zxid, payload: Bytes },
    /// Replace the file `acceptedEpoch`.
    StoreAcceptedEpoch(Epoch),
    /// Replace the file `currentEpoch`.
    StoreCurrentEpoch(Epoch),
    /// Remove everything above a txn.
    Truncate(Zxid),
    /// Replace the whole history by the snapshot that was received.
    InstallSnapshot(Zxid),
    /// Write the file of a configuration that is proposed. Nothing answers it.
    ProposeConfiguration(Box<Configuration>),
    /// Write the files of a configuration that is committed. Nothing answers it.
    ActivateConfiguration(Box<Configuration>),
}

impl Command {
    /// The order that an output of the ordering core is.
    ///
    /// # Errors
    /// The output, when it is none.
    pub(super) fn from_output(output: zab::Output) -> Result<Self, zab::Output> {
        match output {
            zab::Output::Append { zxid, payload } => Ok(Self::Append { zxid, payload }),
            zab::Output::StoreAcceptedEpoch(epoch) => Ok(Self::StoreAcceptedEpoch(epoch)),
            zab::Output::StoreCurrentEpoch(epoch) => Ok(Self::StoreCurrentEpoch(epoch)),
            zab::Output::Truncate(to) => Ok(Self::Truncate(to)),
            zab::Output::InstallSnapshot(zxid) => Ok(Self::InstallSnapshot(zxid)),
            other => Err(other),
        }
    }

    pub(super) fn is_append(&self) -> bool {
        matches!(self, Self::Append { .. })
    }

    /// The txn of an append.
    pub(super) fn appended(&self) -> Option<(Zxid, &Bytes)> {
        match self {
            Self::Append { zxid, payload } => Some((*zxid, payload)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The queue of the log thread is the way of every write: an order takes a word more than the append in it at most.
    #[test]
    fn an_order_is_hardly_larger_than_an_append() {
        assert!(size_of::<Command>() <= size_of::<(Zxid, Bytes)>() + size_of::<usize>());
    }
}
