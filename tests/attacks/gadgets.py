"""Published gadgets, one file each: callables of Python and of machine-learning packages that run, load, fetch or write something.

The names come from the advisories of other scanners (picklescan's CVE-2025-1716 to -10157 and CVE-2026-56304/-56315, fickling's
GHSA lists) and from the papers on loading paths of frameworks. They are only names here: nothing is imported.
"""

from __future__ import annotations

from tests.attacks.assemble import COMMAND, PROTO4, Part, call, items, name, payload_zip, pickled, stack_name, text, torch_zip, zipped
from tests.attacks.catalogue import Builder, each

DANGER = "danger"

STANDARD = """
os popen; os execv; os posix_spawn; os spawnlp; os remove; os startfile; nt system; posix posix_spawn; posix fork; builtins exec
builtins compile; builtins __import__; builtins getattr; builtins open; builtins map; builtins breakpoint; subprocess run
subprocess check_output; subprocess getoutput; subprocess call; _posixsubprocess fork_exec; pty spawn; pip main
pip._internal main; ensurepip _run_pip; venv create; timeit timeit; timeit main; trace run; cProfile run; cProfile runctx
profile run; profile runctx; pdb run; pdb Pdb; bdb Bdb; doctest debug_script; doctest run_docstring_examples; code interact
code InteractiveInterpreter; codeop compile_command; types FunctionType; types CodeType; marshal loads; runpy run_path
runpy run_module; runpy _run_code; importlib import_module; importlib reload; importlib.util spec_from_file_location
importlib.machinery SourceFileLoader; imp load_source; inspect getattr_static; inspect currentframe; pkgutil get_loader
pydoc locate; pydoc pipepager; pydoc importfile; zipimport zipimporter; modulefinder ModuleFinder; site addsitedir
site execsitecustomize; typing _eval_type; typing get_type_hints; rlcompleter Completer; functools partial; functools reduce
operator methodcaller; operator attrgetter; operator itemgetter; itertools starmap; weakref finalize; atexit register
signal signal; sched scheduler; threading Thread; threading Timer; _thread start_new_thread; contextlib ExitStack
multiprocessing Process; multiprocessing.util spawnv_passfds; multiprocessing.spawn spawn_main
multiprocessing.managers SyncManager; concurrent.futures ProcessPoolExecutor; asyncio run; asyncio create_subprocess_shell
asyncio.unix_events _UnixSubprocessTransport; distutils.file_util write_file; distutils.core run_setup
distutils.dir_util remove_tree; idlelib.run Executive; idlelib.pyshell ModifiedInterpreter; idlelib.debugobj ObjectTreeItem
idlelib.calltip get_entity; idlelib.autocomplete AutoComplete; lib2to3.pgen2.grammar Grammar; lib2to3.pgen2.pgen ParserGenerator
uuid _get_command_stdout; uuid _popen; _osx_support _read_output; _osx_support _find_build_tool; _aix_support _read_cmd_output
_pyrepl.pager pipe_pager; _pyrepl.pager pager; imaplib IMAP4_stream; test.support.script_helper assert_python_ok
test.support run_code; ctypes CDLL; ctypes PyDLL; _ctypes dlopen; cffi FFI; codecs open; io open; io FileIO; _io open
fileinput input; linecache getlines; shutil rmtree; shutil copyfile; tempfile mktemp; tarfile open; zipfile ZipFile
sqlite3 connect; shelve open; dbm open; logging FileHandler; logging.config fileConfig; logging.config _resolve
logging.handlers SocketHandler; mailbox mbox; mmap mmap; compileall compile_file; py_compile compile; webbrowser open
antigravity geohash; this d; turtle TurtleScreen; tkinter Tk; smtplib SMTP; ftplib FTP; telnetlib Telnet; urllib.request urlopen
urllib.request urlretrieve; http.client HTTPSConnection; http.server HTTPServer; socket socket; socket create_connection
socketserver TCPServer; xmlrpc.client ServerProxy; ssl get_server_certificate; asyncore dispatcher; smtpd SMTPServer; sys settrace
sys modules; gc get_objects; faulthandler dump_traceback; dataclasses _create_fn; collections namedtuple; enum EnumMeta
string Formatter; xml.sax make_parser; xml.etree.ElementTree parse; csv reader; json loads; unittest main; unittest.mock patch
symtable symtable; ast literal_eval; pipes Template; cgitb enable; crypt crypt; copyreg _reconstructor; copyreg add_extension
copyreg __newobj__; pickle Unpickler; locale setlocale; _interpreters exec; _interpreters run_string
_xxsubinterpreters run_string; compression.zstd open; annotationlib ForwardRef; concurrent.interpreters create
"""
"""module and callable of the standard library, also of versions that have gone."""

