//! Log lines as JSON, one object a line, fields of the spans around an event in the same object.
//! A span's fields are written once, when the span is made; a line only copies them.

use std::fmt::{self, Write as _};

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

/// Writes fields as `,"name":value` again and again, ready to be copied into an object.
#[derive(Debug, Default)]
pub(super) struct Members;

/// Writes a whole line.
#[derive(Debug, Default)]
pub(super) struct Line;

impl<'writer> FormatFields<'writer> for Members {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = Visitor::new(writer);
        fields.record(&mut visitor);
        visitor.result
    }

    fn add_fields(
        &self,
        current: &'writer mut FormattedFields<Self>,
        fields: &Record<'_>,
    ) -> fmt::Result {
        self.format_fields(current.as_writer(), fields)
    }
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        cx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let meta = event.metadata();
        write!(
            writer,
            "{{\"timestamp\":\"{}\",\"level\":\"{}\"",
            Timestamp::now(),
            meta.level()
        )?;
        let mut visitor = Visitor::new(writer.by_ref());
        event.record(&mut visitor);
        visitor.result?;
        for span in cx.event_scope().into_iter().flat_map(Scope::from_root) {
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
                writer.write_str(&fields.fields)?;
            }
        }
        writeln!(writer, ",\"target\":\"{}\"}}", meta.target())
    }
}

/// Writes each field it is shown; the first failure stays.
struct Visitor<'a> {
    writer: Writer<'a>,
    result: fmt::Result,
}

impl<'a> Visitor<'a> {
    const fn new(writer: Writer<'a>) -> Self {
        Self {
            writer,
            result: Ok(()),
        }
    }

    fn member(&mut self, field: &Field, write: impl FnOnce(&mut Writer<'a>) -> fmt::Result) {
        if self.result.is_ok() {
            // Names of the `log` crate's own fields begin so; they say nothing that the line does not.
            if field.name().starts_with("log.") {
                return;
            }
            let name = field.name().strip_prefix("r#").unwrap_or(field.name());
            self.result =
                write!(self.writer, ",\"{name}\":").and_then(|()| write(&mut self.writer));
        }
    }
}

impl Visit for Visitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.member(field, |writer| quoted(writer, |text| text.write_str(value)));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field, |writer| write!(writer, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field, |writer| write!(writer, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field, |writer| write!(writer, "{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no NaN and no infinities.
        self.member(field, |writer| match value.is_finite() {
            true => write!(writer, "{value}"),
            false => write!(writer, "\"{value}\""),
        });
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.member(field, |writer| {
            quoted(writer, |text| write!(text, "{value}"))
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.member(field, |writer| {
            quoted(writer, |text| write!(text, "{value:?}"))
        });
    }
}

/// A JSON string around whatever is written inside.
fn quoted(
    writer: &mut Writer<'_>,
    inside: impl FnOnce(&mut Escaped<'_, '_>) -> fmt::Result,
) -> fmt::Result {
    writer.write_char('"')?;
    inside(&mut Escaped(writer))?;
    writer.write_char('"')
}

/// Passes text on with what JSON does not allow escaped.
struct Escaped<'a, 'w>(&'a mut Writer<'w>);

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
        if !text.bytes().any(special) {
            return self.0.write_str(text);
        }
        // Put together first: a payload falls into a hundred pieces, and each would pass through three writers.
        let mut whole = String::with_capacity(text.len() + text.len() / 4);
        let mut rest = text;
        // All of these are one byte, so the text falls apart between characters.
        while let Some(at) = rest.bytes().position(special) {
            let (plain, tail) = rest.split_at(at);
            whole.push_str(plain);
            let mut chars = tail.chars();
            match chars.next() {
                Some('"') => whole.push_str("\\\""),
                Some('\\') => whole.push_str("\\\\"),
                Some('\n') => whole.push_str("\\n"),
                Some('\t') => whole.push_str("\\t"),
                Some(c) => write!(whole, "\\u{:04x}", u32::from(c))?,
                None => {}
            }
            rest = chars.as_str();
        }
        whole.push_str(rest);
        self.0.write_str(&whole)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_one_object_with_the_fields_of_its_spans() {
        let buffer = Buffer::default();
        let sink = buffer.clone();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(Members)
            .event_format(Line)
            .with_writer(move || sink.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let span =
                tracing::info_span!("sensor", sensor = "s\"1", trigger = tracing::field::Empty);
            span.record("trigger", "t");
            let _in = span.enter();
            tracing::warn!(count = 3, ratio = 0.5, nan = f64::NAN, why = ?Some("a\n\u{1}"), "it said \"no\"");
        });
        let text = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "it said \"no\"");
        assert_eq!(
            (&line["level"], &line["count"], &line["ratio"]),
            (&"WARN".into(), &3.into(), &0.5.into())
        );
        assert_eq!(
            (&line["sensor"], &line["trigger"], &line["nan"]),
            (&"s\"1".into(), &"t".into(), &"NaN".into())
        );
        assert_eq!(line["why"], "Some(\"a\\n\\u{1}\")");
        assert!(
            line["timestamp"]
                .as_str()
                .unwrap()
                .parse::<Timestamp>()
                .is_ok()
        );
        assert_eq!(text.lines().count(), 1);
    }
}
