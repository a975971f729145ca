//! `docs/metrics.md` says what the code says: its table is made from the families. After a change, run
//! this test with `UPDATE_DOCS=1`.

use std::path::Path;

use gannet::telemetry::{Family, FamilyKind, families};

const BEGIN: &str = "<!-- made by engine/tests/metrics_doc.rs -->\n";
const END: &str = "<!-- end -->\n";

fn table() -> String {
    let row = |family: Family| {
        let labels: Vec<_> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let suffixes =
            if family.kind == FamilyKind::Histogram { " (`_bucket`, `_sum`, `_count`)" } else { "" };
        let name = family.sample_name();
        format!("| `{name}`{suffixes} | {} | {} | {} |\n", family.kind.name(), labels.join(", "), family.help)
    };
    let rows: String = families().into_iter().map(row).collect();
    format!("\n| metric | kind | labels | meaning |\n|---|---|---|---|\n{rows}\n")
}

#[test]
fn the_page_has_the_table_that_the_code_makes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let page = std::fs::read_to_string(&path).expect("docs/metrics.md is there");
    let (head, rest) = page.split_once(BEGIN).expect("a begin");
    let (written, tail) = rest.split_once(END).expect("an end");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let page = [head, BEGIN, &table(), END, tail].concat();
        return std::fs::write(&path, page).expect("docs/ is writable");
    }
    assert_eq!(written, table(), "run this test with UPDATE_DOCS=1 and commit the page");
}
