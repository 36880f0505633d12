use super::Words;

/// Names that every Python has without an import, and those that IPython adds.
static BUILTINS: Words = Words::new(
    "\
    ArithmeticError AssertionError AttributeError BaseException BaseExceptionGroup BlockingIOError BrokenPipeError \
    BufferError BytesWarning ChildProcessError ConnectionAbortedError ConnectionError ConnectionRefusedError \
    ConnectionResetError DeprecationWarning EOFError Ellipsis EncodingWarning EnvironmentError Exception \
    ExceptionGroup False FileExistsError FileNotFoundError FloatingPointError FutureWarning GeneratorExit IOError \
    ImportError ImportWarning IndentationError IndexError InterruptedError IsADirectoryError KeyError \
    KeyboardInterrupt LookupError MemoryError ModuleNotFoundError NameError None NotADirectoryError NotImplemented \
    NotImplementedError OSError OverflowError PendingDeprecationWarning PermissionError ProcessLookupError \
    PythonFinalizationError RecursionError ReferenceError ResourceWarning RuntimeError RuntimeWarning \
    StopAsyncIteration StopIteration SyntaxError SyntaxWarning SystemError SystemExit TabError TimeoutError True \
    TypeError UnboundLocalError UnicodeDecodeError UnicodeEncodeError UnicodeError UnicodeTranslateError \
    UnicodeWarning UserWarning ValueError Warning ZeroDivisionError __IPYTHON__ __build_class__ __builtin__ \
    __builtins__ __debug__ __doc__ __file__ __import__ __loader__ __name__ __package__ __spec__ abs aiter all anext \
    any ascii bin bool breakpoint bytearray bytes callable chr classmethod compile complex copyright credits delattr \
    dict dir display divmod enumerate eval exec execfile exit filter float format frozenset get_ipython getattr \
    globals hasattr hash help hex id input int isinstance issubclass iter len license list locals map max memoryview \
    min next object oct open ord pow print property quit range repr reversed round runfile set setattr slice sorted \
    staticmethod str sum super tuple type vars zip",
);

/// Whether a name means something though nobody has bound it.
pub(in crate::scheduler::flow) fn is_builtin(name: &str) -> bool {
    BUILTINS.contain(name)
}

/// The part of a dotted path before the first dot.
pub(super) fn root(path: &str) -> &str {
    path.split('.').next().unwrap_or(path)
}

/// The library that an object is said to come from, if the function at `path` makes it.
pub(in crate::scheduler::flow) fn library_of(path: &str) -> &str {
    const WITHIN: &str = "seaborn.objects";
    if path.starts_with(WITHIN) { WITHIN } else { root(path) }
}

/// Modules that `sys.path` seldom decides about: Python's own, and libraries that are installed.
static INSTALLED: Words = Words::new(
    "\
    IPython PIL __future__ abc altair argparse array ast asyncio base64 bisect bokeh bs4 builtins bz2 calendar cmath \
    collections concurrent contextlib copy csv ctypes cv2 cycler dask dataclasses datetime decimal difflib duckdb \
    email enum errno fractions functools gc geopandas getpass glob graphlib gzip hashlib heapq hmac html http hvplot \
    importlib inspect io ipywidgets itertools joblib json keras keyword lightgbm locale logging lxml math matplotlib \
    mpl_toolkits multiprocessing networkx nltk numba numbers numpy operator os pandas pathlib pickle platform plotly \
    plotnine polars pprint psutil pyarrow pydantic pylab queue random re requests scipy seaborn secrets shelve shutil signal \
    skimage sklearn socket spacy sqlalchemy sqlite3 ssl stat statistics statsmodels string struct subprocess sympy \
    sys tempfile tensorflow textwrap threading time timeit torch torchvision tqdm traceback transformers types \
    typing typing_extensions unicodedata unittest urllib uuid warnings weakref xarray xgboost xml yaml zipfile \
    zoneinfo",
);

/// Whether a module may be a file beside the notebook, or in a folder that the notebook puts on `sys.path`.
pub(in crate::scheduler::flow) fn may_be_local(path: &str) -> bool {
    !INSTALLED.contain(root(path))
}

/// Whether what a library computes depends on nothing but its arguments, unless its description says otherwise.
pub(super) fn is_deterministic(path: &str) -> bool {
    static UNSURE: Words = Words::new(
        "\
        asyncio concurrent getpass glob http multiprocessing nltk os platform psutil queue requests secrets shutil \
        socket spacy sqlalchemy sqlite3 ssl subprocess tempfile tensorflow threading time timeit torch torchvision \
        transformers urllib uuid",
    );
    let root = root(path);
    INSTALLED.contain(root) && !UNSURE.contain(root)
        || path.starts_with("os.path.") && !path.ends_with("exists") && !path.contains("get")
        || matches!(path, "asyncio.sleep" | "asyncio.gather" | "asyncio.run" | "time.sleep")
}

