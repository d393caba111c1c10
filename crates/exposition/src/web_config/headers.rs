//! `http_server_config`: headers for every response.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use super::fault::Faults;
use super::yaml::Section;

/// The headers that the format allows, each with the values that it allows (none listed: any).
const ALLOWED: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
];

pub(super) fn read(mut section: Section, faults: &mut Faults) -> HeaderMap {
    if section.boolean("http2", faults) == Some(true) {
        faults.add(section.path_of("http2"), "this server speaks HTTP/1.1 only: remove the key or set it to false");
    }
    let headers = section.section("headers", faults).map(|headers| read_headers(headers, faults)).unwrap_or_default();
    section.refuse_unknown_keys(faults);
    headers
}

fn read_headers(mut section: Section, faults: &mut Faults) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, values) in ALLOWED {
        let Some(text) = section.text(name, faults) else { continue };
        if !values.is_empty() && !values.contains(&text.as_str()) {
            faults.add(section.path_of(name), format!("must be one of: {}", values.join(", ")));
            continue;
        }
        match HeaderValue::try_from(text) {
            Ok(value) => {
                headers.insert(HeaderName::from_bytes(name.as_bytes()).expect("listed names are valid"), value);
            }
            Err(_) => faults.add(section.path_of(name), "holds a character that no header may have"),
        }
    }
    for key in section.keys() {
        let names = ALLOWED.map(|(name, _)| name).join(", ");
        faults.add(section.path_of(&key), format!("is no header that can be set; these can: {names}"));
    }
    headers
}
