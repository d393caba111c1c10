//! A peer's words within our own.

/// The longest part of a peer's text that is repeated, in characters.
const CHARS_MAX: usize = 200;

/// The beginning of `text`, fit for a line of a log: a peer decides neither how long the line is nor where it ends.
pub(crate) fn excerpt(text: &str) -> String {
    let mut excerpt = String::new();
    for char in text.chars().take(CHARS_MAX) {
        match char.is_control() {
            true => excerpt.extend(char.escape_default()),
            false => excerpt.push(char),
        }
    }
    if text.chars().nth(CHARS_MAX).is_some() {
        excerpt.push('…');
    }
    excerpt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_has_no_control_characters() {
        assert_eq!(excerpt("/grün\n\0\u{1b}[31m"), "/grün\\n\\u{0}\\u{1b}[31m");
    }

    #[test]
    fn an_excerpt_is_short_and_tells_that_it_is_one() {
        assert_eq!(excerpt(&"ä".repeat(200)), "ä".repeat(200));
        assert_eq!(excerpt(&"ä".repeat(201)), "ä".repeat(200) + "…");
    }
}
