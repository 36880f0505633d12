use super::Access;
use super::modules::{is_deterministic, root};

/// What a call of a library's function gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::scheduler::flow) enum Gives {
    /// Something immutable.
    Scalar,
    /// Something that shares nothing with the arguments.
    New,
    /// A container of the items of its arguments.
    Container,
    /// Something that is used up by reading it, over the arguments.
    Iterator,
    /// One of the items of its argument.
    Item,
    /// Its argument.
    Same,
    /// A generator of random numbers.
    Random,
    /// A path, which stands for its text.
    Path,
    /// A part of its argument.
    Attribute,
    /// A figure and what is in it.
    Figure,
    /// The state that a module keeps.
    Context,
    /// A function that keeps its results, or what makes one of it.
    Decorator,
    /// A function with some of its arguments.
    Partial,
    /// Something that holds its arguments.
    Holder,
    /// The module that its argument names.
    Module,
}

/// What is known about a function of a library.
#[derive(Clone, Debug)]
pub(in crate::scheduler::flow) struct Called {
    pub(in crate::scheduler::flow) gives: Gives,
    /// It reaches into the namespace in a way that cannot be followed.
    pub(in crate::scheduler::flow) opaque: Option<&'static str>,
    pub(in crate::scheduler::flow) writes_namespace: bool,
    pub(in crate::scheduler::flow) is_deterministic: bool,
    /// It calls functions that it is given.
    pub(in crate::scheduler::flow) calls_back: bool,
    /// It reads the items of its arguments, and shows them.
    pub(in crate::scheduler::flow) consumes: bool,
    /// It may keep its arguments.
    pub(in crate::scheduler::flow) keeps: bool,
    /// It draws from, or seeds, a global generator of random numbers.
    pub(in crate::scheduler::flow) random: Option<(&'static str, Access)>,
    /// The argument that it changes.
    pub(in crate::scheduler::flow) mutates: Option<usize>,
    pub(in crate::scheduler::flow) file: Option<Access>,
}

impl Called {
    fn gives(gives: Gives) -> Self {
        Self {
            gives,
            opaque: None,
            writes_namespace: false,
            is_deterministic: true,
            calls_back: true,
            consumes: true,
            keeps: false,
            random: None,
            mutates: None,
            file: None,
        }
    }

    fn opaque(reason: &'static str, writes_namespace: bool) -> Self {
        Self {
            opaque: Some(reason),
            writes_namespace,
            is_deterministic: false,
            ..Self::gives(Gives::New)
        }
    }

    fn mutating(index: usize) -> Self {
        Self {
            mutates: Some(index),
            ..Self::gives(Gives::Attribute)
        }
    }

    fn file(access: Access) -> Self {
        Self {
            file: Some(access),
            ..Self::gives(Gives::New)
        }
    }

