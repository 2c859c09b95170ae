//! One suite that the real and the simulated file system pass alike: otherwise what the simulation proves says nothing about a disk.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use paddock::storage::{FileSystem, RealFileSystem};

use crate::sim_fs::{Fault, Faults, Kind, SimFileSystem};

fn read_all(fs: &dyn FileSystem, path: &Path) -> Vec<u8> {
    let file = fs.open(path).expect("there");
    let mut bytes = vec![0; file.len().expect("a length") as usize + 10];
    let mut filled = 0;
    loop {
        match file.read_at(&mut bytes[filled..], filled as u64).expect("readable") {
            0 => break,
            n => filled += n,
        }
    }
    bytes.truncate(filled);
    bytes
}

fn kind<T>(result: std::io::Result<T>) -> ErrorKind {
    result.err().expect("an error").kind()
}

fn files_hold_what_is_written(fs: &dyn FileSystem, dir: &Path) {
    let path = dir.join("content");
    let mut file = fs.create(&path).expect("made");
    file.write_all_at(b"hello", 3).expect("written");
    file.write_all_at(b"", 100).expect("nothing written");
    assert_eq!(read_all(fs, &path), b"\0\0\0hello", "a gap reads as zeros");
    file.write_all_at(b"J", 3).expect("written");
    file.allocate(12).expect("grown");
    file.allocate(4).expect("never shrunk");
    assert_eq!(read_all(fs, &path), b"\0\0\0Jello\0\0\0\0");
    assert_eq!((file.len().expect("open"), fs.len(&path).expect("named")), (12, 12));
    file.set_len(5).expect("cut");
    file.set_len(7).expect("grown");
    assert_eq!(read_all(fs, &path), b"\0\0\0Je\0\0");
    file.sync_data().expect("synced");
    let mut again = fs.open_write(&path).expect("opened");
    again.write_all_at(b"x", 0).expect("written");
    let mut byte = [0; 1];
    assert_eq!(file.read_at(&mut byte, 0).expect("read"), 1);
    assert_eq!(&byte, b"x", "two handles see one file");
    assert_eq!(file.read_at(&mut byte, 7).expect("read at the end"), 0);
    assert_eq!(file.read_at(&mut byte, 1000).expect("read beyond the end"), 0);
    assert_eq!(file.read_at(&mut [], 0).expect("read nothing"), 0);
    assert!(fs.open(&path).expect("opened").write_all_at(b"x", 0).is_err(), "opened for reading");
    fs.create(&path).expect("emptied");
    assert_eq!(read_all(fs, &path), b"");
    assert_eq!(file.len().expect("the same file"), 0);
}

fn names_lead_to_files(fs: &dyn FileSystem, dir: &Path) {
    let (a, b, missing) = (dir.join("a"), dir.join("b"), dir.join("missing"));
    let mut kept = fs.create(&a).expect("made");
    kept.write_all_at(b"a", 0).expect("written");
    fs.create(&b).expect("made").write_all_at(b"bb", 0).expect("written");
    assert_eq!(fs.list(dir).expect("listed"), ["a", "b", "content"]);
    fs.rename(&b, &a).expect("renamed");
    assert_eq!(read_all(fs, &a), b"bb");
    assert_eq!(kept.len().expect("open without a name"), 1);
    kept.write_all_at(b"still", 0).expect("written without a name");
    assert_eq!(read_all(fs, &a), b"bb");
    let second = dir.join("second");
    fs.link(&a, &second).expect("a second name");
    assert_eq!(kind(fs.link(&a, &second)), ErrorKind::AlreadyExists);
    fs.open_write(&second).expect("opened").write_all_at(b"cc", 0).expect("written");
    assert_eq!(read_all(fs, &a), b"cc", "two names lead to one file");
    fs.remove(&second).expect("removed");
    assert_eq!(read_all(fs, &a), b"cc");
    fs.sync_dir(dir).expect("synced");
    assert!(fs.exists(&a).expect("asked") && fs.exists(dir).expect("asked") && !fs.exists(&b).expect("asked"));
    fs.remove(&a).expect("removed");
    for result in [
        kind(fs.open(&missing)),
        kind(fs.open_write(&missing)),
        kind(fs.remove(&missing)),
        kind(fs.rename(&missing, &a)),
        kind(fs.link(&missing, &b)),
    ] {
        assert_eq!(result, ErrorKind::NotFound);
    }
    for result in [kind(fs.len(&missing)), kind(fs.list(&missing)), kind(fs.sync_dir(&missing)), kind(fs.create(&missing.join("x")))] {
        assert_eq!(result, ErrorKind::NotFound);
    }
}