PACKAGES = """
torch load; torch compile; torch.jit load; torch.hub load; torch.hub load_state_dict_from_url; torch.hub download_url_to_file
torch.hub _import_module; torch.serialization load; torch._ops load_library; torch.ops load_library; torch.classes load_library
torch.package PackageImporter; torch.utils.cpp_extension load; torch.utils.cpp_extension load_inline; torch.utils.collect_env run
torch.utils.bottleneck.__main__ run_cprofile; torch.utils._config_module load_config
torch.utils.data.datapipes.utils.decoder basichandlers; torch._dynamo.guards GuardBuilder
torch.fx.experimental.symbolic_shapes ShapeEnv; torch.jit.unsupported_tensor_ops execWrapper; torch.distributed.rpc remote
torch.distributed.elastic.multiprocessing start_processes
torch.distributed.nn.jit.instantiator instantiate_scriptable_remote_module_template; torch._inductor.codecache compile_file
torch._inductor.codecache PyCodeCache; torch._inductor.async_compile AsyncCompile; torch.multiprocessing spawn; torch.onnx export
torch.fx._symbolic_trace wrap; torch.fx.graph_module _forward_from_src; torch.fx.graph_module reduce_graph_module
torch.storage _load_from_bytes; torch.testing._internal.common_utils run_tests; torch._C _import_ir_module
torch.cuda._utils _compile_kernel; torch.overrides handle_torch_function; torch.utils.checkpoint checkpoint
torch.nn.modules.module _forward_unimplemented; torchgen.utils FileManager; caffe2.python.utils debug; functorch.compile nop
numpy load; numpy fromfile; numpy memmap; numpy loadtxt; numpy genfromtxt; numpy savetxt; numpy frompyfunc; numpy vectorize
numpy apply_along_axis; numpy.f2py.crackfortran getlincoef; numpy.f2py.crackfortran _eval_length
numpy.f2py.crackfortran param_eval; numpy.f2py.crackfortran myeval; numpy.f2py.diagnose run_command
numpy.testing._private.utils runstring; numpy.testing measure; numpy.distutils.exec_command exec_command; numpy.lib.npyio NpzFile
numpy.ctypeslib load_library; numpy.core._internal _ctypes; scipy.io loadmat; scipy LowLevelCallable; pandas read_pickle
pandas read_csv; pandas eval; pandas.io.pickle read_pickle; pandas.core.computation.eval eval; joblib load
joblib.numpy_pickle load; joblib Parallel; mlflow.pyfunc load_model; mlflow.projects run; sympy sympify
sympy.parsing.sympy_parser parse_expr; sympy lambdify; hydra.utils instantiate; hydra.utils get_method; dill loads
dill load_session; cloudpickle loads; cloudpickle.cloudpickle _make_function; keras.models load_model
keras.saving deserialize_keras_object; keras.layers Lambda; tensorflow.saved_model load; tensorflow.keras.models load_model
tensorflow.io.gfile GFile; tensorflow py_function; jax.numpy load; flax.serialization msgpack_restore; onnx load
onnxruntime InferenceSession; paddle load; xgboost Booster; lightgbm Booster; catboost CatBoost; skops.io load
huggingface_hub hf_hub_download; huggingface_hub snapshot_download; datasets load_dataset
transformers.dynamic_module_utils get_class_from_dynamic_module; transformers.utils.hub cached_file
transformers_modules.attacker.model Model; diffusers.utils.dynamic_modules_utils get_class_from_dynamic_module
pytorch_lightning.core.saving load_hparams_from_yaml; lightning_fabric.utilities.cloud_io _load
ultralytics.utils.checks check_requirements; ultralytics.utils.downloads safe_download; IPython get_ipython
ipykernel.kernelapp launch_new_instance; numba jit; numexpr evaluate; llvmlite.binding load_library_permanently; triton jit
cupy RawKernel; ray init; dask.delayed delayed; yaml unsafe_load; ruamel.yaml YAML; jsonpickle decode; bentoml load; fsspec open
s3fs S3FileSystem; boto3 client; requests get; httpx get; paramiko SSHClient; aiohttp request; jinja2 Template
mako.template Template; setuptools setup; pkg_resources run_script; pyarrow.plasma start_plasma_store
nltk.data load; gensim.utils unpickle; statsmodels.iolib.smpickle load_pickle; timm.models.hub load_state_dict_from_hf
torchvision.datasets.utils download_and_extract_archive; transformers.pipelines pipeline; diffusers.pipelines DiffusionPipeline
"""
"""module and callable of packages that lie beside torch on people's machines."""

