//! The table: what was measured, the ratio to the bare program, and the budget. It measures nothing.

use std::time::Duration;

use serde_json::{Value, json};

use crate::machine;

/// What a number counts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unit {
    PerSecond,
    Millis,
    Micros,
    Megabytes,
    Percent,
}

impl Unit {
    fn text(self, value: f64) -> String {
        match self {
            Self::PerSecond => format!("{value:.0}/s"),
            Self::Millis => format!("{value:.2} ms"),
            Self::Micros => format!("{value:.2} µs"),
            Self::Megabytes => format!("{value:.1} MB"),
            Self::Percent => format!("{value:.2} %"),
        }
    }
}

/// What the design allows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Budget {
    /// Shown for comparison.
    None,
    /// Ours divided by raw, at least.
    RatioAtLeast(f64),
    /// Ours divided by raw, at most.
    RatioAtMost(f64),
    /// Ours, at least.
    AtLeast(f64),
    /// Ours, at most.
    AtMost(f64),
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// What the numbers count.
    pub(crate) unit: Unit,
    /// Each round of the bare program; empty where there is none.
    pub(crate) raw: Vec<f64>,
    /// Each round of ours.
    pub(crate) ours: Vec<f64>,
    /// What the design allows.
    pub(crate) budget: Budget,
}

impl Row {
    fn ratio(&self) -> Option<f64> {
        let raw = median(&self.raw).filter(|raw| *raw > 0.0)?;
        Some(median(&self.ours)? / raw)
    }

    /// `None` where there is no budget.
    fn within(&self) -> Option<bool> {
        let (ratio, ours) = (self.ratio(), median(&self.ours));
        match self.budget {
            Budget::None => None,
            Budget::RatioAtLeast(least) => Some(ratio.is_some_and(|ratio| ratio >= least)),
            Budget::RatioAtMost(most) => Some(ratio.is_some_and(|ratio| ratio <= most)),
            Budget::AtLeast(least) => Some(ours.is_some_and(|ours| ours >= least)),
            Budget::AtMost(most) => Some(ours.is_some_and(|ours| ours <= most)),
        }
    }

    fn budget(&self) -> String {
        match self.budget {
            Budget::None => String::new(),
            Budget::RatioAtLeast(least) => format!("≥ {least:.2}"),
            Budget::RatioAtMost(most) => format!("≤ {most:.2}"),
            Budget::AtLeast(least) => format!("≥ {}", self.unit.text(least)),
            Budget::AtMost(most) => format!("≤ {}", self.unit.text(most)),
        }
    }

    fn cells(&self) -> [String; 6] {
        let number =
            |values: &[f64]| median(values).map_or_else(String::new, |value| self.unit.text(value));
        let ok = match self.within() {
            None => "",
            Some(true) => "yes",
            Some(false) => "NO",
        };
        [
            self.what.clone(),
            number(&self.raw),
            number(&self.ours),
            self.ratio()
                .map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            self.budget(),
            ok.to_owned(),
        ]
    }
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get(sorted.len().saturating_sub(1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

/// All of one run.
#[derive(Debug)]
pub(crate) struct Report {
    machine: String,
    took: Duration,
    rows: Vec<Row>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self {
            machine: machine::describe(),
            took: Duration::ZERO,
            rows: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, rows: Vec<Row>) {
        self.rows.extend(rows);
    }

    pub(crate) fn took(&mut self, took: Duration) {
        self.took = took;
    }

    pub(crate) fn within_budgets(&self) -> bool {
        self.rows.iter().all(|row| row.within() != Some(false))
    }

    /// For people, and for a Markdown page.
    pub(crate) fn table(&self) -> String {
        let head = ["what", "raw", "ours", "ratio", "budget", "ok"].map(str::to_owned);
        let lines: Vec<[String; 6]> = std::iter::once(head)
            .chain(self.rows.iter().map(Row::cells))
            .collect();
        let mut widths = [0; 6];
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut text = format!("{}; {:.0} s\n\n", self.machine, self.took.as_secs_f64());
        for (index, line) in lines.iter().enumerate() {
            text.push_str(&row(line, &widths));
            if index == 0 {
                text.push_str(&row(&widths.map(|width| "-".repeat(width)), &widths));
            }
        }
        text
    }

    /// For programs: every round.
    pub(crate) fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                json!({
                    "what": row.what,
                    "unit": format!("{:?}", row.unit),
                    "raw": row.raw,
                    "ours": row.ours,
                    "ratio": row.ratio(),
                    "budget": row.budget(),
                    "ok": row.within(),
                })
            })
            .collect();
        json!({ "machine": self.machine, "seconds": self.took.as_secs_f64(), "rows": rows })
    }
}

/// The first column reads from the left, numbers from the right.
fn row(cells: &[String; 6], widths: &[usize; 6]) -> String {
    let mut line = "|".to_owned();
    for (index, (cell, width)) in cells.iter().zip(widths).enumerate() {
        line.push_str(&if index == 0 {
            format!(" {cell:<width$} |")
        } else {
            format!(" {cell:>width$} |")
        });
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        for (values, expected) in [
            (vec![], None),
            (vec![3.0], Some(3.0)),
            (vec![9.0, 1.0, 5.0], Some(5.0)),
            (vec![4.0, 1.0], Some(2.5)),
        ] {
            assert_eq!(median(&values), expected, "{values:?}");
        }
    }

    #[test]
    fn budgets_bind_the_ratio_or_the_value() {
        let row = |budget| Row {
            what: String::new(),
            unit: Unit::Millis,
            raw: vec![2.0],
            ours: vec![3.0],
            budget,
        };
        for (budget, expected) in [
            (Budget::None, None),
            (Budget::RatioAtLeast(1.5), Some(true)),
            (Budget::RatioAtMost(1.4), Some(false)),
            (Budget::AtLeast(3.1), Some(false)),
            (Budget::AtMost(3.0), Some(true)),
        ] {
            assert_eq!(row(budget).within(), expected, "{budget:?}");
        }
    }
}
