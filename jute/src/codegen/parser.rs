//! The grammar: from the text of a schema file to its syntax tree.

use nom::branch::alt;
use nom::bytes::complete::{tag, take_till, take_until, take_while};
use nom::character::complete::{char, multispace1, satisfy};
use nom::combinator::{cut, eof, not, opt, peek, recognize, value};
use nom::error::{ErrorKind, ParseError};
use nom::multi::{many0_count, separated_list1};
use nom::sequence::{delimited, pair, preceded};
use nom::{Err, IResult, Parser};

use super::syntax::{Class, Field, File, Mark, Module, Name, Primitive, Type};

const A_TYPE: &str = "a type: a primitive, `vector<...>` or a class";
const NO_MAP: &str = "a type other than `map`, which no record of ZooKeeper has";

/// Where the text leaves the language, and what could have stood there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unexpected {
    pub(super) mark: Mark,
    pub(super) expected: &'static str,
}

impl ParseError<&str> for Unexpected {
    fn from_error_kind(rest: &str, _: ErrorKind) -> Self {
        Self { mark: Mark(rest.len()), expected: "something else" }
    }

    fn append(_: &str, _: ErrorKind, other: Self) -> Self {
        other
    }
}

type Parsed<'a, T> = IResult<&'a str, T, Unexpected>;

/// Parses a whole file.
pub(super) fn parse(text: &str) -> Result<File, Unexpected> {
    match file(text) {
        Ok((_, file)) => Ok(file),
        Err(Err::Error(unexpected) | Err::Failure(unexpected)) => Err(unexpected),
        Err(Err::Incomplete(_)) => Err(Unexpected { mark: Mark(0), expected: "more text" }),
    }
}

fn file(input: &str) -> Parsed<'_, File> {
    let (mut rest, includes) = list(include, input)?;
    let mut modules = Vec::new();
    loop {
        let (behind_doc, doc) = doc(rest)?;
        if doc.is_empty() && eof::<_, Unexpected>(behind_doc).is_ok() {
            return Ok((behind_doc, File { includes, modules }));
        }
        let (behind, _) = expect("`module` or the end of the file", keyword("module"), behind_doc)?;
        let (behind, module) = module(doc, behind)?;
        modules.push(module);
        rest = behind;
    }
}

fn include(input: &str) -> Parsed<'_, Name> {
    let (rest, _) = keyword("include").parse(input)?;
    let (rest, _) = blank(rest)?;
    let quoted = delimited(char('"'), take_till(|c| c == '"' || c == '\n'), char('"'));
    let (behind, path) = expect("a path in double quotes", quoted, rest)?;
    Ok((behind, Name { text: path.to_owned(), mark: Mark(rest.len()) }))
}

fn module(doc: Vec<String>, input: &str) -> Parsed<'_, Module> {
    let (rest, name) = expect_name("the name of the module", qualified, input)?;
    let (rest, _) = expect("`{`", char('{'), rest)?;
    let (rest, classes) = block("`class` or `}`", class, rest)?;
    Ok((rest, Module { doc, name, classes }))
}

fn class(doc: Vec<String>, input: &str) -> Parsed<'_, Class> {
    let (rest, _) = keyword("class").parse(input)?;
    let (rest, name) = expect_name("the name of the class", identifier, rest)?;
    let (rest, _) = expect("`{`", char('{'), rest)?;
    let (rest, fields) = block("a field or `}`", field, rest)?;
    Ok((rest, Class { doc, name, fields }))
}

fn field(doc: Vec<String>, input: &str) -> Parsed<'_, Field> {
    peek(identifier).parse(input)?;
    let (rest, type_) = type_(input)?;
    let (rest, name) = expect_name("the name of the field", identifier, rest)?;
    let (rest, _) = expect("`;`", char(';'), rest)?;
    Ok((rest, Field { doc, type_, name }))
}

fn type_(input: &str) -> Parsed<'_, Type> {
    let (rest, _) = blank(input)?;
    let mark = Mark(rest.len());
    let (behind, word) = expect(A_TYPE, qualified, rest)?;
    match word {
        "vector" => {
            let (behind, _) = expect("`<`", char('<'), behind)?;
            let (behind, element) = type_(behind)?;
            let (behind, _) = expect("`>`", char('>'), behind)?;
            Ok((behind, Type::Vector(Box::new(element), mark)))
        }
        "map" => Err(Err::Failure(Unexpected { mark, expected: NO_MAP })),
        _ => Ok((behind, named_type(word, mark))),
    }
}

