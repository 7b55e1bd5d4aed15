//! Temporary faces of dialects that have not landed yet.
#![allow(missing_docs, clippy::all, dead_code)]
pub(crate) mod gotemplate {
    #[derive(Debug)]
    pub(crate) struct Template(String);
    #[derive(Debug, thiserror::Error)]
    #[error("{message}")]
    pub(crate) struct E {
        pub(crate) line: usize,
        pub(crate) column: usize,
        pub(crate) message: String,
    }
    impl Template {
        pub(crate) fn compile(t: &str) -> Result<Self, E> {
            Ok(Self(t.to_owned()))
        }
        pub(crate) fn render(&self, v: &tiphys_lang::Value) -> Result<String, E> {
            let mut out = String::new();
            let mut rest = self.0.as_str();
            while let Some((a, b)) = rest.split_once("{{") {
                out.push_str(a);
                let (e, r) = b.split_once("}}").unwrap_or((b, ""));
                rest = r;
                let mut cur = Some(v);
                for k in e
                    .trim()
                    .trim_start_matches(".Input")
                    .split('.')
                    .filter(|k| !k.is_empty())
                {
                    cur = cur.and_then(|c| c.get(k));
                }
                match cur {
                    Some(tiphys_lang::Value::String(s)) => out.push_str(s),
                    Some(o) => out.push_str(&o.to_json()),
                    None => out.push_str("<no value>"),
                }
            }
            out.push_str(rest);
            Ok(out)
        }
    }
}
pub(crate) mod handlebars {
    pub(crate) use super::gotemplate::Template;
}
pub(crate) mod jsonpath {
    #[derive(Debug)]
    pub(crate) struct Path;
    impl Path {
        pub(crate) fn compile(_: &str) -> Result<Self, String> {
            Ok(Self)
        }
        pub(crate) fn get(&self, _: &tiphys_lang::Value) -> Option<tiphys_lang::Value> {
            None
        }
    }
}
