//! The graph as one page: the SVG, a search, and the sources.

use std::fmt::Write as _;

use serde::Serialize;

use super::escape::{json, xml};
use super::svg::write_svg;
use super::{Drawing, Node};

const SVG_STYLE: &str = include_str!("svg.css");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What the browser is to allow: nothing from anywhere, and of scripts only ours, by its digest.
const SCRIPT_DIGEST: &str = "Swxx74M33JnWh9KU5BiuqqqgUy/jK58XDMnpiSZ28g4=";

#[derive(Serialize)]
struct Details<'a> {
    index: usize,
    id: &'a str,
    reason: &'a str,
    reads: &'a [String],
    writes: &'a [String],
    unknown: Option<&'a str>,
    source: &'a str,
}

impl<'a> Details<'a> {
    fn new(node: &'a Node<'_>) -> Self {
        Self {
            index: node.index,
            id: node.id,
            reason: &node.reason,
            reads: &node.effects.reads,
            writes: &node.effects.writes,
            unknown: node.effects.unknown.as_deref(),
            source: node.source,
        }
    }
}

/// The graph as a page that loads nothing.
pub fn html(drawing: &Drawing<'_>) -> String {
    let name = xml(drawing.name);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{SCRIPT_DIGEST}'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{name}: dependencies</title>\n<style>{SVG_STYLE}{STYLE}</style>\n</head>\n<body>\n\
         <header><input id=\"search\" type=\"search\" placeholder=\"search sources, names and ids\" autocomplete=\"off\" spellcheck=\"false\" aria-label=\"search\"><output id=\"found\"></output></header>\n<main>\n<div id=\"graph\">"
    );
    write_svg(&mut page, drawing, false);
    let _ = writeln!(
        page,
        "{}</div>\n<aside id=\"details\" aria-live=\"polite\"></aside>\n</main>",
        remarks(drawing)
    );
    let _ = writeln!(
        page,
        "<script id=\"cells\" type=\"application/json\">{}</script>",
        details(drawing)
    );
    let _ = writeln!(page, "<script>{SCRIPT}</script>\n</body>\n</html>");
    page
}

fn remarks(drawing: &Drawing<'_>) -> String {
    if drawing.remarks.is_empty() {
        return String::new();
    }
    let items = drawing.remarks.iter().map(|remark| format!("<li>{}</li>", xml(remark)));
    format!("<ul id=\"remarks\">{}</ul>", items.collect::<String>())
}

fn details(drawing: &Drawing<'_>) -> String {
    let details: Vec<_> = drawing.nodes.iter().map(Details::new).collect();
    json(&serde_json::to_string(&details).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use sha2::{Digest, Sha256};

    use super::super::tests::{HOSTILE, with_sample};
    use super::*;

    #[test]
    fn nothing_of_a_notebook_becomes_markup() {
        let page = with_sample(html);
        assert_eq!(page.matches("<script").count(), 2);
        assert_eq!(page.matches("</script").count(), 2);
        assert!(!page.contains("alert(1)</"));
        let data = page
            .split_once("application/json\">")
            .unwrap()
            .1
            .split_once("</script>")
            .unwrap()
            .0;
        let cells: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(
            (&cells[0]["source"], &cells[0]["id"]),
            (&HOSTILE.into(), &HOSTILE.into())
        );
    }

    #[test]
    fn nothing_is_loaded_and_only_our_script_runs() {
        let page = with_sample(html);
        assert_eq!(STANDARD.encode(Sha256::digest(SCRIPT)), SCRIPT_DIGEST);
        assert!(page.contains(&format!("<script>{SCRIPT}</script>")));
        for word in ["src=", "href=", "url(", "@import", "fetch("] {
            assert!(!page.contains(word), "{word}");
        }
    }
}
