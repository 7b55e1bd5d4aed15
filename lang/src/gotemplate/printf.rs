//! Go's `fmt`: `Sprint`, `Sprintln`, `Sprintf` with all verbs and flags, on template values.
//! It never writes beyond the room it is given, and bounds how deep it follows nested values.

use super::cx::{Cx, Fault};
use super::value::{self, Certificate, IntType, List, MapRef, Val};
use crate::go::quote;

mod number;
mod parse;

pub(super) use parse::sprintf;

/// Deeper values are refused: a map may hold itself.
const MAX_DEPTH: u32 = 550;

/// The flags of one verb.
#[derive(Default, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are Go's independent flags"
)]
pub(super) struct Flags {
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
    pub(super) minus: bool,
    pub(super) plus: bool,
    pub(super) sharp: bool,
    pub(super) space: bool,
    pub(super) zero: bool,
    pub(super) plus_v: bool,
    pub(super) sharp_v: bool,
}

pub(super) struct Printer<'p, 'a> {
    pub(super) cx: &'p Cx<'a>,
    pub(super) out: Vec<u8>,
    room: usize,
    pub(super) flags: Flags,
    depth: u32,
    erroring: bool,
}

type Printed = Result<(), Fault>;

/// As `%v` prints it, shortened for a message.
pub(super) fn display<'a>(cx: &Cx<'a>, value: &Val<'a>) -> String {
    let mut printer = Printer::new(cx, 1000);
    if printer.value(value, 'v').is_err() {
        return "...".to_owned();
    }
    quote::to_string(printer.out)
}

/// The bytes that `%v` prints.
pub(super) fn to_bytes<'a>(cx: &Cx<'a>, value: &Val<'a>) -> Result<Vec<u8>, Fault> {
    let mut printer = Printer::new(cx, cx.room());
    printer.value(value, 'v')?;
    printer.finish()
}

/// Go's `fmt.Sprint`.
pub(super) fn sprint<'a>(cx: &Cx<'a>, values: &[Val<'a>]) -> Result<Vec<u8>, Fault> {
    let mut printer = Printer::new(cx, cx.room());
    let mut after_text = true;
    for value in values {
        let text = matches!(value, Val::Str(_));
        if !text && !after_text {
            printer.push(b" ");
        }
        printer.value(value, 'v')?;
        after_text = text;
    }
    printer.finish()
}

/// Go's `fmt.Sprintln`.
pub(super) fn sprintln<'a>(cx: &Cx<'a>, values: &[Val<'a>]) -> Result<Vec<u8>, Fault> {
    let mut printer = Printer::new(cx, cx.room());
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            printer.push(b" ");
        }
        printer.value(value, 'v')?;
    }
    printer.push(b"\n");
    printer.finish()
}

impl<'p, 'a> Printer<'p, 'a> {
    pub(super) fn new(cx: &'p Cx<'a>, room: usize) -> Self {
        let flags = Flags::default();
        Self {
            cx,
            out: Vec::new(),
            room,
            flags,
            depth: 0,
            erroring: false,
        }
    }

    pub(super) fn finish(self) -> Result<Vec<u8>, Fault> {
        if self.out.len() > self.room {
            return Err(Fault::from("the text is too long"));
        }
        Ok(self.out)
    }

    /// As an action prints it.
    pub(super) fn default_print(&mut self, value: &Val<'a>) -> Printed {
        self.value(value, 'v')
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        // One byte too many is enough for `finish` to notice.
        let left = (self.room + 1).saturating_sub(self.out.len());
        self.out
            .extend_from_slice(bytes.get(..left).unwrap_or(bytes));
    }

    fn padding(&mut self, count: usize) {
        let zero = self.flags.zero && !self.flags.minus;
        let left = (self.room + 1).saturating_sub(self.out.len());
        let count = count.min(left);
        self.out
            .resize(self.out.len() + count, if zero { b'0' } else { b' ' });
    }

