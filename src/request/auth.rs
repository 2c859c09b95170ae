//! Authentication schemes and the fixing up of ACLs that clients send (client-protocol.md §8.2 to §8.5).

use std::collections::BTreeSet;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::Digest as _;

use crate::proto::error_code::ErrorCode;
use crate::proto::limits::ACL_ENTRIES_MAX;
use crate::proto::records::data::{Acl, Id};
use crate::tree::acl::{Identity, parse_ip_pattern};

/// The hash of the digest scheme (`DigestAuthenticationProvider.digestAlg`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DigestAlgorithm {
    /// SHA-1, the default.
    #[default]
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// Which schemes there are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthRules {
    /// Whether the digest scheme is on.
    pub digest_enabled: bool,
    /// Its hash.
    pub digest_algorithm: DigestAlgorithm,
    /// `user:hash` of the user that becomes super.
    pub super_digest: Option<String>,
    /// Whether the ensemble scheme is on, and the names that it accepts; without names it accepts all.
    pub ensemble: Option<Option<BTreeSet<String>>>,
}

/// What comes of an auth packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The connection gets these identities.
    Granted(Vec<Identity>),
    /// AUTHFAILED, then the connection is closed.
    Refused,
    /// The client means another ensemble: the connection is closed without a word.
    Closed,
}

impl Default for AuthRules {
    fn default() -> Self {
        Self { digest_enabled: true, digest_algorithm: DigestAlgorithm::Sha1, super_digest: None, ensemble: None }
    }
}

impl DigestAlgorithm {
    fn hash(self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => sha1::Sha1::digest(data).to_vec(),
            Self::Sha224 => sha2::Sha224::digest(data).to_vec(),
            Self::Sha256 => sha2::Sha256::digest(data).to_vec(),
            Self::Sha384 => sha2::Sha384::digest(data).to_vec(),
            Self::Sha512 => sha2::Sha512::digest(data).to_vec(),
        }
    }
}

/// `user:base64(hash(user:password))`. Without a colon the whole text is the user. As in Java the credentials are text before they
/// are hashed: what is no UTF-8 counts as U+FFFD.
#[must_use]
pub fn digest_id(algorithm: DigestAlgorithm, credentials: &[u8]) -> String {
    let text = jute::text::decode_lenient(credentials);
    let user = text.split(':').next().unwrap_or_default();
    format!("{user}:{}", STANDARD.encode(algorithm.hash(text.as_bytes())))
}

impl AuthRules {
    /// What an auth packet brings. A wrong digest password is not an error.
    #[must_use]
    pub fn authenticate(&self, scheme: Option<&str>, auth: Option<&[u8]>, address: IpAddr) -> Verdict {
        match (scheme, auth) {
            (Some("digest"), Some(credentials)) if self.digest_enabled => Verdict::Granted(self.digest_identities(credentials)),
            (Some("ip"), _) => Verdict::Granted(vec![Identity::new("ip", &address.to_string())]),
            (Some("ensemble"), name) => self.means_this_ensemble(name.unwrap_or_default()),
            _ => Verdict::Refused,
        }
    }

    fn digest_identities(&self, credentials: &[u8]) -> Vec<Identity> {
        let id = digest_id(self.digest_algorithm, credentials);
        let is_super = self.super_digest.as_ref() == Some(&id);
        let mut identities = if is_super { vec![Identity::new("super", "")] } else { Vec::new() };
        identities.push(Identity { scheme: "digest".to_owned(), id });
        identities
    }

    /// `EnsembleAuthenticationProvider`: it gives no identity, it only ends connections that went to the wrong ensemble.
    fn means_this_ensemble(&self, name: &[u8]) -> Verdict {
        match &self.ensemble {
            None => Verdict::Refused,
            Some(Some(names)) if !name.is_empty() && !names.iter().any(|own| own.as_bytes() == name) => Verdict::Closed,
            Some(_) => Verdict::Granted(Vec::new()),
        }
    }

    /// The ACL that is stored for the one a client sent (`PrepRequestProcessor.fixupACL`).
    ///
    /// # Errors
    /// INVALIDACL for an empty list, an invalid entry, or more entries than there may be; MARSHALLINGERROR where Java runs into a null.
    pub fn fix_up<'a>(&self, acl: Option<Vec<Acl<'a>>>, identities: &[Identity]) -> Result<Vec<Acl<'a>>, ErrorCode> {
        let distinct = distinct(acl.unwrap_or_default())?;
        let mut fixed = Vec::with_capacity(distinct.len());
        for entry in distinct {
            self.fix_up_entry(entry, identities, &mut fixed)?;
            if fixed.len() > ACL_ENTRIES_MAX {
                return Err(ErrorCode::INVALID_ACL);
            }
        }
        if fixed.is_empty() { Err(ErrorCode::INVALID_ACL) } else { Ok(fixed) }
    }

    fn fix_up_entry<'a>(&self, entry: Acl<'a>, identities: &[Identity], fixed: &mut Vec<Acl<'a>>) -> Result<(), ErrorCode> {
        let Some(scheme) = entry.id.scheme.as_deref() else { return Err(ErrorCode::INVALID_ACL) };
        if scheme == "auth" {
            let before = fixed.len();
            fixed.extend(identities.iter().filter(|who| self.is_authenticated(who)).map(|who| record(entry.perms, who)));
            return if fixed.len() == before { Err(ErrorCode::INVALID_ACL) } else { Ok(()) };
        }
        if scheme != "world" && !self.provides(scheme) {
            return Err(ErrorCode::INVALID_ACL);
        }
        let Some(id) = entry.id.id.as_deref() else { return Err(ErrorCode::MARSHALLING_ERROR) };
        if !is_valid_id(scheme, id) {
            return Err(ErrorCode::INVALID_ACL);
        }
        fixed.push(entry);
        Ok(())
    }

    fn is_authenticated(&self, identity: &Identity) -> bool {
        identity.scheme == "digest" && self.digest_enabled
    }

    fn provides(&self, scheme: &str) -> bool {
        scheme == "ip" || scheme == "digest" && self.digest_enabled
    }
}

