//! Writes the Rust source of the records.

use super::model::{Field, Model, Record, RecordShape, RustModule, Shape};
use super::syntax::Primitive;

/// The source of all modules.
pub(super) fn generate(model: &Model) -> String {
    let mut source = Source::default();
    for module in &model.modules {
        module_source(&mut source, module);
    }
    source.text
}

/// Source text with indentation.
#[derive(Default)]
pub(super) struct Source {
    pub(super) text: String,
    depth: usize,
}

impl Source {
    /// Appends a line. One that opens a brace moves the following ones in, one that closes a brace moves itself out.
    pub(super) fn line(&mut self, line: &str) {
        if line.starts_with(['}', ')']) {
            self.depth -= 1;
        }
        if !line.is_empty() {
            self.text.push_str(&"    ".repeat(self.depth));
            self.text.push_str(line);
        }
        self.text.push('\n');
        if line.ends_with(['{', '(']) {
            self.depth += 1;
        }
    }

    fn doc(&mut self, doc: &[String]) {
        for line in doc {
            self.line(format!("/// {line}").trim_end());
        }
    }
}

fn module_source(source: &mut Source, module: &RustModule) {
    source.doc(&module.doc);
    source.line(&format!("pub mod {} {{", module.name));
    if module.records.iter().any(|record| record.fields.iter().any(|field| field.shape.holds_primitive_text())) {
        source.line("use std::borrow::Cow;");
        source.line("");
    }
    source.line("use jute::{Decode, DecodeError, Encode, Reader};");
    for record in &module.records {
        source.line("");
        record_source(source, module, record);
    }
    source.line("}");
    source.line("");
}

fn record_source(source: &mut Source, module: &RustModule, record: &Record) {
    struct_source(source, module, record);
    source.line("");
    if let Some(size) = record.traits.size() {
        size_source(source, record, size);
    } else if record.traits.borrows {
        into_owned_source(source, record);
    }
    encode_source(source, record);
    source.line("");
    decode_source(source, record);
}

fn struct_source(source: &mut Source, module: &RustModule, record: &Record) {
    source.doc(&record.doc);
    source.line(&format!("#[derive({})]", derives(record)));
    source.line(&format!("pub struct {}{} {{", record.name, lifetime(record.traits.borrows, "'a")));
    for field in &record.fields {
        source.doc(&field.doc);
        source.line(&format!("pub {}: {},", field.name, field.shape.rust_type(module)));
    }
    source.line("}");
}

fn derives(record: &Record) -> String {
    let mut derives = vec!["Clone"];
    derives.extend(record.traits.size().map(|_| "Copy"));
    derives.extend(["Debug", "Default", "PartialEq"]);
    derives.extend((!record.traits.floats).then_some("Eq"));
    derives.join(", ")
}

fn size_source(source: &mut Source, record: &Record, size: usize) {
    source.line(&format!("impl {} {{", record.name));
    source.line("/// Size of the jute form, in bytes.");
    source.line(&format!("pub const ENCODED_SIZE: usize = {size};"));
    source.line("}");
    source.line("");
}

fn into_owned_source(source: &mut Source, record: &Record) {
    source.line(&format!("impl {}<'_> {{", record.name));
    source.line("/// The same record, with copies of what it borrowed.");
    source.line("#[must_use]");
    source.line(&format!("pub fn into_owned(self) -> {}<'static> {{", record.name));
    source.line(&format!("{} {{", record.name));
    for field in &record.fields {
        source.line(&format!("{}: {},", field.name, field.shape.owned(&format!("self.{}", field.name))));
    }
    for _ in 0..3 {
        source.line("}");
    }
    source.line("");
}

fn encode_source(source: &mut Source, record: &Record) {
    source.line(&format!("impl Encode for {}{} {{", record.name, lifetime(record.traits.borrows, "'_")));
    source.line("#[inline]");
    let out = if record.fields.is_empty() { "_out" } else { "out" };
    source.line(&format!("fn encode(&self, {out}: &mut Vec<u8>) {{"));
    match record.traits.size() {
        Some(size) if record.is_flat() => flat_encode(source, record, size),
        _ => record.fields.iter().for_each(|field| source.line(&format!("self.{}.encode(out);", field.name))),
    }
    source.line("}");
    source.line("}");
}