    /// Writes within the width of the flags.
    pub(super) fn pad(&mut self, bytes: &[u8]) {
        let missing = self
            .flags
            .width
            .map_or(0, |width| width.saturating_sub(quote::count(bytes)));
        if self.flags.minus {
            self.push(bytes);
            self.padding(missing);
        } else {
            self.padding(missing);
            self.push(bytes);
        }
    }

    /// Any value by any verb.
    pub(super) fn value(&mut self, value: &Val<'a>, verb: char) -> Printed {
        if self.out.len() > self.room {
            return Err(Fault::from("the text is too long"));
        }
        if verb == 'T' {
            let flags = self.flags;
            self.text(value.type_name().as_bytes(), 's', value)?;
            self.flags = flags;
            return Ok(());
        }
        if verb == 'w' && !value.is_nil() {
            return self.bad_verb(value, verb);
        }
        match value {
            Val::Missing | Val::Nil => {
                if verb == 'v' {
                    self.pad(b"<nil>");
                    return Ok(());
                }
                self.push(format!("%!{verb}(<nil>)").as_bytes());
                Ok(())
            }
            Val::Bool(truth) => match verb {
                't' | 'v' => {
                    self.pad(if *truth { b"true" } else { b"false" });
                    Ok(())
                }
                _ => self.bad_verb(value, verb),
            },
            Val::Int(int, kind) => {
                let stringer =
                    matches!(kind, IntType::Duration | IntType::Month | IntType::Weekday);
                if stringer && matches!(verb, 'v' | 's' | 'x' | 'X' | 'q') && !self.flags.sharp_v {
                    let text = value::int_name(*int, *kind);
                    return self.text(text.as_bytes(), verb, value);
                }
                self.integer(int.unsigned_abs(), *int < 0, verb, value)
            }
            Val::Uint(uint, _) => {
                if self.flags.sharp_v && verb == 'v' {
                    self.push(format!("{uint:#x}").as_bytes());
                    return Ok(());
                }
                self.integer(*uint, false, verb, value)
            }
            Val::Float(float) => self.float(*float, verb, value),
            Val::Num(number) => self.number(number, verb, value),
            Val::Str(text) => self.text(text, verb, value),
            Val::List(list) => self.list(list, verb),
            Val::Map(map) => self.map(map, value.type_name(), verb),
            Val::Time(moment) => match verb {
                'v' if self.flags.sharp_v => {
                    self.push(moment.go_string().as_bytes());
                    Ok(())
                }
                'v' | 's' | 'x' | 'X' | 'q' => {
                    self.text(moment.to_string().as_bytes(), verb, value)
                }
                _ => Err(Fault(format!("%{verb} of a time is not supported"))),
            },
            Val::Version(version) => match verb {
                'v' | 's' | 'x' | 'X' | 'q' => {
                    self.text(version.to_string().as_bytes(), verb, value)
                }
                _ => Err(Fault(format!("%{verb} of a version is not supported"))),
            },
            Val::Cert(cert) => self.cert(cert, verb, value),
        }
    }

    fn bad_verb(&mut self, value: &Val<'a>, verb: char) -> Printed {
        if self.erroring {
            return Ok(());
        }
        self.erroring = true;
        self.push(format!("%!{verb}({}=", value.type_name()).as_bytes());
        self.value(value, 'v')?;
        self.push(b")");
        self.erroring = false;
        Ok(())
    }

    fn text(&mut self, bytes: &[u8], verb: char, value: &Val<'a>) -> Printed {
        match verb {
            'v' if self.flags.sharp_v => self.quoted(bytes),
            'v' | 's' => {
                let cut = self.truncated(bytes);
                self.pad(cut);
            }
            'x' => self.hex_text(bytes, false),
            'X' => self.hex_text(bytes, true),
            'q' => self.quoted(bytes),
            _ => return self.bad_verb(value, verb),
        }
        Ok(())
    }

