//! Paths: their syntax, their parents and the predefined ones (client-protocol.md §5).

/// The node that holds ZooKeeper's own nodes.
pub const ZOOKEEPER: &str = "/zookeeper";
/// The node below which quotas are kept.
pub const QUOTA: &str = "/zookeeper/quota";
/// The node that shows the membership of the ensemble.
pub const CONFIG: &str = "/zookeeper/config";

/// Whether a path may name a znode that is created, written or checked (`PathUtils.validatePath`).
#[must_use]
pub fn is_valid(path: &str) -> bool {
    if !path.starts_with('/') {
        return false;
    }
    path.len() == 1 || is_plain(path.as_bytes()) || path[1..].split('/').all(is_valid_name)
}

/// What nearly every path is: printable ASCII without a dot, between single slashes. Every create and every write asks, so it takes one look
/// at each byte.
fn is_plain(path: &[u8]) -> bool {
    let mut before = 0;
    for &byte in path {
        if !matches!(byte, b' '..=b'~') || byte == b'.' || (byte == b'/' && before == b'/') {
            return false;
        }
        before = byte;
    }
    before != b'/'
}

fn is_valid_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && name.chars().all(is_valid_char)
}

/// No control characters, no private use area, nothing beyond the basic plane.
fn is_valid_char(c: char) -> bool {
    !matches!(u32::from(c), 0..=0x1f | 0x7f..=0x9f | 0xd800..=0xf8ff | 0xfff0..)
}

/// The parent of a path and the last name: the text before and after the last `/`. The root's children have the parent "".
/// `None` when there is no `/`.
#[must_use]
pub fn split(path: &str) -> Option<(&str, &str)> {
    // Names are short: a search by the byte is over before one by the word has begun.
    path.bytes().rposition(|byte| byte == b'/').map(|slash| (&path[..slash], &path[slash + 1..]))
}

/// The parent as events name it: "/" for a child of the root.
#[must_use]
pub fn event_parent(path: &str) -> &str {
    match split(path) {
        Some(("", _)) | None => "/",
        Some((parent, _)) => parent,
    }
}

/// The four nodes that nobody may delete (`DataTree.isSpecialPath`).
#[must_use]
pub fn is_special(path: &str) -> bool {
    matches!(path, "/" | ZOOKEEPER | QUOTA | CONFIG)
}

/// Whether a node is left out of the tree digest: all below `/zookeeper`, but not that node itself.
#[must_use]
pub fn is_excluded_from_digest(path: &str) -> bool {
    path.starts_with("/zookeeper/")
}

/// The path and its ancestors, nearest first, ending with "/".
pub fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let mut next = (path != "/").then(|| event_parent(path));
    std::iter::from_fn(move || {
        let current = next?;
        next = (current != "/").then(|| event_parent(current));
        Some(current)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_paths() {
        for path in ["/", "/a", "/a/b c", "/~", "/a/b/c", "/\u{e4}/b", "/...", "/.x", "/x.", "/\u{d7ff}", "/\u{f900}", "/\u{ffef}"] {
            assert!(is_valid(path), "{path:?}");
        }
    }

    #[test]
    fn invalid_paths() {
        for path in
            ["", "a", "//", "///", "/a/", "/a//b", "/a//", "/.", "/..", "/a/./b", "/a/..", "/\u{0}", "/\u{1f}", "/\u{7f}", "/\u{9f}"]
        {
            assert!(!is_valid(path), "{path:?}");
        }
        for path in ["/\u{e000}", "/\u{f8ff}", "/\u{fff0}", "/\u{ffff}", "/\u{1f600}"] {
            assert!(!is_valid(path), "{path:?}");
        }
    }

    #[test]
    fn parents() {
        assert_eq!(split("/a"), Some(("", "a")));
        assert_eq!(split("/a/b"), Some(("/a", "b")));
        assert_eq!(split("a"), None);
        assert_eq!(event_parent("/a"), "/");
        assert_eq!(ancestors("/a/b/c").collect::<Vec<_>>(), ["/a/b", "/a", "/"]);
        assert_eq!(ancestors("/").count(), 0);
    }
}
