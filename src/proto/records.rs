//! The records of the wire and the disk, generated from the schema files in `jute/schema`: one module for each file.

include!(concat!(env!("OUT_DIR"), "/records.rs"));
