//! Small languages: paths, quotas, ACL ids, digests, members of an ensemble, four-letter words and their whitelist.

use paddock::admin::{Whitelist, recognise};
use paddock::config::Members;
use paddock::request::auth::{AuthRules, DigestAlgorithm, digest_id};
use paddock::tree::acl::{AclEntry, AclList, Identity, parse_ip_pattern};
use paddock::tree::path;
use paddock::tree::quota::{QuotaIndex, StatsTrack, limits_path, stats_path, trim};

/// The first byte says which language, the rest is text of it.
pub fn run(data: &[u8]) {
    let Some((&which, bytes)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(bytes);
    match which % 6 {
        0 => paths(&text),
        1 => quotas(bytes, &text),
        2 => acls(bytes, &text),
        3 => members(&text),
        4 => words(bytes, &text),
        _ => auth(bytes),
    }
}

fn paths(text: &str) {
    let valid = path::is_valid(text);
    if valid {
        assert!(text.starts_with('/') && (text == "/" || !text.ends_with('/')) && !text.contains("//"));
    }
    if let Some((parent, name)) = path::split(text) {
        assert_eq!(format!("{parent}/{name}"), text);
        assert!(!name.contains('/'));
    }
    let ancestors: Vec<&str> = path::ancestors(text).take(10_000).collect();
    // Each ancestor is looked at from its beginning.
    if valid && text != "/" && text.len() < 500 {
        assert_eq!(ancestors.last(), Some(&"/"));
        assert_eq!(ancestors.len(), text.matches('/').count());
        assert!(ancestors.iter().all(|ancestor| path::is_valid(ancestor)));
    }
    let _ = (path::event_parent(text), path::is_special(text), path::is_excluded_from_digest(text));
}

fn quotas(bytes: &[u8], text: &str) {
    if let Some(track) = StatsTrack::parse(Some(bytes)) {
        let text = track.to_text();
        let again = StatsTrack::parse(Some(text.as_bytes())).unwrap_or_else(|| panic!("{text:?} came from a quota"));
        assert_eq!((again.count(), again.bytes()), (track.count(), track.bytes()));
        let _ = track.changed_by(i64::MAX, i64::MIN);
    }
    let mut index = QuotaIndex::default();
    index.add(text);
    if !text.is_empty() {
        assert_eq!(index.nearest(text), Some(text));
    }
    assert_eq!(trim(limits_path(text).trim_end_matches("/zookeeper_limits")), text.trim_end_matches("/zookeeper_limits"));
    let _ = stats_path(text);
    index.remove(text);
    assert_eq!(index.nearest(text), None);
}

fn acls(bytes: &[u8], text: &str) {
    let _ = parse_ip_pattern(text);
    let (left, right) = text.split_once('\n').unwrap_or((text, "127.0.0.1"));
    let list = AclList::new(vec![AclEntry { perms: 1, who: Identity::new("ip", left) }]);
    let _ = list.allows(1, &[Identity::new("ip", right)]);
    assert!(list.allows(31, &[Identity::new("super", "")]));
    let id = digest_id(DigestAlgorithm::Sha1, bytes);
    assert!(id.contains(':'));
}

fn members(text: &str) {
    let mut members = Members::default();
    for line in text.lines() {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        if Members::owns(key) {
            let _ = members.add(key, value, true);
        }
    }
    if members.check_groups().is_ok() {
        assert!(members.group_of.is_empty() || members.group_of.len() >= members.servers.len());
    }
    let _ = format!("{members:?}");
}

fn words(bytes: &[u8], text: &str) {
    if let Some(word) = bytes.first_chunk::<4>().and_then(|first| recognise(*first)) {
        assert_eq!(&word.bytes(), bytes.first_chunk::<4>().expect("four bytes"));
        let whitelist = Whitelist::parse(Some(word.name()), false);
        assert!(whitelist.allows(word));
    }
    let _ = Whitelist::parse(Some(text), bytes.len().is_multiple_of(2));
}

fn auth(bytes: &[u8]) {
    let rules = AuthRules::default();
    let (scheme, credentials) = bytes.split_at(bytes.len().min(6));
    let scheme = String::from_utf8_lossy(scheme);
    for scheme in ["digest", "ip", "world", "x509", &scheme] {
        let _ = rules.authenticate(Some(scheme), Some(credentials), [127, 0, 0, 1].into());
    }
}