/// Builds the record in an array and appends it at once: the vector's capacity is checked once, not for every field.
fn flat_encode(source: &mut Source, record: &Record, size: usize) {
    source.line(&format!("let mut bytes = [0; {size}];"));
    let mut start = 0;
    for field in &record.fields {
        let end = start + field.shape.traits().size_min;
        source.line(&match field.shape {
            Shape::Primitive(Primitive::Boolean) => format!("bytes[{start}] = u8::from(self.{});", field.name),
            _ => format!("bytes[{start}..{end}].copy_from_slice(&self.{}.to_be_bytes());", field.name),
        });
        start = end;
    }
    source.line("out.extend_from_slice(&bytes);");
}

fn decode_source(source: &mut Source, record: &Record) {
    source.line(&format!("impl<'a> Decode<'a> for {}{} {{", record.name, lifetime(record.traits.borrows, "'a")));
    source.line("#[inline]");
    let reader = if record.fields.is_empty() { "_reader" } else { "reader" };
    source.line(&format!("fn decode({reader}: &mut Reader<'a>) -> Result<Self, DecodeError> {{"));
    if let Some(size) = record.traits.size().filter(|_| !record.fields.is_empty()) {
        source.line(&format!("let reader = &mut Reader::new(reader.read_array::<{size}>()?);"));
    }
    source.line("Ok(Self {");
    for field in &record.fields {
        source.line(&format!("{}: Decode::decode(reader)?,", field.name));
    }
    source.line("})");
    source.line("}");
    source.line("}");
}

/// A list of one lifetime, if there is one.
pub(super) fn lifetime(borrows: bool, lifetime: &str) -> String {
    if borrows { format!("<{lifetime}>") } else { String::new() }
}

impl Record {
    /// Whether all fields are numbers and booleans.
    fn is_flat(&self) -> bool {
        let is_flat = |field: &Field| matches!(field.shape, Shape::Primitive(_)) && !field.shape.traits().borrows;
        !self.fields.is_empty() && self.fields.iter().all(is_flat)
    }
}

impl Shape {
    /// The Rust type, as written in a module.
    fn rust_type(&self, module: &RustModule) -> String {
        match self {
            Self::Primitive(primitive) => primitive.rust_type().to_owned(),
            Self::Vector(element) => format!("Option<Vec<{}>>", element.rust_type(module)),
            Self::Record(record) => record.rust_type(module),
        }
    }

    /// Whether the type names `Cow` where it is written.
    fn holds_primitive_text(&self) -> bool {
        match self {
            Self::Primitive(Primitive::Ustring | Primitive::Buffer) => true,
            Self::Vector(element) => element.holds_primitive_text(),
            Self::Primitive(_) | Self::Record(_) => false,
        }
    }

    /// An expression for the value without borrows.
    fn owned(&self, value: &str) -> String {
        match self {
            shape if !shape.traits().borrows => value.to_owned(),
            Self::Primitive(_) => format!("{value}.map(|content| Cow::Owned(content.into_owned()))"),
            Self::Vector(element) => {
                format!("{value}.map(|items| items.into_iter().map(|item| {}).collect())", element.owned("item"))
            }
            Self::Record(_) => format!("{value}.into_owned()"),
        }
    }
}

impl RecordShape {
    fn rust_type(&self, module: &RustModule) -> String {
        let lifetime = lifetime(self.traits.borrows, "'a");
        if self.module == module.name {
            return format!("{}{lifetime}", self.name);
        }
        format!("super::{}::{}{lifetime}", self.module, self.name)
    }
}

impl Primitive {
    fn rust_type(self) -> &'static str {
        match self {
            Self::Boolean => "bool",
            Self::Byte => "i8",
            Self::Int => "i32",
            Self::Long => "i64",
            Self::Float => "f32",
            Self::Double => "f64",
            Self::Ustring => "Option<Cow<'a, str>>",
            Self::Buffer => "Option<Cow<'a, [u8]>>",
        }
    }
}
