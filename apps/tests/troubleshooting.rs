//! `docs/troubleshooting.md` has every error that a start can end with.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the errors of a start are declared: the outermost ones first.
const OUTERMOST: &str = "engine/src/launch/error.rs";

/// An error's sentence as the page has it.
const PLACEHOLDER: &str = "…";

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Every source of the engine.
fn sources(folder: &Path, into: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(fs::read_to_string(&path).expect("a source"));
        }
    }
}

/// The sentences of a type's `#[error("…")]`, with what stands in braces left open.
fn sentences(declaration: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    for part in declaration.split("#[error(").skip(1) {
        let Some(text) = part.trim_start().strip_prefix('"') else { continue };
        let mut sentence = String::new();
        let (mut letters, mut depth) = (text.chars(), 0);
        while let Some(letter) = letters.next() {
            match letter {
                '"' => break,
                '\\' if letters.as_str().starts_with('"') => sentence.extend(letters.next()),
                // The rest of the sentence stands on the next line.
                '\\' => letters = letters.as_str().trim_start().chars(),
                '{' => depth += 1,
                '}' => {
                    depth -= 1;
                    sentence.push_str(PLACEHOLDER);
                }
                _ if depth == 0 => sentence.push(letter),
                _ => {}
            }
        }
        sentences.push(sentence);
    }
    sentences
}

/// The declaration of an error, with the attributes above it.
fn declaration<'a>(name: &str, sources: &'a [String]) -> &'a str {
    let find = |source: &'a String| {
        let kinds = [format!("pub enum {name} {{"), format!("pub struct {name}")];
        let start = kinds.iter().find_map(|kind| source.find(kind))?;
        let above = source[..start].rfind("\n\n").unwrap_or_default();
        let end = source[start..].find("\n}").map_or(source.len(), |end| start + end);
        Some(&source[above..end])
    };
    sources.iter().find_map(find).unwrap_or_else(|| panic!("no declaration of {name}"))
}

#[test]
fn every_error_of_a_start_is_in_the_page() {
    let page = fs::read_to_string(here("docs/troubleshooting.md")).expect("the page");
    let mut all = vec![fs::read_to_string(here(OUTERMOST)).expect("the errors")];
    sources(&here("engine/src"), &mut all);
    let outermost = declaration("Error", &all[..1]);
    let wrapped = outermost.split("#[from] ").skip(1).filter_map(|rest| rest.split(')').next());
    let mut names: Vec<_> = wrapped.filter(|name| *name != "clap::Error").collect();
    assert!(names.len() >= 8, "{names:?}");
    names.extend(["Error", "ProcessorTooOld"]);
    let mut missing = Vec::new();
    for name in names {
        let found = sentences(declaration(name, &all));
        assert!(!found.is_empty(), "{name} has no sentence");
        // A sentence of nothing but what is filled in is another error's.
        let has_words = |sentence: &&String| sentence.chars().any(char::is_alphabetic);
        let absent = found.iter().filter(has_words).filter(|sentence| !page.contains(sentence.as_str()));
        missing.extend(absent.map(|sentence| format!("{name}: {sentence}")));
    }
    assert!(missing.is_empty(), "docs/troubleshooting.md says nothing of: {missing:#?}");
}

#[test]
fn sentences_are_read_over_lines_and_with_gaps() {
    let source = "#[error(\"no '{name}' in {}: {x:?}\", a)] A,\n #[error(\n  \"one \\\n   two\"\n)] B, #[error(transparent)] C";
    assert_eq!(sentences(source), ["no '…' in …: …", "one two"]);
}
