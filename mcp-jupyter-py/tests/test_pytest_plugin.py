"""Notebooks as tests: `pytest --mcp-jupyter`, with the use cases of nbval and of nbmake."""

import json
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

def executed(source, *outputs, id="the-cell", **metadata):
    """A cell as it is stored after an execution; a text is what it has printed, bytes are its result."""
    return new_code_cell(source, id=id, execution_count=1, outputs=[*map(stored, outputs)], metadata=metadata)


def stored(output):
    if isinstance(output, str):
        return new_output("stream", text=output)
    if isinstance(output, bytes):
        return new_output("execute_result", {"text/plain": output.decode()}, execution_count=1)
    return output


@pytest.fixture
def write(pytester):
    def write(*cells, name="nb.ipynb", **metadata):
        path = pytester.path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        nbformat.write(new_notebook(cells=list(cells), metadata=metadata), path)
        return path

    return write


@pytest.fixture
def run(pytester):
    def run(*options):
        return pytester.runpytest("--mcp-jupyter", "-p", "no:cacheprovider", *options)

    return run


def test_nothing_is_collected_nor_imported_without_the_flag(write, pytester):
    write(executed("1 / 0"))
    pytester.makepyfile("import sys\ndef test(): assert not [name for name in sys.modules if name.startswith('mcp_jupyter.')]")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
    done = pytester.runpytest_subprocess("nb.ipynb")
    assert done.ret != 0 and "passed" not in done.stdout.str()


def test_a_notebook_is_an_item_or_every_cell_is(write, run):
    write(new_markdown_cell("# Title"), executed("print(1)", "1\n", id="a"), executed(" ", id="b"), executed("2", b"2", id="c"))
    write(executed("x = 1"), name="deep/other.ipynb")
    write(executed("1 / 0"), name=".ipynb_checkpoints/nb-checkpoint.ipynb")
    result = run("-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*deep/other.ipynb::notebook PASSED*", "*nb.ipynb::notebook PASSED*"], consecutive=False)
    result = run("-v", "--mcp-jupyter-cells", "nb.ipynb")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*nb.ipynb::cell-1-a PASSED*", "*nb.ipynb::cell-3-c PASSED*"])


def test_one_cell_runs_with_those_before_it(write, run):
    write(executed("x = 20", id="a"), executed("x + 2", b"22", id="b"), executed("import time; time.sleep(600)", id="c"))
    run("--mcp-jupyter-cells", "nb.ipynb::cell-1-b").assert_outcomes(passed=1)
    run("--mcp-jupyter-cells", "-k", "cell-1-b").assert_outcomes(passed=1, deselected=2)


def test_a_failure_shows_source_id_traceback_and_every_difference(write, run):
    path = write(
        executed("print('one')\nprint('two')", "one\nTWO\n", id="printing"),
        executed("def f():\n    return 1 / 0\nf()", id="dividing"),
        executed("3", b"4", id="beyond"),
    )
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*nb.ipynb: notebook*",
            "cell #0 (id printing): other outputs than those stored (stdout)",
            "    print('two')",
            "stdout: - stored, + new",
            " one",
            "-TWO",
            "+two",
            "cell #1 (id dividing): raised ZeroDivisionError: division by zero",
            "    f()",
            "ZeroDivisionError*Traceback (most recent call last)",
            "----> 3 f()",
            "FAILED nb.ipynb::notebook - cell #0 (id printing): *",
        ]
    )
    result.stdout.no_fnmatch_line("*beyond*")
    result.stdout.no_fnmatch_line("*\x1b*")
    line = path.read_text().splitlines().index('   "id": "dividing",') + 1
    result = run("--mcp-jupyter-cells", "--tb=line")
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines([f"*nb.ipynb:{line}: cell #1 (id dividing): raised ZeroDivisionError*"])