fn is_valid_id(scheme: &str, id: &str) -> bool {
    match scheme {
        "world" => id == "anyone",
        "digest" => is_valid_digest(id),
        "ip" => parse_ip_pattern(id).is_some(),
        _ => false,
    }
}

/// The entries, each once.
fn distinct(mut acl: Vec<Acl<'_>>) -> Result<Vec<Acl<'_>>, ErrorCode> {
    if acl.len() < 2 {
        return Ok(acl);
    }
    let mut seen = BTreeSet::new();
    let mut is_new = Vec::with_capacity(acl.len());
    for entry in &acl {
        is_new.push(is_first(entry, &mut seen)?);
        if seen.len() > ACL_ENTRIES_MAX {
            return Err(ErrorCode::INVALID_ACL);
        }
    }
    let mut is_new = is_new.into_iter();
    acl.retain(|_| is_new.next() == Some(true));
    Ok(acl)
}

/// What Java compares of an entry, in this order.
type Compared<'a> = (i32, Option<&'a str>, Option<&'a str>);

/// Whether an entry is not among those before it; it is now. Java runs into a null that it has to compare with something.
fn is_first<'a>(entry: &'a Acl<'_>, seen: &mut BTreeSet<Compared<'a>>) -> Result<bool, ErrorCode> {
    let (perms, scheme, id) = (entry.perms, entry.id.scheme.as_deref(), entry.id.id.as_deref());
    let has_equal_perms = seen.range((perms, None, None)..).next().is_some_and(|other| other.0 == perms);
    let has_equal_scheme = || seen.range((perms, scheme, None)..).next().is_some_and(|other| (other.0, other.1) == (perms, scheme));
    if (has_equal_perms && scheme.is_none()) || (id.is_none() && has_equal_scheme()) {
        return Err(ErrorCode::MARSHALLING_ERROR);
    }
    Ok(seen.insert((perms, scheme, id)))
}

fn record(perms: i32, who: &Identity) -> Acl<'static> {
    Acl { perms, id: Id { scheme: Some(who.scheme.clone().into()), id: Some(who.id.clone().into()) } }
}

/// Java's `id.split(":")` drops empty parts at the end; exactly two must remain.
fn is_valid_digest(id: &str) -> bool {
    let trimmed = id.trim_end_matches(':');
    trimmed.split(':').count() == 2 && !trimmed.is_empty()
}

