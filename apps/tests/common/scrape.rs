//! Metrics as a reader gets them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use super::Program;

/// How long a value may take to become what it is to be.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a program serves its metrics, as its line at the start says.
pub(crate) fn address(program: &mut Program) -> String {
    let line = program.line_with("metrics: http://");
    line["metrics: http://".len()..].trim_end_matches("/metrics").to_owned()
}

/// What it answers: the head and what is behind it.
#[track_caller]
pub(crate) fn ask(address: &str, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    stream.write_all(request.as_bytes()).expect("it listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {answer}"));
    (head.to_owned(), body.to_owned())
}

/// The page, in the text that `accept` names.
#[track_caller]
pub(crate) fn page(address: &str, accept: &str) -> String {
    let (head, page) =
        ask(address, &format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\n\r\n"));
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    page
}

/// The sum of the samples of a page whose names and labels begin so.
pub(crate) fn sum(page: &str, beginning: &str) -> f64 {
    let samples = page.lines().filter(|line| line.starts_with(beginning));
    samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Waits until the sum of those samples is one that `is_right`. Gives the page.
#[track_caller]
pub(crate) fn wait_until(address: &str, beginning: &str, is_right: impl Fn(f64) -> bool) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let page = page(address, "*/*");
        let value = sum(&page, beginning);
        if is_right(value) {
            return page;
        }
        assert!(Instant::now() < deadline, "{beginning} stays at {value}: {page}");
        thread::sleep(Duration::from_millis(20));
    }
}
