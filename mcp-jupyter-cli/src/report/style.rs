use std::io::IsTerminal;

/// Whether to colour, and how.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Style {
    pub(super) colour: bool,
}

impl Style {
    pub(super) fn of_stderr() -> Self {
        Self {
            colour: wanted(std::io::stderr().is_terminal()),
        }
    }

    pub(super) fn of_stdout() -> Self {
        Self {
            colour: wanted(std::io::stdout().is_terminal()),
        }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    pub(super) fn bad(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    pub(super) fn doubtful(self, text: &str) -> String {
        self.paint("1;33", text)
    }

    pub(super) fn good(self, text: &str) -> String {
        self.paint("1;32", text)
    }

    pub(super) fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }
}

/// `NO_COLOR` (no-color.org) and `FORCE_COLOR` (force-color.org) decide before the terminal does.
fn wanted(is_terminal: bool) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    !set("NO_COLOR") && (set("FORCE_COLOR") || is_terminal && !dumb)
}

/// A length of time for people.
pub(super) fn time(seconds: f64) -> String {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be small and positive"
    )]
    let whole = seconds.clamp(0.0, 1e15).round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn times_are_short() {
        assert_eq!(time(0.04), "0.0 s");
        assert_eq!(time(3.25), "3.2 s");
        assert_eq!(time(125.4), "2 min 5 s");
        assert_eq!(time(7_260.0), "2 h 1 min");
    }
}