    /// The precision counts characters.
    fn truncated<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        let Some(precision) = self.flags.precision else {
            return bytes;
        };
        let kept: usize = quote::chars(bytes)
            .take(precision)
            .map(|(_, raw)| raw.len())
            .sum();
        bytes.get(..kept).unwrap_or(bytes)
    }

    fn quoted(&mut self, bytes: &[u8]) {
        let bytes = self.truncated(bytes);
        let mut out = Vec::new();
        if self.flags.sharp && quote::can_backquote(bytes) {
            out.push(b'`');
            out.extend_from_slice(bytes);
            out.push(b'`');
        } else {
            quote::quote(bytes, self.flags.plus, &mut out);
        }
        self.pad(&out);
    }

    fn hex_text(&mut self, bytes: &[u8], upper: bool) {
        let length = self
            .flags
            .precision
            .map_or(bytes.len(), |precision| precision.min(bytes.len()));
        let bytes = bytes.get(..length).unwrap_or(bytes);
        let prefix = match (self.flags.sharp, upper) {
            (false, _) => "",
            (true, false) => "0x",
            (true, true) => "0X",
        };
        let mut out = String::new();
        for (index, byte) in bytes.iter().enumerate() {
            if index == 0 {
                out.push_str(prefix);
            } else if self.flags.space {
                out.push(' ');
                out.push_str(prefix);
            }
            out.push_str(&if upper {
                format!("{byte:02X}")
            } else {
                format!("{byte:02x}")
            });
        }
        self.pad(out.as_bytes());
    }

    fn descend(&mut self) -> Printed {
        self.cx.step()?;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Fault::from("the value is nested too deeply to print"));
        }
        Ok(())
    }

    /// An element of a slice or map: a nil shows its interface type under `%#v`.
    fn element(&mut self, value: &Val<'a>, verb: char) -> Printed {
        match value {
            Val::Missing | Val::Nil if self.flags.sharp_v => {
                self.push(b"interface {}(nil)");
                Ok(())
            }
            Val::Missing | Val::Nil => {
                self.push(b"<nil>");
                Ok(())
            }
            other => self.value(other, verb),
        }
    }

    fn list(&mut self, list: &List<'a>, verb: char) -> Printed {
        if verb == 'p' {
            return Err(Fault::from("%p is not supported"));
        }
        self.descend()?;
        let sharp = self.flags.sharp_v;
        if sharp {
            self.push(list.type_name().as_bytes());
            if list.nil {
                self.push(b"(nil)");
                self.depth -= 1;
                return Ok(());
            }
        }
        self.push(if sharp { b"{" } else { b"[" });
        for (index, item) in list.iter().enumerate() {
            if index > 0 {
                self.push(if sharp { b", " } else { b" " });
            }
            self.cx.step()?;
            self.element(&item, verb)?;
        }
        self.push(if sharp { b"}" } else { b"]" });
        self.depth -= 1;
        Ok(())
    }

    fn map(&mut self, map: &MapRef<'a>, type_name: &str, verb: char) -> Printed {
        if verb == 'p' {
            return Err(Fault::from("%p is not supported"));
        }
        self.descend()?;
        let sharp = self.flags.sharp_v;
        self.push(if sharp { type_name.as_bytes() } else { b"map" });
        self.push(if sharp { b"{" } else { b"[" });
        for (index, (key, item)) in self.cx.entries(map)?.into_iter().enumerate() {
            if index > 0 {
                self.push(if sharp { b", " } else { b" " });
            }
            self.value(&Val::Str(key), verb)?;
            self.push(b":");
            self.element(&item, verb)?;
        }
        self.push(if sharp { b"}" } else { b"]" });
        self.depth -= 1;
        Ok(())
    }

    fn cert(&mut self, cert: &Certificate, verb: char, value: &Val<'a>) -> Printed {
        let sharp = self.flags.sharp_v;
        let named = sharp || self.flags.plus_v;
        if sharp {
            self.push(value.type_name().as_bytes());
        }
        self.push(b"{");
        for (index, (name, text)) in [("Cert:", &cert.cert), ("Key:", &cert.key)]
            .iter()
            .enumerate()
        {
            if index > 0 {
                self.push(if sharp { b", " } else { b" " });
            }
            if named {
                self.push(name.as_bytes());
            }
            self.text(text.as_bytes(), verb, &Val::text(text.as_bytes()))?;
        }
        self.push(b"}");
        Ok(())
    }
}
