//! The plot: a bar for each subject, with a line from quartile to quartile.

use std::fmt::Write;

use super::report::{Report, Row};

const WIDTH: usize = 900;
const LEFT: usize = 260;
const RIGHT: usize = 120;
const BAR: usize = 16;
const STEP: usize = 22;
const HEAD: usize = 40;

/// Colours for a light page and a dark one, as the reader has it.
const STYLE: &str = "<style>
.page { fill: #ffffff; } text { fill: #1f2328; } line { stroke: #1f2328; } .ours { fill: #4c9be8; } .peer { fill: #b4bac2; }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117; } text { fill: #e6edf3; } line { stroke: #e6edf3; } .ours { fill: #2f6fb5; } .peer { fill: #59616b; }
}
</style>
";

/// The rows of one case and measure, on one scale.
struct Group<'a> {
    title: String,
    rows: Vec<&'a Row>,
}

/// The whole report as one picture.
pub(crate) fn svg(report: &Report) -> String {
    let groups = groups(report);
    let height: usize = HEAD + groups.iter().map(|group| HEAD + STEP * group.rows.len()).sum::<usize>();
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n{STYLE}<rect class=\"page\" width=\"100%\" height=\"100%\"/>\n"
    );
    let _ = writeln!(text, "<text x=\"10\" y=\"24\">{}</text>", escape(&report.machine.line()));
    let mut top = HEAD;
    for group in &groups {
        top = draw(&mut text, group, top);
    }
    text += "</svg>\n";
    text
}

fn groups(report: &Report) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for lab in &report.labs {
        for row in &lab.rows {
            let title = format!("{}, {}: {} ({})", lab.name, row.case, row.measure, row.unit);
            match groups.iter_mut().find(|group| group.title == title) {
                Some(group) => group.rows.push(row),
                None => groups.push(Group { title, rows: vec![row] }),
            }
        }
    }
    groups
}

/// Draws a group from `top` on and gives where it ends.
fn draw(text: &mut String, group: &Group<'_>, mut top: usize) -> usize {
    let most = group.rows.iter().map(|row| row.summary.p75).fold(f64::MIN_POSITIVE, f64::max);
    let scale = |value: f64| value / most * (WIDTH - LEFT - RIGHT) as f64;
    let _ = writeln!(
        text,
        "<text x=\"10\" y=\"{}\" font-weight=\"bold\">{}</text>",
        top + 24,
        escape(&group.title)
    );
    top += HEAD;
    for row in &group.rows {
        let class = if row.subject.starts_with("gannet") { "ours" } else { "peer" };
        let (middle, baseline) = (top + BAR / 2, top + BAR - 3);
        let [low, median, high] = [row.summary.p25, row.summary.median, row.summary.p75].map(scale);
        let _ = writeln!(
            text,
            "<text x=\"{}\" y=\"{baseline}\" text-anchor=\"end\">{}</text>\n\
             <rect x=\"{LEFT}\" y=\"{top}\" width=\"{median:.1}\" height=\"{BAR}\" class=\"{class}\"/>\n\
             <line x1=\"{:.1}\" y1=\"{middle}\" x2=\"{:.1}\" y2=\"{middle}\"/>\n\
             <text x=\"{:.1}\" y=\"{baseline}\">{}</text>",
            LEFT - 8,
            escape(row.subject),
            LEFT as f64 + low,
            LEFT as f64 + high,
            LEFT as f64 + high.max(median) + 6.0,
            super::tables::number(row.summary.median),
        );
        top += STEP;
    }
    top
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::sample;
    use super::*;

    /// Whether every element that is opened is closed, in order.
    fn is_well_formed(svg: &str) -> bool {
        let mut open = Vec::new();
        for piece in svg.split('<').skip(1) {
            let Some((tag, text)) = piece.split_once('>') else { return false };
            let name = tag.split([' ', '/']).find(|word| !word.is_empty()).unwrap_or_default();
            let is_balanced = tag.matches('"').count() % 2 == 0 && !text.contains('>');
            match (tag.starts_with('/'), tag.ends_with('/')) {
                (true, _) if open.pop() != Some(name) => return false,
                (false, false) => open.push(name),
                _ => {}
            }
            if !is_balanced {
                return false;
            }
        }
        open.is_empty()
    }

    #[test]
    fn it_is_well_formed_and_has_a_bar_for_each_row() {
        let mut report = sample();
        report.labs[0].rows[0].case = "a < b & c".to_owned();
        let svg = svg(&report);
        assert!(is_well_formed(&svg), "{svg}");
        assert!(svg.contains("ring, a &lt; b &amp; c: ticks (ticks/packet)"));
        // The background is a rectangle, too.
        assert_eq!(svg.matches("<rect").count(), 1 + 2);
        assert_eq!((svg.matches("class=\"ours\"").count(), svg.matches("class=\"peer\"").count()), (1, 1));
        assert!(svg.contains("prefers-color-scheme: dark"));
        assert!(svg.contains(">gannet echo<") && svg.contains(">9.50<"));
    }

    #[test]
    fn the_check_itself_sees_what_is_wrong() {
        assert!(is_well_formed("<a><b x=\"1\"/></a>"));
        for wrong in ["<a><b></a>", "<a>", "<a x=\"1><b/></a>", "<a>1 > 0</a>"] {
            assert!(!is_well_formed(wrong), "{wrong}");
        }
    }
}
