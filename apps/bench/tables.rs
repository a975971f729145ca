//! The tables of a report and the lines below them, in Markdown that reads well as it is.

use std::fmt::Write;

use super::bars::Verdict;
use super::jitter::Jitter;
use super::report::{Again, Left, Pairs, Ratio, Row};
use super::stats::Summary;

pub(crate) fn rows(rows: &[Row]) -> String {
    let cells = rows.iter().map(|row| {
        let Summary { median, p25, p75 } = row.summary;
        let [median, p25, p75] = [median, p25, p75].map(number);
        [
            row.case.clone(),
            row.subject.to_owned(),
            row.measure.to_owned(),
            row.unit.to_owned(),
            median,
            p25,
            p75,
        ]
    });
    table(["case", "subject", "measure", "unit", "median", "p25", "p75"], cells.collect())
}

pub(crate) fn bars(bars: &[Verdict]) -> String {
    let cells = bars.iter().map(|bar| {
        let of = bar.to.map_or(bar.of.to_owned(), |to| format!("{} over {to}", bar.of));
        let what = format!("{}, {}: {}", bar.lab, bar.case, bar.what);
        let measured = format!("{} {}", bar.figure(), bar.unit);
        [what, of, bar.measure.to_owned(), bar.wanted.clone(), measured, bar.noise(), bar.word()]
    });
    table(["bar", "of", "measure", "wanted", "measured", "noise", "met"], cells.collect())
}

pub(crate) fn jitter(looks: &[Jitter]) -> String {
    let cells = looks.iter().map(|look| {
        let [median, longest] = [look.median_us, look.longest_us].map(|us| format!("{} us", number(us)));
        [
            look.cpu.to_string(),
            format!("{} the labs", look.when),
            format!("{:.2} %", 100.0 * look.lost_share),
            look.gaps.to_string(),
            median,
            longest,
        ]
    });
    let table = table(["CPU", "when", "time lost in gaps", "gaps", "median", "longest"], cells.collect());
    let head = "\nJitter of the machine: gaps of more than 10 us in a loop that only reads the clock.\n";
    if table.is_empty() { table } else { head.to_owned() + &table }
}

pub(crate) fn ratios(ratios: &[Ratio]) -> String {
    let cells = ratios.iter().map(|ratio| {
        let Summary { median, p25, p75 } = ratio.summary;
        let [median, p25, p75] = [median, p25, p75].map(|value| format!("{value:.3}"));
        [
            ratio.case.clone(),
            ratio.of.to_owned(),
            ratio.to.to_owned(),
            ratio.measure.to_owned(),
            median,
            p25,
            p75,
        ]
    });
    table(["case", "of", "to", "measure", "ratio", "p25", "p75"], cells.collect())
}

pub(crate) fn left(word: &str, left: &[Left]) -> String {
    let mut text = String::new();
    for one in left {
        let of = [one.case.as_deref(), one.subject].into_iter().flatten().collect::<Vec<_>>().join(", ");
        let of = if of.is_empty() { "the whole lab".to_owned() } else { of };
        let _ = write!(text, "\n- {word}: {of}: {}", one.reason.replace('\n', " "));
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// The cases that had another number of rounds than is usual.
pub(crate) fn pairs(cases: &[Pairs], usual: u32) -> String {
    let others = cases.iter().filter(|case| case.pairs != usual);
    let text: String =
        others.map(|case| format!("\n- {}: medians of {} pairs", case.case, case.pairs)).collect();
    if text.is_empty() { text } else { text + "\n" }
}

pub(crate) fn repeated(repeated: &[Again]) -> String {
    let mut text = String::new();
    for Again { case, subject, count } in repeated {
        let (measurements, were) =
            if *count == 1 { ("measurement", "was") } else { ("measurements", "were") };
        let _ = write!(
            text,
            "\n- {case}: {count} {measurements} of {subject} ended by SIGSEGV and {were} made again"
        );
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// Three or four digits that count.
pub(crate) fn number(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// A Markdown table with its columns aligned; nothing if it has no rows.
fn table<const N: usize>(head: [&str; N], rows: Vec<[String; N]>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].len()]).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::from("\n");
    let mut line = |cells: &[String; N]| {
        for (cell, width) in cells.iter().zip(widths) {
            let _ = write!(text, "| {cell:<width$} ");
        }
        text.push_str("|\n");
    };
    line(&head.map(str::to_owned));
    line(&widths.map(|width| "-".repeat(width)));
    rows.iter().for_each(line);
    text
}
