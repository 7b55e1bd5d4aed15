//! Sprig's JSON: `toJson` in three forms, `fromJson`.
//! It never writes a float that JSON does not have: as in Go, that is an error.

use super::{Function, any, bytes, function};
use crate::go::quote;
use crate::gotemplate::call::Param::{Any, Str};
use crate::gotemplate::cx::{Answer, Cx, Fault};
use crate::gotemplate::value::{IntType, ListType, Text, Val};
use crate::json::JsonError;
use crate::value::{Value, format_f64};
use std::collections::BTreeMap;

pub(super) const TABLE: &[Function] = &[
    function("toJson", &[Any], |cx, args| {
        lenient(cx, args, Style::Compact)
    }),
    function("mustToJson", &[Any], |cx, args| {
        cx.text(encode(cx, any(args, 0), Style::Compact)?)
    }),
    function("toPrettyJson", &[Any], |cx, args| {
        lenient(cx, args, Style::Pretty)
    }),
    function("mustToPrettyJson", &[Any], |cx, args| {
        cx.text(encode(cx, any(args, 0), Style::Pretty)?)
    }),
    function("toRawJson", &[Any], |cx, args| {
        cx.text(encode(cx, any(args, 0), Style::Raw)?)
    }),
    function("mustToRawJson", &[Any], |cx, args| {
        cx.text(encode(cx, any(args, 0), Style::Raw)?)
    }),
    function("fromJson", &[Str], |cx, args| {
        match parse(cx, bytes(args, 0))? {
            Ok(value) => decode(cx, value),
            Err(_) => Ok(Val::Nil),
        }
    }),
    function("mustFromJson", &[Str], |cx, args| {
        match parse(cx, bytes(args, 0))? {
            Ok(value) => decode(cx, value),
            Err(error) => Err(Fault(error.to_string())),
        }
    }),
];

/// A document takes many times the room of its text.
fn parse(cx: &Cx<'_>, text: &[u8]) -> Result<Result<Value, JsonError>, Fault> {
    cx.charge(text.len().saturating_mul(16))?;
    Ok(crate::json::parse(text))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Compact,
    Pretty,
    Raw,
}

/// What cannot be written becomes an empty text, but running out of room stays an error.
fn lenient<'a>(cx: &Cx<'a>, args: &[Val<'a>], style: Style) -> Answer<'a> {
    match encode(cx, any(args, 0), style) {
        Err(Fault(why)) if why.starts_with("json: ") => Ok(Val::constant("")),
        encoded => cx.text(encoded?),
    }
}

fn encode<'a>(cx: &Cx<'a>, value: &Val<'a>, style: Style) -> Result<Vec<u8>, Fault> {
    let mut writer = Writer {
        cx,
        style,
        out: Vec::new(),
        room: cx.room(),
        depth: 0,
    };
    writer.value(value)?;
    Ok(writer.out)
}

/// Owned JSON as a value of the template.
pub(super) fn decode<'a>(cx: &Cx<'a>, value: Value) -> Answer<'a> {
    cx.step()?;
    match value {
        Value::Null => Ok(Val::Nil),
        Value::Bool(truth) => Ok(Val::Bool(truth)),
        Value::Number(number) => Ok(Val::Num(number)),
        Value::String(text) => cx.text(text),
        Value::Array(items) => {
            let items: Result<Vec<_>, _> = items.into_iter().map(|item| decode(cx, item)).collect();
            cx.list(ListType::Any, items?)
        }
        Value::Object(map) => {
            let mut entries = BTreeMap::new();
            for (key, item) in map {
                entries.insert(Text::Shared(key.into_bytes().into()), decode(cx, item)?);
            }
            cx.dict(entries)
        }
    }
}

struct Writer<'w, 'a> {
    cx: &'w Cx<'a>,
    style: Style,
    out: Vec<u8>,
    room: usize,
    depth: usize,
}