fn directories_hold_files(fs: &dyn FileSystem, dir: &Path) {
    let deep = dir.join("one/two");
    fs.create_dir_all(&deep).expect("made");
    fs.create_dir_all(&deep).expect("there already");
    fs.create(&deep.join("file")).expect("made");
    assert_eq!(fs.list(&dir.join("one")).expect("listed"), [""; 0], "directories are not listed");
    assert_eq!(fs.list(&deep).expect("listed"), ["file"]);
    assert!(fs.create(&deep).is_err(), "a directory is no file");
    fs.rename(&deep.join("file"), &dir.join("moved")).expect("moved");
    assert!(fs.exists(&dir.join("moved")).expect("asked"));
}

fn a_lock_has_one_holder(fs: &dyn FileSystem, dir: &Path) {
    let path = dir.join("lock");
    let held = fs.lock(&path).expect("a lock file can be made").expect("free");
    assert!(fs.lock(&path).expect("asked").is_none());
    assert!(fs.exists(&path).expect("asked"));
    drop(held);
    assert!(fs.lock(&path).expect("asked").is_some());
}

fn suite(fs: &dyn FileSystem, dir: &Path) {
    files_hold_what_is_written(fs, dir);
    names_lead_to_files(fs, dir);
    directories_hold_files(fs, dir);
    a_lock_has_one_holder(fs, dir);
}

#[test]
fn the_real_file_system() {
    let dir = tempfile::tempdir().expect("a directory");
    suite(&RealFileSystem, dir.path());
}

#[test]
fn the_simulated_file_system() {
    let sim = SimFileSystem::new();
    sim.create_dir_all(Path::new("/dir")).expect("made");
    suite(&sim, Path::new("/dir"));
}

#[test]
fn faults_of_the_simulated_file_system() {
    let (sim, path) = (SimFileSystem::new(), Path::new("/file"));
    let mut file = sim.create(path).expect("made");
    let at = |fault| Faults { at_change: Some((sim.change_count(), fault)), ..Faults::default() };
    sim.set_faults(at(Fault::Short(2)));
    assert!(file.write_all_at(b"abc", 0).is_err());
    file.write_all_at(b"z", 5).expect("one fault only");
    assert_eq!(read_all(&sim, path), b"ab\0\0\0z");
    sim.set_faults(at(Fault::Full(1)));
    assert_eq!(kind(file.write_all_at(b"abc", 6)), ErrorKind::StorageFull);
    assert_eq!(kind(sim.create(Path::new("/other"))), ErrorKind::StorageFull);
    file.sync_data().expect("takes no room");
    assert_eq!(read_all(&sim, path), b"ab\0\0\0za");
    sim.set_faults(Faults { unreadable: Some((path.to_path_buf(), 0)), ..Faults::default() });
    assert!(file.read_at(&mut [0; 4], 2).is_err());
    sim.set_faults(Faults { forbidden: Some(path.to_path_buf()), ..Faults::default() });
    assert_eq!(kind(sim.open(path)), ErrorKind::PermissionDenied);
    sim.set_faults(Faults { delays: vec![(Kind::Sync, Duration::from_millis(7))], ..Faults::default() });
    file.sync_data().expect("slow");
    assert_eq!(sim.elapsed(), Duration::from_millis(7));
    sim.rot(path, 0, 0x80);
    assert_eq!(read_all(&sim, path)[0], b'a' ^ 0x80);
}
