//! The pages of the path dialects.
//! It never says what the code does not do: the examples are run.

use super::{Page, example, example_on};

pub(super) const GJSON: Page = Page {
    name: "gjson",
    title: "gjson paths",
    place: "`dataKey`, `contextKey`, `path` of filters and of `fields`",
    reference: "gjson 1.18",
    offers: "Members, indices, wildcards, queries, modifiers, pipes, multipaths, literals and JSON lines. \
Raw JSON is read in place: whitespace and digits of what is found are as they came.",
    examples: &[
        example("a member", "body.user"),
        example("an element", "body.tags.1"),
        example("how many", "body.items.#"),
        example("a member of each element", "body.items.#.sku"),
        example(
            "the first element that matches",
            r#"body.items.#(qty>2).sku"#,
        ),
        example("all elements that match", r#"body.items.#(sku%"*2")#.qty"#),
        example("wildcards", "body.us*"),
        example_on(
            "dots in names",
            r"labels.app\.kubernetes\.io/name",
            r#"{"labels":{"app.kubernetes.io/name":"web"}}"#,
        ),
        example("modifiers", "body.tags|@reverse"),
        example("several at once", "{body.user,\"first\":body.tags.0}"),
        example("an array of several", "[body.user,body.n]"),
        example("a literal", r#"{body.user,"kind":!"order"}"#),
        example("digits as they came", "[body.id,body.price]"),
        example_on("JSON lines", "..#.a", "{\"a\":1}\n{\"a\":2}"),
    ],
    differs: &[
        (
            "at most 500 brackets or nested paths deep, and work in proportion to the document; beyond that nothing is found",
            "gjson goes on until the stack or the memory ends",
        ),
        (
            "an array index beyond the machine's integers is out of range",
            "in gjson it wraps around and finds another element",
        ),
        (
            "`@join` with `preserve` leaves empty objects out with their commas",
            "gjson leaves the commas in, which is not JSON",
        ),
        (
            "wildcards are matched exactly however many `*` they have",
            "gjson gives up on complex ones and says that they do not match",
        ),
    ],
};

pub(super) const JSONPATH: Page = Page {
    name: "jsonpath",
    title: "JSONPath",
    place: "the places of gjson paths, when the text starts with `$.` or `$[`",
    reference: "RFC 9535",
    offers: "Members, indices, slices, wildcards, descendants, filters and the functions `length`, `count`, `match`, `search` and `value`. \
No match is \"missing\", one match is itself, several are one array in the order of the document.",
    examples: &[
        example("a member", "$.body.user"),
        example("a name of any kind", "$['body']['user']"),
        example("the last element", "$.body.tags[-1]"),
        example("a slice", "$.body.items[0:1].sku"),
        example("each element", "$.body.items[*].qty"),
        example("anywhere", "$..sku"),
        example("a filter", "$.body.items[?@.qty > 2].sku"),
        example("a function", "$.body.items[?match(@.sku, 'x.')].qty"),
    ],
    differs: &[
        (
            "numbers in filters compare as floats; results keep their digits",
            "the engine computes with floats",
        ),
        (
            "a query whose answer could be out of all proportion to the document is refused",
            "`$..[*]..[*]` on a small document can fill the memory",
        ),
    ],
};

pub(super) const SJSON: Page = Page {
    name: "sjson",
    title: "sjson paths",
    place: "`dest` of parameters and payloads",
    reference: "sjson 1.2.5",
    offers: "Sets members and elements in raw JSON. What the path does not touch keeps its order, its whitespace and its digits. \
The examples set the text `v`.",
    examples: &[
        example_on("a member", "a", r#"{"a": 1}"#),
        example_on("missing parents are made", "spec.args.0.value", "{}"),
        example_on("appending", "a.-1", r#"{"a":["x"]}"#),
        example_on("an index past the end", "a.2", r#"{"a":[]}"#),
        example_on("a member called 0", "a.:0", "{}"),
        example_on("dots in names", r"labels.app\.kubernetes\.io/name", "{}"),
        example_on("all elements", "a.#.n", r#"{"a":[{"n":1},{"n":2}]}"#),
        example_on(
            "the element that matches",
            r#"a.#(n=="q").n"#,
            r#"{"a":[{"n":"p"},{"n":"q"}]}"#,
        ),
        example_on("nothing matches, nothing changes", "a.*", "{}"),
        example_on("a scalar in the way is replaced", "a.b", r#"{"a":5}"#),
    ],
    differs: &[
        (
            "padding and depth are bounded, beyond that it is an error",
            "`a.2000000000` makes sjson write two thousand million `null`s",
        ),
        (
            "raw text that is not JSON is an error",
            "sjson writes it and leaves a broken document",
        ),
        (
            "text in a string that looks like an array has no last element to delete",
            "sjson reads the text as if it were the document",
        ),
        (
            "a member whose name has escaped quotes is deleted alone, and a path that collects through two levels replaces what it selects",
            "sjson breaks the document",
        ),
    ],
};
