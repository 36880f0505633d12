//! Sources of cells as people write them, over a small pool of names, so that cells meddle with each other.

use crate::random::Random;

/// Statements. `$n` stands for the name of a number, `$l` of a list, `$d` of a dict, `$s` of a set, `$f` of a function,
/// `$o` of an object, `$K` of a class, `$t` of a frame, `$a` of an array, `$i` of an iterator, `$v` of any of these, `$q`
/// of a loop's variable, `$#` for a small number. With a digit, it is the same one in the whole cell.
const STATEMENTS: &[(u32, &[&str])] = &[
    (10, BINDINGS),
    (10, CHANGES),
    (8, ALIASES),
    (6, READS),
    (8, FUNCTIONS),
    (5, CALLS),
    (4, CLASSES),
    (5, OBJECTS),
    (5, FLOW),
    (3, SCOPES),
    (1, DYNAMIC),
    (3, ITERATORS),
    (2, IMPORTS),
    (4, SCIENCE),
    (2, TROUBLE),
];

const BINDINGS: &[&str] = &[
    "$n = $#",
    "$n = $#",
    "$n = $n + $#",
    "$n = $n * 2",
    "$n = len($l)",
    "$n = sum($l, 0)",
    "$l = [$#, $#]",
    "$l = []",
    "$l = [$n, $n]",
    "$l = list($l)",
    "$l = $l + [$#]",
    "$l = sorted($l, key=str)",
    "$l = $l[:2]",
    "$l = $l.copy()",
    "$d = {'a': $#}",
    "$d = {}",
    "$d = dict($d)",
    "$d = {**$d, 'b': $n}",
    "$s = {$#, $#}",
    "$s = set($l)",
    "$n, $n = $n, $#",
    "$n = $l = None",
    "$n: int = $#",
    "$n = max($n, $#)",
    "$l, $n = [$#], $#",
    "$n = ($l[0] if $l else $#)",
    "*$l, $n = [$#, $#, $#]",
    "($n := $#)",
];

const CHANGES: &[&str] = &[
    "$n += $#",
    "$n -= $n",
    "$l += [$#]",
    "$l.append($#)",
    "$l.append($n)",
    "$l.extend($l)",
    "$l.pop()",
    "$l.sort(key=str)",
    "$l.clear()",
    "$l[0] = $#",
    "$l[0] += $#",
    "$l[:] = [$#]",
    "$l *= 2",
    "$d['a'] = $#",
    "$d['a'] += 1",
    "$d.update(b=$#)",
    "$d.setdefault('c', []).append($#)",
    "$d.pop('a', None)",
    "$d['x'] = $n",
    "$d |= {'k': $n}",
    "$s.add($#)",
    "$s.discard($#)",
    "$s |= {$n}",
    "del $l[0]",
    "del $d['a']",
    "$l.insert(0, len($d))",
    "$l.reverse()",
];

const ALIASES: &[&str] = &[
    "$l = $l",
    "$d = $d",
    "$v = $v",
    "$d = {'x': $l}",
    "$d['x'] = $l",
    "$l.append($l)",
    "$l = [$l, $l]",
    "$l = $d.get('x', [])",
    "$l = $d['x']",
    "$d['x'].append($#)",
    "$l[0].append($#)",
    "$l1, $l2 = $l2, $l1",
    "$l = $l = [$#]",
    "$d = {'x': $l, 'y': $d}",
    "$l = list($d.values())",
    "$l = ($l, $d)",
    "$l = [$o, $l]",
    "$o.items = $l",
    "$l = $o.items",
    "$f = $l.append",
    "$l = $l or $l",
    "$l = $l if $n else $l",
    "$d = dict(a=$l, b=$l)",
    "$l = [*$l, $d]",
];

const READS: &[&str] = &[
    "print($n)",
    "print($l)",
    "print($d, $l)",
    "print(f'{$n} {$l}')",
    "$n",
    "$l",
    "len($l) + $n",
    "$l.count($#)",
    "print(sorted($s, key=str))",
    "print($l is $l)",
    "sorted(map(str, $l))",
    "print($n, end=' ')",
    "list($d)",
    "print(type($v).__name__)",
    "$l == $l",
];

