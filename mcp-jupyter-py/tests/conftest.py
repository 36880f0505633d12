"""Notebooks for the tests, and pytest for the tests of the plugin."""

import pytest
from nbformat.v4 import new_code_cell, new_notebook


pytest_plugins = ["pytester"]


@pytest.fixture
def notebook():
    """Makes a notebook of code cells; a pair is a source with tags."""

    def notebook(*sources, **metadata):
        cells = []
        for number, source in enumerate(sources):
            source, tags = source if isinstance(source, tuple) else (source, [])
            cells.append(new_code_cell(source, id=f"cell-{number}", metadata={"tags": tags} if tags else {}))
        return new_notebook(cells=cells, metadata=metadata)

    return notebook
