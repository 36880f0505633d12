//! Arithmetic with names: what the kernel executes. It knows nothing of Jupyter.

use std::collections::HashMap;
use std::iter::Peekable;
use std::str::Chars;

/// Why a line has no value.
#[derive(Debug, PartialEq)]
pub(crate) struct Failure {
    /// Its kind, as an exception's class.
    pub(crate) name: &'static str,
    /// What is wrong.
    pub(crate) reason: String,
}

fn failure<T>(name: &'static str, reason: impl Into<String>) -> Result<T, Failure> {
    let reason = reason.into();
    Err(Failure { name, reason })
}

/// The names that have been given values.
#[derive(Debug, Default)]
pub(crate) struct Calculator {
    names: HashMap<String, f64>,
}

impl Calculator {
    /// Calculates line by line; gives the value of the last line, unless that assigns it to a name.
    pub(crate) fn calculate(&mut self, code: &str) -> Result<Option<f64>, Failure> {
        let mut last = None;
        for line in code.lines().filter(|line| !line.trim().is_empty()) {
            last = self.line(line)?;
        }
        Ok(last)
    }

    fn line(&mut self, line: &str) -> Result<Option<f64>, Failure> {
        let Some((name, expression)) = line.split_once('=') else {
            return self.value(line).map(Some);
        };
        let value = self.value(expression)?;
        self.names.insert(name.trim().to_owned(), value);
        Ok(None)
    }

    fn value(&self, expression: &str) -> Result<f64, Failure> {
        let mut parser = Parser {
            rest: expression.chars().peekable(),
            names: &self.names,
        };
        let value = parser.sum()?;
        match parser.peek() {
            None => Ok(value),
            Some(rest) => failure("SyntaxError", format!("'{rest}' follows a complete expression")),
        }
    }
}

struct Parser<'a> {
    rest: Peekable<Chars<'a>>,
    names: &'a HashMap<String, f64>,
}

impl Parser<'_> {
    fn peek(&mut self) -> Option<char> {
        while self.rest.next_if(|c| c.is_whitespace()).is_some() {}
        self.rest.peek().copied()
    }

    fn take(&mut self, wanted: char) -> bool {
        self.peek() == Some(wanted) && self.rest.next().is_some()
    }

    fn word(&mut self) -> String {
        std::iter::from_fn(|| self.rest.next_if(|c| c.is_alphanumeric() || matches!(c, '.' | '_'))).collect()
    }

    fn sum(&mut self) -> Result<f64, Failure> {
        let mut value = self.product()?;
        loop {
            if self.take('+') {
                value += self.product()?;
            } else if self.take('-') {
                value -= self.product()?;
            } else {
                return Ok(value);
            }
        }
    }

    fn product(&mut self) -> Result<f64, Failure> {
        let mut value = self.factor()?;
        loop {
            if self.take('*') {
                value *= self.factor()?;
            } else if self.take('/') {
                let divisor = self.factor()?;
                if divisor == 0.0 {
                    return failure("ZeroDivisionError", format!("{value} cannot be divided by zero"));
                }
                value /= divisor;
            } else {
                return Ok(value);
            }
        }
    }

    fn factor(&mut self) -> Result<f64, Failure> {
        if self.take('-') {
            return self.factor().map(|value| -value);
        }
        if self.take('(') {
            let value = self.sum()?;
            let closed = self.take(')');
            return if closed {
                Ok(value)
            } else {
                failure("SyntaxError", "')' is missing")
            };
        }
        self.peek();
        let word = self.word();
        match (word.parse(), self.names.get(&word)) {
            (Ok(number), _) => Ok(number),
            (_, Some(value)) => Ok(*value),
            _ if word.is_empty() => failure("SyntaxError", "a number or a name is missing"),
            _ => failure("NameError", format!("name '{word}' is not defined")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precedence_and_names() {
        let mut calculator = Calculator::default();
        assert_eq!(calculator.calculate("a = 2\nb = -(a + 1)").unwrap(), None);
        assert_eq!(calculator.calculate("1 + a * b - 8 / 4").unwrap(), Some(-7.0));
    }

    #[test]
    fn failures_have_names() {
        let mut calculator = Calculator::default();
        for (code, name) in [
            ("1 / (2 - 2)", "ZeroDivisionError"),
            ("x + 1", "NameError"),
            ("(1 + 2", "SyntaxError"),
            ("1 2", "SyntaxError"),
            ("1 +", "SyntaxError"),
        ] {
            assert_eq!(calculator.calculate(code).unwrap_err().name, name, "{code}");
        }
    }
}
