import fnmatch
import json
import sys
import types


class Answer:
    """Shows itself as JSON."""

    def __init__(self, value):
        self.text = json.dumps(value, default=str)

    def __repr__(self):
        return self.text


def kind(value):
    cls = type(value)
    module = cls.__module__.split(".")[0]
    return cls.__qualname__ if module == "builtins" else module + "." + cls.__qualname__


def brief(value, depth=2):
    """A bounded text; of objects of others only their type, because their __repr__ may do anything."""
    if value is None or value is True or value is False:
        return repr(value)
    cls = type(value)
    if cls is int:
        return repr(value) if value.bit_length() < 300 else "int of %d bits" % value.bit_length()
    if cls in (float, complex):
        return repr(value)
    if cls in (str, bytes, bytearray):
        cut = repr(value[:60])
        return cut if len(value) <= 60 else cut + "... (%d)" % len(value)
    if cls in (list, tuple, set, frozenset, dict) and depth:
        items = []
        for item in value:
            if len(items) == 5:
                items.append("... (%d)" % len(value))
                break
            text = brief(item, depth - 1)
            items.append(text + ": " + brief(value[item], depth - 1) if cls is dict else text)
        opening, closing = {list: "[]", tuple: "()"}.get(cls, "{}")
        return opening + ", ".join(items) + closing
    return "<" + kind(value) + ">"


def is_frame(value):
    return kind(value) in ("pandas.DataFrame", "polars.DataFrame")


def shape(value):
    found = getattr(value, "shape", None)
    if isinstance(found, tuple):
        return "x".join(str(n) for n in found)
    if type(value) in (list, tuple, set, frozenset, dict, str, bytes):
        return str(len(value))
    return ""


def size(value):
    try:
        if kind(value) == "pandas.DataFrame":
            return int(value.memory_usage(deep=False).sum())
        if kind(value) == "polars.DataFrame":
            return int(value.estimated_size())
        found = getattr(value, "nbytes", None)
        return int(found) if isinstance(found, int) else sys.getsizeof(value)
    except Exception:
        return None


def variables(shell, pattern, most):
    hidden = getattr(shell, "user_ns_hidden", {})
    found = []
    for name, value in sorted(shell.user_ns.items()):
        if name.startswith("_") or isinstance(value, types.ModuleType):
            continue
        if name in hidden and hidden[name] is value:
            continue
        if pattern and not fnmatch.fnmatchcase(name, pattern):
            continue
        found.append((name, value))
    rows = []
    for name, value in found[:most]:
        text = "" if shape(value) and not type(value).__module__ == "builtins" else brief(value)
        rows.append([name, kind(value), shape(value), size(value), text])
    return {"rows": rows, "count": len(found)}


def frame_of_pandas(value, rows):
    columns = []
    for number in range(min(value.shape[1], 60)):
        column = value.iloc[:, number]
        columns.append([str(value.columns[number])[:60], str(column.dtype), int(column.isna().sum())])
    head = value.head(rows).to_string(max_cols=20, max_colwidth=40)
    return {"columns": columns, "head": head, "left": max(value.shape[1] - 60, 0)}


def frame_of_polars(value, rows):
    nulls = value.null_count().row(0)
    columns = [[name, str(dtype), nulls[n]] for n, (name, dtype) in enumerate(value.schema.items())]
    return {"columns": columns[:60], "head": str(value.head(rows)), "left": max(len(columns) - 60, 0)}


def numbers_of_array(value):
    if getattr(value, "size", 0) == 0 or value.size > 50000000 or value.dtype.kind not in "iuf":
        return {}
    return {"min": str(value.min()), "max": str(value.max()), "mean": str(value.mean())}


def inspect(shell, name, rows):
    if name not in shell.user_ns:
        import difflib

        names = [other for other in shell.user_ns if not other.startswith("_")]
        return {"missing": difflib.get_close_matches(name, names)}
    value = shell.user_ns[name]
    told = {"type": kind(value), "shape": shape(value), "size": size(value)}
    if kind(value) == "pandas.DataFrame":
        told.update(frame_of_pandas(value, rows))
    elif kind(value) == "polars.DataFrame":
        told.update(frame_of_polars(value, rows))
    elif kind(value) == "pandas.Series":
        told["head"] = value.head(rows).to_string()
        told["columns"] = [[str(value.name), str(value.dtype), int(value.isna().sum())]]
    elif kind(value) == "numpy.ndarray":
        told["dtype"] = str(value.dtype)
        told.update(numbers_of_array(value))
        if value.dtype.kind in "biufcSU":
            told["head"] = str(value.ravel()[: rows * 5].tolist())
    elif isinstance(value, (types.FunctionType, types.BuiltinFunctionType, type)):
        import inspect as inspecting

        try:
            told["signature"] = name + str(inspecting.signature(value))
        except (TypeError, ValueError):
            pass
        told["doc"] = (inspecting.getdoc(value) or "")[:1000]
    else:
        told["value"] = brief(value, 3)
        if type(value).__module__ != "builtins":
            told["attributes"] = [a for a in dir(type(value)) if not a.startswith("_")][:40]
    return told


def query(shell, sql, most):
    try:
        import duckdb
    except ImportError:
        return {"missing": "duckdb"}
    connection = duckdb.connect(config={"enable_external_access": "false"})
    for name, value in list(shell.user_ns.items()):
        if not name.startswith("_") and (is_frame(value) or kind(value) == "pyarrow.Table"):
            connection.register(name, value)
    try:
        found = connection.execute(sql)
        if found.description is None:
            return {"columns": [], "rows": [], "more": False}
        rows = found.fetchmany(most + 1)
        columns = [column[0] for column in found.description]
    except Exception as error:
        return {"error": str(error)[:2000]}
    finally:
        connection.close()
    shown = [[text if len(text) <= 200 else text[:200] + "..." for text in map(str, row)] for row in rows[:most]]
    return {"columns": columns, "rows": shown, "more": len(rows) > most}
