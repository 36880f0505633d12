//! The parser behind [`Json::parse`] and [`Json::parse_frame`].

use std::borrow::Cow;

use bytes::Bytes;

use super::json::{Json, JsonError, JsonMap, Number, plain_length};
use super::text::{Text, unescape};

/// Nesting beyond this is refused: the parser recurses, and no notebook comes near it.
const DEPTH_LIMIT: usize = 512;

/// A string of a message whose literal is longer than this, in bytes, is not decoded but shares the frame's memory.
const FRAME_LIMIT: usize = 1 << 20;

/// The same of a document that is read from a file, where images are shorter and plenty.
const DOCUMENT_LIMIT: usize = 1 << 16;

pub(super) fn parse_document(document: &[u8]) -> Result<Json, JsonError> {
    Parser::new(checked(document)?).document()
}

pub(super) fn parse_shared(document: &Bytes) -> Result<Json, JsonError> {
    let mut parser = Parser::new(checked(document)?);
    parser.shared = Some((document, DOCUMENT_LIMIT));
    parser.document()
}

fn checked(document: &[u8]) -> Result<&str, JsonError> {
    let text = std::str::from_utf8(document)
        .map_err(|error| error_at(document, error.valid_up_to(), "a byte that is not UTF-8"))?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

pub(super) fn parse_frame(frame: &Bytes) -> Result<Json, JsonError> {
    let text = String::from_utf8_lossy(frame);
    let mut parser = Parser::new(&text);
    parser.lone_surrogates = true;
    parser.shared = matches!(text, Cow::Borrowed(_)).then_some((frame, FRAME_LIMIT));
    parser.document()
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// The memory that `text` lies in, where strings may share it, and the length beyond which they do.
    shared: Option<(&'a Bytes, usize)>,
    lone_surrogates: bool,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            shared: None,
            lone_surrogates: false,
        }
    }

    fn document(mut self) -> Result<Json, JsonError> {
        let value = self.value()?;
        self.skip_space();
        if self.at < self.text.len() {
            return Err(self.error("more text after the end of the document"));
        }
        Ok(value)
    }

    fn error(&self, reason: &str) -> JsonError {
        error_at(self.text.as_bytes(), self.at, reason)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, expected: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(expected);
        if found {
            self.at += 1;
        }
        found
    }

    fn value(&mut self) -> Result<Json, JsonError> {
        self.skip_space();
        match self.peek() {
            None => Err(self.error("the document ends where a value was expected")),
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => self.string().map(Json::String),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(b'N') => self.word("NaN", Json::Number(Number::from_literal("NaN"))),
            Some(b'I') => self.word("Infinity", Json::Number(Number::from_literal("Infinity"))),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => Err(self.error("a character that starts no value")),
        }
    }

    fn nested(&mut self, parse: fn(&mut Self) -> Result<Json, JsonError>) -> Result<Json, JsonError> {
        if self.depth == DEPTH_LIMIT {
            return Err(self.error("nesting deeper than 512 levels"));
        }
        self.depth += 1;
        self.at += 1;
        let value = parse(self);
        self.depth -= 1;
        value
    }

    fn object(&mut self) -> Result<Json, JsonError> {
        let mut map = JsonMap::new();
        if self.eat(b'}') {
            return Ok(Json::Object(map));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.error("a member name in double quotes was expected"));
            }
            let key = self.string()?.into_string();
            if !self.eat(b':') {
                return Err(self.error("':' was expected after a member name"));
            }
            let value = self.value()?;
            map.insert(key, value);
            if self.eat(b'}') {
                return Ok(Json::Object(map));
            }
            if !self.eat(b',') {
                return Err(self.error("',' or '}' was expected"));
            }
        }
    }

    fn array(&mut self) -> Result<Json, JsonError> {
        let mut items = Vec::new();
        if self.eat(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value()?);
            if self.eat(b']') {
                return Ok(Json::Array(items));
            }
            if !self.eat(b',') {
                return Err(self.error("',' or ']' was expected"));
            }
        }
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, JsonError> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(value)
        } else {
            Err(self.error("a word that is none of true, false, null, NaN, Infinity"))
        }
    }

    fn number(&mut self) -> Result<Json, JsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
            if self.peek() == Some(b'I') {
                return self.word("Infinity", Json::Number(Number::from_literal("-Infinity")));
            }
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else if self.digits() == 0 {
            return Err(self.error("a digit was expected"));
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(self.error("a digit was expected after '.'"));
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.error("a digit was expected in the exponent"));
            }
        }
        Ok(Json::Number(Number::from_literal(&self.text[start..self.at])))
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn string(&mut self) -> Result<Text, JsonError> {
        self.at += 1;
        let start = self.at;
        let mut escapes = 0_usize;
        loop {
            self.at += plain_length(&self.text.as_bytes()[self.at..]);
            match self.peek() {
                None => return Err(self.error("the document ends inside a string")),
                Some(b'"') => break,
                Some(b'\\') => {
                    escapes += 1;
                    self.at += 1;
                    self.escape()?;
                }
                Some(_) => return Err(self.error("a control character inside a string")),
            }
        }
        let literal = &self.text[start..self.at];
        self.at += 1;
        if let Some((memory, _)) = self.shared.filter(|(_, limit)| literal.len() > *limit) {
            return Ok(Text::from_literal(memory.slice_ref(literal.as_bytes())));
        }
        if escapes == 0 {
            return Ok(Text::from(literal));
        }
        let mut decoded = String::with_capacity(literal.len() - escapes);
        unescape(literal, &mut |chunk| decoded.push_str(chunk));
        Ok(Text::from(decoded))
    }

    /// Passes the escape whose backslash has been passed.
    fn escape(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => match self.unicode_escape()? {
                0xD800..=0xDBFF if self.text[self.at..].starts_with("\\u") => {
                    let at = self.at;
                    self.at += 1;
                    if !(0xDC00..=0xDFFF).contains(&self.unicode_escape()?) {
                        self.at = at;
                        self.lone_surrogate()?;
                    }
                }
                0xD800..=0xDFFF => self.lone_surrogate()?,
                _ => {}
            },
            _ => return Err(self.error("an unknown escape inside a string")),
        }
        Ok(())
    }

    fn lone_surrogate(&self) -> Result<(), JsonError> {
        if self.lone_surrogates {
            Ok(())
        } else {
            Err(self.error("half of a surrogate pair, which no UTF-8 text can hold,"))
        }
    }

    /// Passes `uXXXX` and gives its value.
    fn unicode_escape(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.as_bytes().get(self.at + 1..self.at + 5);
        let valid = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let Some(digits) = valid.and_then(|digits| std::str::from_utf8(digits).ok()) else {
            return Err(self.error("four hexadecimal digits were expected after \\u"));
        };
        let value = u32::from_str_radix(digits, 16).map_err(|_| self.error("not a hexadecimal number"))?;
        self.at += 5;
        Ok(value)
    }
}

