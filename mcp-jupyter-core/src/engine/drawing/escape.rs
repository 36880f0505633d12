//! Text of notebooks inside of markup. Whatever it holds, it stays text.

use std::fmt::Write as _;

/// Text or an attribute's value in XML and HTML. What XML 1.0 cannot hold (section 2.2) becomes U+FFFD.
pub(super) fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'.. => escaped.push(c),
            _ => escaped.push('\u{fffd}'),
        }
    }
    escaped
}

/// JSON inside of an HTML `script` element: nothing in it can end the element or begin a comment (HTML, 4.12.1.3).
pub(super) fn json(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

/// The inside of a quoted string of DOT. Besides quotes, a backslash is escaped: labels know `\n`, `\N` and others.
pub(super) fn dot(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => escaped.extend(['\\', c]),
            '\n' => escaped.push_str("\\n"),
            // Graphviz decodes entities in labels.
            '&' => escaped.push_str("&amp;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The inside of a quoted label of Mermaid, where Markdown, HTML and Mermaid's own words would be understood: all but
/// letters, digits and a few harmless characters become entities, in Mermaid's own way of writing them.
pub(super) fn mermaid(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' ' | '.' | ',' | '=' | '_' | '-' | ':' => escaped.push(c),
            c if c.is_alphanumeric() => escaped.push(c),
            c if c.is_control() => escaped.push(' '),
            c => drop(write!(escaped, "#{};", u32::from(c))),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_stays_text() {
        assert_eq!(
            xml("</script><b a=\"1\" b='2'> & \0\u{1b}\u{ffff}\t"),
            "&lt;/script&gt;&lt;b a=&quot;1&quot; b=&#39;2&#39;&gt; &amp; \u{fffd}\u{fffd}\u{fffd}\t"
        );
        assert_eq!(
            json(r#"["</script><!--", "&"]"#),
            r#"["\u003c/script\u003e\u003c!--", "\u0026"]"#
        );
        assert_eq!(dot("a \"b\" \\n\n&lt;\0"), "a \\\"b\\\" \\\\n\\n&amp;lt; ");
        assert_eq!(
            mermaid("f(\"<b>\")\n`#x`;"),
            "f#40;#34;#60;b#62;#34;#41; #96;#35;x#96;#59;"
        );
    }
}