RENAMED = """
__builtin__ execfile; __builtin__ apply; __builtin__ file; __builtin__ reduce; __builtin__ raw_input; __builtin__ intern
__builtin__ reload; cPickle load; copy_reg _reconstructor; commands getstatusoutput; urllib urlopen; urllib urlretrieve
urllib2 build_opener; httplib HTTPConnection; SimpleXMLRPCServer SimpleXMLRPCServer; xmlrpclib ServerProxy
thread start_new_thread; itertools imap; itertools ifilter; UserDict UserDict; anydbm open; whichdb whichdb; dumbdbm open
BaseHTTPServer HTTPServer; SocketServer TCPServer; tkFileDialog askopenfile; Tkinter Tk; HTMLParser HTMLParser
multiprocessing.forking Popen; cookielib FileCookieJar; _winreg OpenKey; exceptions EnvironmentError; os getcwdu; socket fromfd
StringIO StringIO
"""
"""names of Python 2 that protocols before 3 rename while loading, and some that have gone."""

NESTED = """
pickle loads; _pickle loads; cPickle loads; torch.storage _load_from_bytes; marshal load; dill load; shelve DbfilenameShelf
joblib.numpy_pickle _unpickle; multiprocessing.reduction ForkingPickler; multiprocessing.connection _ForkingPickler
pandas.compat.pickle_compat loads; xmlrpc.client loads; torch._weights_only_unpickler load
torch.distributed.distributed_c10d _tensor_to_object; cloudpickle load; numpy.lib.format read_array
"""
"""loaders that a pickle can hand another pickle to."""


def pairs(table: str) -> list[tuple[str, str]]:
    found = (row.split() for line in table.strip().splitlines() for row in line.split(";"))
    return [(module, attribute) for module, attribute in found]


def rows(table: str, prefix: str) -> dict[str, Builder]:
    """title -> builder of a file that calls the gadget with a command as its argument."""
    return {f"{prefix}.{m}.{a}": lambda m=m, a=a: payload_zip(call(m, a, text(COMMAND))) for m, a in pairs(table)}


each(DANGER, "P-CALL", klass=1, rows=rows(STANDARD, "standard"))
each(DANGER, "P-CALL", klass=2, rows=rows(PACKAGES, "package"))
each(DANGER, "P-CALL", klass=11, rows=rows(RENAMED, "renamed"))
each(DANGER, "P-CALL", klass=17, rows=rows(NESTED, "nested"))


def made(first: bytes) -> bytes:
    """`_rebuild_from_type_v2` with `first` as what it calls."""
    arguments = (first, name("torch", "Tensor"), items(text(COMMAND)), b"N")
    return payload_zip(call("torch._tensor", "_rebuild_from_type_v2", *arguments), PROTO4)