fn error_at(text: &[u8], at: usize, reason: &str) -> JsonError {
    let before = &text[..at.min(text.len())];
    let line_start = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |newline| newline + 1);
    JsonError {
        reason: reason.to_owned(),
        line: before.split(|byte| *byte == b'\n').count(),
        column: 1 + before.len() - line_start,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn any_json() -> impl Strategy<Value = Json> {
        let number = prop_oneof![
            any::<i64>().prop_map(Json::from),
            any::<f64>().prop_map(Json::from),
            "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?"
                .prop_map(|literal| Json::Number(Number::from_literal(&literal))),
        ];
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            number,
            any::<String>().prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Json::Array),
                prop::collection::vec((any::<String>(), inner), 0..8)
                    .prop_map(|members| members.into_iter().collect::<Json>()),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in any_json()) {
            let written = value.to_string();
            prop_assert_eq!(&Json::parse(written.as_bytes()).unwrap().to_string(), &written);
            prop_assert_eq!(Json::parse_frame(&Bytes::from(written.clone())).unwrap().to_string(), written);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Json::parse(&bytes);
            let _ = Json::parse_frame(&Bytes::from(bytes));
        }
    }

    #[test]
    fn number_literals_are_kept() {
        let document = "[1.0,1e5,-0,0.10,123456789012345678901234567890,NaN,-Infinity,1E+2]";
        assert_eq!(Json::parse(document.as_bytes()).unwrap().to_string(), document);
    }

    #[test]
    fn refuses_what_python_refuses_and_says_where() {
        for document in [
            "",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "01",
            "1.",
            "\"\u{1}\"",
            "nul",
            "[1] 2",
            "\"\\x\"",
            "+1",
            "'a'",
        ] {
            assert!(Json::parse(document.as_bytes()).is_err(), "{document}");
        }
        let error = Json::parse(b"{\n \"a\": tru\n}").unwrap_err();
        assert_eq!((error.line, error.column), (2, 7));
    }

    #[test]
    fn surrogates() {
        assert_eq!(Json::parse(br#""\ud83d\ude00""#).unwrap(), Json::from("\u{1f600}"));
        assert!(Json::parse(br#""\ud83d""#).is_err());
        assert!(Json::parse(br#""\ud83d\u0041""#).is_err());
        let frame = Bytes::from_static(br#"["\ud83d\u0041","\ude00","\ud83d\ud83d\ude00"]"#);
        let expected = Json::Array(vec!["\u{fffd}A".into(), "\u{fffd}".into(), "\u{fffd}\u{1f600}".into()]);
        assert_eq!(Json::parse_frame(&frame).unwrap(), expected);
        assert_eq!(
            Json::parse_frame(&Bytes::from_static(b"\"\xff\"")).unwrap(),
            Json::from("\u{fffd}")
        );
    }

    #[test]
    fn a_long_string_shares_the_frame_and_reads_the_same() {
        let long = "a\"\\\n\u{e9}\u{1f600}".repeat(300_000);
        let frame = Bytes::from(Json::from(long.as_str()).to_string());
        let value = Json::parse_frame(&frame).unwrap();
        assert!(!frame.is_unique());
        assert_eq!(value.as_str().unwrap(), long);
        assert_eq!(value.to_string().as_bytes(), &frame[..]);
    }

    #[test]
    fn deep_nesting_is_refused_without_overflowing_the_stack() {
        let document = "[".repeat(1_000_000);
        assert!(Json::parse(document.as_bytes()).unwrap_err().reason.contains("nesting"));
    }
}
