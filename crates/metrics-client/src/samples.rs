//! The samples of a metrics page, in Prometheus's text format 0.0.4: what our own nodes write, read strictly.
//!
//! Whatever the bytes, they are read or refused with the number of the line. Comments and types are not kept.
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>

use std::borrow::Cow;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<'a> {
    /// Name of the metric.
    pub name: &'a str,
    labels: Vec<(&'a str, Cow<'a, str>)>,
    /// Its value.
    pub value: f64,
}

impl Sample<'_> {
    /// The label's value; the empty string where there is no such label, as in PromQL.
    pub fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(label, _)| *label == name).map_or("", |(_, value)| value)
    }
}

/// All of a page.
#[derive(Debug)]
pub struct Samples<'a>(Vec<Sample<'a>>);

impl<'a> Samples<'a> {
    /// # Errors
    /// The number of the first line that is none of the format.
    pub fn parse(page: &'a str) -> Result<Self, usize> {
        let mut samples = Vec::new();
        for (index, line) in page.lines().enumerate() {
            let line = line.trim_matches([' ', '\t']);
            if !line.is_empty() && !line.starts_with('#') {
                samples.push(sample(line).ok_or(index + 1)?);
            }
        }
        Ok(Self(samples))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of a metric.
    pub fn of<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Sample<'a>> {
        self.0.iter().filter(move |sample| sample.name == name)
    }

    /// Those of a metric whose samples are 1 where what their labels say holds, and 0 elsewhere.
    pub fn holding<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Sample<'a>> {
        self.of(name).filter(|sample| sample.value == 1.0)
    }

    /// Whether there is one of that metric.
    pub fn has(&self, name: &str) -> bool {
        self.of(name).next().is_some()
    }

    /// The value of a metric without labels.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.of(name).next().map(|sample| sample.value)
    }
}

fn sample(line: &str) -> Option<Sample<'_>> {
    let end = line.find(['{', ' ', '\t']).filter(|&end| end > 0)?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Vec::new(), rest),
    };
    let mut words = rest.split_ascii_whitespace();
    let value = words.next()?.parse().ok()?;
    // A timestamp may follow.
    let is_whole = words.next().is_none_or(|stamp| stamp.parse::<i64>().is_ok()) && words.next().is_none();
    is_whole.then_some(Sample { name, labels, value })
}

type Labels<'a> = Vec<(&'a str, Cow<'a, str>)>;

/// What stands after `{`, and what is left after `}`.
fn labels(mut rest: &str) -> Option<(Labels<'_>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, after) = rest.split_once('=')?;
        let (value, after) = quoted(after.trim_start().strip_prefix('"')?)?;
        labels.push((name.trim(), value));
        let after = after.trim_start();
        rest = after.strip_prefix(',').or_else(|| after.starts_with('}').then_some(after))?;
    }
}

/// What stands before the quote that ends it, and what is left after that.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let plain = text.find(['"', '\\'])?;
    if text[plain..].starts_with('"') {
        return Some((Cow::Borrowed(&text[..plain]), &text[plain + 1..]));
    }
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return Some((Cow::Owned(value), &text[index + 1..])),
            '\\' => value.push(unescaped(characters.next()?.1)?),
            _ => value.push(character),
        }
    }
    None
}

fn unescaped(character: char) -> Option<char> {
    match character {
        'n' => Some('\n'),
        '\\' | '"' => Some(character),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_the_format_allows() {
        let page = "# HELP up Help\n# TYPE up gauge\nup 1\n\n \tup{ } 2 1700000000000\n\
                    named{a=\"plain\", b = \"q\\\"b\\\\n\\n\" ,} +Inf\nnamed{a=\"ü}\"} NaN\n";
        let samples = Samples::parse(page).unwrap();
        assert_eq!(samples.len(), 4);
        assert_eq!(samples.of("up").map(|sample| sample.value).collect::<Vec<_>>(), [1.0, 2.0]);
        assert_eq!(samples.holding("up").map(|sample| sample.value).collect::<Vec<_>>(), [1.0]);
        let named: Vec<_> = samples.of("named").collect();
        assert_eq!((named[0].label("a"), named[0].label("b"), named[0].label("c")), ("plain", "q\"b\\n\n", ""));
        assert_eq!(named[0].value, f64::INFINITY);
        assert_eq!(named[1].label("a"), "ü}");
        assert!(named[1].value.is_nan());
    }

    #[test]
    fn says_which_line_is_none() {
        for bad in [
            "<html>",
            "up",
            "up one",
            "up 1 2 3",
            "up 1 now",
            "{a=\"b\"} 1",
            "up{a=\"b\" 1",
            "up{a=b} 1",
            "up{a=\"\\x\"} 1",
        ] {
            assert_eq!(Samples::parse(&format!("up 1\n{bad}\n")).unwrap_err(), 2, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(page in "(up|[{}=\",\\\\ \n#aü1]){0,40}") {
            let _ = Samples::parse(&page);
        }

        #[test]
        fn a_label_comes_back_as_it_was(value in ".{0,20}") {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            // Other ends of lines are no lines of the format.
            prop_assume!(!escaped.contains('\r'));
            let page = format!("m{{l=\"{escaped}\"}} 1");
            let samples = Samples::parse(&page).unwrap();
            prop_assert_eq!(samples.of("m").next().unwrap().label("l"), value);
        }
    }
}
