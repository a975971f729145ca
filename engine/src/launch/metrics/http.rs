//! As much of HTTP/1.1 as serves one page (RFC 9112): a request is read strictly, and within bounds.

use crate::telemetry::exposition::Format;

/// The longest request, in bytes.
pub(super) const LONGEST_HEAD: usize = 8192;

/// What there is to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The page of metrics.
    Metrics,
    /// Whether the program serves: its addresses are known to be its own.
    Ready,
    /// Whether all lcores move.
    Healthy,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) target: Target,
    /// Only the answer's head is wanted.
    pub(super) is_head: bool,
    pub(super) format: Format,
}

/// Why a request gets no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Malformed,
    NotFound,
    Method,
    TooSlow,
    TooLong,
    Version,
}

impl Refusal {
    /// The status line's code and phrase.
    const fn status(self) -> &'static str {
        match self {
            Self::Malformed => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::Method => "405 Method Not Allowed",
            Self::TooSlow => "408 Request Timeout",
            Self::TooLong => "431 Request Header Fields Too Large",
            Self::Version => "505 HTTP Version Not Supported",
        }
    }

    /// The whole answer.
    pub(super) fn answer(self) -> String {
        let allow = if self == Self::Method { "Allow: GET, HEAD\r\n" } else { "" };
        let text = format!("{}: there are /metrics, /ready and /healthy\n", self.status());
        head(self.status(), "text/plain; charset=utf-8", text.len(), allow) + &text
    }
}

/// The whole answer with a page.
pub(super) fn answer(request: Request, page: &str) -> String {
    let head = head("200 OK", request.format.content_type(), page.len(), "");
    if request.is_head { head } else { head + page }
}

/// The whole answer to whether something is so.
pub(super) fn verdict(request: Request, is_so: bool) -> String {
    let (status, text) = if is_so { ("200 OK", "yes\n") } else { ("503 Service Unavailable", "no\n") };
    let head = head(status, "text/plain; charset=utf-8", text.len(), "");
    if request.is_head { head } else { head + text }
}

fn head(status: &str, content_type: &str, len: usize, more: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len}\r\n{more}\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
    )
}

/// Where the head of a request ends, if it does.
pub(super) fn head_len(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n")
}

/// Reads the head of a request, without the empty line behind it.
pub(super) fn parse(head: &[u8]) -> Result<Request, Refusal> {
    let text = std::str::from_utf8(head).map_err(|_| Refusal::Malformed)?;
    let is_plain = |byte: u8| byte == b'\t' || (b' '..=b'~').contains(&byte);
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap_or_default();
    if !text.split("\r\n").flat_map(str::bytes).all(is_plain) {
        return Err(Refusal::Malformed);
    }
    let (method, target) = request_line(line)?;
    let is_1_1 = line.ends_with("/1.1");
    let fields = lines.map(field).collect::<Result<Vec<_>, _>>()?;
    let values = |wanted: &'static str| {
        fields.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| *value)
    };
    let hosts = values("host").count();
    let has_body =
        values("transfer-encoding").next().is_some() || values("content-length").any(|len| len != "0");
    if hosts > 1 || (is_1_1 && hosts == 0) || has_body {
        return Err(Refusal::Malformed);
    }
    if !matches!(method, "GET" | "HEAD") {
        return Err(Refusal::Method);
    }
    let target = match target.split('?').next() {
        Some("/metrics") => Target::Metrics,
        Some("/ready") => Target::Ready,
        Some("/healthy") => Target::Healthy,
        _ => return Err(Refusal::NotFound),
    };
    Ok(Request {
        target,
        is_head: method == "HEAD",
        format: format(values("accept").flat_map(|value| value.split(','))),
    })
}

/// The method and the target.
fn request_line(line: &str) -> Result<(&str, &str), Refusal> {
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Refusal::Malformed);
    };
    let is_method = !method.is_empty() && method.bytes().all(is_token);
    if !is_method || !target.starts_with('/') {
        return Err(Refusal::Malformed);
    }
    match version {
        "HTTP/1.0" | "HTTP/1.1" => Ok((method, target)),
        _ if version.starts_with("HTTP/") => Err(Refusal::Version),
        _ => Err(Refusal::Malformed),
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A header field's name and value.
fn field(line: &str) -> Result<(&str, &str), Refusal> {
    let (name, value) = line.split_once(':').ok_or(Refusal::Malformed)?;
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(Refusal::Malformed);
    }
    Ok((name, value.trim_matches([' ', '\t'])))
}

/// The text that is liked best, OpenMetrics where both are (RFC 9110, section 12.5.1).
fn format<'a>(accepted: impl Iterator<Item = &'a str>) -> Format {
    let ranges: Vec<_> = accepted.map(range).collect();
    let liking = |names: [&str; 3]| {
        let of = |name: &&str| ranges.iter().filter(|(range, _)| range == name).map(|(_, q)| *q).max();
        names.iter().find_map(of)
    };
    let open = liking(["application/openmetrics-text", "application/*", "*/*"]);
    let plain = liking(["text/plain", "text/*", "*/*"]);
    if plain > open { Format::Prometheus } else { Format::OpenMetrics }
}