impl<'a> Writer<'_, 'a> {
    fn value(&mut self, value: &Val<'a>) -> Result<(), Fault> {
        self.cx.step()?;
        if self.out.len() > self.room {
            return Err(Fault::from("the text is too long"));
        }
        match value {
            Val::Missing | Val::Nil => self.raw("null"),
            Val::Bool(truth) => self.raw(if *truth { "true" } else { "false" }),
            Val::Int(int, IntType::Month | IntType::Weekday | IntType::Duration) => {
                self.raw(&int.to_string());
            }
            Val::Int(int, _) => self.raw(&int.to_string()),
            Val::Uint(uint, _) => self.raw(&uint.to_string()),
            Val::Float(float) if !float.is_finite() => {
                let float = crate::go::float::shortest(*float);
                return Err(Fault(format!("json: unsupported value: {float}")));
            }
            Val::Float(float) => self.raw(&format_f64(*float)),
            Val::Num(number) => self.raw(&number.to_string()),
            Val::Str(text) => self.text(text),
            Val::List(list) if list.nil => self.raw("null"),
            Val::List(list) => {
                self.open(b'[')?;
                for (index, item) in list.iter().enumerate() {
                    self.separate(index);
                    self.value(&item)?;
                }
                self.close(b']', list.len() == 0);
            }
            Val::Map(map) => {
                let entries = self.cx.entries(map)?;
                self.open(b'{')?;
                for (index, (key, item)) in entries.iter().enumerate() {
                    self.separate(index);
                    self.text(key);
                    self.raw(if self.style == Style::Pretty {
                        ": "
                    } else {
                        ":"
                    });
                    self.value(item)?;
                }
                self.close(b'}', entries.is_empty());
            }
            Val::Time(moment) => {
                let text = moment.format(b"2006-01-02T15:04:05.999999999Z07:00");
                self.text(&text);
            }
            Val::Version(version) => self.text(version.to_string().as_bytes()),
            Val::Cert(cert) => {
                self.open(b'{')?;
                for (index, (name, text)) in [("Cert", &cert.cert), ("Key", &cert.key)]
                    .iter()
                    .enumerate()
                {
                    self.separate(index);
                    self.text(name.as_bytes());
                    self.raw(if self.style == Style::Pretty {
                        ": "
                    } else {
                        ":"
                    });
                    self.text(text.as_bytes());
                }
                self.close(b'}', false);
            }
        }
        Ok(())
    }

    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn open(&mut self, bracket: u8) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > 550 {
            return Err(Fault::from("json: unsupported value: encountered a cycle"));
        }
        self.out.push(bracket);
        Ok(())
    }

    fn line(&mut self) {
        if self.style == Style::Pretty {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + self.depth * 2, b' ');
        }
    }

    fn separate(&mut self, index: usize) {
        if index > 0 {
            self.out.push(b',');
        }
        self.line();
    }

    fn close(&mut self, bracket: u8, empty: bool) {
        self.depth -= 1;
        if !empty {
            self.line();
        }
        self.out.push(bracket);
    }

    fn text(&mut self, text: &[u8]) {
        let html = self.style != Style::Raw;
        self.out.push(b'"');
        for (char, raw) in quote::chars(text) {
            match char {
                None => self.raw("\\ufffd"),
                Some('"') => self.raw("\\\""),
                Some('\\') => self.raw("\\\\"),
                Some('\n') => self.raw("\\n"),
                Some('\r') => self.raw("\\r"),
                Some('\t') => self.raw("\\t"),
                Some('\u{8}') => self.raw("\\b"),
                Some('\u{c}') => self.raw("\\f"),
                Some(char) if char < ' ' => self.raw(&format!("\\u{:04x}", u32::from(char))),
                Some(char @ ('<' | '>' | '&')) if html => {
                    self.raw(&format!("\\u{:04x}", u32::from(char)));
                }
                Some(char @ ('\u{2028}' | '\u{2029}')) => {
                    self.raw(&format!("\\u{:04x}", u32::from(char)));
                }
                Some(_) => self.out.extend_from_slice(raw),
            }
        }
        self.out.push(b'"');
    }
}
