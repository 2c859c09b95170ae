//! The configuration: `zoo.cfg`, `-D` flags and bare arguments, parsed once into typed settings. Invalid settings do not come out of here.

mod ensemble;
mod error;
mod inert;
mod jvm_flags;
mod keys;
mod members;
mod notice;
mod properties;
mod rewrite;
mod settings;
mod values;
mod zoo_cfg;

pub use ensemble::MembersTextError;
pub use error::{ConfigError, Problem, Reason};
pub use members::{HostPort, Member, MemberAddress, MemberError, Members, Role, parse_member};
pub use notice::{Level, Notice, Origin};
pub use rewrite::with_dynamic_file;
pub use settings::*;
pub use zoo_cfg::{Examined, Loaded, examine, from_arguments, load, remark};
