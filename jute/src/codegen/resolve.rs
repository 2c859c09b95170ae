//! Looks up names: from the syntax of all files to the model, or to the first thing wrong with them.

use std::collections::{HashMap, HashSet};

use super::error::{Error, Place};
use super::model::{Field, Model, Record, RecordShape, RustModule, Shape, Traits};
use super::names;
use super::source::Source;
use super::syntax::{self, Class, Mark, Module, Name, Type, is_reserved};

/// Looks up all names and checks what the grammar cannot.
pub(super) fn resolve(sources: &[Source]) -> Result<Model, Error> {
    let mut resolver = Resolver { sources, classes: classes(sources)?, records: HashMap::new(), open: Vec::new() };
    let modules = (0..sources.len()).map(|file| resolver.rust_module(file)).collect::<Result<_, _>>()?;
    Ok(Model { modules })
}

/// A class, and where it stands.
#[derive(Clone, Copy)]
struct Located<'a> {
    file: usize,
    module: &'a Module,
    class: &'a Class,
}

/// All classes by qualified name. Fails on a name that is there twice, reserved or without a doc comment.
fn classes(sources: &[Source]) -> Result<HashMap<String, Located<'_>>, Error> {
    let mut classes: HashMap<String, Located<'_>> = HashMap::new();
    let mut files = Unique::default();
    for (file, source) in sources.iter().enumerate() {
        files.add(&rust_module_name(source), source.place(Mark(source.text.len())))?;
        let mut rust_names = Unique::default();
        for module in &source.syntax.modules {
            documented(source, &module.doc, &module.name)?;
            for class in &module.classes {
                check_class(source, class)?;
                let qualified = qualify(module, &class.name.text);
                if let Some(first) = classes.get(&qualified) {
                    let first = sources[first.file].place(first.class.name.mark);
                    return Err(Error::Duplicate { place: source.place(class.name.mark), name: qualified, first });
                }
                rust_names.add(&names::record(&class.name.text), source.place(class.name.mark))?;
                classes.insert(qualified, Located { file, module, class });
            }
        }
    }
    Ok(classes)
}

fn check_class(source: &Source, class: &Class) -> Result<(), Error> {
    documented(source, &class.doc, &class.name)?;
    if is_reserved(&class.name.text) || names::is_in_use(&names::record(&class.name.text)) {
        return Err(Error::Reserved { place: source.place(class.name.mark), name: class.name.text.clone() });
    }
    let mut fields = Unique::default();
    for field in &class.fields {
        documented(source, &field.doc, &field.name)?;
        fields.add(&names::field(&field.name.text), source.place(field.name.mark))?;
    }
    Ok(())
}

fn documented(source: &Source, doc: &[String], name: &Name) -> Result<(), Error> {
    if doc.iter().all(String::is_empty) {
        return Err(Error::Undocumented { place: source.place(name.mark), name: name.text.clone() });
    }
    Ok(())
}

/// Names that must differ.
#[derive(Default)]
struct Unique {
    places: HashMap<String, Place>,
}

impl Unique {
    fn add(&mut self, name: &str, place: Place) -> Result<(), Error> {
        match self.places.insert(name.to_owned(), place.clone()) {
            Some(first) => Err(Error::Duplicate { place, name: name.to_owned(), first }),
            None => Ok(()),
        }
    }
}

fn qualify(module: &Module, class: &str) -> String {
    format!("{}.{class}", module.name.text)
}

fn rust_module_name(source: &Source) -> String {
    names::field(&source.path.file_stem().unwrap_or_default().to_string_lossy().replace(['-', '.'], "_"))
}

struct Resolver<'a> {
    sources: &'a [Source],
    classes: HashMap<String, Located<'a>>,
    /// Records that are done, by qualified name.
    records: HashMap<String, Record>,
    /// Qualified names of the records being done now, each contained in the one before it.
    open: Vec<String>,
}

impl<'a> Resolver<'a> {
    fn rust_module(&mut self, file: usize) -> Result<RustModule, Error> {
        let source = &self.sources[file];
        let mut records = Vec::new();
        for module in &source.syntax.modules {
            for class in &module.classes {
                records.push(self.record(&qualify(module, &class.name.text), Located { file, module, class })?);
            }
        }
        let doc = source.syntax.modules.iter().flat_map(|module| module.doc.clone()).collect();
        Ok(RustModule { doc, name: rust_module_name(source), records })
    }

    fn record(&mut self, qualified: &str, located: Located<'a>) -> Result<Record, Error> {
        if let Some(record) = self.records.get(qualified) {
            return Ok(record.clone());
        }
        self.open.push(qualified.to_owned());
        let fields = located.class.fields.iter().map(|field| self.field(located, field));
        let fields = fields.collect::<Result<Vec<_>, _>>()?;
        self.open.pop();
        let traits = fields.iter().map(|field| field.shape.traits()).fold(Traits::EMPTY, Traits::and);
        let name = names::record(&located.class.name.text);
        let record = Record { doc: located.class.doc.clone(), name, fields, traits };
        self.records.insert(qualified.to_owned(), record.clone());
        Ok(record)
    }

    fn field(&mut self, located: Located<'a>, field: &syntax::Field) -> Result<Field, Error> {
        let shape = self.shape(located, &field.type_)?;
        Ok(Field { doc: field.doc.clone(), name: names::field(&field.name.text), shape })
    }

    fn shape(&mut self, located: Located<'a>, type_: &Type) -> Result<Shape, Error> {
        match type_ {
            Type::Primitive(primitive) => Ok(Shape::Primitive(*primitive)),
            Type::Class(name) => self.record_shape(located, name).map(Shape::Record),
            Type::Vector(element, mark) => match self.shape(located, element)? {
                Shape::Record(record) if record.traits.size_min == 0 => {
                    Err(Error::EmptyElement { place: self.sources[located.file].place(*mark), name: record.name })
                }
                shape => Ok(Shape::Vector(Box::new(shape))),
            },
        }
    }

    fn record_shape(&mut self, from: Located<'a>, name: &Name) -> Result<RecordShape, Error> {
        let qualified = if name.text.contains('.') { name.text.clone() } else { qualify(from.module, &name.text) };
        let place = self.sources[from.file].place(name.mark);
        let located = match self.classes.get(&qualified) {
            Some(located) if self.visible(from.file).contains(&located.file) => *located,
            _ => return Err(Error::UnknownType { place, name: name.text.clone() }),
        };
        if let Some(start) = self.open.iter().position(|open| *open == qualified) {
            let path = self.open[start..].iter().chain([&qualified]).cloned().collect();
            return Err(Error::Cycle { place, path });
        }
        let record = self.record(&qualified, located)?;
        let module = rust_module_name(&self.sources[located.file]);
        Ok(RecordShape { module, name: record.name, traits: record.traits })
    }

    /// The files whose classes a file may name: itself and all it includes, directly or not.
    fn visible(&self, file: usize) -> HashSet<usize> {
        let mut visible = HashSet::from([file]);
        let mut pending = vec![file];
        while let Some(file) = pending.pop() {
            pending.extend(self.sources[file].includes.iter().filter(|include| visible.insert(**include)));
        }
        visible
    }
}
