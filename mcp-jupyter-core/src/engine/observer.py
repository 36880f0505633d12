"""Tells which names of the user's namespace an execution has bound, mutated or deleted.

Runs in the user's kernel, outside of the namespace and the history. It calls no code of the user: only exact built-in
types are entered, instances of the user's classes through the descriptors that the interpreter itself has made, and
NumPy and pandas through their own exact types. What it remembers of an object keeps none alive but small scalars.
"""

import collections
import datetime
import hashlib
import itertools
import marshal
import re
import struct
import sys
import time
import types
import weakref

# Nothing is told of more names.
NAMES = 5_000
# What one look may cost: values visited for one name and for all, bytes hashed, and seconds.
NODES_OF_NAME = 400
NODES = 10_000
BYTES = 1 << 21
SECONDS = 0.01
DEPTH = 4
SAMPLES = 64
# Bytes of one value that are hashed as a whole.
WHOLE = 1 << 16
DIGEST_DEPTH = 16
DIGEST_ITEMS = 1000

OF_IPYTHON = re.compile(r"_+|_i{1,3}|_i?\d+|_[dio]h|_exit_code|In|Out|__\w*__")
MISSING = object()


class Exhausted(Exception):
    """The budget of a look, or of a value, is used up."""


class Budget:
    """What is left of one look."""

    def __init__(self):
        self.nodes = NODES
        self.bytes = BYTES
        self.end = time.perf_counter() + SECONDS

    def is_exhausted(self):
        return self.nodes <= 0 or self.bytes <= 0 or time.perf_counter() > self.end

    def take_bytes(self, count):
        self.bytes -= count
        if self.bytes < 0:
            raise Exhausted


class Digest:
    """Hashes one whole value of the closed list of immutable types: equal digests mean equal values of equal types."""

    def __init__(self, budget):
        self.hash = hashlib.blake2b(digest_size=16)
        self.left = min(WHOLE, budget.bytes)
        self.items = DIGEST_ITEMS

    def feed(self, tag, payload):
        self.expect(len(payload) + 8)
        self.left -= len(payload) + 8
        self.hash.update(struct.pack("<2sq", tag, len(payload)))
        self.hash.update(payload)

    def expect(self, size):
        if size > self.left:
            raise Exhausted

    def add(self, value, depth=DIGEST_DEPTH):
        self.items -= 1
        if self.items < 0 or depth < 0:
            raise Exhausted
        DIGESTERS[type(value)](self, value, depth)

    def number(self, value, _depth):
        self.expect(value.bit_length() // 8)
        self.feed(b"i", value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True))

    def text(self, value, _depth):
        self.expect(len(value))
        self.feed(b"s", value.encode("utf-8", "surrogatepass"))

    def delta(self, value, _depth):
        self.feed(b"dd", struct.pack("<qqq", value.days, value.seconds, value.microseconds))

    def moment(self, value, _depth):
        zone = value.tzinfo
        # A time zone of the user's has code of its own.
        if zone is not None and type(zone) is not datetime.timezone:
            raise Exhausted
        text = f"{value.replace(tzinfo=None).isoformat()} {value.fold} {zone}"
        self.feed(b"dt" if type(value) is datetime.datetime else b"t", text.encode("utf-8", "surrogatepass"))

    def sequence(self, value, depth):
        self.feed(b"(", struct.pack("<q", len(value)))
        for item in value:
            self.add(item, depth - 1)

    def unordered(self, value, depth):
        self.feed(b"{", struct.pack("<q", len(value)))
        outer, hashes = self.hash, []
        for item in value:
            self.hash = hashlib.blake2b(digest_size=16)
            self.add(item, depth - 1)
            hashes.append(self.hash.digest())
        self.hash = outer
        for item in sorted(hashes):
            self.feed(b"#", item)


