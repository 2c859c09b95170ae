//! Writes the Rust source of the tests: a strategy for each record, and a call of the test macro for each.

use super::model::{Model, Record, RustModule, Shape};
use super::names;
use super::rust::{Source, lifetime};
use super::syntax::Primitive;

/// How many strategies stand in one tuple: proptest knows no longer ones than 12.
const TUPLE_LENGTH_MAX: usize = 10;

/// Strategies for what the strategies of records are made of. Text stays below U+10000: what is above does not come back as it
/// was (see `jute::text`), so it has a test of its own.
const PRELUDE: &str = "\
/// A proptest strategy for each record.
pub mod strategies {
    use std::borrow::Cow;

    use proptest::prelude::*;

    fn ustring() -> impl Strategy<Value = Option<Cow<'static, str>>> {
        let plain = any::<char>().prop_filter(\"above U+FFFF\", |c| u32::from(*c) <= 0xffff);
        let text = proptest::collection::vec(plain, 0..24).prop_map(|text| Cow::Owned(text.into_iter().collect()));
        proptest::option::weighted(0.8, text)
    }

    fn buffer() -> impl Strategy<Value = Option<Cow<'static, [u8]>>> {
        proptest::option::weighted(0.8, proptest::collection::vec(any::<u8>(), 0..64).prop_map(Cow::Owned))
    }

    fn vector<S: Strategy>(element: S) -> impl Strategy<Value = Option<Vec<S::Value>>> {
        proptest::option::weighted(0.8, proptest::collection::vec(element, 0..5))
    }
";

/// The source of all strategies and of the calls.
pub(super) fn generate(model: &Model) -> String {
    let mut source = Source::default();
    PRELUDE.lines().for_each(|line| source.line(line.trim_start()));
    for module in &model.modules {
        for record in &module.records {
            source.line("");
            strategy_source(&mut source, module, record);
        }
    }
    source.line("}");
    source.line("");
    for module in &model.modules {
        for record in &module.records {
            let name = strategy_name(&module.name, &record.name);
            source.line(&format!("check_record!({name}, records::{}::{}, strategies::{name}());", module.name, record.name));
        }
    }
    source.text
}

fn strategy_source(source: &mut Source, module: &RustModule, record: &Record) {
    let path = format!("super::records::{}::{}", module.name, record.name);
    let generics = lifetime(record.traits.borrows, "'static");
    source.line(&format!("/// Any `{}`.", record.name));
    let name = strategy_name(&module.name, &record.name);
    source.line(&format!("pub fn {name}() -> impl Strategy<Value = {path}{generics}> {{"));
    if record.fields.is_empty() {
        source.line(&format!("Just({path} {{}})"));
    } else {
        let strategies = record.fields.iter().map(|field| strategy(&field.shape)).collect();
        let names = record.fields.iter().map(|field| field.name.clone()).collect::<Vec<_>>();
        let fields = names.join(", ");
        source.line(&format!("{}.prop_map(|{}| {path} {{ {fields} }})", tuple(strategies), tuple(names)));
    }
    source.line("}");
}

/// The items as a tuple; of tuples, if there are too many for one.
fn tuple(items: Vec<String>) -> String {
    if items.len() <= TUPLE_LENGTH_MAX {
        return format!("({},)", items.join(", "));
    }
    tuple(items.chunks(TUPLE_LENGTH_MAX).map(|chunk| tuple(chunk.to_vec())).collect())
}

fn strategy(shape: &Shape) -> String {
    match shape {
        Shape::Primitive(primitive) => primitive_strategy(*primitive).to_owned(),
        Shape::Vector(element) => format!("vector({})", strategy(element)),
        Shape::Record(record) => format!("{}()", strategy_name(&record.module, &record.name)),
    }
}

fn primitive_strategy(primitive: Primitive) -> &'static str {
    match primitive {
        Primitive::Boolean => "any::<bool>()",
        Primitive::Byte => "any::<i8>()",
        Primitive::Int => "any::<i32>()",
        Primitive::Long => "any::<i64>()",
        Primitive::Float => "any::<f32>()",
        Primitive::Double => "any::<f64>()",
        Primitive::Ustring => "ustring()",
        Primitive::Buffer => "buffer()",
    }
}

fn strategy_name(module: &str, record: &str) -> String {
    format!("{module}_{}", names::snake(record))
}
