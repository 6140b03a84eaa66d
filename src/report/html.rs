//! Pages in one file: no script, nothing from outside, readable on a phone and in the dark.

use super::theme;

const STYLE: &str = include_str!("page.css");

/// A whole page; `body` is HTML, `title` is text.
pub(super) fn page(title: &str, body: &str) -> String {
    let (title, colours) = (escaped(title), theme::style_sheet());
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{colours}{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
}

/// Text that means itself within HTML and SVG, in attributes too.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// A table below a header; the first column is text, the others numbers. Wider than the page, it scrolls by itself.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let cells = |cells: &mut dyn Iterator<Item = &str>, tag: &str| {
        cells.map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell))).collect::<Vec<_>>().concat()
    };
    let head = cells(&mut header.iter().copied(), "th");
    let rows = rows.iter().map(|row| format!("<tr>{}</tr>\n", cells(&mut row.iter().map(String::as_str), "td")));
    let body: String = rows.collect();
    format!("<div class=\"wide\"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>\n")
}

/// Numbers that count most, each below its name and above a remark.
pub(super) fn headline(numbers: &[(String, String, String)]) -> String {
    let number = |(name, value, remark): &(String, String, String)| {
        let [name, value, remark] = [name, value, remark].map(|text| escaped(text));
        format!("<div><dt>{name}</dt><dd>{value}<small>{remark}</small></dd></div>\n")
    };
    format!("<dl class=\"headline\">\n{}</dl>\n", numbers.iter().map(number).collect::<String>())
}

/// A plot below its name, its key and what there is to say of it; `content` and `key` are HTML.
pub(super) fn figure(name: &str, key: &str, content: &str, caption: &str) -> String {
    let (name, caption) = (escaped(name), escaped(caption));
    format!("<figure>\n<h3>{name}</h3>\n{key}{content}\n<figcaption>{caption}</figcaption>\n</figure>\n")
}

/// What stands in a figure's place where there is nothing to draw.
pub(super) fn nothing(reason: &str) -> String {
    format!("<p class=\"nothing\">{}</p>", escaped(reason))
}

/// What the two series of a plot are; colour alone tells nothing, so each is shown as it is drawn.
pub(super) fn key(series: &[(&str, &str)]) -> String {
    let one = |(class, name): &(&str, &str)| format!("<span class=\"{class}\">{}</span>", escaped(name));
    format!("<p class=\"key\">{}</p>\n", series.iter().map(one).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_wherever_it_stands() {
        let evil = "<script>&'\"";
        let safe = "&lt;script&gt;&amp;&#39;&quot;";
        assert_eq!(escaped(evil), safe);
        let pieces = [
            page(evil, ""),
            table(&[evil], &[vec![evil.into()]]),
            headline(&[(evil.into(), evil.into(), evil.into())]),
            figure(evil, "", "", evil),
            nothing(evil),
            key(&[("first", evil)]),
        ];
        for piece in pieces {
            assert!(!piece.contains("<script>") && piece.contains(safe), "{piece}");
        }
    }

    #[test]
    fn a_page_loads_nothing() {
        let page = page("title", "");
        assert!(page.contains("name=\"viewport\"") && page.contains("prefers-color-scheme:dark"));
        assert!(!["http", "<script", "url(", "@import", "src="].iter().any(|outside| page.contains(outside)));
    }
}