/// What `from module import *` brings, where that is known.
pub(in crate::scheduler::flow) fn exports(module: &str) -> impl Iterator<Item = &'static str> {
    let names = match module {
        "cmath" => {
            "acos acosh asin asinh atan atanh cos cosh e exp inf infj isclose isfinite isinf isnan log log10 nan nanj phase \
            pi polar rect sin sinh sqrt tan tanh tau"
        }
        "math" => {
            "\
            acos acosh asin asinh atan atan2 atanh cbrt ceil comb copysign cos cosh degrees dist e erf erfc exp exp2 expm1 \
            fabs factorial floor fmod frexp fsum gamma gcd hypot inf isclose isfinite isinf isnan isqrt lcm ldexp lgamma log \
            log10 log1p log2 modf nan nextafter perm pi pow prod radians remainder sin sinh sqrt tan tanh tau trunc ulp"
        }
        "random" => {
            "\
            Random SystemRandom betavariate choice choices expovariate gammavariate gauss getrandbits getstate \
            lognormvariate normalvariate paretovariate randbytes randint random randrange sample seed setstate shuffle \
            triangular uniform vonmisesvariate weibullvariate"
        }
        "itertools" => {
            "\
            accumulate batched chain combinations combinations_with_replacement compress count cycle dropwhile filterfalse \
            groupby islice pairwise permutations product repeat starmap takewhile tee zip_longest"
        }
        "collections" => {
            "\
            ChainMap Counter OrderedDict UserDict UserList UserString defaultdict deque namedtuple"
        }
        "statistics" => {
            "\
            fmean geometric_mean harmonic_mean mean median median_high median_low mode multimode pstdev pvariance quantiles \
            stdev variance"
        }
        "functools" => {
            "\
            cache cached_property cmp_to_key lru_cache partial partialmethod reduce singledispatch total_ordering \
            update_wrapper wraps"
        }
        "string" => {
            "\
            Formatter Template ascii_letters ascii_lowercase ascii_uppercase capwords digits hexdigits octdigits printable \
            punctuation whitespace"
        }
        _ => "",
    };
    names.split_whitespace()
}

/// The pseudo-name for state of the process that a module gives access to, and that an assignment changes.
pub(in crate::scheduler::flow) fn state_of(path: &str) -> Option<String> {
    if path.starts_with("os.environ") {
        return Some("<environ>".to_owned());
    }
    if path == "sys.path" || path.starts_with("sys.path.") {
        return Some("<sys.path>".to_owned());
    }
    let (module, rest) = path.split_once('.')?;
    let is_options = matches!(
        (module, rest.split('.').next()?),
        ("pandas" | "xarray", "options") | ("matplotlib", "rcParams") | ("decimal", "getcontext()")
    ) || path == "matplotlib.pyplot.rcParams";
    is_options.then(|| format!("<options:{module}>"))
}

/// The library whose options a function sets.
pub(in crate::scheduler::flow) fn sets_options(path: &str) -> Option<&'static str> {
    Some(match path {
        "numpy.set_printoptions" | "numpy.seterr" => "numpy",
        "pandas.set_option" | "pandas.reset_option" => "pandas",
        "decimal.setcontext" => "decimal",
        "matplotlib.rc"
        | "matplotlib.rcdefaults"
        | "matplotlib.pyplot.rc"
        | "matplotlib.pyplot.style.use"
        | "matplotlib.style.use"
        | "matplotlib.use"
        | "matplotlib.pyplot.rcParams.update"
        | "matplotlib.rcParams.update"
        | "seaborn.set"
        | "seaborn.set_theme"
        | "seaborn.set_style"
        | "seaborn.set_palette"
        | "seaborn.set_context" => "matplotlib",
        "torch.set_printoptions" | "torch.set_default_dtype" => "torch",
        "polars.Config.set_tbl_rows" => "polars",
        _ => return None,
    })
}

/// The library whose options a function depends on.
pub(in crate::scheduler::flow) fn uses_options(path: &str) -> Option<&'static str> {
    match root(path) {
        "matplotlib" | "seaborn" => Some("matplotlib"),
        "decimal" => Some("decimal"),
        _ => None,
    }
}