DIGESTERS = {
    type(None): lambda digest, value, depth: digest.feed(b"n", b""),
    bool: lambda digest, value, depth: digest.feed(b"?", b"1" if value else b"0"),
    int: Digest.number,
    float: lambda digest, value, depth: digest.feed(b"f", struct.pack("<d", value)),
    complex: lambda digest, value, depth: digest.feed(b"c", struct.pack("<dd", value.real, value.imag)),
    str: Digest.text,
    bytes: lambda digest, value, depth: digest.feed(b"b", value),
    datetime.date: lambda digest, value, depth: digest.feed(b"d", value.isoformat().encode()),
    datetime.datetime: Digest.moment,
    datetime.time: Digest.moment,
    datetime.timedelta: Digest.delta,
    tuple: Digest.sequence,
    frozenset: Digest.unordered,
}


def digest_of(value, budget):
    """The digest of a value as a whole; none where it is of another type, or too large."""
    if type(value) not in DIGESTERS:
        return None
    digest = Digest(budget)
    try:
        digest.add(value)
    except (Exhausted, KeyError):
        return None
    finally:
        budget.bytes -= min(WHOLE, budget.bytes) - max(digest.left, 0)
    return digest.hash.hexdigest()


# Fingerprints: samples of a value's content, which an assignment into it may change.


