//! `-D` properties in the environment variables that ZooKeeper's start scripts hand to the JVM.

/// The variables, in the order in which the scripts put them on the command line: a later one wins.
pub(super) const VARIABLES: [&str; 2] = ["SERVER_JVMFLAGS", "JVMFLAGS"];

/// The properties of one variable's value, as (name, value). Other flags of a JVM mean nothing here.
pub(super) fn properties(flags: &str) -> Vec<(String, String)> {
    let words = split(flags);
    let defined = words.iter().filter_map(|word| word.strip_prefix("-D"));
    defined.map(|word| word.split_once('=').unwrap_or((word, ""))).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The key in `zoo.cfg` that a property stands for; `None` for one that is not ZooKeeper's.
pub(super) fn key_of(property: &str) -> Option<&str> {
    const RAW: [&str; 3] = ["jute.maxbuffer", "readonlymode.enabled", "fsync.warningthresholdms"];
    if RAW.contains(&property) || property.starts_with("znode.container.") {
        return Some(property);
    }
    property.strip_prefix("zookeeper.")
}

/// Words as a shell splits them: blanks separate, quotes of both kinds hold together, a backslash takes the next character as it is.
fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(characters.next()),
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_split_as_a_shell_does() {
        let flags = r#"-Xmx1g -Dzookeeper.snapCount=7 '-Dzookeeper.superUser=a b' -Da.b="c d" -Dflag"#;
        let expected = [("zookeeper.snapCount", "7"), ("zookeeper.superUser", "a b"), ("a.b", "c d"), ("flag", "")];
        assert_eq!(properties(flags), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(split("\\"), [""]);
    }

    #[test]
    fn only_zookeepers_properties_are_keys() {
        assert_eq!(key_of("zookeeper.snapCount"), Some("snapCount"));
        assert_eq!(key_of("jute.maxbuffer"), Some("jute.maxbuffer"));
        assert_eq!(key_of("java.security.auth.login.config"), None);
    }
}
