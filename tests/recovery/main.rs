//! What the server promises about its files, held against power cuts, faults of the disk and foreign hands.

#[path = "../sim_fs/mod.rs"]
mod sim_fs;

mod conformance;
mod damage;
mod faults;
mod history;
mod power_cuts;
mod random;
mod replace;
mod server;
mod workload;
