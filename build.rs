//! Generates the records of the wire and the disk from the schema files of the `jute` crate.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

/// Every schema file of the project.
const SCHEMAS: [&str; 5] = ["data", "client", "txn", "quorum", "disk"];

fn main() -> Result<(), Box<dyn Error>> {
    let files = SCHEMAS.map(|name| format!("jute/schema/{name}.jute"));
    for file in &files {
        println!("cargo:rerun-if-changed={file}");
    }
    let generated = jute::codegen::generate(&files)?;
    let out_dir = env::var("OUT_DIR")?;
    fs::write(Path::new(&out_dir).join("records.rs"), generated.records)?;
    fs::write(Path::new(&out_dir).join("records_roundtrip.rs"), generated.round_trip)?;
    Ok(())
}
