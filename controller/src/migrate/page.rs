//! The page of differences, made from the table.

use super::{Section, sections};

const HEAD: &str = "\
<!-- Made from controller/src/migrate/table by a test: change it there. -->

# Differences from Argo Events

Argo's documented behaviour is what Tiphys follows.
Where it loses events, hides failures or mangles values, Tiphys differs on purpose; each row says why.

`tiphys migrate check` finds the rows with a name in bold in your objects and says what to do; [migrate.md](migrate.md) has the way over.
";

/// `docs/differences.md`.
#[must_use]
pub fn page() -> String {
    let mut out = HEAD.to_owned();
    for Section { title, rows } in sections() {
        out.push_str(&format!(
            "\n## {title}\n\n| Argo Events | Tiphys | why | name |\n|---|---|---|---|\n"
        ));
        for row in *rows {
            let mark = if row.is_detectable() { "**" } else { "" };
            let texts = [row.argo, row.tiphys, row.why].map(cell).join(" | ");
            out.push_str(&format!("| {texts} | {mark}{}{mark} |\n", row.id));
        }
    }
    out
}

/// A text inside a table: a `|` would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// Writes what is wrong and then fails, so that the next run passes. Rows that somebody wrote into the page
    /// alone are not lost: they are named first.
    #[test]
    fn the_page_is_made_from_the_table() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/differences.md");
        let made = page();
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        if there == made {
            return;
        }
        let rows = |text: &str| -> BTreeSet<String> {
            let rows = text.lines().filter(|line| line.starts_with("| "));
            rows.filter_map(|line| line.split(" | ").next())
                .map(str::to_owned)
                .collect()
        };
        let alone: Vec<String> = rows(&there).difference(&rows(&made)).cloned().collect();
        assert!(
            alone.is_empty(),
            "rows that controller/src/migrate/table lacks: write them there, or delete them here: {alone:#?}"
        );
        std::fs::write(&path, made).unwrap();
        panic!("docs/differences.md is written anew, commit it");
    }
}