const FUNCTIONS: &[&str] = &[
    "def $f():\n    return $n",
    "def $f():\n    return $l",
    "def $f(x=$n):\n    return x",
    "def $f(x=[]):\n    x.append($#)\n    return x",
    "def $f(x=$l):\n    x.append($#)\n    return x",
    "def $f():\n    global $n1\n    $n1 = $#",
    "def $f():\n    global $n1\n    $n1 += 1\n    return $n1",
    "def $f():\n    $l.append($#)",
    "def $f():\n    $d['f'] = $n",
    "def $f(x):\n    x.append($#)\n    return x",
    "def $f(x):\n    return x",
    "def $f(x):\n    return x + $n",
    "def $f(x):\n    return [x, $n]",
    "def $f1():\n    return $f2()",
    "$f = lambda: $n",
    "$f = lambda x: x + $n",
    "$f = lambda x=$n: x",
    "def $f1():\n    c = []\n    def g(x=$#):\n        c.append(x)\n        return c\n    return g\n$f = $f1()",
    "def $f1():\n    c = 0\n    def g():\n        nonlocal c\n        c += 1\n        return c\n    return g\n$f = $f1()",
    "def $f1(g):\n    def h(*x):\n        return g(*x)\n    return h\n@$f1\ndef $f():\n    return $n",
    "def $f():\n    $l = [$#]\n    return $l",
    "def $f():\n    print($n)\n    return $d",
    "def $f():\n    yield $n\n    yield $#",
    "$f = $f",
];

const CALLS: &[&str] = &[
    "$n = $f()",
    "$l = $f()",
    "$f()",
    "$f($l)",
    "$n = $f($n)",
    "$l = $f($l)",
    "print($f())",
    "$l = list(map($f, $l))",
    "$l.append($f)",
    "$n = $f() + 1",
    "$d['g'] = $f",
    "$n = $d['g']()",
    "$l = [$f() for _ in range(2)]",
];

const CLASSES: &[&str] = &[
    "class $K:\n    items = []\n    def add(self, x):\n        self.items.append(x)\n        return self",
    "class $K:\n    def __init__(self, items=None):\n        self.items = items if items is not None else []\n        self.n = $n\n    def add(self, x):\n        self.items.append(x)\n        return self",
    "class $K:\n    n = $n\n    items = $l\n    def get(self):\n        return $n",
    "class $K:\n    def __init__(self, *x):\n        self.items = list(x)\n    def __len__(self):\n        return len(self.items)\n    def add(self, x):\n        $l.append(x)",
    "class $K1:\n    n = $#\nclass $K($K1):\n    items = []\n    def get(self):\n        return self.n",
    "$K.n = $#",
    "$K.items.append($#)",
    "from dataclasses import dataclass, field\n@dataclass\nclass $K:\n    n: int = $#\n    items: list = field(default_factory=list)\n    def add(self, x):\n        self.n += x",
];

const OBJECTS: &[&str] = &[
    "$o = $K()",
    "$o = $K()",
    "$o = $K($l)",
    "$o.add($#)",
    "$o.n = $n",
    "$o.n += 1",
    "$n = $o.n",
    "$n = $o.get()",
    "$o.items.append($#)",
    "$o = $o",
    "$o = $o.add($#)",
    "print($o.items)",
    "$l = [$o]",
    "$n = len($o)",
    "$n = getattr($o, 'n', $#)",
    "setattr($o, 'n', $#)",
    "$f = $o.add",
    "$d = vars($o)",
    "del $o.n",
];

const FLOW: &[&str] = &[
    "for $q in range(3):\n    $n = $q",
    "for $q1 in $l:\n    $n += $q1",
    "for $q1 in range(2):\n    $l.append($q1)",
    "for $q1 in $l:\n    print($q1)",
    "for $q1 in [$l, $l]:\n    $q1.append($#)",
    "for $n in $l:\n    pass",
    "print($q)",
    "$n = $q",
    "if $n:\n    $l = [$#]",
    "if $n > 2:\n    $n = $#\nelse:\n    $l = []",
    "if $l:\n    $l.append($#)",
    "while $n1 < 6:\n    $n1 += 2",
    "try:\n    $n = $d['a']\nexcept KeyError as $v:\n    $n = $#",
    "try:\n    $n = $l[9]\nexcept Exception as e:\n    $n = len($d)",
    "try:\n    $n\nexcept NameError:\n    $n = $#",
    "try:\n    $l.append($n)\nfinally:\n    $n = $#",
    "for $q in range(2):\n    for $n in $l[:2]:\n        $n += 1",
    "if '$v' in globals():\n    $n = $#",
    "with __import__('contextlib').suppress(Exception):\n    $n = $l[7]\n    $n = $#",
    "$n = 0\nfor x in $l:\n    $n += 1",
    "match $n:\n    case 1:\n        $l = [$#]\n    case $n:\n        pass",
    "assert $n",
];

