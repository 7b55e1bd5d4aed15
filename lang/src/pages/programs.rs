//! The pages of the expression and script dialects.
//! It never says what the code does not do: the examples are run.

use super::{Page, example, example_on};

pub(super) const GOVALUATE: Page = Page {
    name: "govaluate",
    title: "govaluate expressions",
    place: "`filters.exprs[].expr` of a dependency, over its `fields`",
    reference: "govaluate as Argo Events pins it",
    offers: "Comparisons, `=~` and `!~` with RE2 expressions, `in`, arithmetic, bit operations, `&& || !`, `?:` and `??`. \
A filter passes when the value is `true`. There are no functions; a text in quotes that reads as a date is a number of seconds.",
    examples: &[
        example_on("a comparison", r#"a == "x" && n >= 2"#, FLAT),
        example_on("a regular expression", r#"a =~ "^[xyz]$""#, FLAT),
        example_on("one of several", r#"a in ("x", "y")"#, FLAT),
        example_on("an element of a list", r#"a in list"#, FLAT),
        example_on("arithmetic", "n * 2 + 1", FLAT),
        example_on("joining texts", r#"a + "-" + n"#, FLAT),
        example_on("a choice", r#"on ? "yes" : "no""#, FLAT),
        example_on("a default", r#"none ?? "d""#, FLAT),
        example_on("a name with a dash", "[my-field] == 1", FLAT),
        example_on("a date is a number", r#"'2014-01-02' > 0"#, FLAT),
    ],
    differs: &[
        (
            "whole numbers beyond 2^53 compare exactly, and joining a number to a text prints its digits",
            "Go makes floats of them: two ids that differ are equal, and `\"n\" + 1000000` is `n1e+06`",
        ),
        (
            "texts, parentheses and joined texts are bounded",
            "one expression must not stop the process",
        ),
        (
            "what makes the library panic is an error",
            "one event must not stop the process",
        ),
    ],
};

const FLAT: &str = r#"{"a":"x","n":2,"on":true,"none":null,"list":["w","x"],"my-field":1}"#;

pub(super) const EXPR: Page = Page {
    name: "expr",
    title: "expr-lang",
    place: "`filter.expression` of an EventSource",
    reference: "expr 1.17 without a type environment, as Argo Events runs it",
    offers: "All operators, closures, pipes, variables and functions of expr, and `asInt`, `asFloat`, `toJson` and `jsonpath` of Argo. \
The members of the event are the variables.",
    examples: &[
        example("a comparison", r#"body.user == "ada" and body.n > 2"#),
        example("one of several", "body.n in [1, 2, 3]"),
        example("a range", "body.n in 1..5"),
        example(
            "texts",
            r#"body.user startsWith "a" || body.user matches "^b""#,
        ),
        example("a missing member", "body.nope?.deep ?? 'none'"),
        example("elements that match", "filter(body.items, .qty > 2)"),
        example("all, any, none, one", "any(body.items, .sku == 'y2')"),
        example("pipes", "body.items | map(.qty) | sum()"),
        example("a variable", "let total = sum(body.items, .qty); total > 5"),
        example("a choice", "body.on ? 'yes' : 'no'"),
        example("dates", r#"date("2024-03-05").Weekday().String()"#),
        example("Argo's functions", r#"asInt("5") + 1"#),
        example(
            "Sprig's functions",
            r#"sprig.trimPrefix("v", "v1.2") == "1.2""#,
        ),
    ],
    differs: &[
        (
            "whole numbers of the event work where Go wants an `int`, compare exactly, and print without exponent",
            "in Go `body.n % 2` is an error, because every JSON number is a float",
        ),
        (
            "numbers inside maps are compared by value",
            "`{a: 1} == {a: 1.0}` should not depend on how a number was written",
        ),
        (
            "`keys`, `values` and `toPairs` follow the order of the keys; sorting is stable",
            "Go gives a random order",
        ),
        (
            "a function's name does not hide a member of the event",
            "an event may well have a member called `len`",
        ),
        (
            "`date(timezone(…), text)` works",
            "the documentation says so; the library refuses it",
        ),
        (
            "a slice of a text that cuts a character in two holds U+FFFD",
            "text is always text",
        ),
        (
            "`sprig.env`, `sprig.expandenv` and `sprig.getHostByName` are withheld",
            "a filter is no place to read the environment or the network from",
        ),
    ],
};

pub(super) const CONDITION: Page = Page {
    name: "condition",
    title: "Conditions",
    place: "`conditions` of a trigger",
    reference: "Argo Events' conditions",
    offers: "`&&`, `||` and parentheses over names of dependencies. `&&` binds tighter. In the examples the names that are `true` have an event.",
    examples: &[
        example_on("both", "a && b", DEPS),
        example_on("one of them", "a || b", DEPS),
        example_on("parentheses", "(a || b) && dep-1", DEPS),
        example_on("names of any kind", "1dep || dep-1", DEPS),
    ],
    differs: &[
        (
            "names may contain `-` and `.`, start with a digit, or be a word of the expression language",
            "Argo rewrites the text; such a trigger is dead there",
        ),
        (
            "`-` and `_` are taken for each other only where no exact name exists",
            "two dependencies must not become one",
        ),
        (
            "an unknown name or an unusable operator is a problem with its position",
            "in Argo the trigger is dead and the log has a line",
        ),
    ],
};

const DEPS: &str = r#"{"a":true,"b":false,"dep-1":true,"1dep":false}"#;

pub(super) const LUA: Page = Page {
    name: "lua",
    title: "Lua scripts",
    place: "`filters.script` and `transform.script`",
    reference: "Lua 5.1 as gopher-lua 1.1 runs it",
    offers: "The language and its `string`, `table`, `math` and basic libraries. The event is the global `event`. \
A filter passes when the script returns `true`; a transformation returns a table.",
    examples: &[
        example("a filter", "return event.body.n > 2"),
        example(
            "a transformation",
            "event.body = nil event.a = 1 return event",
        ),
        example(
            "a new object",
            "return {user = string.upper(event.body.user)}",
        ),
        example(
            "a list",
            "local all = {} for _, item in ipairs(event.body.items) do all[#all + 1] = item.sku end return {skus = all}",
        ),
        example(
            "patterns",
            "return {digits = string.match('order-17', '%d+')}",
        ),
        example(
            "an empty list",
            "return {list = setmetatable({}, {__is_array = true})}",
        ),
        example(
            "errors can be caught",
            "local ok = pcall(error, 'no') return {ok = ok}",
        ),
    ],
    differs: &[
        (
            "no `os`, `io`, `debug`, `load`, `loadstring`, `dofile`, `require`, `collectgarbage` and `goto`; `print` does nothing",
            "a script has no business with files, the environment or the clock",
        ),
        (
            "a run ends after a second, 20 million steps or 64 MiB",
            "Argo lets a loop run for ever",
        ),
        (
            "arrays inside arrays are kept, and an empty array that the script leaves alone stays an array",
            "Argo drops the first and makes an object of the second",
        ),
        (
            "numbers that stay where they were keep their digits; one that the script copies or computes is a float as in Argo, exact up to 2^53 (`event.copy = event.id` of 9007199254740993 gives 9007199254740992)",
            "Lua 5.1 has no other numbers; take such an id from the event by `dataKey`, or by `transform.jq`, which keep its digits",
        ),
        (
            "tables that contain themselves are an error",
            "in Argo they end the process",
        ),
        (
            "library functions take and give what Lua 5.1 says (`table.concat` with a number between, `string.gsub` of a number)",
            "gopher-lua refuses the first and gives a number for the second",
        ),
    ],
};

pub(super) const JQ: Page = Page {
    name: "jq",
    title: "jq filters",
    place: "`transform.jq`",
    reference: "gojq 0.12",
    offers: "The language and library of jq. A transformation takes the first output, which must be an object.",
    examples: &[
        example("a field", ".body.user"),
        example("a new object", "{who: .body.user, n: (.body.n + 1)}"),
        example("an update", ".body.items[].qty |= . * 2 | .body.items"),
        example(
            "elements that match",
            "[.body.items[] | select(.qty > 2) | .sku]",
        ),
        example("a default", r#".body.nope // "none""#),
        example(
            "texts",
            r#"[.body.user | test("^a"), ascii_upcase, length]"#,
        ),
        example("grouping", ".body.items | map({(.sku): .qty}) | add"),
        example("reduce", "reduce .body.items[] as $i (0; . + $i.qty)"),
        example("definitions", "def double: . * 2; .body.n | double"),
        example("formats", r#"@base64 "\(.body.user)""#),
        example("digits as they came", "[.body.id, .body.price]"),
        example("errors can be caught", r#"try error("no") catch ."#),
    ],
    differs: &[
        (
            "numbers keep their digits until something is computed from them",
            "values are lossless",
        ),
        (
            "`env` and `$ENV` are empty; `input`, `inputs`, `halt` and modules are not there; `debug` and `stderr` do nothing",
            "a transformation sees its event only",
        ),
        (
            "steps, memory, depth and time are bounded",
            "`repeat(.)` must not stop the sensor",
        ),
        (
            "there is no `?//`",
            "the engine, jaq, has no destructuring alternatives",
        ),
        (
            "texts are not indexed by number, as in jq",
            "gojq gives the character",
        ),
        (
            "`a // b += c` is `(a // b) += c`; write parentheses",
            "the engine binds `//` tighter than assignments",
        ),
        (
            "the texts of errors, and what a few functions accept, are those of the engine",
            "messages are for people",
        ),
    ],
};
