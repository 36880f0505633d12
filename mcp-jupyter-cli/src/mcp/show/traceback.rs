use super::text::cleaned;

/// A traceback as far as it is about the notebook's own code: without colours, and without the frames of libraries.
pub(super) fn traceback(ename: &str, evalue: &str, frames: &[String]) -> String {
    let mut shown = String::new();
    let mut libraries = 0;
    for frame in frames {
        let frame = cleaned(frame);
        if is_of_library(&frame) {
            libraries += 1;
            continue;
        }
        note_libraries(&mut shown, &mut libraries);
        if is_rule(&frame) {
            continue;
        }
        shown.push_str(frame.trim_end());
        shown.push('\n');
    }
    note_libraries(&mut shown, &mut libraries);
    let last = format!("{ename}: {}", cleaned(evalue));
    // Some kernels send no traceback.
    if !shown.contains(ename) {
        shown.push_str(last.trim_end_matches([':', ' ']));
        shown.push('\n');
    }
    shown
}

fn note_libraries(shown: &mut String, libraries: &mut usize) {
    match std::mem::take(libraries) {
        0 => {}
        1 => shown.push_str("[1 frame of a library left out]\n"),
        several => {
            shown.push_str(&several.to_string());
            let at = shown.len() - several.to_string().len();
            shown.insert(at, '[');
            shown.push_str(" frames of libraries left out]\n");
        }
    }
}

/// A frame of IPython's begins with the file that its code is in.
fn is_of_library(frame: &str) -> bool {
    let Some(place) = frame.trim_start().strip_prefix("File ") else {
        return false;
    };
    let file = place.lines().next().unwrap_or_default();
    ["site-packages", "dist-packages", "/lib/python", "<frozen "]
        .iter()
        .any(|library| file.contains(library))
}

/// The line of hyphens that IPython begins with.
fn is_rule(frame: &str) -> bool {
    let frame = frame.trim();
    !frame.is_empty() && frame.chars().all(|c| c == '-')
}

#[cfg(test)]
mod tests {
    use super::traceback;

    #[test]
    fn frames_of_libraries_and_colours_are_left_out() {
        let frames = [
            "\u{1b}[31m-----------\u{1b}[39m",
            "\u{1b}[31mValueError\u{1b}[39m   Traceback (most recent call last)",
            "Cell In[3], line 1\n----> 1 load(\"x\")",
            "File /env/lib/python3.12/site-packages/pandas/io.py:7, in read()\n      7 raise",
            "File /env/lib/python3.12/site-packages/pandas/io.py:9, in parse()\n      9 raise",
            "\u{1b}[31mValueError\u{1b}[39m: bad",
        ]
        .map(str::to_owned);
        assert_eq!(
            traceback("ValueError", "bad", &frames),
            "ValueError   Traceback (most recent call last)\nCell In[3], line 1\n----> 1 load(\"x\")\n\
             [2 frames of libraries left out]\nValueError: bad\n"
        );
    }

    #[test]
    fn an_error_without_a_traceback_is_named() {
        assert_eq!(traceback("Error", "no", &[]), "Error: no\n");
        assert_eq!(traceback("KeyboardInterrupt", "", &[]), "KeyboardInterrupt\n");
    }
}
