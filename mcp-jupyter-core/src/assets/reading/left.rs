use serde::Serialize;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Lines, the first is 1.
    Lines,
    /// Bytes, the first is 0.
    Bytes,
}

/// What of an asset a result does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Left {
    /// What is counted.
    pub unit: Unit,
    /// How many come before what is shown.
    pub before: u64,
    /// How many are shown, or were searched.
    pub shown: u64,
    /// How many come after it; none where there are some and nobody has counted them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// How many there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

impl Left {
    pub(super) fn new(unit: Unit, before: u64, shown: u64, total: Option<u64>) -> Self {
        Self {
            unit,
            before,
            shown,
            after: total.map(|total| total.saturating_sub(before + shown)),
            total,
        }
    }

    /// Whether everything is shown.
    pub fn is_nothing(&self) -> bool {
        self.before == 0 && self.after == Some(0)
    }

    /// What is left out, in words.
    pub fn sentence(&self) -> Option<String> {
        if self.is_nothing() {
            return None;
        }
        let end = self.before + self.shown;
        let mut parts = Vec::new();
        if self.before > 0 {
            parts.push(self.span(0, self.before));
        }
        match self.after {
            None => parts.push(match self.unit {
                Unit::Lines => format!("{} and all that follow", end + 1),
                Unit::Bytes => format!("{end}.."),
            }),
            Some(0) => {}
            Some(after) => parts.push(self.span(end, end + after)),
        }
        let is_one = self.before + self.after.unwrap_or(2) == 1;
        let (unit, verb) = match (self.unit, is_one) {
            (Unit::Lines, true) => ("line", "is"),
            (Unit::Lines, false) => ("lines", "are"),
            (Unit::Bytes, true) => ("byte", "is"),
            (Unit::Bytes, false) => ("bytes", "are"),
        };
        let total = self.total.map(|total| format!(" of {total}")).unwrap_or_default();
        Some(format!("{unit} {}{total} {verb} left out", parts.join(" and ")))
    }

    fn span(&self, from: u64, to: u64) -> String {
        match self.unit {
            Unit::Bytes => format!("{from}..{to}"),
            Unit::Lines if to == from + 1 => to.to_string(),
            Unit::Lines => format!("{}-{to}", from + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_said_in_one_sentence() {
        let cases = [
            (Left::new(Unit::Lines, 0, 5, Some(5)), None),
            (
                Left::new(Unit::Lines, 0, 20, Some(100)),
                Some("lines 21-100 of 100 are left out"),
            ),
            (
                Left::new(Unit::Lines, 9, 11, Some(100)),
                Some("lines 1-9 and 21-100 of 100 are left out"),
            ),
            (Left::new(Unit::Lines, 1, 1, Some(2)), Some("line 1 of 2 is left out")),
            (
                Left::new(Unit::Lines, 1, 1, None),
                Some("lines 1 and 3 and all that follow are left out"),
            ),
            (
                Left::new(Unit::Bytes, 10, 5, Some(16)),
                Some("bytes 0..10 and 15..16 of 16 are left out"),
            ),
        ];
        for (left, sentence) in cases {
            assert_eq!(left.sentence().as_deref(), sentence);
        }
    }
}