const SCOPES: &[&str] = &[
    "$l = [$q1 for $q1 in $l]",
    "$l = [$n for $n1 in range(2)]",
    "$d = {str($q1): $n for $q1 in range(2)}",
    "$l = [($n := x) for x in range($#)]",
    "del $n",
    "del $l",
    "del $v",
    "$n = sum(x for x in $l if x)",
    "$l = [$l for _ in range(2)]",
    "%%time\n$n = $n + $#",
    "%%time\n$l.append($#)",
    "%%capture out\nprint($n)",
    "%time $n = $#",
];

const DYNAMIC: &[&str] = &[
    "exec('$n = $#')",
    "exec(\"$l.append($#)\")",
    "$n = eval('$n + 1')",
    "globals()['$n'] = $#",
];

const ITERATORS: &[&str] = &[
    "$i = iter($l)",
    "$i = iter([$#, $#, $#])",
    "$n = next($i)",
    "$n = next($i, $#)",
    "$l = list($i)",
    "$i = (x + $n for x in $l)",
    "$i = enumerate($l)",
    "$i = map(str, $l)",
    "$i = zip($l, $l)",
    "for $q in $i:\n    break",
    "$i = $i",
    "$i = $f()",
];

const IMPORTS: &[&str] = &[
    "import math\n$n = math.floor(2.5)",
    "from math import *\n$n = floor(3.5) + ceil($#)",
    "$n = floor(4.5)",
    "from math import floor as $f",
    "import copy\n$l = copy.deepcopy($l)",
    "import copy\n$l = copy.copy($l)",
    "from collections import Counter, defaultdict\n$d = defaultdict(list)\n$d['x'].append($n)",
    "import random\nrandom.seed($#)\n$n = random.randint(0, 99)",
    "import random\n$o = random.Random($#)",
    "$n = $o.random()",
    "import functools\n$f = functools.partial($f, $l)",
    "import functools\n@functools.lru_cache\ndef $f(x=$#):\n    return [x]",
    "import json\n$d = json.loads(json.dumps({'a': $#}))",
    "from collections import deque\n$l = deque($l, 3)",
    "import itertools\n$i = itertools.islice(itertools.count($#), 4)",
    "import heapq\nheapq.heappush($l, $#)",
    "import operator\n$n = operator.add($n, $#)",
];

const SCIENCE: &[&str] = &[
    "import numpy as np\n$a = np.arange($#)",
    "import numpy as np\n$a = np.array([1, 2, $#])",
    "$a = $a * 2",
    "$a *= 2",
    "$a[0] = $#",
    "$a = $a[:2]",
    "$a = $a.reshape(-1)",
    "$a = $a.copy()",
    "$n = int($a.sum())",
    "$a.sort()",
    "$a.fill($n)",
    "np.add($a, 1, out=$a)",
    "import numpy as np\n$o = np.random.default_rng($#)\n$a = $o.integers(0, 9, 3)",
    "import pandas as pd\n$t = pd.DataFrame({'a': [1, 2], 'b': [$n, $#]})",
    "import pandas as pd\n$t = pd.DataFrame({'a': $a})",
    "$t['c'] = $#",
    "$t['a'] = $t['a'] + $n",
    "$t = $t.copy()",
    "$t = $t[$t['a'] > 1]",
    "$t.drop(columns='b', inplace=True, errors='ignore')",
    "$t.loc[0, 'a'] = $#",
    "$t = $t.assign(d=$#)",
    "$t.insert(0, 'z', $#)",
    "$n = int($t['a'].sum())",
    "print($t.shape)",
    "$t = $t.rename(columns={'a': 'b'})",
    "$l = $t['a'].tolist()",
    "$a = $t['a'].to_numpy()",
    "$t = $t",
    "$t.columns = ['x' + str(c) for c in $t.columns]",
    "for $q in $t.columns:\n    $t[$q] = $t[$q] + 1",
];

