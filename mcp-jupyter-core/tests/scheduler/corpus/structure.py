"""Says what a value is, so that two namespaces of two processes can be compared.

A description is plain data: equal descriptions mean equal values with the same sharing of mutable objects. No method of
a class that a notebook defines is called. Functions are described by their code, iterators by their position.
"""

from __future__ import annotations

import asyncio
import collections
import csv
import datetime
import decimal
import fractions
import functools
import io
import itertools
import os
import pathlib
import random
import re
import types

import numpy
import pandas

ATOMS = (
    type(None), bool, int, float, complex, str, bytes, range, slice, type(...), type(NotImplemented),
    datetime.date, datetime.time, datetime.timedelta, datetime.tzinfo, decimal.Decimal, fractions.Fraction,
    pathlib.PurePath, re.Pattern, numpy.generic, numpy.dtype, types.MethodDescriptorType,
    types.WrapperDescriptorType, types.GetSetDescriptorType, types.MemberDescriptorType, types.GenericAlias,
)  # fmt: skip
ITERATORS = (
    zip, map, filter, enumerate, reversed, type(iter([])), type(iter(())), type(iter("")), type(iter({})),
    type(iter(set())), type(iter(range(0))), type(reversed([])), itertools.count, itertools.cycle, itertools.chain,
    itertools.islice, itertools.repeat, type(iter(b"")),
)  # fmt: skip
CLASS_NOISE = {
    "__dict__", "__weakref__", "__module__", "__firstlineno__", "__static_attributes__", "__abstractmethods__",
    "_abc_impl",
}  # fmt: skip
ADDRESS = re.compile(r"0x[0-9a-f]+")


class Description:
    """Describes objects; an object met again is described as the same one."""

    def __init__(self):
        self.numbers = {}
        self.kept = []

    def of(self, value):
        for kind in type(value).__mro__:
            describe = KINDS.get(kind)
            if describe is not None:
                return describe(self, value)
        if isinstance(value, ITERATORS):
            return self.once(value, lambda: self.reduced(value))
        if type(value).__module__.startswith("matplotlib."):
            return self.once(value, lambda: self.drawn(value))
        return self.once(value, lambda: self.instance(value))

    def once(self, value, describe):
        """What `describe` says, or a reference where the object was described before."""
        if id(value) in self.numbers:
            return ["same", self.numbers[id(value)]]
        self.numbers[id(value)] = len(self.numbers)
        self.kept.append(value)
        return [type(value).__qualname__, *describe()]

    def each(self, values):
        return [self.of(value) for value in values]

    def pairs(self, mapping):
        return [[self.of(key), self.of(value)] for key, value in mapping]

    def reduced(self, value):
        copied = value.__reduce__()
        return [self.of(part) for part in copied[1:] if not callable(part)]

    def sequence(self, value):
        base = list if isinstance(value, list) else collections.deque
        return self.once(value, lambda: [self.each(base.__iter__(value)), self.attributes(value)])

    def mapping(self, value):
        return self.once(value, lambda: [self.pairs(dict.items(value)), self.attributes(value)])

    def unordered(self, value):
        base = set if isinstance(value, set) else frozenset
        members = sorted(repr(Description().of(member)) for member in base.__iter__(value))
        return self.once(value, lambda: [members, self.attributes(value)])

    def attributes(self, value):
        state = self.pairs((getattr(value, "__dict__", None) or {}).items())
        for kind in type(value).__mro__:
            slots = kind.__dict__.get("__slots__", ())
            for slot in [slots] if isinstance(slots, str) else slots:
                member = kind.__dict__.get(slot)
                if isinstance(member, types.MemberDescriptorType):
                    try:
                        state.append([slot, self.of(member.__get__(value))])
                    except AttributeError:
                        pass
        made_here = type(value).__module__ == "__main__"
        return [self.of(type(value)), state] if made_here else state

    def instance(self, value):
        kind = type(value)
        if kind.__module__ != "__main__" and not getattr(value, "__dict__", None):
            return [ADDRESS.sub("0x", repr(value))]
        arguments = self.of(value.args) if isinstance(value, BaseException) else None
        return [kind.__module__, arguments, self.attributes(value)]

    def module(self, value):
        made_here = (getattr(value, "__file__", None) or "").startswith(os.getcwd() + os.sep)
        if not made_here:
            return ["module", value.__name__]
        content = [(name, part) for name, part in vars(value).items() if not name.startswith("__")]
        return self.once(value, lambda: [value.__name__, self.pairs(content)])

    def code(self, value):
        return [
            value.co_code.hex(), value.co_names, value.co_varnames, value.co_freevars, value.co_cellvars,
            value.co_argcount, value.co_posonlyargcount, value.co_kwonlyargcount, value.co_flags,
            self.each(value.co_consts),
        ]  # fmt: skip

    def function(self, value):
        if value.__module__ != "__main__":
            return ["function", value.__module__, value.__qualname__]
        parts = [self.code(value.__code__), self.of(value.__defaults__), self.of(value.__kwdefaults__)]
        parts += [value.__qualname__, value.__doc__, self.of(value.__annotations__)]
        if not value.__closure__ and not value.__dict__:
            return ["function", *parts]
        return self.once(value, lambda: [*parts, self.each(value.__closure__ or ()), self.of(value.__dict__)])

    def cell(self, value):
        try:
            content = value.cell_contents
        except ValueError:
            content = "empty"
        return self.once(value, lambda: [self.of(content)])

    def kind(self, value):
        if value.__module__ != "__main__":
            return ["class", value.__module__, value.__qualname__]
        body = sorted((name, part) for name, part in value.__dict__.items() if name not in CLASS_NOISE)
        return self.once(value, lambda: [value.__qualname__, self.each(value.__bases__), self.pairs(body)])

    def suspended(self, value):
        frame = next(getattr(value, name) for name in ("gi_frame", "cr_frame", "ag_frame") if hasattr(value, name))
        if frame is None:
            return self.once(value, lambda: ["finished"])
        return self.once(value, lambda: [self.code(frame.f_code), frame.f_lasti, self.pairs(frame.f_locals.items())])

    def array(self, value):
        owner = value
        while isinstance(owner.base, numpy.ndarray):
            owner = owner.base
        offset = value.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
        seen = self.once(value, lambda: [value.dtype.str, value.shape, self.of(value.tolist()), offset])
        shared = id(owner) in self.numbers and owner is not value
        self.numbers.setdefault(id(owner), len(self.numbers))
        self.kept.append(owner)
        return [*seen, self.numbers[id(owner)] if shared else "owner"]

    def series(self, value):
        return self.once(
            value,
            lambda: [str(value.dtype), self.of(value.name), self.each(value.tolist()), self.of(value.index)],
        )

    def index(self, value):
        items = [repr(item) for item in value.tolist()]
        return [type(value).__name__, str(value.dtype), self.of(list(value.names)), items]

    def frame(self, value):
        columns = [value.iloc[:, at] for at in range(value.shape[1])]
        columns = [[str(column.dtype), self.each(column.tolist())] for column in columns]
        return self.once(value, lambda: [self.of(value.columns), self.of(value.index), columns])

    def opened(self, value):
        state = [value.closed] if value.closed else [value.closed, getattr(value, "mode", ""), value.tell()]
        return self.once(value, lambda: [str(getattr(value, "name", "")), *state])

    def text_buffer(self, value):
        return self.once(value, lambda: [value.closed] if value.closed else [value.getvalue(), value.tell()])

    def drawn(self, value):
        """A figure by its axes, axes by their lines and bars."""
        axes = getattr(value, "axes", None)
        if not isinstance(axes, list):
            axes = [value] if hasattr(value, "lines") else []
        lines = [[line.get_xydata().tolist() for line in ax.lines] for ax in axes]
        bars = [[bar.get_height() for bar in ax.patches] for ax in axes]
        return [[ax.get_title() for ax in axes], lines, bars]



