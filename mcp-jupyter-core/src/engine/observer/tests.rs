#![cfg(feature = "local")]

use std::sync::Arc;

use futures_util::StreamExt;

use super::*;
use crate::kernel::local::LocalProvisioner;
use crate::kernel::{Channel, Kernel, KernelProvisioner, LaunchRequest, ShutdownMode};

#[path = "../../../tests/support/mod.rs"]
mod support;

/// A real kernel with the helper.
struct Lab(Arc<dyn Kernel>);

impl Lab {
    async fn new() -> Option<Self> {
        let python = support::python()?;
        let provisioner = LocalProvisioner::new().with_python(&python);
        let spec = provisioner.kernelspec_for_python(&python).await.unwrap();
        let kernel = provisioner.launch(LaunchRequest::new(spec)).await.unwrap();
        let lab = Self(kernel);
        let installed = lab.reply(install()).await;
        let result = installed.get("user_expressions").unwrap().get("expression").unwrap();
        assert_eq!(text(result, "status").as_deref(), Some("ok"), "{result:?}");
        Some(lab)
    }

    /// The content of the reply.
    async fn reply(&self, request: ExecuteRequest) -> Json {
        let mut execution = self.0.execute(request).await.unwrap();
        let mut reply = Json::Null;
        while let Some(message) = execution.messages.next().await {
            let message = message.unwrap();
            if message.channel == Channel::Shell {
                reply = message.content;
            }
        }
        reply
    }

    async fn run(&self, code: &str) -> Seen {
        let request = ExecuteRequest {
            user_expressions: look(&["always".to_owned()]),
            ..ExecuteRequest::new(code)
        };
        seen(&self.reply(request).await)
    }

    /// What the code has changed.
    async fn changes(&self, code: &str) -> Observation {
        match self.run(code).await {
            Seen::Changes(changes) => changes,
            other => panic!("{code}: {other:?}"),
        }
    }

    /// Checks names as `bound; mutated; deleted`, each sorted and separated by spaces.
    async fn check(&self, cases: &[(&str, &str)]) {
        for (code, expected) in cases {
            let Observation {
                bound,
                mutated,
                deleted,
                ..
            } = self.changes(code).await;
            let seen = [bound, mutated, deleted].map(|mut names| {
                names.sort();
                names.join(" ")
            });
            assert_eq!(seen.join("; ").trim_end_matches([';', ' ']), *expected, "{code}");
        }
    }

    async fn end(self) {
        self.0.shutdown(ShutdownMode::Immediate).await.unwrap();
    }
}

#[tokio::test]
async fn names_are_bound_mutated_and_deleted() {
    let Some(lab) = Lab::new().await else { return };
    lab.check(&[
        ("x = 1", "x"),
        ("x = 1", ""),
        ("x = 2", "x"),
        ("_x = x; x", "_x"),
        ("y = [1, 2]", "y"),
        ("y", ""),
        ("y.append(3)", "; y"),
        ("d = {'a': y}", "d"),
        ("y[0] = -1", "; d y"),
        ("y[0] = -2", "; d y"),
        ("y[0] = 1.0", "; d y"),
        ("y[0] = True", "; d y"),
        ("z = d['a']; del x", "z; ; x"),
        ("for i in range(3): pass", "i"),
        ("exec('made = 1')", "made"),
        ("import os", "os"),
        ("import os", ""),
        (
            "s = {1}; q = __import__('collections').deque([1]); b = bytearray(b'1')",
            "b q s",
        ),
        ("s.add(2); q.append(2); b.append(2)", "; b q s"),
        ("loop = []; loop.append(loop)", "loop"),
        ("loop.append(1)", "; loop"),
        ("big = list(range(10**6))", "big"),
        ("big[-1] = 0", "; big"),
        ("text = 'a' * 10**6", "text"),
        ("text = 'a' * 10**6 + 'b'", "text"),
        ("globals()['no name'] = 1; __version__ = '1'; Out; _", ""),
    ])
    .await;
    lab.end().await;
}