    fn drawing(generator: &'static str, access: Access) -> Self {
        Self {
            random: Some((generator, access)),
            ..Self::gives(Gives::New)
        }
    }
}

/// What is known about the function at a dotted path.
pub(in crate::scheduler::flow) fn describe(path: &str) -> Called {
    if let Some(name) = path.strip_prefix("builtins.") {
        return builtin(name);
    }
    let special = match root(path) {
        "random" => random(path),
        "numpy" => numpy(path),
        "pandas" | "polars" => frames(path),
        "os" | "shutil" | "pathlib" | "glob" | "io" | "codecs" | "importlib" => system(path),
        _ => standard(path),
    };
    special.unwrap_or_else(|| Called {
        is_deterministic: is_deterministic(path),
        keeps: !is_copying(path),
        ..Called::gives(if is_copying(path) { Gives::New } else { Gives::Holder })
    })
}

fn builtin(name: &str) -> Called {
    match name {
        "exec" | "execfile" | "runfile" => Called::opaque("exec() may do anything", true),
        "eval" => Called::opaque("eval() may read anything", false),
        "globals" => Called::opaque("globals() gives access to all names", true),
        "locals" | "vars" => Called::opaque("it gives access to all names", true),
        "dir" => Called::opaque("it lists all names", false),
        "input" => Called {
            is_deterministic: false,
            ..Called::gives(Gives::Scalar)
        },
        "open" => Called::file(Access::Read),
        "list" | "tuple" | "set" | "frozenset" | "dict" | "sorted" | "bytearray" => Called::gives(Gives::Container),
        "iter" | "zip" | "map" | "filter" | "enumerate" | "reversed" | "aiter" => Called {
            calls_back: false,
            consumes: false,
            ..Called::gives(Gives::Iterator)
        },
        "next" | "min" | "max" | "anext" => Called::gives(Gives::Item),
        "getattr" => Called {
            consumes: false,
            ..Called::gives(Gives::Attribute)
        },
        "setattr" | "delattr" => Called {
            gives: Gives::Scalar,
            ..Called::mutating(0)
        },
        "property" | "staticmethod" | "classmethod" => Called {
            calls_back: false,
            ..Called::gives(Gives::Same)
        },
        "isinstance" | "issubclass" | "callable" | "hasattr" | "id" | "type" => Called {
            calls_back: false,
            consumes: false,
            ..Called::gives(Gives::Scalar)
        },
        "sum" | "abs" | "round" | "pow" | "divmod" | "super" | "object" | "compile" => Called::gives(Gives::New),
        "memoryview" | "slice" => Called::gives(Gives::Holder),
        "__import__" => Called::gives(Gives::Module),
        "get_ipython" => Called::opaque("get_ipython() gives access to all names", true),
        name if name.ends_with("Error") || name.ends_with("Exception") || name.ends_with("Warning") => {
            Called::gives(Gives::Holder)
        }
        "print" | "repr" | "str" | "format" | "len" | "display" => Called {
            calls_back: false,
            ..Called::gives(Gives::Scalar)
        },
        _ => Called::gives(Gives::Scalar),
    }
}

fn random(path: &str) -> Option<Called> {
    let name = path.strip_prefix("random.")?;
    Some(match name {
        "seed" | "setstate" => Called::drawing("<random>", Access::Write),
        "Random" => Called {
            is_deterministic: false,
            ..Called::gives(Gives::Random)
        },
        "SystemRandom" => Called {
            is_deterministic: false,
            ..Called::gives(Gives::New)
        },
        "shuffle" => Called {
            mutates: Some(0),
            ..Called::drawing("<random>", Access::Read)
        },
        "choice" => Called {
            gives: Gives::Item,
            ..Called::drawing("<random>", Access::Read)
        },
        "random" | "randint" | "randrange" | "uniform" | "gauss" => Called {
            gives: Gives::Scalar,
            ..Called::drawing("<random>", Access::Read)
        },
        "sample" | "choices" => Called {
            gives: Gives::Container,
            ..Called::drawing("<random>", Access::Read)
        },
        _ => Called::drawing("<random>", Access::Read),
    })
}

fn numpy(path: &str) -> Option<Called> {
    let name = path.strip_prefix("numpy.")?;
    Some(match name {
        "random.seed" | "random.set_state" => Called::drawing("<numpy.random>", Access::Write),
        "random.default_rng" | "random.RandomState" | "random.Generator" => Called {
            is_deterministic: false,
            ..Called::gives(Gives::Random)
        },
        "random.shuffle" => Called {
            mutates: Some(0),
            ..Called::drawing("<numpy.random>", Access::Read)
        },
        name if name.starts_with("random.") => Called::drawing("<numpy.random>", Access::Read),
        "copyto" | "put" | "place" | "putmask" | "fill_diagonal" | "put_along_axis" => Called::mutating(0),
        "save" | "savez" | "savez_compressed" | "savetxt" => Called::file(Access::Write),
        "load" | "loadtxt" | "genfromtxt" | "fromfile" | "memmap" => Called::file(Access::Read),
        "asarray" | "asanyarray" | "ravel" | "reshape" | "squeeze" | "transpose" | "broadcast_to" | "atleast_1d"
        | "atleast_2d" | "moveaxis" | "swapaxes" | "expand_dims" | "split" | "array_split" | "diagonal" | "real"
        | "imag" | "frombuffer" | "ascontiguousarray" => Called::gives(Gives::Holder),
        _ => Called::gives(Gives::New),
    })
}

fn frames(path: &str) -> Option<Called> {
    let name = path.split_once('.')?.1;
    if name.starts_with("read_") || name.starts_with("scan_") || name == "HDFStore" || name == "ExcelFile" {
        let literal = matches!(
            name,
            "read_clipboard" | "read_sql" | "read_sql_query" | "read_sql_table"
        );
        return Some(if literal {
            Called {
                is_deterministic: false,
                ..Called::gives(Gives::New)
            }
        } else {
            Called::file(Access::Read)
        });
    }
    Some(match name {
        "ExcelWriter" => Called::file(Access::Write),
        "Timestamp.now" | "Timestamp.today" | "Timestamp.utcnow" => Called {
            is_deterministic: false,
            ..Called::gives(Gives::Scalar)
        },
        _ => Called::gives(Gives::New),
    })
}

fn system(path: &str) -> Option<Called> {
    Some(match path {
        "os.chdir" => Called {
            random: Some(("<cwd>", Access::Write)),
            ..Called::gives(Gives::Scalar)
        },
        "os.getcwd" | "pathlib.Path.cwd" | "os.path.abspath" => Called {
            random: Some(("<cwd>", Access::Read)),
            ..Called::gives(Gives::Scalar)
        },
        "os.environ.get"
        | "os.getenv"
        | "os.environ.copy"
        | "os.putenv"
        | "os.unsetenv"
        | "os.environ.update"
        | "os.environ.pop"
        | "os.environ.setdefault"
        | "os.environ.clear" => Called::gives(Gives::Scalar),
        "pathlib.Path" | "pathlib.PurePath" | "os.fspath" | "pathlib.PosixPath" => Called::gives(Gives::Path),
        "os.remove" | "os.unlink" | "os.rename" | "os.replace" | "os.makedirs" | "os.mkdir" | "os.rmdir"
        | "shutil.copy" | "shutil.copyfile" | "shutil.copy2" | "shutil.move" | "shutil.rmtree" => {
            Called::file(Access::Write)
        }
        "io.open" | "codecs.open" | "os.listdir" | "os.walk" | "os.scandir" | "glob.glob" | "glob.iglob"
        | "os.path.exists" | "os.path.isfile" | "os.path.getsize" | "os.path.getmtime" | "os.stat" => {
            Called::file(Access::Read)
        }
        "importlib.import_module" => Called::gives(Gives::Module),
        "importlib.reload" => Called::mutating(0),
        _ => return None,
    })
}

fn standard(path: &str) -> Option<Called> {
    Some(match path {
        "heapq.heappush"
        | "heapq.heapify"
        | "heapq.heappop"
        | "heapq.heapreplace"
        | "heapq.heappushpop"
        | "bisect.insort"
        | "bisect.insort_left"
        | "bisect.insort_right"
        | "operator.setitem"
        | "operator.delitem"
        | "operator.iadd"
        | "functools.update_wrapper" => Called::mutating(0),
        "functools.lru_cache" | "functools.cache" => Called {
            calls_back: false,
            consumes: false,
            ..Called::gives(Gives::Decorator)
        },
        "decimal.getcontext" => Called::gives(Gives::Context),
        "copy.copy" => Called::gives(Gives::Container),
        "copy.deepcopy" | "functools.reduce" => Called::gives(Gives::New),
        "functools.partial" | "functools.partialmethod" => Called {
            calls_back: false,
            consumes: false,
            ..Called::gives(Gives::Partial)
        },
        "itertools.tee"
        | "types.SimpleNamespace"
        | "collections.ChainMap"
        | "types.MappingProxyType"
        | "weakref.ref"
        | "functools.wraps" => Called {
            calls_back: false,
            consumes: false,
            ..Called::gives(Gives::Holder)
        },
        "itertools.count" | "itertools.cycle" | "itertools.repeat" | "csv.reader" | "csv.DictReader" => Called {
            calls_back: false,
            consumes: false,
            ..Called::gives(Gives::Iterator)
        },
        path if path.starts_with("itertools.") => Called {
            calls_back: false,
            consumes: false,
            ..Called::gives(Gives::Iterator)
        },
        "collections.deque" | "collections.Counter" | "collections.OrderedDict" => Called::gives(Gives::Container),
        "json.dump"
        | "pickle.dump"
        | "yaml.dump"
        | "yaml.safe_dump"
        | "joblib.dump"
        | "torch.save"
        | "matplotlib.pyplot.savefig"
        | "plotly.io.write_html" => Called::file(Access::Write),
        "json.load"
        | "pickle.load"
        | "yaml.safe_load"
        | "yaml.load"
        | "joblib.load"
        | "torch.load"
        | "PIL.Image.open"
        | "matplotlib.pyplot.imread" => Called::file(Access::Read),
        "datetime.datetime.now" | "datetime.datetime.today" | "datetime.datetime.utcnow" | "datetime.date.today" => {
            Called {
                is_deterministic: false,
                ..Called::gives(Gives::Scalar)
            }
        }
        "matplotlib.pyplot.subplots" => Called::gives(Gives::Figure),
        path if is_random_estimator(path) => Called {
            is_deterministic: false,
            keeps: false,
            ..Called::gives(Gives::New)
        },
        path if path.starts_with("math.") || path.starts_with("statistics.") || path.starts_with("time.") => Called {
            is_deterministic: is_deterministic(path),
            ..Called::gives(Gives::Scalar)
        },
        path if path.starts_with("re.") || path.starts_with("json.") || path.starts_with("string.") => {
            Called::gives(Gives::New)
        }
        "torch.manual_seed" => Called::drawing("<torch.random>", Access::Write),
        "torch.rand" | "torch.randn" | "torch.randint" | "torch.randperm" => {
            Called::drawing("<torch.random>", Access::Read)
        }
        _ => return None,
    })
}

/// Functions and classes of scikit-learn that draw random numbers unless they are given a `random_state`.
fn is_random_estimator(path: &str) -> bool {
    const RANDOM: &[&str] = &[
        "AdaBoost",
        "BaggingC",
        "BaggingR",
        "Dummy",
        "ExtraTree",
        "GradientBoosting",
        "IsolationForest",
        "KMeans",
        "MLP",
        "MiniBatch",
        "RandomForest",
        "RandomizedSearchCV",
        "SGD",
        "ShuffleSplit",
        "TSNE",
        "make_",
        "resample",
        "shuffle",
        "train_test_split",
    ];
    let name = path.rsplit('.').next().unwrap_or(path);
    path.starts_with("sklearn.") && RANDOM.iter().any(|prefix| name.starts_with(prefix))
}

/// Libraries whose functions do not keep what they are given.
fn is_copying(path: &str) -> bool {
    let root = root(path);
    let name = path.rsplit('.').next().unwrap_or(path);
    match root {
        "math" | "cmath" | "statistics" | "operator" | "re" | "json" | "string" | "decimal" | "fractions"
        | "datetime" | "hashlib" | "base64" | "struct" | "textwrap" | "time" | "scipy" | "matplotlib" | "seaborn"
        | "hvplot" | "pprint" | "collections" | "bisect" | "heapq" | "copy" | "html" | "calendar" | "warnings"
        | "unicodedata" | "tqdm" => true,
        "sklearn" | "statsmodels" => !name.starts_with(char::is_uppercase),
        _ => false,
    }
}

/// What a decorator makes of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::scheduler::flow) enum Wrapper {
    /// Something that is called in the same way.
    None,
    Property,
    CachedProperty,
    /// Something that keeps its results.
    Cache,
}

pub(in crate::scheduler::flow) fn wrapper(path: &str) -> Wrapper {
    match path {
        "builtins.property" | "abc.abstractproperty" => Wrapper::Property,
        "functools.cached_property" => Wrapper::CachedProperty,
        "functools.cache" | "functools.lru_cache" => Wrapper::Cache,
        _ => Wrapper::None,
    }
}

/// Generators of random numbers whose first argument is their seed.
pub(in crate::scheduler::flow) fn is_seeded_by_argument(path: &str) -> bool {
    matches!(
        path,
        "random.Random" | "numpy.random.default_rng" | "numpy.random.RandomState" | "numpy.random.Generator"
    )
}

/// Which argument of a function is the path.
pub(in crate::scheduler::flow) fn path_argument(function: &str) -> usize {
    match function {
        "json.dump" | "pickle.dump" | "yaml.dump" | "yaml.safe_dump" | "joblib.dump" | "torch.save" => 1,
        _ => 0,
    }
}