KINDS = {
    list: Description.sequence,
    collections.deque: Description.sequence,
    dict: Description.mapping,
    set: Description.unordered,
    frozenset: Description.unordered,
    tuple: lambda self, value: [type(value).__qualname__, self.each(tuple.__iter__(value))],
    bytearray: lambda self, value: self.once(value, lambda: [bytes(value).hex()]),
    types.FunctionType: Description.function,
    types.CodeType: Description.code,
    types.CellType: Description.cell,
    types.BuiltinFunctionType: lambda self, value: (
        ["built-in", str(value.__module__), value.__qualname__]
        if value.__self__ is None or isinstance(value.__self__, types.ModuleType)
        else self.once(value, lambda: [value.__qualname__, self.of(value.__self__)])
    ),
    types.MethodType: lambda self, value: ["method", self.of(value.__func__), self.of(value.__self__)],
    types.ModuleType: Description.module,
    types.GeneratorType: Description.suspended,
    types.CoroutineType: Description.suspended,
    types.AsyncGeneratorType: Description.suspended,
    asyncio.AbstractEventLoop: lambda self, value: ["event loop"],
    types.MappingProxyType: lambda self, value: ["proxy", self.of(dict(value))],
    type: Description.kind,
    property: lambda self, value: ["property", self.of(value.fget), self.of(value.fset)],
    classmethod: lambda self, value: ["classmethod", self.of(value.__func__)],
    staticmethod: lambda self, value: ["staticmethod", self.of(value.__func__)],
    functools.partial: lambda self, value: self.once(
        value, lambda: [self.of(value.func), self.of(value.args), self.of(value.keywords)]
    ),
    functools._lru_cache_wrapper: lambda self, value: self.once(
        value, lambda: [self.of(value.__wrapped__), value.cache_info().currsize]
    ),
    random.Random: lambda self, value: self.once(value, lambda: [hash(value.getstate())]),
    numpy.random.Generator: lambda self, value: self.once(value, lambda: [repr(value.bit_generator.state)]),
    numpy.random.RandomState: lambda self, value: self.once(value, lambda: [repr(value.get_state())]),
    numpy.ndarray: Description.array,
    pandas.Series: Description.series,
    pandas.Index: Description.index,
    pandas.DataFrame: Description.frame,
    type(csv.reader([])): lambda self, value: self.once(value, lambda: [value.line_num]),
    io.StringIO: Description.text_buffer,
    io.BytesIO: Description.text_buffer,
    io.IOBase: Description.opened,
}
KINDS.update({kind: lambda self, value: [type(value).__name__, repr(value)] for kind in ATOMS})


def describe_namespace(namespace, names):
    description = Description()
    return {name: description.of(namespace[name]) for name in sorted(names)}


def fingerprint(value):
    """Changes when the value changes; sharing with other names is left out."""
    return repr(Description().of(value))