@pytest.fixture
def outcomes(write, run):
    """Puts cells into one notebook, whose outcomes it gives in order; they are told apart by one letter."""

    def outcomes(cells, *options):
        write(*(nbformat.from_dict({**cell, "id": f"c{number}"}) for number, cell in enumerate(cells)))
        lines = run("--mcp-jupyter-cells", "-v", *options).stdout.lines
        return "".join(line.split()[1][0] for line in lines if line.startswith("nb.ipynb::"))

    return outcomes


COMPARED = [
    # The cell, what comes of it, and what does where cells are to say that their outputs count.
    (executed("print(1)", "1\n"), "PP"),
    (executed("print(1)", "2\n"), "FP"),
    (executed("print(1)"), "FP"),
    (executed("1", "1\n"), "FP"),
    (new_code_cell("print('it was never executed')"), "PP"),
    (executed("# NBVAL_IGNORE_OUTPUT\nprint(1)", "2\n"), "PP"),
    (executed("#PYTEST_VALIDATE_IGNORE_OUTPUT\nprint(1)", "2\n"), "PP"),
    (executed("# NBVAL_CHECK_OUTPUT\nprint(1)", "2\n"), "FF"),
    (executed("# NBVAL_CHECK_OUTPUT\nprint(1)", "1\n"), "PP"),
    (executed("print(1)", "2\n", tags=["nbval-ignore-output"]), "PP"),
    (executed("print(1)", "2\n", tags=["nbval-check-output"]), "FF"),
    (executed("# NBVAL_CHECK_OUTPUT\nprint(1)", "2\n", tags=["nbval-ignore-output"]), "FF"),
    (executed("1 / 0"), "FF"),
    (executed("# NBVAL_IGNORE_OUTPUT\n1 / 0"), "FF"),
    (executed("# NBVAL_SKIP\n1 / 0"), "SS"),
    (executed("1 / 0", tags=["nbval-skip"]), "SS"),
    (executed("1 / 0", tags=["skip-execution"]), "SS"),
    (executed("import sys\nprint('a'); print('e', file=sys.stderr); print('b')", "a\nb\n"), "FP"),
    (executed("print('one\\rtwo', flush=True); print('three')", "two\nthree\n"), "PP"),
    (executed("display({'image/png': 'aGk='}, raw=True)", new_output("display_data", {"image/png": "eW8="})), "PP"),
    (executed("display({'text/html': '<b>'}, raw=True)", new_output("display_data", {"text/html": "<i>"})), "FP"),
]


def test_outputs_are_compared_as_nbval_does(outcomes):
    cells = [cell for cell, _ in COMPARED]
    assert outcomes(cells) == "".join(letters[0] for _, letters in COMPARED)
    assert outcomes(cells, "--mcp-jupyter-lax") == "".join(letters[1] for _, letters in COMPARED)


def test_laxness_is_enough_to_collect(write, pytester):
    write(executed("print(1)", "2\n"))
    pytester.runpytest("--mcp-jupyter-lax").assert_outcomes(passed=1)


ZERO_DIVISION = new_output("error", ename="ZeroDivisionError", evalue="division by zero", traceback=["otherwise"])

RAISING = [
    (executed("# NBVAL_RAISES_EXCEPTION\n1 / 0", ZERO_DIVISION), "P"),
    (executed("1 / 0", ZERO_DIVISION, tags=["nbval-raises-exception"]), "P"),
    (executed("1 / 0", ZERO_DIVISION, tags=["raises-exception"]), "P"),
    (executed("1 / 0", ZERO_DIVISION), "F"),
    (executed("1 / 0", "nothing", tags=["raises-exception"]), "F"),
    (executed("int('x')", ZERO_DIVISION, tags=["raises-exception"]), "F"),
    (executed("1", ZERO_DIVISION, tags=["raises-exception"]), "F"),
]


def test_expected_exceptions(outcomes, write, run):
    assert outcomes([cell for cell, _ in RAISING]) == "".join(letter for _, letter in RAISING)
    write(RAISING[0][0], executed("1 + 1", b"2", id="next"))
    run().assert_outcomes(passed=1)
    write(RAISING[0][0], executed("1 + 1", b"3", id="next"))
    run().stdout.fnmatch_lines(["cell #1 (id next): other outputs*"])