/// A media range, and how well it is liked, in thousandths.
fn range(text: &str) -> (String, u16) {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
    (name, (quality.clamp(0.0, 1.0) * 1000.0) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str) -> Result<Request, Refusal> {
        parse(head.replace('\n', "\r\n").as_bytes())
    }

    #[test]
    fn a_page_is_asked_for() {
        let get = Request { target: Target::Metrics, is_head: false, format: Format::OpenMetrics };
        for head in [
            "GET /metrics HTTP/1.1\nHost: a",
            "GET /metrics HTTP/1.0",
            "GET /metrics?x=1 HTTP/1.1\nhOST:a\nX-Other: \t b c ",
            "GET /metrics HTTP/1.1\nHost:\nContent-Length: 0",
        ] {
            assert_eq!(read(head), Ok(get), "{head}");
        }
        assert_eq!(read("HEAD /metrics HTTP/1.1\nHost: a"), Ok(Request { is_head: true, ..get }));
        let ready = Request { target: Target::Ready, ..get };
        assert_eq!(read("GET /ready HTTP/1.1\nHost: a"), Ok(ready));
        assert_eq!(read("GET /healthy HTTP/1.1\nHost: a"), Ok(Request { target: Target::Healthy, ..get }));
        assert!(
            verdict(ready, false).starts_with("HTTP/1.1 503 ")
                && verdict(ready, true).ends_with("\r\n\r\nyes\n")
        );
    }

    #[test]
    fn what_is_wrong_has_a_status() {
        for (head, refusal) in [
            ("", Refusal::Malformed),
            ("GET /metrics", Refusal::Malformed),
            ("GET  /metrics HTTP/1.1\nHost: a", Refusal::Malformed),
            ("GET metrics HTTP/1.1\nHost: a", Refusal::Malformed),
            ("G(T /metrics HTTP/1.1\nHost: a", Refusal::Malformed),
            ("GET /metrics HTTP/1.1", Refusal::Malformed),
            ("GET /metrics HTTP/1.1\nHost: a\nHost: b", Refusal::Malformed),
            ("GET /metrics HTTP/1.1\nHost: a\nno field", Refusal::Malformed),
            ("GET /metrics HTTP/1.1\nHost: a\n folded: b", Refusal::Malformed),
            ("GET /metrics HTTP/1.1\nHost : a", Refusal::Malformed),
            ("GET /metrics HTTP/1.1\nHost: a\nContent-Length: 5", Refusal::Malformed),
            ("GET /metrics HTTP/1.1\nHost: a\nTransfer-Encoding: chunked", Refusal::Malformed),
            ("GET /metrics HTTP/1.1\nHost: \u{7f}", Refusal::Malformed),
            ("GET /metrics HTTP/1.1\nHost: \u{e9}", Refusal::Malformed),
            ("GET /metrics HTTP/2\nHost: a", Refusal::Version),
            ("GET / HTTP/1.1\nHost: a", Refusal::NotFound),
            ("GET /metrics/ HTTP/1.1\nHost: a", Refusal::NotFound),
            ("POST /metrics HTTP/1.1\nHost: a", Refusal::Method),
            ("get /metrics HTTP/1.1\nHost: a", Refusal::Method),
        ] {
            assert_eq!(read(head), Err(refusal), "{head}");
        }
        assert_eq!(parse(b"GET /metrics HTTP/1.1\nHost: a"), Err(Refusal::Malformed), "lines end with both");
        assert_eq!(parse(b"GET /metrics HTTP/1.1\r\nHost: \xff"), Err(Refusal::Malformed));
        assert!(Refusal::Method.answer().contains("405 Method Not Allowed\r\n"));
        assert!(Refusal::Method.answer().contains("\r\nAllow: GET, HEAD\r\n"));
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(head: Vec<u8>, line in "[A-Z]{0,4} /metrics[ -~]{0,9} HTTP/1.[01]\\PC*") {
            let answered = |head: &[u8]| match parse(head) {
                Ok(request) => answer(request, "page").starts_with("HTTP/1.1 200 "),
                Err(refusal) => refusal.answer().starts_with("HTTP/1.1 "),
            };
            proptest::prop_assert!(answered(&head) && answered(line.as_bytes()));
        }
    }

    #[test]
    fn readers_get_the_text_that_they_like() {
        for (accept, format) in [
            ("*/*", Format::OpenMetrics),
            ("text/html", Format::OpenMetrics),
            ("text/plain", Format::Prometheus),
            ("text/*;q=0.5, application/json", Format::Prometheus),
            ("text/plain;version=0.0.4;q=0.5, */*;q=0.1", Format::Prometheus),
            (
                "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Format::OpenMetrics,
            ),
            ("application/openmetrics-text; q=0.2, text/plain; q=0.3", Format::Prometheus),
        ] {
            let request = read(&format!("GET /metrics HTTP/1.1\nHost: a\nAccept: {accept}"));
            assert_eq!(request.map(|request| request.format), Ok(format), "{accept}");
        }
    }

    #[test]
    fn a_head_has_no_page_behind_it_but_its_length() {
        let request = Request { target: Target::Metrics, is_head: true, format: Format::OpenMetrics };
        let whole = answer(Request { is_head: false, ..request }, "page");
        assert_eq!(answer(request, "page") + "page", whole);
        assert!(
            whole.contains("\r\nContent-Length: 4\r\n")
                && head_len(whole.as_bytes()) == Some(whole.len() - 8)
        );
    }
}
