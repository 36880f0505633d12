"""Answers the questions in a file of JSON with what papermill and PyYAML do: a list of calls in, a list of answers out."""

import json
import logging
import pathlib
import sys
import tempfile

# The formatter is an option of papermill that changes what it writes.
sys.modules["black"] = None

import yaml
from papermill.cli import _resolve_type
from papermill.execute import execute_notebook
from papermill.iorw import NoDatesSafeLoader
from papermill.parameterize import parameterize_path
from papermill.translators import papermill_translators, translate_parameters
from papermill.version import version as papermill_version


def texts_as_keys(value):
    if isinstance(value, dict):
        return {str(key): texts_as_keys(item) for key, item in value.items()}
    if isinstance(value, list):
        return [texts_as_keys(item) for item in value]
    return value


def version():
    return papermill_version


def typed(text):
    return _resolve_type(text)


def read_yaml(text):
    value = yaml.load(text, Loader=NoDatesSafeLoader)
    json.dumps(value)
    return texts_as_keys(value)


def code(kernel, language, parameters):
    return translate_parameters(kernel, language, parameters)


def inspect(source):
    translator = papermill_translators.find_translator("python3", "python")
    return [parameter._asdict() for parameter in translator.inspect({"source": source})]


def path(template, parameters):
    return parameterize_path(template, parameters)


def prepare(notebook, parameters, report_mode):
    with tempfile.TemporaryDirectory() as folder:
        notebook_path = pathlib.Path(folder, "in.ipynb")
        notebook_path.write_text(json.dumps(notebook), encoding="utf-8")
        output_path = pathlib.Path(folder, "out.ipynb")
        execute_notebook(notebook_path, output_path, parameters, prepare_only=True, report_mode=report_mode)
        prepared = json.loads(output_path.read_text(encoding="utf-8"))
    # It raises the version and draws identifiers by lot.
    del prepared["nbformat_minor"]
    for cell in prepared["cells"]:
        cell.pop("id", None)
    prepared["metadata"]["papermill"].update(input_path="in.ipynb", output_path="out.ipynb")
    return prepared


def evaluate(source):
    names = {}
    exec(source, names)
    del names["__builtins__"]
    return names


def answer(call, *arguments):
    try:
        return {"value": globals()[call](*arguments)}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


logging.disable()
with open(sys.argv[1], encoding="utf-8") as questions:
    answers = [answer(*question) for question in json.load(questions)]
with open(sys.argv[2], "w", encoding="utf-8") as file:
    json.dump(answers, file)
