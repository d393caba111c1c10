//! Texts of others, made fit to be shown.

/// One line without control characters, so that no peer can write to a terminal, and of so many characters at most.
#[must_use]
pub fn one_line(text: &str, characters_max: usize) -> String {
    let printable: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words: Vec<&str> = printable.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(characters_max) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_cannot_write_to_the_terminal() {
        assert_eq!(one_line("a\x1b[2Jb", 10), "a [2Jb");
        assert_eq!(one_line("two\nlines\r and\ttabs", 99), "two lines and tabs");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(one_line(&"ä".repeat(1000), 400), format!("{}…", "ä".repeat(400)));
    }
}
