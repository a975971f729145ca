//! `docs/counters.md` says what the code says: it is made from the counters. After a change,
//! run this test with `UPDATE_DOCS=1`.

use std::path::Path;

use gannet::telemetry::{Counter, Kind};

const HEAD: &str = "\
# Counters

Every queue has these, and every report their sums. They explain every packet:

- received = handled + dropped on receipt
- to be sent = sent + dropped on the way out

The report's last line says whether both hold, queue by queue, and whether every buffer came
back to its pool. `engine/tests/counters_doc.rs` makes this page from the code.
";

fn page() -> String {
    let part = |(title, kind): (&str, Kind)| {
        let rows = Counter::ALL.iter().filter(|counter| counter.kind() == kind);
        let rows = rows.map(|counter| format!("| `{}` | {} |\n", counter.name(), counter.sentence()));
        format!("\n## {title}\n\n| counter | meaning |\n|---|---|\n{}", rows.collect::<String>())
    };
    let parts = [
        ("Received", Kind::Received),
        ("Handled", Kind::Handled),
        ("Dropped on receipt", Kind::RxDrop),
        ("To be sent", Kind::Emitted),
        ("Sent", Kind::Sent),
        ("Dropped on the way out", Kind::TxDrop),
        ("Events along the way", Kind::Event),
    ];
    HEAD.to_owned() + &parts.map(part).concat()
}

#[test]
fn the_page_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/counters.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page()).expect("docs/ is writable");
    }
    let written = std::fs::read_to_string(&path).expect("docs/counters.md is there");
    assert_eq!(written, page(), "run this test with UPDATE_DOCS=1 and commit the page");
}