NUMBERS = [
    (executed("0.1 + 0.2", b"0.3"), "F"),
    (executed("# MCP_JUPYTER: rtol=1e-9\n0.1 + 0.2", b"0.3"), "P"),
    (executed("# MCP_JUPYTER: atol=1e-9\nprint('loss', 1e-12, 'in 3 steps')", "loss 0 in 3 steps\n"), "P"),
    (executed("# MCP_JUPYTER: rtol=0, atol=5\nprint('loss', 1e-12, 'in 3 steps')", "loss 0 in 4 steps\n"), "F"),
    (executed("print('loss 0.5')", "gain 0.5\n", tags=["rtol=1"]), "F"),
    (executed("[1.0000001, -2.5e3]", b"[ 1., -2500]", tags=["rtol=1e-3"]), "P"),
    (executed("print(float('nan'), 1.5)", "nan 1.6\n", tags=["rtol=0.2"]), "P"),
    (executed("print('1.25s')", "1.26s\n", tags=["atol=0.02"]), "P"),
]


def test_numbers_have_tolerances(outcomes):
    cells = [cell for cell, _ in NUMBERS]
    assert outcomes(cells) == "".join(letter for _, letter in NUMBERS)
    assert outcomes(cells[:1], "--mcp-jupyter-rtol=1e-9") == "P"
    assert outcomes(cells[:1], "--mcp-jupyter-atol=1e-9") == "P"


def test_tolerances_are_tags_too_and_hold_within_json(write, run):
    json_of = lambda value: new_output("display_data", {"application/json": {"a": [value, "x"]}})  # noqa: E731
    show = "display({'application/json': {'a': [1.001, 'x']}}, raw=True)"
    write(executed(show, json_of(1.0), tags=["rtol=0.01"]), executed(show, json_of(1.0), id="strict"))
    run("--mcp-jupyter-cells").assert_outcomes(passed=1, failed=1)
    write(executed("1", b"1", tags=["atol=much"]))
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*nb.ipynb: cell #0: atol=much: expected a number*"])


def test_regular_expressions_replace_what_differs(write, run, pytester):
    write(executed("print('at 12:30:01', object())", "at 09:00:00 <object object at 0x1234>\n"))
    rules = pytester.makefile(".cfg", sanitize="[time]\nregex: \\d\\d:\\d\\d:\\d\\d\nreplace: TIME\n")
    run("--mcp-jupyter-sanitize-with", rules).assert_outcomes(failed=1)
    more = pytester.makefile(".cfg", more="regex: 0x[0-9a-f]+\nreplace: \n")
    run("--mcp-jupyter-sanitize-with", rules, "--mcp-jupyter-sanitize-with", more).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [(None, "cannot read"), ("", "no line `regex: "), ("regex: (\nreplace: x\n", "is no regular expression")],
)
def test_bad_files_of_regular_expressions_are_told(text, sentence, run, pytester):
    if text is not None:
        pytester.makefile(".cfg", rules=text)
    result = run("--mcp-jupyter-sanitize-with", "rules.cfg")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: rules.cfg: *{sentence}*"])