/// The user name that whoAmI shows for an identity: "" for a scheme that nobody provides.
#[must_use]
pub fn user_name(identity: &Identity) -> &str {
    match identity.scheme.as_str() {
        "digest" => identity.id.split(':').next().unwrap_or_default(),
        "super" => "",
        _ => &identity.id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::records::data::Id;

    fn acl(scheme: Option<&'static str>, id: Option<&'static str>) -> Option<Vec<Acl<'static>>> {
        Some(vec![Acl { perms: 31, id: Id { scheme: scheme.map(Into::into), id: id.map(Into::into) } }])
    }

    /// The vectors of client-protocol.md §16.
    #[test]
    fn digests_are_those_of_java() {
        for (credentials, id) in [
            ("super:test", "super:D/InIHSb7yEEbrWz8b9l71RjZJU="),
            ("user:test", "user:tl+z3z0vO6PfPfEENfLF96E6pM0="),
            ("foo", "foo:C+7Hteo/D9vJXQ3UfzxbwnXaijM="),
            ("a:b:c", "a:cLzgnoJ6mP5qz3w+mwvPE2vDgu0="),
            ("", ":2jmj7l5rSw0yVb/vlWAYkK/YBwk="),
        ] {
            assert_eq!(digest_id(DigestAlgorithm::Sha1, credentials.as_bytes()), id);
        }
        assert_eq!(digest_id(DigestAlgorithm::Sha1, b"\xff:\xfe"), "\u{fffd}:ipNoT9MRIoSM4DrYkmqaDGEYOsE=");
    }

    #[test]
    fn ids_are_checked_by_scheme() {
        let rules = AuthRules::default();
        let fixed = |scheme, id| rules.fix_up(acl(scheme, id), &[]);
        assert!(fixed(Some("world"), Some("anyone")).is_ok());
        assert!(fixed(Some("digest"), Some(":h")).is_ok());
        assert!(fixed(Some("ip"), Some("10.0.0.0/8")).is_ok());
        for (scheme, id) in
            [("world", "x"), ("digest", "u:"), ("digest", "a:b:c"), ("ip", "1.2.3"), ("sasl", "u"), ("super", "u"), ("auth", "")]
        {
            assert_eq!(fixed(Some(scheme), Some(id)), Err(ErrorCode::INVALID_ACL), "{scheme}:{id}");
        }
        for scheme in ["world", "digest", "ip"] {
            assert_eq!(fixed(Some(scheme), None), Err(ErrorCode::MARSHALLING_ERROR), "{scheme} without an id");
        }
        assert_eq!(fixed(Some("bogus"), None), Err(ErrorCode::INVALID_ACL));
        assert_eq!(fixed(None, Some("x")), Err(ErrorCode::INVALID_ACL));
        assert_eq!(rules.fix_up(None, &[]), Err(ErrorCode::INVALID_ACL));
    }

    #[test]
    fn auth_stands_for_everyone_who_authenticated() {
        let who = [Identity::new("ip", "127.0.0.1"), Identity::new("digest", "u:h")];
        let fixed = AuthRules::default().fix_up(acl(Some("auth"), None), &who).expect("one identity");
        assert_eq!(fixed, [record(31, &Identity::new("digest", "u:h"))]);
    }

    /// Java drops repeated entries before it expands `auth`, and only compares what has the same permissions.
    #[test]
    fn repeated_entries_count_once() {
        let who = [Identity::new("digest", "u:h")];
        let entry = |perms, scheme: Option<&'static str>, id: Option<&'static str>| Acl {
            perms,
            id: Id { scheme: scheme.map(Into::into), id: id.map(Into::into) },
        };
        let count = |entries: &[Acl<'static>]| AuthRules::default().fix_up(Some(entries.to_vec()), &who).map(|fixed| fixed.len());
        let anyone = entry(31, Some("world"), Some("anyone"));
        assert_eq!(count(&[anyone.clone(), anyone.clone()]), Ok(1));
        assert_eq!(count(&[entry(31, Some("auth"), Some("a")), entry(31, Some("auth"), Some("b"))]), Ok(2));
        assert_eq!(count(&[anyone.clone(), entry(31, None, Some("x"))]), Err(ErrorCode::MARSHALLING_ERROR));
        assert_eq!(count(&[anyone.clone(), entry(1, None, Some("x"))]), Err(ErrorCode::INVALID_ACL));
        assert_eq!(count(&[entry(31, Some("auth"), None), entry(31, Some("auth"), None)]), Err(ErrorCode::MARSHALLING_ERROR));
    }

    #[test]
    fn an_acl_has_a_limit_of_entries() {
        let entry = |index: usize| Acl { perms: 1, id: Id { scheme: Some("digest".into()), id: Some(format!("u{index}:h").into()) } };
        let fixed = |count: usize| AuthRules::default().fix_up(Some((0..count).chain([0]).map(entry).collect()), &[]).map(|all| all.len());
        assert_eq!(fixed(ACL_ENTRIES_MAX), Ok(ACL_ENTRIES_MAX), "the doubled one does not count");
        assert_eq!(fixed(ACL_ENTRIES_MAX + 1), Err(ErrorCode::INVALID_ACL));
    }

    #[test]
    fn the_super_digest_gives_two_identities() {
        let rules = AuthRules { super_digest: Some("super:D/InIHSb7yEEbrWz8b9l71RjZJU=".to_owned()), ..AuthRules::default() };
        let address = IpAddr::from([127, 0, 0, 1]);
        let verdict = rules.authenticate(Some("digest"), Some(b"super:test"), address);
        assert!(matches!(verdict, Verdict::Granted(identities) if identities[0] == Identity::new("super", "")));
        assert_eq!(rules.authenticate(Some("digest"), None, address), Verdict::Refused);
        assert_eq!(rules.authenticate(Some("world"), Some(b""), address), Verdict::Refused);
    }

    #[test]
    fn a_client_of_another_ensemble_is_sent_away() {
        let verdict = |ensemble, name: Option<&'static [u8]>| {
            AuthRules { ensemble, ..AuthRules::default() }.authenticate(Some("ensemble"), name, IpAddr::from([127, 0, 0, 1]))
        };
        let named = || Some(Some(BTreeSet::from(["foo".to_owned(), "bar".to_owned()])));
        assert_eq!(verdict(None, Some(b"foo")), Verdict::Refused);
        assert_eq!(verdict(Some(None), Some(b"any")), Verdict::Granted(Vec::new()));
        assert_eq!(verdict(named(), Some(b"bar")), Verdict::Granted(Vec::new()));
        assert_eq!(verdict(named(), Some(b"")), Verdict::Granted(Vec::new()));
        assert_eq!(verdict(named(), None), Verdict::Granted(Vec::new()));
        assert_eq!(verdict(named(), Some(b"baz")), Verdict::Closed);
    }
}
