//! JSONPath as RFC 9535 has it, for paths that start with `$.` or `$[`.
//! It never loses a digit, and refuses a query whose answer could be out of all proportion to the document.
//!
//! Where one value is wanted (`dataKey`, a filter's `path`): no match is "missing", one match is itself,
//! and several are one array, in the order of the document.
//!
//! # What differs from RFC 9535
//!
//! - Numbers in filters compare as floats; results keep their digits.
//! - Only the functions of the RFC exist: `length`, `count`, `match`, `search`, `value`.
//!
//! ```
//! use tiphys_lang::{json, jsonpath::Path};
//! let document = json::parse(br#"{"a": [{"b": 1.50}, {"b": 2}]}"#).unwrap();
//! let path = Path::compile("$.a[?@.b < 2].b").unwrap();
//! assert_eq!(path.get_one(&document).unwrap().unwrap().to_json(), "1.50");
//! ```

use jsonpath_rust::parser::errors::JsonPathError as ParseError;
use jsonpath_rust::parser::model::{
    Comparable, Comparison, Filter, FilterAtom, FnArg, JpQuery, Segment, Selector, SingularQuery,
    Test, TestFunction,
};
use jsonpath_rust::parser::parse_json_path;
use jsonpath_rust::query::js_path_process;
use jsonpath_rust::query::queryable::Queryable;

use crate::Value;
use crate::value::Number;

/// The longest query.
pub const MAX_LENGTH: usize = 4096;

/// The deepest nesting of brackets.
const MAX_BRACKETS: usize = 128;

/// The deepest nesting of function calls: the parser's time grows threefold with each.
const MAX_CALLS: usize = 4;

/// The most work that a query may be estimated at, in bytes of places visited.
const MAX_WORK: f64 = 64e6;

/// Why a query is not one, or was not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonPathError {
    /// It is not JSONPath.
    #[error("not JSONPath: {message} at byte {offset}")]
    Syntax {
        /// What was expected.
        message: String,
        /// Bytes from the start of the query.
        offset: usize,
    },
    /// It is too long.
    #[error("JSONPath is longer than {MAX_LENGTH} bytes")]
    TooLong,
    /// Its brackets are nested too deeply.
    #[error("JSONPath nests more than {MAX_BRACKETS} brackets or {MAX_CALLS} function calls")]
    TooDeep,
    /// Its answer on this document could be too large.
    #[error("JSONPath asks for too much of a document of this size: use fewer `..`, `*` and lists")]
    TooMuch,
}

/// Whether a text is meant as JSONPath.
#[must_use]
pub fn is_jsonpath(text: &str) -> bool {
    text.starts_with("$.") || text.starts_with("$[")
}

/// A query that was read, ready to be used on many documents.
#[derive(Debug, Clone)]
pub struct Path {
    text: Box<str>,
    query: JpQuery,
}

impl Path {
    /// Reads a query.
    ///
    /// # Errors
    /// For a text that is not JSONPath, with the place.
    pub fn compile(text: &str) -> Result<Self, JsonPathError> {
        if text.len() > MAX_LENGTH {
            return Err(JsonPathError::TooLong);
        }
        if nests_too_deeply(text) {
            return Err(JsonPathError::TooDeep);
        }
        let query = parse_json_path(text).map_err(|error| syntax(&error))?;
        Ok(Self {
            text: text.into(),
            query,
        })
    }

    /// All that it selects, in the order of the document.
    ///
    /// # Errors
    /// Where the answer could be too large.
    pub fn get(&self, document: &Value) -> Result<Vec<Value>, JsonPathError> {
        let mut size = Size::default();
        size.add(document, 1, 0);
        if size.query(&self.query.segments) > MAX_WORK {
            return Err(JsonPathError::TooMuch);
        }
        // The only error is a query that gives no places, which segments cannot be.
        let found = js_path_process(&self.query, document).unwrap_or_default();
        Ok(found.into_iter().map(|found| found.val.clone()).collect())
    }

