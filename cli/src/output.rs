//! Standard output: data only, and a reader that goes away is no error.

use std::io::{self, IsTerminal as _, Write as _};

/// Writes text as it is.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes text and a newline.
pub(crate) fn line(text: &str) -> io::Result<()> {
    print(&format!("{text}\n"))
}

/// Whether a picture takes the place of the one before it.
pub(crate) fn redraws() -> bool {
    io::stdout().is_terminal()
}

/// Draws a picture anew where the last one was; below it where there is no terminal.
pub(crate) fn redraw(text: &str) -> io::Result<()> {
    if redraws() {
        return print(&format!("\x1b[H\x1b[2J{text}"));
    }
    print(&format!("{text}\n"))
}

/// The pictures of states in their colours; they are left out again where nobody sees colours.
pub(crate) fn coloured(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let colour = match c {
            '✔' => "32",
            '✖' | '⚠' => "31",
            '●' | 'ǁ' => "36",
            '◷' => "33",
            _ => {
                out.push(c);
                continue;
            }
        };
        out.push_str(&format!("\x1b[{colour}m{c}\x1b[0m"));
    }
    out
}

/// Writes a note for people to standard error; there is nothing to do where that fails.
pub(crate) fn note(text: &str) {
    let mut out = anstream::stderr().lock();
    if writeln!(out, "{text}").is_err() {
        tracing::debug!("standard error is closed");
    }
}

/// A value as the user asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// As JSON.
    Json,
    /// As YAML.
    Yaml,
    /// As a table with more columns.
    Wide,
    /// As names only.
    Name,
}

/// A value as YAML text.
pub(crate) fn yaml(value: &impl serde::Serialize) -> anyhow::Result<String> {
    let mut text = serde_saphyr::to_string(value)?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// A table: columns as wide as they must be, two spaces between, nothing at the end of lines.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width - cell.chars().count() + 3));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