#[tokio::test]
async fn no_code_of_the_user_is_called() {
    let Some(lab) = Lab::new().await else { return };
    let hostile = "class Hostile:\n    kept = 1\n    def __init__(self): object.__setattr__(self, 'a', [1])\n"
        .to_owned()
        + &[
            "eq",
            "repr",
            "str",
            "hash",
            "len",
            "bool",
            "iter",
            "getitem",
            "getattr",
            "getattribute",
            "reduce",
            "reduce_ex",
            "sizeof",
            "dir",
            "copy",
            "format",
            "index",
            "int",
            "float",
            "contains",
            "array",
            "instancecheck",
        ]
        .map(|name| format!("    def __{name}__(self, *others): print('called: {name}'); raise SystemExit\n"))
        .concat();
    lab.check(&[
        (&hostile, "Hostile"),
        ("class Meta(type):\n    def __getattribute__(self, name): raise SystemExit\nclass Odd(metaclass=Meta): pass", "Meta Odd"),
        ("h = Hostile(); held = [h, {'h': h}, (h,)]", "h held"),
        ("object.__getattribute__(h, 'a').append(2)", "; h held"),
        ("object.__setattr__(h, 'a', 5)", "; h held"),
        ("Hostile.kept = 2", "; Hostile"),
        ("class Slots:\n    __slots__ = ('v', 'w')\nslots = Slots(); slots.v = 1", "Slots slots"),
        ("slots.v = 2", "; slots"),
        ("class Mine(dict):\n    def items(self): raise SystemExit\nmine = Mine(a=1)", "Mine mine"),
        ("import datetime\nclass Zone(datetime.tzinfo):\n    def utcoffset(self, when): raise SystemExit\nnow = datetime.datetime(2020, 1, 1, tzinfo=Zone())", "Zone datetime now"),
    ])
    .await;
    lab.end().await;
}

#[tokio::test]
async fn arrays_and_frames_are_sampled() {
    let Some(lab) = Lab::new().await else { return };
    if lab.run("import numpy, pandas").await == Seen::Nothing {
        return lab.end().await;
    }
    lab.check(&[
        ("a = numpy.arange(10); b = a[::2]", "a b"),
        ("a.sum(), a.mean(), repr(a)", ""),
        ("a[4] = 50", "; a b"),
        ("a.shape = (2, 5)", "; a"),
        ("o = numpy.array([None, 'x'], dtype=object)", "o"),
        ("o[0] = 1", "; o"),
        ("large = numpy.zeros((1000, 1000))", "large"),
        ("large += 1", "; large"),
        (
            "df = pandas.DataFrame({'n': [1, 2], 's': ['x', 'y'], 'c': pandas.Categorical(['p', 'q'])})",
            "df",
        ),
        ("df.describe(), df.values, df.sum(numeric_only=True), repr(df)", ""),
        ("df['m'] = 1.5", "; df"),
        ("df.loc[0, 'n'] = 7", "; df"),
        ("df.loc[0, 's'] = 'z'", "; df"),
        ("df.loc[0, 'c'] = 'q'", "; df"),
        ("df.drop(columns='m', inplace=True)", "; df"),
        ("df.sort_values('n', inplace=True)", "; df"),
        ("column = df['n'].copy()", "column"),
        ("column.iloc[0] = 9", "; column"),
        // Memory that is not NumPy's own may be gone: it is not read.
        (
            "from multiprocessing import shared_memory\nm = shared_memory.SharedMemory(create=True, size=80)\nf = numpy.ndarray(10, buffer=m.buf)\nm.unlink(); m.close()",
            "f m shared_memory",
        ),
        ("1", ""),
    ])
    .await;
    lab.end().await;
}

