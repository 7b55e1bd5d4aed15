//! The tree of an expression: chains and paths are flat, so its depth is that of the brackets.
//! It holds no values but literals.

use regex::bytes::Regex;

#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) offset: usize,
}

#[derive(Debug)]
pub(super) enum Kind {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    /// A name of the environment.
    Name(String),
    /// `$env`.
    Environment,
    /// A variable of `let`, by its slot.
    Variable(usize),
    Pointer(Pointer),
    Not(Box<Node>),
    Negate(Box<Node>),
    Plus(Box<Node>),
    /// Operators of one strength, from left to right.
    Chain(Box<Node>, Vec<Link>),
    /// `a < b <= c`.
    Compare(Box<Node>, Vec<(Comparison, Node)>),
    Power(Box<Node>, Box<Node>),
    Path(Box<Node>, Vec<Step>),
    Call(String, Vec<Node>),
    Builtin(Builtin, Vec<Node>),
    Closure(Closure, Vec<Node>),
    /// Condition, then, else.
    Conditional(Box<[Node; 3]>),
    /// Bindings in order, then the expressions of which the last one counts.
    Let(Vec<(usize, Node)>, Vec<Node>),
    Sequence(Vec<Node>),
    Array(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pointer {
    Item,
    Index,
    Accumulator,
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) operator: Operator,
    /// `not in` and the like.
    pub(super) negated: bool,
    pub(super) right: Node,
    pub(super) offset: usize,
    /// The pattern of `matches`, where it is a literal.
    pub(super) pattern: Option<Regex>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    In,
    Matches,
    Contains,
    StartsWith,
    EndsWith,
    Range,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Coalesce,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

impl Operator {
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Or => "or",
            Self::And => "and",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::In => "in",
            Self::Matches => "matches",
            Self::Contains => "contains",
            Self::StartsWith => "startsWith",
            Self::EndsWith => "endsWith",
            Self::Range => "..",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Coalesce => "??",
        }
    }
}

#[derive(Debug)]
pub(super) struct Step {
    pub(super) kind: StepKind,
    pub(super) offset: usize,
    /// `?.`: nil ends the steps with dots that follow.
    pub(super) optional: bool,
}

#[derive(Debug)]
pub(super) enum StepKind {
    Member(String),
    Method(String, Vec<Node>),
    Index(Node),
    Slice(Option<Node>, Option<Node>),
}

macro_rules! names {
    ($(#[$doc:meta])* $type:ident: $($variant:ident $name:literal),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum $type { $($variant),+ }

        impl $type {
            pub(super) fn named(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }

            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

names! {
    /// Functions that take a predicate.
    Closure:
    All "all", None "none", Any "any", One "one", Filter "filter", Map "map", Count "count",
    Sum "sum", Find "find", FindIndex "findIndex", FindLast "findLast",
    FindLastIndex "findLastIndex", GroupBy "groupBy", SortBy "sortBy", Reduce "reduce",
}

names! {
    /// Functions that take values.
    Builtin:
    Len "len", Type "type", Abs "abs", Ceil "ceil", Floor "floor", Round "round", Int "int",
    Float "float", String "string", Trim "trim", TrimPrefix "trimPrefix", TrimSuffix "trimSuffix",
    Upper "upper", Lower "lower", Split "split", SplitAfter "splitAfter", Replace "replace",
    Repeat "repeat", Join "join", IndexOf "indexOf", LastIndexOf "lastIndexOf",
    HasPrefix "hasPrefix", HasSuffix "hasSuffix", Max "max", Min "min", Mean "mean",
    Median "median", ToJson "toJSON", FromJson "fromJSON", ToBase64 "toBase64",
    FromBase64 "fromBase64", Now "now", Duration "duration", Date "date", Timezone "timezone",
    First "first", Last "last", Get "get", Take "take", Keys "keys", Values "values",
    ToPairs "toPairs", FromPairs "fromPairs", Reverse "reverse", Uniq "uniq", Concat "concat",
    Flatten "flatten", Sort "sort", BitAnd "bitand", BitOr "bitor", BitXor "bitxor",
    BitNand "bitnand", BitShl "bitshl", BitShr "bitshr", BitUshr "bitushr", BitNot "bitnot",
}