    /// The same as one value: itself, or an array of several, or nothing.
    ///
    /// # Errors
    /// As [`Path::get`].
    pub fn get_one(&self, document: &Value) -> Result<Option<Value>, JsonPathError> {
        let mut found = self.get(document)?;
        Ok(if found.len() > 1 {
            Some(Value::Array(found))
        } else {
            found.pop()
        })
    }

    /// The query as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Whether reading the query could take longer than anybody waits.
fn nests_too_deeply(text: &str) -> bool {
    // For each open bracket, whether it opens a function call.
    let mut open: Vec<bool> = Vec::new();
    let mut quote = None;
    let mut previous = b' ';
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match (quote, byte) {
            (Some(_), b'\\') => drop(bytes.next()),
            (Some(end), _) if end == byte => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'(' | b'[') => {
                open.push(byte == b'(' && (previous == b'_' || previous.is_ascii_alphanumeric()));
                let calls = open.iter().filter(|call| **call).count();
                if calls > MAX_CALLS || open.len() > MAX_BRACKETS {
                    return true;
                }
            }
            (None, b')' | b']') => drop(open.pop()),
            (None, _) => {}
        }
        previous = byte;
    }
    false
}

fn syntax(error: &ParseError) -> JsonPathError {
    match error {
        ParseError::PestError(pest) => {
            let offset = match pest.location {
                pest::error::InputLocation::Pos(at) | pest::error::InputLocation::Span((at, _)) => {
                    at
                }
            };
            JsonPathError::Syntax {
                message: pest.variant.message().into_owned(),
                offset,
            }
        }
        other => JsonPathError::Syntax {
            message: other.to_string(),
            offset: 0,
        },
    }
}

/// How large a document is to a query.
#[derive(Default)]
struct Size {
    /// Values in it.
    values: f64,
    /// Bytes of all their paths together.
    paths: f64,
    /// The deepest nesting.
    depth: f64,
}

impl Size {
    /// Adds a value and what is in it; the parser has bounded the depth.
    fn add(&mut self, value: &Value, depth: u16, path: usize) {
        self.values += 1.0;
        self.depth = self.depth.max(f64::from(depth));
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let bytes = path as f64 + 8.0;
        self.paths += bytes;
        match value {
            Value::Array(items) => {
                items
                    .iter()
                    .for_each(|item| self.add(item, depth.saturating_add(1), path + 6));
            }
            Value::Object(members) => {
                let add = |(key, item): (&String, &Value)| {
                    self.add(item, depth.saturating_add(1), path + key.len() + 4);
                };
                members.iter().for_each(add);
            }
            _ => {}
        }
    }

    /// What a query may cost: places visited, times their paths.
    ///
    /// Each `..` after the first meets a value once per value above it, a list meets it once per entry,
    /// and a filter runs its own queries for every value.
    fn query(&self, segments: &[Segment]) -> f64 {
        let mut fan = 1.0;
        let mut cost = 0.0;
        let mut below = false;
        for segment in segments {
            let (inner, descends) = match segment {
                Segment::Descendant(inner) => (&**inner, true),
                other => (other, false),
            };
            if descends {
                fan *= if below { self.depth } else { 1.0 };
                below = true;
            }
            let selectors = match inner {
                Segment::Selectors(selectors) => selectors.as_slice(),
                Segment::Selector(selector) => std::slice::from_ref(selector),
                Segment::Descendant(_) => &[],
            };
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            {
                fan *= selectors.len().max(1) as f64;
            }
            let many =
                |selector: &Selector| !matches!(selector, Selector::Name(_) | Selector::Index(_));
            below |= selectors.iter().any(many) && descends;
            let wide = below || selectors.iter().any(many);
            cost += fan * if wide { self.paths } else { 64.0 };
            for selector in selectors {
                if let Selector::Filter(filter) = selector {
                    cost += fan * self.filter(filter) * self.values;
                }
            }
        }
        cost
    }

