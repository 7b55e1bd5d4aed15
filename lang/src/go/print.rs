//! Values as text the way Go's `%v` prints them, but for JSON numbers, which keep their digits.
//! It never prints Go's internals (pointers, type names).

use super::float;
use crate::value::{Number, Value};

/// Appends a value as `fmt.Sprint` writes it: `<nil>`, `[1 2]`, `map[a:1]`.
pub(crate) fn print(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("<nil>"),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number_text(number)),
        Value::String(text) => out.push_str(text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                print(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push_str("map[");
            for (index, (key, item)) in map.iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                out.push_str(key);
                out.push(':');
                print(item, out);
            }
            out.push(']');
        }
    }
}

/// The digits of a number that was written without fraction and exponent, else the float.
pub(crate) fn number_text(number: &Number) -> String {
    if number.is_integer_text() {
        number.to_string()
    } else {
        float::shortest(number.as_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_print_as_in_go_and_numbers_keep_their_digits() {
        let value =
            crate::json::parse(br#"{"b":[1,2.50,null,true],"a":"x","n":12345678901}"#).unwrap();
        let mut out = String::new();
        print(&value, &mut out);
        assert_eq!(out, "map[a:x b:[1 2.5 <nil> true] n:12345678901]");
        for (number, text) in [
            (1e6, "1e+06"),
            (123_456.7, "123456.7"),
            (1_234_567.8, "1.2345678e+06"),
            (0.00001, "1e-05"),
            (1.5, "1.5"),
            (-0.0, "-0"),
        ] {
            assert_eq!(float::shortest(number), text);
        }
    }
}
