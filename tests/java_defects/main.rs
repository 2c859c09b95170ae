//! The known defects of Java's servers (quorum-protocol.md §5), each with the test that shows what a Paddock server does instead:
//! `docs/java-defects.md` names them, and is checked here. Those that no other test shows are here too.

mod disk;
mod harness;
mod leader;
mod learner;
mod restore;
mod table;