class Sample:
    """Gathers scalars from the content of one value."""

    def __init__(self, budget):
        self.budget = budget
        self.nodes = min(NODES_OF_NAME, budget.nodes)
        self.parts = []

    def add(self, value, depth=DEPTH):
        self.nodes -= 1
        if self.nodes < 0:
            return
        kind = type(value)
        sampler = SAMPLERS.get(kind) or library_sampler(kind)
        if sampler is not None:
            self.parts.append(kind.__name__)
            sampler(self, value, depth - 1)
        else:
            self.parts.append(id(value))
            self.content(value, kind, depth - 1)

    def content(self, value, kind, depth):
        """The attributes of a class of the user's, or of its instance."""
        if depth < 0 or self.nodes <= 0:
            return
        if kind is type:
            if is_of_user(value):
                self.members(dict(DICT_OF_TYPE(value)), depth)
        elif is_of_user(kind):
            self.members(attributes(value, kind), depth)

    def members(self, members, depth):
        self.parts.append(len(members))
        for name, member in itertools.islice(members.items(), SAMPLES):
            if type(name) is str and not name.startswith("__"):
                self.parts.append(name)
                self.add(member, depth)

    def hashed(self, raw):
        self.budget.take_bytes(len(raw))
        self.parts.append(hash(raw))

    def plain(self, value, _depth):
        self.parts.append(value)

    def number(self, value, _depth):
        bits = value.bit_length()
        self.parts.append(value if bits <= 64 else value & ((1 << 64) - 1))
        self.parts.append(bits)

    def text(self, value, _depth):
        length = len(value)
        self.parts.append(length)
        if length <= SAMPLES:
            self.parts.append(bytes(value) if type(value) is bytearray else value)
        elif length <= WHOLE:
            self.hashed(bytes(value) if type(value) is bytearray else value)
        else:
            ends = value[:: length // SAMPLES] + value[-SAMPLES:]
            self.hashed(bytes(ends) if type(value) is bytearray else ends)

    def sequence(self, value, depth):
        length = len(value)
        self.parts.append(length)
        self.items(value if length <= SAMPLES else [value[place] for place in places(length)], depth)

    def ends(self, value, depth):
        self.parts.append(len(value))
        self.items([*itertools.islice(value, SAMPLES), *itertools.islice(reversed(value), 8)], depth)

    def unordered(self, value, depth):
        self.parts.append(len(value))
        self.items(list(itertools.islice(value, SAMPLES)), depth)

    def mapping(self, value, depth):
        self.ends(value, depth)
        self.ends(value.values(), depth)

    def items(self, items, depth):
        if depth < 0 or not items:
            return
        if is_compact(items):
            self.nodes -= 1 + len(items) // 8
            self.parts.extend(items)
        else:
            for item in items:
                self.add(item, depth)

    def array(self, value, depth):
        self.parts.extend(value.shape)
        self.parts.append(value.dtype.str)
        kind = value.dtype.kind
        if depth < 0 or not owns_memory(value):
            return
        if kind == "O":
            for place in places(value.size):
                self.add(value.flat[place], depth)
        elif kind in "biufcmMSU" and value.itemsize <= 1024:
            whole = value.nbytes <= WHOLE
            self.hashed(value.tobytes() if whole else value.flat[:: value.size // SAMPLES].tobytes())

    def frame(self, value, depth):
        manager = value._mgr
        self.parts.extend(id(axis) for axis in manager.axes)
        for column in columns(manager):
            self.nodes -= 1
            if self.nodes < 0:
                return
            self.column(column, depth)

    def column(self, values, depth):
        self.parts.append(type(values).__name__)
        if type(values) is type_in("numpy", "ndarray"):
            return self.array(values, depth)
        if not is_of_pandas(values):
            return self.parts.append(id(values))
        # How pandas' own extension arrays keep their data: over NumPy, masked, over Arrow (whose data is immutable).
        for name in ("_ndarray", "_data", "_mask", "_pa_array"):
            part = getattr(values, name, None)
            if type(part) is type_in("numpy", "ndarray"):
                self.array(part, depth)
            elif part is not None:
                self.parts.append(id(part))


SAMPLERS = {
    type(None): Sample.plain,
    bool: Sample.plain,
    float: Sample.plain,
    complex: Sample.plain,
    int: Sample.number,
    str: Sample.text,
    bytes: Sample.text,
    bytearray: Sample.text,
    list: Sample.sequence,
    tuple: Sample.sequence,
    set: Sample.unordered,
    frozenset: Sample.unordered,
    collections.deque: Sample.ends,
    dict: Sample.mapping,
    collections.defaultdict: Sample.mapping,
    collections.OrderedDict: Sample.mapping,
    collections.Counter: Sample.mapping,
}

IMMUTABLE = {type(None), bool, float, complex, int, str, bytes, *DIGESTERS}

DICT_OF_TYPE = type.__dict__["__dict__"].__get__
MRO_OF_TYPE = type.__dict__["__mro__"].__get__


def places(length):
    """Where to look into a sequence: everywhere, or at its ends and in between."""
    if length <= SAMPLES:
        return range(length)
    return itertools.chain(range(16), range(16, length - 16, length // 32), range(length - 16, length))


def is_compact(items):
    """Whether these are small scalars of one kind, which need no look at each of them."""
    kinds = set(map(type, items))
    if len(kinds) != 1:
        return False
    kind = kinds.pop()
    if kind is int:
        return -(1 << 64) < min(items) and max(items) < 1 << 64
    if kind is str or kind is bytes:
        return max(map(len, items)) <= SAMPLES
    return kind is float or kind is bool


def is_of_user(kind):
    return DICT_OF_TYPE(kind).get("__module__") == "__main__"


def attributes(value, kind):
    """The attributes of an instance, without asking its class."""
    found = {}
    for base in MRO_OF_TYPE(kind):
        for name, descriptor in DICT_OF_TYPE(base).items():
            if name == "__dict__" and type(descriptor) is types.GetSetDescriptorType:
                found.update(descriptor.__get__(value))
            elif type(descriptor) is types.MemberDescriptorType and is_of_user(base):
                try:
                    found[name] = descriptor.__get__(value)
                except AttributeError:
                    pass
    return found


def type_in(module, name):
    """A type of a module, where that has been imported."""
    module = sys.modules.get(module)
    return module.__dict__.get(name, MISSING) if type(module) is types.ModuleType else MISSING


def library_sampler(kind):
    if kind is type_in("numpy", "ndarray"):
        return Sample.array
    if kind is type_in("pandas", "DataFrame") or kind is type_in("pandas", "Series"):
        return Sample.frame
    return None


def owns_memory(array):
    """Whether the memory is NumPy's own: that of others may be gone, and reading it then ends the process."""
    while array is not None:
        if type(array) is not type_in("numpy", "ndarray"):
            return False
        if array.flags.owndata:
            return True
        array = array.base
    return False


def columns(manager):
    """Some columns of a frame, or the one of a series."""
    blocks = manager.blocks
    if len(manager.axes) == 1:
        return [blocks[0].values]
    numbers, rows = manager.blknos, manager.blklocs
    found = []
    for place in itertools.islice(places(len(numbers)), SAMPLES):
        values = blocks[numbers[place]].values
        is_table = type(values) is type_in("numpy", "ndarray") or is_of_pandas(values)
        found.append(values[rows[place]] if is_table and values.ndim == 2 else values)
    return found


def is_of_pandas(value):
    module = DICT_OF_TYPE(type(value)).get("__module__")
    return type(module) is str and module.partition(".")[0] == "pandas"


class Entry:
    """What is remembered of the object that a name is bound to: small scalars themselves, of others nothing but traces."""

    __slots__ = ("identity", "kind", "scalar", "weak", "fingerprint", "digest")

    def __init__(self, value, budget):
        """The budget may be too small for the value's content."""
        kind = type(value)
        self.identity, self.kind = id(value), id(kind)
        self.scalar = value if is_small(value, kind) else MISSING
        self.weak = weak(value) if self.scalar is MISSING else None
        exhausted = budget.is_exhausted()
        self.digest = None if exhausted else digest_of(value, budget)
        self.fingerprint = self.digest if self.digest or exhausted else fingerprint(value, budget)

    def is_about(self, value):
        """Whether it is the same object; an identity alone may have been given to another one."""
        if self.identity != id(value) or self.kind != id(type(value)):
            return False
        return self.scalar is value or self.scalar is MISSING and (self.weak is None or self.weak() is value)


def is_small(value, kind):
    if kind is str or kind is bytes:
        return len(value) <= 256
    return kind is int and value.bit_length() <= 256 or kind in (float, bool, complex, type(None))


def weak(value):
    try:
        return weakref.ref(value)
    except TypeError:
        return None


def fingerprint(value, budget):
    sample = Sample(budget)
    try:
        sample.add(value)
    except Exception:
        # Another thread changes it just now, or it is not built as expected.
        return None
    finally:
        budget.nodes -= min(NODES_OF_NAME, budget.nodes) - max(sample.nodes, 0)
    return hash(marshal.dumps(sample.parts, 0))


class Observer:
    """Compares the namespace as it is with how it was at the last look."""

    def __init__(self, shell):
        self.shell = shell
        # None where the namespace could not be looked at.
        self.before = None
        self.observe()

    def names(self):
        hidden = self.shell.user_ns_hidden
        names = {}
        for name, value in list(self.shell.user_ns.items()):
            if type(name) is not str or not name.isidentifier() or hidden.get(name, MISSING) is value:
                continue
            if name[0] not in "_IO" or not OF_IPYTHON.fullmatch(name):
                names[name] = value
        return names

    def observe(self, written=()):
        """What has changed since the last look, and digests of what has, and of the names that are said to be written."""
        names = self.names()
        if len(names) > NAMES:
            self.before = None
            return Seen({"error": f"there are more than {NAMES} names"})
        budget = Budget()
        before, now = self.before or {}, {}
        bound, mutated = [], []
        for name, value in names.items():
            old = before.get(name)
            if old is not None and old.scalar is value:
                now[name] = old
                continue
            entry = now[name] = Entry(value, budget)
            if old is None or not old.is_about(value):
                bound.append(name)
            elif None not in (old.fingerprint, entry.fingerprint) and old.fingerprint != entry.fingerprint:
                (bound if type(value) in IMMUTABLE else mutated).append(name)
        deleted = [name for name in before if name not in now]
        is_known = self.before is not None
        # Last: where an interrupt has come before, the next look compares with the same state as this one.
        self.before = now
        if not is_known:
            return Seen({"error": "the state before is not known"})
        digests = {name: now[name].digest for name in (*bound, *written) if name in now and now[name].digest}
        return Seen({"bound": bound, "mutated": mutated, "deleted": deleted, "digests": digests})

    def delete(self, names):
        """Deletes names, which is no change that the next look tells of."""
        for name in names:
            if self.before is not None:
                self.before.pop(name, None)
            self.shell.user_ns.pop(name, None)


class Seen:
    """Is shown as JSON."""

    def __init__(self, content):
        self.content = content

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": "", "application/json": self.content}


shell._mcp_jupyter_observer = Observer(shell)
