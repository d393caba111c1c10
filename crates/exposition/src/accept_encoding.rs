//! Which coding a client wants (RFC 9110, section 12.5.3).

use hyper::header::{ACCEPT_ENCODING, HeaderMap};

/// Whether the response may and should be gzipped: `gzip` is acceptable (named itself, or by `*`) and not less wanted than `identity`.
pub(crate) fn wants_gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut identity, mut any) = (None, None, None);
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    for (coding, weight) in values.flat_map(|value| value.split(',')).filter_map(parse_element) {
        match coding.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => gzip = Some(weight),
            "identity" => identity = Some(weight),
            "*" => any = Some(weight),
            _ => {}
        }
    }
    let gzip = gzip.or(any).unwrap_or(0.0);
    gzip > 0.0 && gzip >= identity.unwrap_or(0.0)
}

/// `gzip;q=0.5` as a coding and its weight; nothing for an element that is not well-formed.
fn parse_element(element: &str) -> Option<(&str, f32)> {
    let mut parts = element.split(';').map(str::trim);
    let coding = parts.next().filter(|coding| !coding.is_empty())?;
    match parts.next() {
        None => Some((coding, 1.0)),
        Some(parameter) => {
            let (name, weight) = parameter.split_once('=')?;
            let weight: f32 = weight.trim().parse().ok()?;
            (name.trim().eq_ignore_ascii_case("q") && (0.0..=1.0).contains(&weight)).then_some((coding, weight))
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn decide(values: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ACCEPT_ENCODING, HeaderValue::from_static(value));
        }
        wants_gzip(&headers)
    }

    #[test]
    fn follows_the_weights() {
        for yes in [
            "gzip",
            "GZip",
            "x-gzip",
            "deflate, gzip;q=1.0, *;q=0.5",
            "*",
            "br;q=1, gzip ; Q=0.001",
            "gzip;q=0.5,identity;q=0.5",
        ] {
            assert!(decide(&[yes]), "{yes}");
        }
        for no in [
            "",
            "identity",
            "deflate",
            "gzip;q=0",
            "gzip;q=0.000",
            "*;q=0",
            "gzip;q=0, *",
            "gzip;q=x",
            "gzip;q=2",
            "gzip;q=0.5, identity",
        ] {
            assert!(!decide(&[no]), "{no}");
        }
    }

    #[test]
    fn reads_every_header_line() {
        assert!(!decide(&[]));
        assert!(decide(&["br", "gzip"]));
    }
}
