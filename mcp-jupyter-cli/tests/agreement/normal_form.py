"""Brings an executed notebook into a form in which two runs of it can be compared.

Adjacent streams of one name are joined, strings that a file holds as lists of lines too; addresses, times, paths, process
ids and random ids are replaced by placeholders, those of widgets by names that follow from what the widget is.
"""

from __future__ import annotations

import hashlib
import json
import re
import typing

WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
# Widgets refer to each other; after this many rounds a widget's name depends on all that it reaches in as many steps.
NAMING_ROUNDS = 4
RANDOM_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")

REPLACEMENTS = [
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r"0x[0-9a-f]{6,}|\b[0-9a-f]{12}\b"), "<address>"),
    (re.compile(r"ipykernel_\d+"), "ipykernel_<pid>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?"), "<time>"),
    (re.compile(r"(CPU times: |Wall time: )[^\n]*"), r"\1<duration>"),
    (re.compile(r"\d+(\.\d+)? (ns|µs|ms|s)\b"), "<duration>"),
    (re.compile(r"(pid ?[=:]? ?)\d+", re.IGNORECASE), r"\1<pid>"),
]

Json = typing.Any


def normal_form(notebook: dict, folder: str) -> dict[str, Json]:
    """The notebook as a flat mapping from places, such as `cells[3].outputs`, to comparable values."""
    names = widget_names(notebook)

    def clean(value: Json) -> Json:
        return cleaned(value, folder, names)

    places = {f"{key}": clean(value) for key, value in notebook.items() if key not in ("cells", "metadata")}
    places |= {f"metadata.{key}": clean(value) for key, value in notebook["metadata"].items()}
    places["cells"] = len(notebook["cells"])
    for i, cell in enumerate(notebook["cells"]):
        places |= {f"cells[{i}].{key}": clean(value) for key, value in cell_places(cell).items()}
    return places


def cell_places(cell: dict) -> dict[str, Json]:
    """The parts of a cell that are compared each for itself."""
    places = {key: value for key, value in cell.items() if key not in ("metadata", "outputs", "source")}
    places["source"] = joined(cell["source"])
    if "outputs" in cell:
        places["outputs"] = joined_streams([whole_output(output) for output in cell["outputs"]])
    metadata = dict(cell["metadata"])
    # The times themselves differ from run to run; that the same ones were recorded is what counts.
    timing = metadata.pop("execution", None)
    if timing is not None:
        places["timing"] = sorted(timing)
    return places | {f"metadata.{key}": value for key, value in metadata.items()}


def joined(value: Json) -> Json:
    """A list of lines as one string; anything else as it is."""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    return value


def whole_output(output: dict) -> dict:
    """An output with whole strings instead of lists of lines, where nbformat allows those."""
    output = dict(output)
    if output["output_type"] == "stream":
        output["text"] = joined(output["text"])
    if isinstance(output.get("data"), dict):
        output["data"] = {
            mime: value if mime == "application/json" or mime.endswith("+json") else joined(value)
            for mime, value in output["data"].items()
        }
    return output


def joined_streams(outputs: list[dict]) -> list[dict]:
    """Joins adjacent streams of one name, and drops those without text."""
    result: list[dict] = []
    for output in outputs:
        is_stream = output["output_type"] == "stream"
        if is_stream and not output["text"]:
            continue
        if is_stream and result and result[-1]["output_type"] == "stream" and result[-1]["name"] == output["name"]:
            result[-1] = output | {"text": result[-1]["text"] + output["text"]}
        else:
            result.append(output)
    return result


def widget_names(notebook: dict) -> dict[str, str]:
    """A name for each widget model that follows from its state and from those of the models that it refers to."""
    widgets = notebook["metadata"].get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    names = dict.fromkeys(widgets, "")
    for _ in range(NAMING_ROUNDS):
        names = {model_id: f"<widget {digest(state, names)}>" for model_id, state in widgets.items()}
    return names


def digest(state: Json, names: dict[str, str]) -> str:
    """A short digest of a widget's state under the names found so far."""
    text = json.dumps(cleaned(state, "", names), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def cleaned(value: Json, folder: str, names: dict[str, str]) -> Json:
    """The value with placeholders for what differs from run to run."""
    if isinstance(value, str):
        return cleaned_text(value, folder, names)
    if isinstance(value, list):
        return [cleaned(item, folder, names) for item in value]
    if isinstance(value, dict):
        return cleaned_object(value, folder, names)
    return value


def cleaned_object(value: dict, folder: str, names: dict[str, str]) -> dict:
    """An object with its members cleaned; those whose keys become the same are told apart by a number."""
    members = [(cleaned_text(key, folder, names), cleaned(item, folder, names)) for key, item in value.items()]
    members.sort(key=lambda member: (member[0], json.dumps(member[1], sort_keys=True)))
    result: dict = {}
    for key, item in members:
        result[key if key not in result else f"{key} #{len(result)}"] = item
    return result


def cleaned_text(text: str, folder: str, names: dict[str, str]) -> str:
    """The text with placeholders for what differs from run to run."""
    # Most of what is long is output of ours that holds none of it, and regular expressions take long on it.
    if len(text) > 100_000:
        return f"<{len(text)} characters, sha256 {hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}>"
    if folder:
        text = text.replace(folder, "<folder>")
    text = RANDOM_ID.sub(lambda match: names.get(match[0], "<id>"), text)
    for pattern, placeholder in REPLACEMENTS:
        text = pattern.sub(placeholder, text)
    return text