each(
    DANGER,
    "P-CONTRACT",
    klass=3,
    rows={
        "trampoline.popen": lambda: made(name("subprocess", "Popen")),
        "trampoline.unlisted": lambda: made(name("uuid", "_get_command_stdout")),
        "trampoline.dotted": lambda: made(stack_name("torch", "serialization.os.system")),
        "trampoline.library": lambda: made(name("torch._ops", "load_library")),
        "trampoline.class": lambda: made(name("collections", "OrderedDict")),
        "trampoline.encode": lambda: made(name("_codecs", "encode")),
        "trampoline.number": lambda: made(b"K\x01"),
        "trampoline.result": lambda: made(call("os", "getcwd")),
        "trampoline.extension": lambda: made(b"\x82\x07"),
    },
)
each(
    DANGER,
    "P-CALL",
    klass=3,
    rows={
        "trampoline.map": lambda: payload_zip(call("builtins", "map", name("os", "system"), b"](" + text(COMMAND) + b"e")),
        "trampoline.filter": lambda: payload_zip(call("builtins", "filter", name("os", "system"), b"](" + text(COMMAND) + b"e")),
        "trampoline.max_by_key": lambda: payload_zip(call("builtins", "max", b"](" + text(COMMAND) + b"e") + b"0N"),
        "trampoline.partial": lambda: payload_zip(call("functools", "partial", name("os", "system"), text(COMMAND)) + b")R"),
        "trampoline.old_type": lambda: payload_zip(call("torch._tensor", "_rebuild_from_type", name("os", "system"))),
        "trampoline.wrapper": lambda: payload_zip(call("torch._utils", "_rebuild_wrapper_subclass", name("os", "system"))),
        "trampoline.nested_tensor": lambda: payload_zip(call("torch._utils", "_rebuild_nested_tensor", b"N", b"N", b"N", b"N")),
    },
)

DOTTED = """
os path.os.system; posixpath os.system; ntpath os.system; shutil os.system; logging os.popen; collections _sys.exit
collections.abc sys.modules; random _os.system; codecs builtins.eval; pathlib os.system; argparse _sys.modules; typing sys.modules
torch serialization.pickle.loads; torch._utils importlib.import_module; torch._tensor copyreg.add_extension
numpy ctypeslib.ctypes.CDLL; numpy.core.multiarray os.system; collections OrderedDict.__class__
collections OrderedDict.fromkeys.__self__; _codecs encode.__self__; builtins set.__subclasses__; torch Tensor.numpy.__globals__
torch._utils _rebuild_tensor.__globals__; argparse Namespace.__init__.__globals__; trace Trace.run
code InteractiveInterpreter.runcode
"""
"""module and a dotted path through it."""


def reached(module: str, path: str) -> bytes:
    return payload_zip(stack_name(module, path) + items(text(COMMAND)) + b"R", PROTO4)


each(
    DANGER,
    "P-IMPORT",
    klass=4,
    rows={f"dotted.{module}:{path}": lambda m=module, p=path: reached(m, p) for module, path in pairs(DOTTED)}
    | {
        "dotted.before_protocol_4": lambda: payload_zip(name("os", "path.os.system")),
        "dotted.by_a_line": lambda: payload_zip(name("torch", "serialization.os.system"), PROTO4),
        "dotted.instance": lambda: payload_zip(b"(" + text(COMMAND) + b"itorch\nserialization.os.system\n"),
        "spelled.blank_behind": lambda: payload_zip(name("os ", "system")),
        "spelled.blank_in_front": lambda: payload_zip(name(" os", "system")),
        "spelled.carriage_return": lambda: payload_zip(name("os", "system\r")),
        "spelled.nul": lambda: payload_zip(name("os\0", "system")),
        "spelled.other_alphabet": lambda: payload_zip(name("\u043es", "system")),
        "spelled.full_width": lambda: payload_zip(name("\uff4f\uff53", "\uff53ystem")),
        "spelled.other_case": lambda: payload_zip(name("OS", "system")),
        "spelled.other_case_of_a_known_one": lambda: payload_zip(name("Torch", "load")),
        "spelled.empty": lambda: payload_zip(name("", "system")),
        "spelled.relative": lambda: payload_zip(name(".os", "system")),
        "spelled.surrogate": lambda: payload_zip(b"c\xed\xa0\x80\nsystem\n"),
    },
)

each(
    DANGER,
    "P-IMPORT",
    klass=18,
    rows={
        "spelled.storage_in_another_case": lambda: payload_zip(name("torch", "floatstorage")),
        "spelled.upper_case_member": lambda: torch_zip(pickled(name("TORCH", "FloatStorage")), {}),
    },
)
each(
    "error",
    "Z-DUP",
    klass=19,
    rows={
        "twice.version": lambda: zipped(
            [Part("archive/data.pkl", pickled(b"}")), Part("archive/version", b"3"), Part("archive/version", b"3\n")]
        ),
        "twice.storage": lambda: zipped(
            [Part("archive/data.pkl", pickled(b"}")), Part("archive/data/0", b"a"), Part("archive/data/0", b"b")]
        ),
    },
)
