//! Lists every generated record, so that none can be left out of the target `records`.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

const SCHEMAS: [&str; 5] = ["data", "client", "txn", "quorum", "disk"];

fn main() -> Result<(), Box<dyn Error>> {
    let files = SCHEMAS.map(|name| format!("../jute/schema/{name}.jute"));
    for file in &files {
        println!("cargo:rerun-if-changed={file}");
    }
    let calls = jute::codegen::generate(&files)?.round_trip;
    // check_record!(name, path, strategy);
    let paths = calls.lines().filter_map(|line| line.strip_prefix("check_record!(")?.split(", ").nth(1));
    let checks: String = paths.map(|path| format!("    check!({path}),\n")).collect();
    let list = format!("const CHECKS: &[Check] = &[\n{checks}];\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("checks.rs"), list)?;
    Ok(())
}