def test_a_limit_of_time_ends_the_notebook(write, run):
    write(executed("1", b"1", id="a"), executed("import time; time.sleep(600)", id="b"), executed("2", b"2", id="c"))
    result = run("--mcp-jupyter-timeout=1")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["cell #1 (id b): timed out: the limit of 1 s was reached", "*time.sleep(600)"])
    write(executed("import time; time.sleep(600)", id="b"), executed("2", b"2", id="c"), execution={"timeout": 1})
    result = run("--mcp-jupyter-cells", "-rs")
    result.assert_outcomes(failed=1, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED * nb.ipynb:1: not executed: cell #0 (id b) timed out*"])


def test_a_kernel_that_dies_fails_its_cell(write, run):
    write(executed("import os; os._exit(7)", id="a"), executed("1", b"1", id="b"))
    result = run("--mcp-jupyter-cells")
    result.assert_outcomes(failed=1, skipped=1)
    result.stdout.fnmatch_lines(["cell #0 (id a): did not end: the kernel ended with exit code 7*"])


def test_the_kernel_can_be_named(write, run):
    write(executed("echo $((6 * 7))", "42\n"))
    run("--mcp-jupyter-kernel=bash").assert_outcomes(passed=1)
    result = run("--mcp-jupyter-kernel=nope")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(['no kernelspec named "nope" was found*'])


def test_the_kernel_is_this_python_and_works_beside_the_notebook(write, run, pytester):
    said = f"{sys.executable}\n{pytester.path}/deep\n"
    write(executed("import os, sys; print(sys.executable)\nprint(os.getcwd())", said), name="deep/nb.ipynb")
    run().assert_outcomes(passed=1)


def test_errors_may_be_allowed(write, run):
    write(executed("1 / 0", ZERO_DIVISION, id="a"), executed("1", b"2", id="b"), execution={"allow_errors": True})
    run("--mcp-jupyter-cells").assert_outcomes(passed=1, failed=1)
    run().stdout.fnmatch_lines(["cell #1 (id b): other outputs*"])


def test_only_errors_of_imports_are_looked_for(write, run):
    write(executed("1 / 0"), executed("print(1)", "2\n", id="b"))
    run("--mcp-jupyter-import-errors").assert_outcomes(passed=1)
    write(executed("1 / 0"), executed("import no_such_module", id="b"))
    result = run("--mcp-jupyter-import-errors")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["cell #1 (id b): raised ModuleNotFoundError: No module named 'no_such_module'"])
    assert run("--mcp-jupyter-import-errors", "--mcp-jupyter-overwrite").ret == pytest.ExitCode.USAGE_ERROR


def test_slow_cells_hide_no_errors_of_imports(write, run):
    slow = executed("import time; time.sleep(600)", id="slow")
    write(executed("x = 1", id="x"), slow, new_markdown_cell("then"), executed("import no_such_module", id="b"))
    result = run("--mcp-jupyter-import-errors", "--mcp-jupyter-timeout=1", "--mcp-jupyter-cells")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["cell #3 (id b): raised ModuleNotFoundError*"])
    write(executed("x = 1", id="x"), slow)
    run("--mcp-jupyter-import-errors", "--mcp-jupyter-timeout=1").assert_outcomes(passed=1)


def test_notebooks_are_overwritten_with_their_new_outputs(write, run):
    path = write(
        new_markdown_cell("# Title", id="title"),
        executed("x = 1\nx", b"0", id="a", nbmake={"mock": {"x": "many"}, "post_cell_execute": ["y = 5"]}),
        executed("# NBVAL_SKIP\nz", b"kept", id="b"),
        executed("x, y", id="c"),
    )
    run("--mcp-jupyter-overwrite").assert_outcomes(passed=1)
    first, second = path.read_text(), nbformat.read(path, 4)
    assert [cell.id for cell in second.cells] == ["title", "a", "b", "c"]
    assert [cell.outputs[0].data["text/plain"] for cell in second.cells[1:]] == ["1", "kept", "('many', 5)"]
    assert second.cells[2].metadata == {} and second.cells[1].metadata.nbmake.mock.x == "many"
    assert first == nbformat.writes(second) + "\n"
    run().assert_outcomes(passed=1)
    assert path.read_text() == first


def test_code_after_a_cell_fails_that_cell(write, run):
    write(executed("1", b"1", id="a", nbmake={"post_cell_execute": ["assert False, 'no'"]}))
    run("--mcp-jupyter-cells").stdout.fnmatch_lines(["cell #0 (id a): the code after it,*raised AssertionError: no"])
    write(executed("1 / 0", id="a", nbmake={"post_cell_execute": ["assert False, 'no'"]}))
    run("--mcp-jupyter-cells").stdout.fnmatch_lines(["cell #0 (id a): raised ZeroDivisionError*"])


