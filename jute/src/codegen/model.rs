//! The schema after names were looked up: what the generators work from.

use super::syntax::Primitive;

/// All files.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) modules: Vec<RustModule>,
}

/// What becomes one Rust module: the content of one file.
#[derive(Debug)]
pub(super) struct RustModule {
    pub(super) doc: Vec<String>,
    pub(super) name: String,
    pub(super) records: Vec<Record>,
}

/// A class whose fields have known types.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) doc: Vec<String>,
    pub(super) name: String,
    pub(super) fields: Vec<Field>,
    pub(super) traits: Traits,
}

/// A field.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) doc: Vec<String>,
    pub(super) name: String,
    pub(super) shape: Shape,
}

/// A type that is known to exist.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Primitive(Primitive),
    Vector(Box<Shape>),
    Record(RecordShape),
}

/// The use of a record as a type.
#[derive(Clone, Debug)]
pub(super) struct RecordShape {
    pub(super) module: String,
    pub(super) name: String,
    pub(super) traits: Traits,
}

/// What the generators need to know of a type besides its name. Holds for the type with all it contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Traits {
    /// Text or a buffer is in it: it borrows from the frame.
    pub(super) borrows: bool,
    /// A vector is in it: it cannot be copied.
    pub(super) vectors: bool,
    /// A float or double is in it: equality is not total.
    pub(super) floats: bool,
    /// The least size of its jute form, in bytes; the exact one if it neither borrows nor has vectors.
    pub(super) size_min: usize,
}

impl Traits {
    /// Of a record without fields.
    pub(super) const EMPTY: Self = Self { borrows: false, vectors: false, floats: false, size_min: 0 };

    /// Of something that contains both.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            borrows: self.borrows || other.borrows,
            vectors: self.vectors || other.vectors,
            floats: self.floats || other.floats,
            size_min: self.size_min + other.size_min,
        }
    }

    /// The size of the jute form in bytes, if every value has the same.
    pub(super) fn size(self) -> Option<usize> {
        (!self.borrows && !self.vectors).then_some(self.size_min)
    }
}

impl Shape {
    /// The traits of the type.
    pub(super) fn traits(&self) -> Traits {
        match self {
            Self::Primitive(primitive) => primitive.traits(),
            Self::Vector(element) => Traits { vectors: true, size_min: size_of::<i32>(), ..element.traits() },
            Self::Record(record) => record.traits,
        }
    }
}

impl Primitive {
    fn traits(self) -> Traits {
        let (size_min, borrows, floats) = match self {
            Self::Boolean | Self::Byte => (1, false, false),
            Self::Int => (4, false, false),
            Self::Long => (8, false, false),
            Self::Float => (4, false, true),
            Self::Double => (8, false, true),
            Self::Ustring | Self::Buffer => (4, true, false),
        };
        Traits { borrows, vectors: false, floats, size_min }
    }
}
