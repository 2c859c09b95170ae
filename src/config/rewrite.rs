//! The static file after a reconfiguration: as it was, but for the members, which are in a dynamic file from then on (operations.md §3,
//! `QuorumPeerConfig.editStaticConfig`). Comments and the order of lines stay.

use super::members::Members;
use super::properties;

/// The text of a static file that takes its members from `dynamic_file`. `clientPort` goes too if `erases_client_port`: the server's own
/// line has it then.
#[must_use]
pub fn with_dynamic_file(text: &[u8], dynamic_file: &str, erases_client_port: bool) -> Vec<u8> {
    let mut kept = Vec::with_capacity(text.len());
    // A line that ends with a backslash goes on in the next one, which has its fate.
    let (mut goes_on, mut is_dropped) = (false, false);
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let content = line.trim_ascii_end();
        let is_comment = !goes_on && matches!(content.trim_ascii_start().first(), Some(b'#' | b'!'));
        if !goes_on {
            is_dropped = !is_comment && key_of(content).is_some_and(|key| is_replaced(&key, erases_client_port));
        }
        if !is_dropped {
            kept.extend_from_slice(line);
        }
        let backslashes = content.iter().rev().take_while(|&&byte| byte == b'\\').count();
        goes_on = !is_comment && backslashes % 2 == 1;
    }
    if kept.last().is_some_and(|&last| last != b'\n') {
        kept.push(b'\n');
    }
    if goes_on && !is_dropped {
        // The last line wants to go on in one that is not its own.
        kept.push(b'\n');
    }
    kept.extend_from_slice(format!("dynamicConfigFile={dynamic_file}\n").as_bytes());
    kept
}

fn key_of(line: &[u8]) -> Option<String> {
    let entries = properties::parse(line).ok()?;
    entries.into_iter().next().map(|entry| entry.key.trim().to_owned())
}

fn is_replaced(key: &str, erases_client_port: bool) -> bool {
    Members::owns(key)
        || key.starts_with("dynamicConfigFile")
        || key.starts_with("peerType")
        || (erases_client_port && key.starts_with("clientPort"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &str, erases_client_port: bool) -> String {
        String::from_utf8(with_dynamic_file(text.as_bytes(), "/c/zoo.cfg.dynamic.100000000", erases_client_port)).expect("text")
    }

    #[test]
    fn members_go_and_everything_else_stays() {
        let text = "# the ensemble\ndataDir=/d\nserver.1=a:1:2\n  server.2 = b:1:2\ngroup.1=1:2\nweight.1=1\npeerType=participant\n\
                    clientPort=2181\ndynamicConfigFile=/old\n#server.3 is gone\ntickTime=2000";
        let expected = "# the ensemble\ndataDir=/d\nclientPort=2181\n#server.3 is gone\ntickTime=2000\ndynamicConfigFile=/c/zoo.cfg.dynamic.100000000\n";
        assert_eq!(rewritten(text, false), expected);
        assert_eq!(rewritten(text, true), expected.replace("clientPort=2181\n", ""));
        assert_eq!(rewritten(expected, false), expected, "once more changes nothing");
    }

    #[test]
    fn a_line_that_goes_on_goes_as_a_whole() {
        let text = "server.1=a:1:\\\n  2\ndataDir=\\\nserver.9\n# no \\\nserver.2=b:1:2\n";
        assert_eq!(rewritten(text, false), "dataDir=\\\nserver.9\n# no \\\ndynamicConfigFile=/c/zoo.cfg.dynamic.100000000\n");
        assert_eq!(rewritten("a=b\\", false), "a=b\\\n\ndynamicConfigFile=/c/zoo.cfg.dynamic.100000000\n");
    }
}
