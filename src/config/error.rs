//! Why a configuration is refused: one problem per bad line, with the place, the key, the value and the reason.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::notice::Origin;

/// Why the server does not start with this configuration. The process ends with exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file could not be read.
    #[error("{}: cannot be read: {source}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file is larger than any configuration.
    #[error("{}: {size} bytes are too many for a configuration file, the limit is {limit}", .file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// Lines that mean something the server must not or cannot do. Never empty.
    #[error("{}", Lines(.0))]
    Refused(Vec<Problem>),
}

/// One bad setting.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Where it was set.
    pub origin: Origin,
    /// The key, as written; empty if it is about the whole.
    pub key: String,
    /// The value, as written; hidden if the key names a secret.
    pub value: Option<String>,
    /// What is wrong.
    pub reason: Reason,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        match (&*self.key, &self.value) {
            ("", _) => {}
            (key, Some(value)) => write!(f, "{key}={}: ", value.escape_debug())?,
            (key, None) => write!(f, "{key}: ")?,
        }
        write!(f, "{}", self.reason)
    }
}

struct Lines<'a>(&'a [Problem]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// What is wrong with one setting.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Reason {
    /// A `\u` without four hexadecimal digits behind it (`java.util.Properties` refuses the file).
    #[error("\\u must be followed by four hexadecimal digits")]
    BadUnicodeEscape,
    /// Not a decimal number.
    #[error("is not a whole number")]
    NotANumber,
    /// Not a number from 0 to 1.
    #[error("must be a number from 0 to 1")]
    NotARatio,
    /// A number out of its range.
    #[error("must be between {min} and {max}")]
    OutOfRange {
        /// The smallest allowed value.
        min: i64,
        /// The largest allowed value.
        max: i64,
    },
    /// A key of the parser's own accepts only these two words.
    #[error("must be true or false")]
    NotABoolean,
    /// Not one of a few words.
    #[error("must be {expected}")]
    NotOneOf {
        /// The words.
        expected: &'static str,
    },
    /// A key that must be set is not.
    #[error("is required and not set")]
    Missing,
    /// A value that must not be empty is.
    #[error("must not be empty")]
    Empty,
    /// `clientPortAddress` without `clientPort`, and the like.
    #[error("is set but {key} is not")]
    Without {
        /// The key that is missing.
        key: &'static str,
    },
    /// The client port is nowhere to be found.
    #[error("a server without a client port is of no use: set clientPort, or a client port behind ';' in its server line")]
    NoClientPort,
    /// Only a TLS client port.
    #[error(
        "this version does not serve TLS, so a server with secureClientPort and without clientPort would be closed to everybody: set clientPort too"
    )]
    OnlySecurePort,
    /// The session clamps cross.
    #[error("minSessionTimeout {min_ms} ms is above maxSessionTimeout {max_ms} ms")]
    SessionClampsCross {
        /// The lower clamp.
        min_ms: i32,
        /// The upper clamp.
        max_ms: i32,
    },
    /// Protection was asked for that is not there; starting would leave the operator unprotected in the belief of being protected.
    #[error("asks for protection that this version does not have ({what}); the start is refused rather than served without it")]
    ProtectionMissing {
        /// The protection.
        what: &'static str,
    },
    /// `enforce.auth.enabled=true` without a scheme.
    #[error("enforce.auth.enabled is true, so enforce.auth.schemes must name at least one scheme")]
    NoEnforcedScheme,
    /// `enforce.auth.schemes` with a scheme that no provider serves.
    #[error("scheme {scheme:?} has no authentication provider here; usable are digest, ip and world")]
    UnknownScheme {
        /// The scheme, as written.
        scheme: String,
    },
    /// A server line that does not follow the grammar.
    #[error("{0}")]
    Member(#[from] super::members::MemberError),
    /// A member of an ensemble without `myid`.
    #[error("a server of an ensemble needs its id in the file {path}: {error}")]
    MyIdUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: String,
    },
    /// A `myid` that holds no id.
    #[error("{path} must hold the id of this server, a whole number; found {found:?}")]
    MyIdNoNumber {
        /// The file.
        path: PathBuf,
        /// Its first line.
        found: String,
    },
    /// A `myid` that no server line has.
    #[error("myid says {id}, and there is no line server.{id}")]
    NotAMember {
        /// The id.
        id: i64,
    },
    /// A key that only an ensemble needs.
    #[error("is required in an ensemble, and must be at least 1")]
    MissingInEnsemble,
    /// `standaloneEnabled=false` with no voter.
    #[error("standaloneEnabled=false needs at least one participant among the server lines")]
    NoParticipant,
    /// Observers alone.
    #[error("observers without a quorum of participants are not a valid configuration")]
    OnlyObservers,
    /// The own server line and the static file disagree about the client port.
    #[error("the client address of server {id} is {dynamic} in its server line, which differs from {fixed}")]
    ClientAddressDiffers {
        /// The own id.
        id: i64,
        /// What the server line says.
        dynamic: String,
        /// What clientPort and clientPortAddress say.
        fixed: String,
    },
    /// `server.`, `group.` or `weight.` in a static file that names a dynamic one.
    #[error("must be in the file that dynamicConfigFile names, not here")]
    BelongsInDynamicFile,
    /// Anything but member lines in a dynamic file.
    #[error("is not allowed in a dynamic configuration file")]
    NotADynamicKey,
    /// A file named by a key that cannot be read.
    #[error("the file cannot be read: {0}")]
    FileUnreadable(String),
}
