//! The names of a run's znodes. Everything lies below one root; folders keep lists of children short.

use super::args::Plan;
use super::workload::Workload;

/// Keys in one folder.
const FOLDER_KEYS: u64 = 1_000;

/// Where the znodes of one run are.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The path of the root.
    pub root: String,
    /// Number of keys.
    pub keys: u64,
    /// Keys in one folder.
    pub folder_keys: u64,
}

impl Layout {
    /// A new root below `chroot`, with a name that nobody has.
    #[must_use]
    pub fn new(chroot: &str, plan: &Plan) -> Self {
        let root = format!("{chroot}/paddock-bench-{:08x}", fastrand::u32(..));
        let (keys, folder_keys) = match plan.workload {
            Workload::Children(count) => (plan.keys * u64::from(count), u64::from(count)),
            Workload::Watch => (1, 1),
            workload if workload.uses_keys() => (plan.keys, FOLDER_KEYS),
            _ => (0, FOLDER_KEYS),
        };
        Self { root, keys, folder_keys }
    }

    /// How many folders of keys there are.
    #[must_use]
    pub fn folders(&self) -> u64 {
        self.keys.div_ceil(self.folder_keys)
    }

    /// Writes the path of a folder of keys.
    pub fn folder(&self, folder: u64, path: &mut String) {
        path.clear();
        path.push_str(&self.root);
        path.push_str("/f");
        push_number(path, folder);
    }

    /// Writes the path of a key.
    pub fn key(&self, key: u64, path: &mut String) {
        self.folder(key / self.folder_keys, path);
        path.push_str("/k");
        push_number(path, key);
    }

    /// Writes the path of a folder in which connection `link` creates.
    pub fn made_folder(&self, link: usize, folder: u32, path: &mut String) {
        path.clear();
        path.push_str(&self.root);
        path.push_str("/c");
        push_number(path, link as u64);
        path.push('.');
        push_number(path, u64::from(folder));
    }

    /// Writes the path of a znode that connection `link` creates.
    pub fn made(&self, link: usize, folder: u32, number: u32, path: &mut String) {
        self.made_folder(link, folder, path);
        path.push_str("/n");
        push_number(path, u64::from(number));
    }
}

/// Appends a number in decimal; the formatting machinery would cost more than the rest of a request.
fn push_number(text: &mut String, mut number: u64) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.extend(digits[first..].iter().map(|digit| char::from(*digit)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_below_the_root() {
        let layout = Layout { root: "/a/r".to_owned(), keys: 2_001, folder_keys: 1_000 };
        let mut path = "old".to_owned();
        layout.key(1_999, &mut path);
        assert_eq!(path, "/a/r/f1/k1999");
        layout.made(3, 0, 70, &mut path);
        assert_eq!((path.as_str(), layout.folders()), ("/a/r/c3.0/n70", 3));
    }

    #[test]
    fn numbers_are_decimal() {
        for number in [0, 7, 10, 999, 1_000, u64::MAX] {
            let mut text = String::new();
            push_number(&mut text, number);
            assert_eq!(text, number.to_string());
        }
    }
}
