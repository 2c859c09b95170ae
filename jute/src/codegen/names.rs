//! From names of the schema to names in Rust.

/// Words that cannot name a field in Rust, or not without an escape.
const KEYWORDS: [&str; 53] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else", "enum", "extern",
    "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv",
    "pub", "ref", "return", "self", "Self", "static", "struct", "super", "trait", "true", "try", "type", "typeof", "union", "unsafe",
    "unsized", "use", "virtual", "where", "while", "yield",
];

/// Type names that the generated code uses itself.
const TYPES_IN_USE: [&str; 12] =
    ["Copy", "Cow", "Clone", "Debug", "Decode", "DecodeError", "Default", "Encode", "Option", "Reader", "Result", "Vec"];

/// The Rust name of a field: `ephemeralOwner` is `ephemeral_owner`, `type` is `type_`.
pub(super) fn field(name: &str) -> String {
    let snake = snake(name);
    if KEYWORDS.contains(&snake.as_str()) { snake + "_" } else { snake }
}

/// The Rust name of a record: `CreateTTLTxn` is `CreateTtlTxn`.
pub(super) fn record(name: &str) -> String {
    words(name).iter().map(|word| capitalized(word)).collect()
}

/// Whether a record cannot have this Rust name.
pub(super) fn is_in_use(record: &str) -> bool {
    TYPES_IN_USE.contains(&record) || KEYWORDS.contains(&record)
}

/// The name in lower case, its words joined by underscores.
pub(super) fn snake(name: &str) -> String {
    words(name).iter().map(|word| word.to_ascii_lowercase()).collect::<Vec<_>>().join("_")
}

fn capitalized(word: &str) -> String {
    let (first, rest) = word.split_at(word.len().min(1));
    first.to_ascii_uppercase() + &rest.to_ascii_lowercase()
}

/// The words of a name. One begins at a capital behind anything else, and at the last capital of a row that goes on in lower
/// case: `setACLTxn` is `set`, `ACL`, `Txn`.
fn words(name: &str) -> Vec<String> {
    let characters: Vec<char> = name.chars().collect();
    let mut words = vec![String::new()];
    for (index, &character) in characters.iter().enumerate() {
        if index > 0 && begins_word(characters[index - 1], character, characters.get(index + 1)) {
            words.push(String::new());
        }
        if character != '_'
            && let Some(word) = words.last_mut()
        {
            word.push(character);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn begins_word(before: char, character: char, after: Option<&char>) -> bool {
    let row_ends = after.is_some_and(char::is_ascii_lowercase);
    before == '_' || character.is_ascii_uppercase() && (!before.is_ascii_uppercase() || row_ends)
}