def test_files_that_are_no_notebooks_are_told(run, pytester):
    for name, text in {"a": "{", "b": "[]", "c": '{"nbformat": 4}'}.items():
        pytester.path.joinpath(f"{name}.ipynb").write_text(text)
    result = run()
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(["*no JSON*", "*does not say its nbformat*", "*no cells or no metadata*"])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"source": 5}, "cells[[]0].source: a string or a list was expected"),
        ({"metadata": {"nbmake": 3}}, "cells[[]0].metadata.nbmake: an object was expected"),
        ({"metadata": {"nbmake": {"mock": []}}}, "cells[[]0].metadata.nbmake.mock: an object was expected"),
        ({"outputs": [{"x": 1}]}, "cells[[]0].outputs[[]0]: output_type is missing"),
        ({"outputs": [{"output_type": "stream", "name": "stdout"}]}, "cells[[]0].outputs[[]0]: text is missing"),
    ],
)
def test_notebooks_that_are_damaged_are_told(change, sentence, write, run):
    path = write(executed("1", b"1"))
    document = json.loads(path.read_text())
    document["cells"][0].update(change)
    path.write_text(json.dumps(document))
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*nb.ipynb: this is no notebook: {sentence}"])


def test_a_limit_of_time_that_is_none_is_told(write, run):
    write(executed("1", b"1"), execution={"timeout": "long"})
    run().stdout.fnmatch_lines(["*metadata.execution.timeout: a number of seconds was expected"])


def test_notebooks_without_ids_and_of_old_formats(run, pytester):
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}}
    cell = {"cell_type": "code", "language": "python", "metadata": {}, "collapsed": False, "input": "print(1)"}
    cell.update(prompt_number=1, outputs=[{"output_type": "stream", "stream": "stdout", "text": "2\n"}])
    pytester.path.joinpath("old.ipynb").write_text(json.dumps({**old, "worksheets": [{"cells": [cell], "metadata": {}}]}))
    result = run("--mcp-jupyter-cells", "-v")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*old.ipynb::cell-0 FAILED*", "cell #0: other outputs than those stored (stdout)"])


def test_the_cells_of_a_notebook_stay_together_on_a_worker(write, pytester):
    for name in ("one", "two", "three"):
        cells = [executed(f"print({number})", f"{number}\n", id=f"c{number}") for number in range(5)]
        write(executed("import os; n = os.getpid()", id="first"), *cells, executed("n", b"0", id="last"), name=f"{name}.ipynb")
    pytester.makepyfile("def test(): pass")
    result = pytester.runpytest_subprocess("--mcp-jupyter", "--mcp-jupyter-cells", "-n2", "-v")
    result.assert_outcomes(passed=19, failed=3)
    lines = [line.split() for line in result.stdout.lines if line.startswith("[gw")]
    for name in ("one", "two", "three"):
        assert len({line[0] for line in lines if line[-1].startswith(f"{name}.ipynb")}) == 1
    result.stdout.fnmatch_lines(["cell #6 (id last): other outputs than those stored (text/plain)"])
    result.stdout.fnmatch_lines(["FAILED one.ipynb::cell-6-last - cell #6 (id last): *"])


def test_whole_notebooks_run_side_by_side(write, pytester):
    for number in range(4):
        write(executed("1", str(number % 2).encode()), name=f"{number}.ipynb")
    pytester.runpytest_subprocess("--mcp-jupyter", "-n2").assert_outcomes(passed=2, failed=2)


def test_durations_are_those_of_the_cells(write, run):
    write(executed("1", b"1", id="quick"), executed("import time; time.sleep(.5)", id="slow"))
    result = run("--mcp-jupyter-cells", "--durations=1", "--durations-min=0.4")
    result.stdout.fnmatch_lines(["*s call*nb.ipynb::cell-1-slow"])


def test_the_plugin_imports_nothing_of_the_module():
    code = "import sys, mcp_jupyter_pytest; sys.exit('mcp_jupyter' in sys.modules or 'pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-I", "-c", code]).returncode == 0
