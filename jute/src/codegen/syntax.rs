//! A schema file as it is written, before names are looked up.

/// A place in the text, as the number of bytes from there to the end: what a parser knows without knowing the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(pub(super) usize);

/// A name, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) text: String,
    pub(super) mark: Mark,
}

/// A whole file.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) includes: Vec<Name>,
    pub(super) modules: Vec<Module>,
}

/// A module. `doc` is empty where there is none, here and below.
#[derive(Clone, Debug)]
pub(super) struct Module {
    pub(super) doc: Vec<String>,
    pub(super) name: Name,
    pub(super) classes: Vec<Class>,
}

/// A class: what becomes a record.
#[derive(Clone, Debug)]
pub(super) struct Class {
    pub(super) doc: Vec<String>,
    pub(super) name: Name,
    pub(super) fields: Vec<Field>,
}

/// A field of a class.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) doc: Vec<String>,
    pub(super) type_: Type,
    pub(super) name: Name,
}

/// A type as written.
#[derive(Clone, Debug)]
pub(super) enum Type {
    Primitive(Primitive),
    Vector(Box<Type>, Mark),
    Class(Name),
}

/// The types that need no class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Primitive {
    Boolean,
    Byte,
    Int,
    Long,
    Float,
    Double,
    Ustring,
    Buffer,
}

impl Primitive {
    /// The primitive that a word of the language names.
    pub(super) fn of_word(word: &str) -> Option<Self> {
        Some(match word {
            "boolean" => Self::Boolean,
            "byte" => Self::Byte,
            "int" => Self::Int,
            "long" => Self::Long,
            "float" => Self::Float,
            "double" => Self::Double,
            "ustring" => Self::Ustring,
            "buffer" => Self::Buffer,
            _ => return None,
        })
    }
}

/// Whether a word cannot be the name of a class.
pub(super) fn is_reserved(word: &str) -> bool {
    Primitive::of_word(word).is_some() || matches!(word, "module" | "class" | "include" | "vector" | "map")
}
