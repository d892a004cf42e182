//! Small documents of HTML, in which every text is escaped.

use std::fmt::Write as _;

/// A page in the making.
pub(super) struct Document(String);

/// What stands in a cell of a table.
pub(super) enum Cell {
    /// A text.
    Text(String),
    /// Texts that lead somewhere, each with its target, one below the other.
    Links(Vec<(String, String)>),
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl Document {
    pub(super) fn new(title: &str) -> Self {
        let title = escaped(title);
        Self(format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
             <style>body{{font-family:sans-serif}}td,th{{padding:2px 12px;text-align:left;vertical-align:top}}\
             tr:nth-child(even){{background:#eee}}table{{border-spacing:0}}</style></head>\n<body><h1>{title}</h1>\n"
        ))
    }

    pub(super) fn text(mut self, text: &str) -> Self {
        let _ = writeln!(self.0, "<p>{}</p>", escaped(text));
        self
    }

    pub(super) fn heading(mut self, text: &str) -> Self {
        let _ = writeln!(self.0, "<h2>{}</h2>", escaped(text));
        self
    }

    /// Names with their values.
    pub(super) fn facts(self, heading: &str, facts: &[(&str, String)]) -> Self {
        let rows = facts
            .iter()
            .map(|(name, value)| vec![Cell::from((*name).to_owned()), Cell::from(value.clone())]);
        self.heading(heading).table(&["Name", "Value"], rows)
    }

    /// Links to pages beside this one.
    pub(super) fn links<'a>(mut self, pages: impl IntoIterator<Item = &'a str>) -> Self {
        self.0.push_str("<ul>");
        for page in pages {
            let page = escaped(page);
            let _ = write!(self.0, "<li><a href=\"/debug/{page}\">{page}</a></li>");
        }
        self.0.push_str("</ul>\n");
        self
    }

    pub(super) fn table(
        mut self,
        heads: &[&str],
        rows: impl IntoIterator<Item = Vec<Cell>>,
    ) -> Self {
        self.0.push_str("<table><tr>");
        for head in heads {
            let _ = write!(self.0, "<th>{}</th>", escaped(head));
        }
        self.0.push_str("</tr>\n");
        for row in rows {
            self.0.push_str("<tr>");
            for cell in row {
                self.cell(&cell);
            }
            self.0.push_str("</tr>\n");
        }
        self.0.push_str("</table>\n");
        self
    }

    fn cell(&mut self, cell: &Cell) {
        self.0.push_str("<td>");
        match cell {
            Cell::Text(text) => self.0.push_str(&escaped(text)),
            Cell::Links(links) => {
                for (text, target) in links {
                    let (text, target) = (escaped(text), escaped(target));
                    let _ = write!(self.0, "<a href=\"{target}\">{text}</a><br>");
                }
            }
        }
        self.0.push_str("</td>");
    }

    pub(super) fn finish(mut self) -> String {
        self.0.push_str("</body></html>\n");
        self.0
    }
}

/// A text that means itself within HTML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(char),
        }
    }
    out
}

/// A text as it is written in a query.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