    fn filter(&self, filter: &Filter) -> f64 {
        match filter {
            Filter::Or(filters) | Filter::And(filters) => {
                filters.iter().map(|filter| self.filter(filter)).sum()
            }
            Filter::Atom(FilterAtom::Filter { expr, .. }) => self.filter(expr),
            Filter::Atom(FilterAtom::Test { expr, .. }) => self.test(expr),
            Filter::Atom(FilterAtom::Comparison(comparison)) => {
                let (Comparison::Eq(a, b)
                | Comparison::Ne(a, b)
                | Comparison::Gt(a, b)
                | Comparison::Gte(a, b)
                | Comparison::Lt(a, b)
                | Comparison::Lte(a, b)) = &**comparison;
                self.operand(a) + self.operand(b)
            }
        }
    }

    fn operand(&self, operand: &Comparable) -> f64 {
        match operand {
            Comparable::Literal(_) => 1.0,
            Comparable::Function(function) => self.function(function),
            Comparable::SingularQuery(SingularQuery::Current(_) | SingularQuery::Root(_)) => 64.0,
        }
    }

    fn test(&self, test: &Test) -> f64 {
        match test {
            // What is below all values together is met once per level.
            Test::RelQuery(segments) => self.query(segments) * self.depth / self.values,
            Test::AbsQuery(query) => self.query(&query.segments),
            Test::Function(function) => self.function(function),
        }
    }

    fn function(&self, function: &TestFunction) -> f64 {
        match function {
            TestFunction::Length(arg) => self.argument(arg),
            TestFunction::Value(arg) | TestFunction::Count(arg) => self.argument(arg),
            // A pattern is compiled each time.
            TestFunction::Search(a, b) | TestFunction::Match(a, b) => {
                2000.0 + self.argument(a) + self.argument(b)
            }
            TestFunction::Custom(_, args) => args.iter().map(|arg| self.argument(arg)).sum(),
        }
    }

    fn argument(&self, argument: &FnArg) -> f64 {
        match argument {
            FnArg::Literal(_) => 1.0,
            FnArg::Test(test) => self.test(test),
            FnArg::Filter(filter) => self.filter(filter),
        }
    }
}

impl From<f64> for Value {
    /// `null` for what JSON does not have.
    fn from(float: f64) -> Self {
        Number::from_f64(float).map_or(Self::Null, Self::Number)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Self::Array(items)
    }
}

impl Queryable for Value {
    fn get(&self, key: &str) -> Option<&Self> {
        Self::get(self, key)
    }

    fn as_array(&self) -> Option<&Vec<Self>> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    fn as_object(&self) -> Option<Vec<(&str, &Self)>> {
        match self {
            Self::Object(members) => Some(
                members
                    .iter()
                    .map(|(key, item)| (key.as_str(), item))
                    .collect(),
            ),
            _ => None,
        }
    }

    fn as_str(&self) -> Option<&str> {
        Self::as_str(self)
    }

    fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Number(number) => number.as_i64(),
            _ => None,
        }
    }

    fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(number.as_f64()),
            _ => None,
        }
    }

    fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    fn null() -> Self {
        Self::Null
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    #[track_caller]
    fn check(document: &str, query: &str, want: &str) {
        let document = parse(document.as_bytes()).unwrap();
        let found = Path::compile(query).unwrap().get(&document).unwrap();
        assert_eq!(Value::Array(found).to_json(), want, "{query}");
    }

    #[test]
    fn queries_select_with_all_digits() {
        let document = r#"{"a":[{"n":1.50,"s":"x"},{"n":12345678901234567890,"s":"yy"},{"n":3,"t":{"n":4}}],"o'k":true,"z":null}"#;
        for (query, want) in [
            ("$.a[0].n", "[1.50]"),
            ("$.a[*].n", "[1.50,12345678901234567890,3]"),
            ("$.a[-1].n", "[3]"),
            ("$.a[0:2].s", r#"["x","yy"]"#),
            ("$.a[::-1].n", "[3,12345678901234567890,1.50]"),
            ("$.a[0,2].n", "[1.50,3]"),
            ("$.a[?@.n > 2].n", "[12345678901234567890,3]"),
            ("$.a[?@.n == 1.5].s", r#"["x"]"#),
            ("$.a[?@.s && @.n < 2].s", r#"["x"]"#),
            ("$.a[?!@.s].n", "[3]"),
            ("$.a[?length(@.s) == 2].s", r#"["yy"]"#),
            ("$.a[?match(@.s, 'y+')].s", r#"["yy"]"#),
            ("$.a[?count(@.*) == 2].n", "[1.50,12345678901234567890,3]"),
            ("$..n", "[1.50,12345678901234567890,3,4]"),
            ("$[\"o'k\"]", "[true]"),
            ("$.z", "[null]"),
            ("$.a[9]", "[]"),
            ("$.a.n", "[]"),
            ("$.nope", "[]"),
        ] {
            check(document, query, want);
        }
    }

    #[test]
    fn several_matches_are_one_array() {
        let document = parse(br#"{"a":[1,[2]]}"#).unwrap();
        for (query, want) in [
            ("$.a[*]", Some("[1,[2]]")),
            ("$.a[1]", Some("[2]")),
            ("$.b", None),
        ] {
            let one = Path::compile(query).unwrap().get_one(&document).unwrap();
            assert_eq!(one.map(|one| one.to_json()).as_deref(), want);
        }
    }

    #[test]
    fn what_is_not_a_query_is_refused_with_its_place() {
        for (query, offset) in [("$.a[", 4), ("$.a[?@.b ==]", 11), ("$[", 2)] {
            match Path::compile(query) {
                Err(JsonPathError::Syntax { offset: at, .. }) => assert_eq!(at, offset, "{query}"),
                other => panic!("{query}: {other:?}"),
            }
        }
        let long = format!("$.{}", "a".repeat(5000));
        assert_eq!(Path::compile(&long).unwrap_err(), JsonPathError::TooLong);
        assert!(Path::compile(&format!("$[?{}@.a", "(".repeat(1000))).is_err());
        assert!(
            is_jsonpath("$.a") && is_jsonpath("$[0]") && !is_jsonpath("$") && !is_jsonpath("a.$.b")
        );
    }

    #[test]
    fn queries_that_explode_are_refused_and_deep_documents_are_searched() {
        let deep = format!("{}1{}", "[".repeat(499), "]".repeat(499));
        let wide = format!("[{}1]", "[1,2,3],".repeat(20_000));
        let double = format!("${}", "[0,0]".repeat(40));
        for (document, query) in [
            (&deep, double.as_str()),
            (&deep, "$..*..*..*..*"),
            (&wide, "$[?$..*]"),
            (&wide, "$..[?$..[?$..*]]"),
        ] {
            let document = parse(document.as_bytes()).unwrap();
            let path = Path::compile(query).unwrap();
            assert_eq!(path.get(&document), Err(JsonPathError::TooMuch), "{query}");
        }
        let nested = format!("$[?{}@[0]{}]", "(".repeat(120), ")".repeat(120));
        let document = parse(b"[[1]]").unwrap();
        assert_eq!(
            Path::compile(&nested)
                .unwrap()
                .get(&document)
                .unwrap()
                .len(),
            1
        );
        let document = parse(deep.as_bytes()).unwrap();
        assert_eq!(
            Path::compile("$..*").unwrap().get(&document).unwrap().len(),
            499
        );
        let document = parse(wide.as_bytes()).unwrap();
        assert_eq!(
            Path::compile("$[?@[1] == 2][2]")
                .unwrap()
                .get(&document)
                .unwrap()
                .len(),
            20_000
        );
    }
}
