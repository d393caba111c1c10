//! The page at `/`: for people, in plain HTML.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::header::HeaderValue;
use ring::digest;

use crate::endpoint::TelemetryPath;
use crate::live::{self, Live};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}\
h1 small{font-weight:normal;color:#666}table{border-collapse:collapse}th,td{text-align:left;padding:.2rem 1rem .2rem 0;\
border-bottom:1px solid #ddd}";

/// What the page at `/` says. Everything is escaped.
#[derive(Clone)]
pub struct Landing {
    /// The exporter's name, the page's title.
    pub name: String,
    /// The exporter's version.
    pub version: String,
    /// What the exporter does, in a sentence.
    pub description: String,
    /// Links after those to the server's own endpoints.
    pub links: Vec<Link>,
    /// Makes what can change while the exporter runs, anew for each view of the page; on the server's thread, so it must not wait.
    pub tables: Arc<dyn Fn() -> Vec<Table> + Send + Sync>,
}

/// A link on the landing page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it leads: a path on this server, a URL, or `:PORT/PATH` on the host that the page was asked of.
    pub address: String,
    /// What the link reads.
    pub text: String,
    /// What is found there, in a sentence.
    pub description: String,
}

/// A table on the landing page, such as the topics watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// What the rows are.
    pub heading: String,
    /// What the columns are; may be empty.
    pub columns: Vec<String>,
    /// The rows, each of as many cells as there are columns.
    pub rows: Vec<Vec<String>>,
}

impl Landing {
    /// A page without further links or tables.
    pub fn new(name: impl Into<String>, version: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            description: description.into(),
            links: Vec::new(),
            tables: Arc::new(Vec::new),
        }
    }
}

/// The page with what it needs to know of the server.
pub(crate) struct LandingPage {
    landing: Landing,
    links: Vec<Link>,
    content_security_policy: HeaderValue,
}

impl LandingPage {
    pub(crate) fn new(landing: Landing, telemetry_path: &TelemetryPath, live: Option<&Live>) -> Self {
        let link = |address: &str, text: &str, description: &str| Link {
            address: address.to_owned(),
            text: text.to_owned(),
            description: description.to_owned(),
        };
        let mut links = vec![
            link(&telemetry_path.to_string(), "Metrics", "the exposition, for Prometheus"),
            link("/readyz", "Ready", "whether it should be sent traffic"),
            link("/livez", "Alive", "whether it can do its work"),
        ];
        links.extend(live.map(|live| link(live::PAGE, "Live", &live.description)));
        links.extend_from_slice(&landing.links);
        Self { landing, links, content_security_policy: content_security_policy() }
    }

    pub(crate) fn content_security_policy(&self) -> &HeaderValue {
        &self.content_security_policy
    }

    /// The page as it is shown to who asked `origin` for it, such as `http://robot1`.
    pub(crate) fn render(&self, origin: Option<&str>) -> String {
        let mut html = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut html, origin);
        html
    }

    fn write(&self, html: &mut String, origin: Option<&str>) -> fmt::Result {
        let Landing { name, version, description, tables, .. } = &self.landing;
        let (name, version, description) = (Escaped(name), Escaped(version), Escaped(description));
        write!(
            html,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{name}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
             <h1>{name} <small>{version}</small></h1>\n<p>{description}</p>\n<ul>\n"
        )?;
        for Link { address, text, description } in &self.links {
            let Some(address) = resolve(address, origin) else { continue };
            let (address, text, description) = (Escaped(&address), Escaped(text), Escaped(description));
            writeln!(html, "<li><a href=\"{address}\">{text}</a>: {description}</li>")?;
        }
        html.push_str("</ul>\n");
        for table in tables() {
            write_table(html, &table)?;
        }
        html.push_str("</body>\n</html>\n");
        Ok(())
    }
}

/// Where a link leads; nothing where that is another port of a host that is not known.
fn resolve<'a>(address: &'a str, origin: Option<&str>) -> Option<Cow<'a, str>> {
    if address.starts_with(':') {
        origin.map(|origin| (origin.to_owned() + address).into())
    } else {
        Some(address.into())
    }
}

fn write_table(html: &mut String, table: &Table) -> fmt::Result {
    write!(html, "<h2>{}</h2>\n<table>\n", Escaped(&table.heading))?;
    if !table.columns.is_empty() {
        write_row(html, "th", &table.columns)?;
    }
    for row in &table.rows {
        write_row(html, "td", row)?;
    }
    html.push_str("</table>\n");
    Ok(())
}

fn write_row(html: &mut String, element: &str, cells: &[String]) -> fmt::Result {
    html.push_str("<tr>");
    for cell in cells {
        write!(html, "<{element}>{}</{element}>", Escaped(cell))?;
    }
    html.push_str("</tr>\n");
    Ok(())
}

/// Nothing is loaded, run, framed or sent from the page; only its own style holds, known by its hash.
fn content_security_policy() -> HeaderValue {
    let hash = BASE64.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("base64 is visible ASCII")
}

/// Text that is safe both between tags and in a quoted attribute.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_escaped() {
        let evil = || "<b>\"'&".to_owned();
        let landing = Landing {
            name: evil(),
            version: evil(),
            description: evil(),
            links: vec![Link { address: evil(), text: evil(), description: evil() }],
            tables: Arc::new(move || vec![Table { heading: evil(), columns: vec![evil()], rows: vec![vec![evil()]] }]),
        };
        let html = LandingPage::new(landing, &TelemetryPath::default(), None).render(None);
        assert!(!html.contains("<b>"), "{html}");
        // Title and heading, version, description, the link's three, the table's three.
        assert_eq!(html.matches("&lt;b&gt;&quot;&#39;&amp;").count(), 2 + 1 + 1 + 3 + 3, "{html}");
    }

    #[test]
    fn a_link_to_another_port_leads_to_the_host_that_was_asked() {
        let link = Link { address: ":8002/live".into(), text: "Live".into(), description: String::new() };
        let landing = Landing { links: vec![link], ..Landing::new("", "", "") };
        let page = LandingPage::new(landing, &TelemetryPath::default(), None);
        let html = page.render(Some("https://robot1"));
        assert!(html.contains("<a href=\"https://robot1:8002/live\">Live</a>"), "{html}");
        assert!(!page.render(None).contains("Live"));
    }
}
