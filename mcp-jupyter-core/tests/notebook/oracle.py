"""Reads and writes every notebook of a folder with nbformat, and says which it holds to be valid.

For each `NAME.ipynb` it writes `NAME.expected`. Where nbformat makes up an id, and where we do because the one that is
there is no string, the one in `NAME.ours` is taken.
"""

import json
import logging
import pathlib
import sys
import warnings

import nbformat

warnings.simplefilter("ignore")
logging.disable()


def made_up(raw, index, seen):
    if raw["nbformat"] < 4:
        return True
    if raw.get("nbformat_minor", 0) < 5:
        return False
    found = raw["cells"][index].get("id")
    return not isinstance(found, str) or found == "" or found in seen


def examine(path):
    text = path.read_text(encoding="utf8")
    problems = {}
    try:
        notebook = nbformat.reads(text, 4, capture_validation_error=problems)
        raw, ours = json.loads(text), path.with_suffix(".ours")
        if ours.exists():
            ours = json.loads(ours.read_text(encoding="utf8"))
            seen = set()
            for index, cell in enumerate(notebook.cells):
                if made_up(raw, index, seen):
                    cell["id"] = ours["cells"][index]["id"]
                    problems.setdefault("ValidationError", "an id was made up")
                else:
                    seen.add(cell.get("id"))
        nbformat.write(notebook, path.with_suffix(".expected"))
    except (Exception, AssertionError) as error:  # noqa: BLE001
        return {"error": f"{type(error).__name__}: {error}"[:200]}
    return {"valid": not problems, "why": str(problems.get("ValidationError", ""))[:400]}


folder = pathlib.Path(sys.argv[1])
print(json.dumps({path.stem: examine(path) for path in sorted(folder.glob("*.ipynb"))}))
