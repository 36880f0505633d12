//! How deep a tree the parser may make of a source. The parser itself grows its stack as it needs, but whoever visits the
//! tree, or drops it, goes down as deep as the tree is.

use ruff_python_ast::token::TokenKind;
use ruff_python_parser::Mode;
use ruff_python_parser::lexer::lex;

/// A tree this deep fits a stack of a megabyte, in a build without optimisation, too.
const DEEPEST: usize = 500;

/// Whether the tree of a source may be too deep to be walked.
pub(super) fn is_too_deep(source: &str) -> bool {
    may_be_deep(source) && bound(source).is_none_or(|depth| depth > DEEPEST)
}

/// Whether a source has tokens enough for a deep tree: only then it is worth the time to look at them.
fn may_be_deep(source: &str) -> bool {
    if source.len() <= DEEPEST {
        return false;
    }
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
    let (mut tokens, mut in_word) = (0_usize, false);
    for byte in source.bytes() {
        let goes_on = byte.is_ascii_whitespace() || in_word && is_word(byte);
        tokens += usize::from(!goes_on);
        in_word = is_word(byte);
    }
    // `1if 2else 3` has two tokens in a word. Blank lines and indentation nest statements.
    tokens > DEEPEST / 2 || indentation(source) > DEEPEST / 2
}

/// How far the line that is indented most is indented: statements are not nested deeper.
fn indentation(source: &str) -> usize {
    let lines = source.split(['\n', '\r']);
    let blanks = lines.map(|line| line.len() - line.trim_start_matches([' ', '\t', '\x0c']).len());
    blanks.max().unwrap_or_default()
}

/// What a bracket holds, or a logical line.
#[derive(Default)]
struct Level {
    /// Tokens since the last comma that may have made the tree deeper.
    operators: usize,
    /// The same before the last `lambda` or `yield`: what follows a comma may still be within those.
    enclosing: usize,
    /// The deepest bracket.
    brackets: usize,
}

impl Level {
    fn depth(&self) -> usize {
        self.enclosing + self.operators + self.brackets
    }
}

/// A depth that the tree of a source does not exceed; none if the source is not even made of Python's tokens, in which
/// case the parser looks for tokens that are not known here.
fn bound(source: &str) -> Option<usize> {
    let mut lexer = lex(source, Mode::Ipython);
    let (mut levels, mut deepest) = (vec![Level::default()], 0);
    loop {
        let kind = lexer.next_token();
        let is_outermost = levels.len() == 1;
        let level = levels.last_mut()?;
        match kind {
            TokenKind::EndOfFile => break,
            TokenKind::Unknown => return None,
            TokenKind::Lpar
            | TokenKind::Lsqb
            | TokenKind::Lbrace
            | TokenKind::FStringStart
            | TokenKind::TStringStart => {
                level.operators += 1;
                levels.push(Level::default());
            }
            TokenKind::Rpar | TokenKind::Rsqb | TokenKind::Rbrace | TokenKind::FStringEnd | TokenKind::TStringEnd => {
                let depth = level.depth();
                if !is_outermost {
                    levels.pop();
                }
                let outer = levels.last_mut()?;
                outer.brackets = outer.brackets.max(depth);
            }
            TokenKind::Comma => level.operators = 0,
            TokenKind::Newline | TokenKind::Semi if is_outermost => *level = Level::default(),
            TokenKind::Lambda | TokenKind::Yield => {
                level.enclosing += level.operators + 1;
                level.operators = 0;
            }
            kind if is_leaf(kind) => {}
            _ => level.operators += 1,
        }
        deepest = deepest.max(levels.iter().map(Level::depth).sum());
        if deepest > DEEPEST {
            break;
        }
    }
    Some(deepest + indentation(source))
}

/// Tokens that make a tree wider at most.
fn is_leaf(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::Name
            | TokenKind::Int
            | TokenKind::Float
            | TokenKind::Complex
            | TokenKind::String
            | TokenKind::FStringMiddle
            | TokenKind::TStringMiddle
            | TokenKind::Comment
            | TokenKind::Newline
            | TokenKind::NonLogicalNewline
            | TokenKind::Indent
            | TokenKind::Dedent
    )
}
