//! Writes the seeds of the corpus: `cargo run -p paddock-fuzz --example corpus`.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::args().nth(1).unwrap_or_else(|| "fuzz/corpus".to_owned()));
    let seeds = paddock_fuzz::corpus::seeds();
    for (target, name, bytes) in &seeds {
        fs::create_dir_all(root.join(target))?;
        fs::write(root.join(target).join(format!("seed-{name}")), bytes)?;
    }
    println!("{} seeds, {} bytes", seeds.len(), seeds.iter().map(|(_, _, bytes)| bytes.len()).sum::<usize>());
    Ok(())
}
