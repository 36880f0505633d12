"""The end of an interpreter, whatever goes on; `exits.py` does the same hundreds of times."""

import exits
import pytest


@pytest.mark.parametrize("way", exits.WAYS)
def test_an_interpreter_ends_well(way):
    assert exits.end(way, 0) == []
