//! The znodes of a run: made before it, removed after it, whatever happened in between.

use std::thread;
use std::time::{Duration, Instant};

use jute::{Decode, Reader};

use super::args::Plan;
use super::control::Control;
use super::error::BenchError;
use super::interrupt;
use super::layout::Layout;
use super::workload::Workload;
use crate::client::frames::Request;
use crate::client::servers::Servers;
use crate::proto::error_code::ErrorCode;
use crate::proto::records::client::GetChildrenResponse;

/// Znodes between two looks at whether the user wants to stop.
const SLICE: u64 = 10_000;
/// How long removing is tried while no server can be reached.
const REMOVE_PATIENCE: Duration = Duration::from_secs(30);
const REMOVE_PAUSE: Duration = Duration::from_millis(500);

/// Makes the root, the folders and the keys.
///
/// # Errors
/// When a server refuses, the connection breaks or the user interrupts.
pub fn make(servers: &Servers, plan: &Plan, layout: &Layout) -> Result<(), BenchError> {
    let mut control = Control::connect(servers, plan)?;
    let data = vec![b'x'; plan.size];
    let root = layout.root.as_str();
    match control.call(&Request::Create(root, b"made by paddock bench"))?.0 {
        ErrorCode::OK => {}
        code => return Err(BenchError::Refused { what: format!("create {root}"), code }),
    }
    if plan.progress && layout.keys >= SLICE {
        eprintln!("creating {} znodes below {root}", layout.keys);
    }
    create(&mut control, layout.folders(), b"", |folder, path| layout.folder(folder, path))?;
    create(&mut control, layout.keys, &data, |key, path| layout.key(key, path))?;
    if plan.workload == Workload::Delete {
        create(&mut control, plan.connections as u64, b"", |link, path| layout.made_folder(link as usize, 0, path))?;
    }
    control.close();
    Ok(())
}

fn create(control: &mut Control, count: u64, data: &[u8], name: impl Fn(u64, &mut String)) -> Result<(), BenchError> {
    let mut path = String::new();
    let mut refused = None;
    for start in (0..count).step_by(SLICE as usize) {
        if interrupt::requested() {
            return Err(BenchError::Interrupted);
        }
        let encode = |number: u64, out: &mut Vec<u8>, xid: i32| {
            name(start + number, &mut path);
            Request::Create(&path, data).encode(xid, out);
        };
        control.pipeline(SLICE.min(count - start), encode, |_, reply| {
            // A znode that is there already was made by an attempt whose answer was lost.
            if reply.err != ErrorCode::OK && reply.err != ErrorCode::NODE_EXISTS {
                refused.get_or_insert(reply.err);
            }
        })?;
        if let Some(code) = refused {
            name(start, &mut path);
            return Err(BenchError::Refused { what: format!("create znodes from {path} on"), code });
        }
    }
    Ok(())
}

/// Removes the root and everything below it. Where no server can be reached, it is tried again for a while.
///
/// # Errors
/// When that comes to nothing.
pub fn remove(servers: &Servers, plan: &Plan, root: &str) -> Result<(), BenchError> {
    let deadline = Instant::now() + REMOVE_PATIENCE;
    loop {
        let removed = Control::connect(servers, plan).and_then(|mut control| {
            remove_all(&mut control, root)?;
            control.close();
            Ok(())
        });
        match removed {
            Err(BenchError::Refused { what, code }) if code != ErrorCode::NOT_EMPTY => return Err(BenchError::Refused { what, code }),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => thread::sleep(REMOVE_PAUSE),
            Ok(()) => return Ok(()),
        }
    }
}

fn remove_all(control: &mut Control, root: &str) -> Result<(), BenchError> {
    let folders = children(control, root)?;
    for folder in &folders {
        let folder = format!("{root}/{folder}");
        let names = children(control, &folder)?;
        delete(control, &folder, &names)?;
    }
    delete(control, root, &folders)?;
    let (parent, name) = root.rsplit_once('/').expect("the root's path begins with a slash");
    delete(control, parent, &[name.to_owned()])
}

fn children(control: &mut Control, path: &str) -> Result<Vec<String>, BenchError> {
    let (code, body) = control.call(&Request::Children(path))?;
    match code {
        ErrorCode::OK => {}
        ErrorCode::NO_NODE => return Ok(Vec::new()),
        code => return Err(BenchError::Refused { what: format!("list {path}"), code }),
    }
    let names = GetChildrenResponse::decode(&mut Reader::new(&body)).ok().and_then(|response| response.children);
    Ok(names.unwrap_or_default().into_iter().flatten().map(|name| name.into_owned()).collect())
}

fn delete(control: &mut Control, parent: &str, names: &[String]) -> Result<(), BenchError> {
    let mut refused = None;
    let mut path = String::new();
    let encode = |number: u64, out: &mut Vec<u8>, xid: i32| {
        path.clear();
        path.extend([parent, "/", &names[number as usize]]);
        Request::Delete(&path).encode(xid, out);
    };
    control.pipeline(names.len() as u64, encode, |_, reply| {
        if reply.err != ErrorCode::OK && reply.err != ErrorCode::NO_NODE {
            refused.get_or_insert(reply.err);
        }
    })?;
    match refused {
        None => Ok(()),
        Some(code) => Err(BenchError::Refused { what: format!("delete below {parent:?}"), code }),
    }
}