const TROUBLE: &[&str] = &[
    "raise ValueError($n)",
    "1 / $n",
    "$l.append($#)\nraise KeyError('x')",
    "$n = $#\n$v = $n / 0",
    "undefined",
    "# nothing but a comment",
    "$n = (",
    "def $f():\n    raise ValueError($n)",
    "$n = $#; $l = [$n",
];

/// The names of each kind.
const NAMES: &[(char, &[&str])] = &[
    ('n', &["n", "m", "k"]),
    ('l', &["xs", "ys", "zs"]),
    ('d', &["d", "e"]),
    ('s', &["s"]),
    ('f', &["f", "g"]),
    ('o', &["o", "p"]),
    ('K', &["K", "J"]),
    ('t', &["df", "dg"]),
    ('a', &["arr", "vec"]),
    ('i', &["it"]),
    ('q', &["i", "j"]),
    ('v', &["n", "m", "xs", "ys", "d", "f", "o", "K", "it", "i"]),
];

/// What gives a notebook something to work with.
const BEGINNINGS: &[&str] = &[
    "ys = xs = [5]\nzs = ys",
    "d = {'a': 1}\ne = {'x': xs}",
    "d = {}\ne = d",
    "s = {1, 2}",
    "def f(x=0):\n    return n\ndef g(x=0):\n    return xs",
    "class K:\n    n = 1\n    items = []\n    def add(self, x):\n        self.items.append(x)\no = K()\np = o",
    "xs = []\nys = []\nzs = []\nd = {'a': 0}\ne = {}",
    "import numpy as np\narr = np.arange(4)\nvec = arr[1:]",
    "import pandas as pd\ndf = pd.DataFrame({'a': [1, 2], 'b': [3, 4]})\ndg = df",
    "it = iter([1, 2, 3, 4])",
    "class K:\n    def __init__(self, items=()):\n        self.items = list(items)\n        self.n = n\no = K(xs)\np = K()",
];

/// What everything else is made of.
const FIRST: &[&str] = &[
    "n, m, k = 1, 2, 3\nxs, ys, zs = [1], [2, 3], []\nd, e = {'a': 1}, {}",
    "n = m = k = 2\nxs = ys = [1]\nzs = [xs]\nd = e = {'x': zs}",
    "n = 0\nm = k = n\nxs = []\nys = zs = xs\nd = {}\ne = {'a': 0, 'x': []}",
];

pub(crate) fn beginning(random: &mut Random, is_first: bool) -> String {
    fill(random.of(if is_first { FIRST } else { BEGINNINGS }), random)
}

/// A cell of one statement or a few.
pub(crate) fn cell(random: &mut Random) -> String {
    let mut statements = vec![statement(random)];
    while statements.len() < 4 && random.chance(35) {
        statements.push(statement(random));
    }
    // A magic takes the whole cell, and stands first.
    let first = statements.iter().position(|statement| statement.starts_with("%%"));
    if let Some(first) = first {
        statements.swap(0, first);
        statements.truncate(1);
    }
    fill(&statements.join("\n"), random)
}

fn statement(random: &mut Random) -> String {
    let all: u32 = STATEMENTS.iter().map(|(weight, _)| weight).sum();
    let mut drawn = random.below(all as usize);
    for (weight, statements) in STATEMENTS {
        match drawn.checked_sub(*weight as usize) {
            Some(left) => drawn = left,
            None => return random.of(statements).to_owned(),
        }
    }
    unreachable!("the draw is below the sum of all weights")
}

/// Puts names and numbers in.
fn fill(template: &str, random: &mut Random) -> String {
    let mut filled = String::new();
    let mut chosen: Vec<(char, char, &str)> = Vec::new();
    let mut letters = template.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '$' {
            filled.push(letter);
            continue;
        }
        let kind = letters.next().unwrap();
        if kind == '#' {
            filled.push_str(&random.below(6).to_string());
            continue;
        }
        let digit = letters.next_if(char::is_ascii_digit);
        let known = chosen.iter().find(|(of, by, _)| *of == kind && Some(*by) == digit);
        let name = known.map_or_else(|| name(kind, random), |(.., name)| name);
        chosen.extend(digit.map(|digit| (kind, digit, name)));
        filled.push_str(name);
    }
    filled
}

/// Now and then, one of another kind.
fn name(kind: char, random: &mut Random) -> &'static str {
    let kind = if random.chance(4) { 'v' } else { kind };
    let (_, names) = NAMES.iter().find(|(of, _)| *of == kind).unwrap();
    random.of(names)
}