fn named_type(word: &str, mark: Mark) -> Type {
    match Primitive::of_word(word) {
        Some(primitive) => Type::Primitive(primitive),
        None => Type::Class(Name { text: word.to_owned(), mark }),
    }
}

/// The items of a block, each with the doc comment before it, up to the closing brace.
fn block<'a, T>(expected: &'static str, item: impl Fn(Vec<String>, &'a str) -> Parsed<'a, T>, input: &'a str) -> Parsed<'a, Vec<T>> {
    let mut rest = input;
    let mut items = Vec::new();
    loop {
        let (behind_doc, doc) = doc(rest)?;
        if doc.is_empty()
            && let Ok((behind, _)) = char::<_, Unexpected>('}').parse(behind_doc)
        {
            return Ok((behind, items));
        }
        let (behind, item) = expect(expected, |input| item(doc.clone(), input), behind_doc)?;
        items.push(item);
        rest = behind;
    }
}

fn list<'a, T>(item: impl Fn(&'a str) -> Parsed<'a, T>, input: &'a str) -> Parsed<'a, Vec<T>> {
    let mut rest = input;
    let mut items = Vec::new();
    loop {
        let (behind_blank, _) = blank(rest)?;
        match item(behind_blank) {
            Ok((behind, item)) => {
                items.push(item);
                rest = behind;
            }
            Err(Err::Error(_)) => return Ok((rest, items)),
            Err(failure) => return Err(failure),
        }
    }
}

/// Skips blanks, then runs the parser; where it does not match, the file is refused for want of `expected`.
fn expect<'a, T>(
    expected: &'static str,
    mut parser: impl Parser<&'a str, Output = T, Error = Unexpected>,
    input: &'a str,
) -> Parsed<'a, T> {
    let (rest, _) = blank(input)?;
    parser.parse(rest).map_err(|error| match error {
        Err::Error(_) => Err::Failure(Unexpected { mark: Mark(rest.len()), expected }),
        other => other,
    })
}

fn expect_name<'a>(
    expected: &'static str,
    parser: impl Parser<&'a str, Output = &'a str, Error = Unexpected>,
    input: &'a str,
) -> Parsed<'a, Name> {
    let (rest, _) = blank(input)?;
    let (behind, text) = expect(expected, parser, rest)?;
    Ok((behind, Name { text: text.to_owned(), mark: Mark(rest.len()) }))
}

fn keyword<'a>(word: &'static str) -> impl Parser<&'a str, Output = &'a str, Error = Unexpected> {
    nom::combinator::verify(identifier, move |found: &str| found == word)
}

fn qualified(input: &str) -> Parsed<'_, &str> {
    recognize(separated_list1(char('.'), identifier)).parse(input)
}

fn identifier(input: &str) -> Parsed<'_, &str> {
    let first = satisfy(|c| c.is_ascii_alphabetic() || c == '_');
    recognize(pair(first, take_while(|c: char| c.is_ascii_alphanumeric() || c == '_'))).parse(input)
}

/// The lines of a doc comment, without slashes and the blank behind them; none if there is no such comment.
fn doc(input: &str) -> Parsed<'_, Vec<String>> {
    list(doc_line, input).and_then(|(rest, lines)| Ok((blank(rest)?.0, lines)))
}

fn doc_line(input: &str) -> Parsed<'_, String> {
    let (rest, line) = preceded((tag("///"), not(char('/')), opt(char(' '))), line).parse(input)?;
    Ok((rest, line.trim_end().to_owned()))
}

/// Blanks and comments, but not doc comments.
fn blank(input: &str) -> Parsed<'_, ()> {
    let ordinary = (not((tag("///"), not(char('/')))), tag("//"), line);
    let block = (tag("/*"), cut(|rest| comment_end(input, rest)));
    value((), many0_count(alt((value((), multispace1), value((), ordinary), value((), block))))).parse(input)
}

fn comment_end<'a>(_start: &'a str, rest: &'a str) -> Parsed<'a, ()> {
    let end = value((), (take_until("*/"), tag("*/")));
    let mut end = end;
    end.parse(rest).map_err(|_: Err<Unexpected>| Err::Failure(Unexpected { mark: Mark(rest.len()), expected: "`*/` behind this" }))
}

fn line(input: &str) -> Parsed<'_, &str> {
    take_till(|c| c == '\n').parse(input)
}