#[tokio::test]
async fn digests_are_of_whole_values() {
    let Some(lab) = Lab::new().await else { return };
    let digests = async |code: &str| lab.changes(code).await.digests;
    let (mut of_values, code) = (
        Vec::new(),
        "v0 = 1; v1 = True; v2 = 1.0; v3 = '1'; v4 = b'1'; v5 = None; v6 = (1,)",
    );
    of_values.extend(digests(code).await.into_values());
    let more = "import datetime as dt\nw0 = -0.0; w1 = 0.0; w2 = (1, (2,)); w3 = (1, 2); w4 = frozenset({1, 2}); w5 = dt.date(2020, 1, 1); w6 = dt.datetime(2020, 1, 1); w7 = dt.timedelta(1); w8 = dt.time(1); w9 = 1j";
    of_values.extend(digests(more).await.into_values());
    assert_eq!(of_values.len(), 17);
    of_values.sort();
    of_values.dedup();
    assert_eq!(of_values.len(), 17, "different values have different digests");
    let first = digests("always = frozenset({'a', 'b', ('c', 2**70)})").await;
    assert_eq!(digests("always = frozenset({('c', 2**70), 'b', 'a'})").await, first);
    assert_eq!(digests("always").await, first, "written names are digested again");
    for none in [
        "[1]",
        "(1, [2])",
        "'a' * 10**6",
        "object()",
        "type('T', (int,), {})(1)",
        "(1,) * 5000",
    ] {
        assert!(
            digests(&format!("other = {none}"))
                .await
                .keys()
                .all(|name| name == "always"),
            "{none}"
        );
    }
    lab.end().await;
}

#[tokio::test]
async fn what_happens_to_the_shell_does_not_end_it() {
    let Some(lab) = Lab::new().await else { return };
    lab.check(&[("x = 1", "x")]).await;
    assert_eq!(lab.run("y = 1\n1 / 0").await, Seen::Nothing);
    let alone = seen(&lab.reply(look_alone()).await);
    assert!(matches!(alone, Seen::Changes(changes) if changes.bound == ["y"]));
    lab.check(&[
        ("%reset -f", "; ; x y"),
        ("del get_ipython", ""),
        ("len = sorted = id = type = list = 3", "id len list sorted type"),
        ("import builtins; builtins.map = builtins.set = None", "builtins"),
        ("x = 2; y = [1]", "x y"),
        ("y.append(2)", "; y"),
    ])
    .await;
    lab.reply(delete(&["x".to_owned(), "never".to_owned()])).await;
    lab.check(&[("1", "")]).await;
    assert!(!lab.changes("x = 1").await.bound.is_empty());
    lab.end().await;
}

#[tokio::test]
async fn nothing_is_kept_alive_and_nothing_is_left_behind() {
    let Some(lab) = Lab::new().await else { return };
    lab.run("import weakref\nclass C: pass\nc = C(); w = weakref.ref(c); held = [c, 1]")
        .await;
    lab.run("del c; held = [1]").await;
    let code = "assert w() is None\nassert not [n for n in dir() if 'mcp' in n.lower()]\nassert len(In) == 4, In";
    assert!(matches!(lab.run(code).await, Seen::Changes(_)));
    lab.end().await;
}

#[tokio::test]
async fn too_many_names_are_not_looked_at() {
    let Some(lab) = Lab::new().await else { return };
    let many = "for n in range(6000): globals()[f'n{n}'] = n";
    assert_eq!(lab.run(many).await, Seen::Unable);
    assert_eq!(
        lab.run("for n in range(6000): del globals()[f'n{n}']").await,
        Seen::Unable
    );
    lab.check(&[("x = 1", "x")]).await;
    lab.end().await;
}

#[test]
fn a_late_interrupt_is_seen() {
    let reply = |result: &str| {
        let content = format!(r#"{{"user_expressions": {{"observation": {result}}}}}"#);
        seen(&Json::parse(content.as_bytes()).unwrap())
    };
    assert_eq!(
        reply(r#"{"status": "error", "ename": "KeyboardInterrupt"}"#),
        Seen::Interrupted
    );
    assert_eq!(reply(r#"{"status": "error", "ename": "NameError"}"#), Seen::Nothing);
    assert_eq!(
        reply(r#"{"status": "ok", "data": {"application/json": {"error": "too many"}}}"#),
        Seen::Unable
    );
    assert_eq!(seen(&Json::Null), Seen::Nothing);
}
