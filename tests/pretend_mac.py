"""Pretend that Python runs on a Mac: macOS's programs, and none of what only Linux has. Nobody has tried a real one.

The programs answer as those of a Mac with an Apple M2 do, of which two cores are fast."""

import os
import shutil
import sysconfig
from pathlib import Path

import pytest

from alexnet.system import IS_MAC

needs_linux = pytest.mark.skipif(IS_MAC, reason="needs what macOS has not, or pretends to be a Mac itself")

FACTS = {
    "machdep.cpu.brand_string": "Apple M2",
    "hw.perflevel0.physicalcpu": "2",
    "hw.physicalcpu": "8",
    "hw.memsize": "17179869184",
    "kern.bootsessionuuid": "4D1F9E62-0000-4000-8000-000000000000",
}

# As on macOS, all after the first "=" of an option -o is a heading, and dates are in the asker's language and time zone.
PS = r"""#!/bin/sh
[ "$1 $2 $3 $4 $5" = "-o state= -o lstart= -p" ] || { echo "ps: $*: not what macOS's ps takes" >&2; exit 64; }
stat=$(sed 's/.*) //' "/proc/$6/stat" 2>/dev/null) || exit 1
set -- $stat
shift 19
[ "$LC_ALL" = C ] && form="%a %b %e %H:%M:%S %Y" || form="%e.%m.%Y %H:%M:%S"
echo "${stat%% *}    $(date -d "@$(($1 / 100))" "+$form")"
"""

CC = r"""#!/bin/sh
echo "$*" >> "$0.log"
for argument in "$@"; do
  case "$argument" in
    -march=native | -fopenmp | -fno-tree-loop-distribute-patterns) echo "clang: error: $argument" >&2; exit 1 ;;
  esac
done
exec {compiler} "$@"
"""

SITE = """
import importlib.util, os, sys

sys.platform = "darwin"
del os.sched_getaffinity
real = os.uname()
os.uname = lambda: os.uname_result((*real[:4], PROCESSOR))


def is_of_linux(path):
    return isinstance(path, (str, bytes, os.PathLike)) and os.fsdecode(path).startswith(("/proc/", "/sys/"))


def refuse(path):
    if is_of_linux(path):
        raise FileNotFoundError(2, "No such file or directory", path)


def refusing(call):
    def called(path, *args, **options):
        refuse(path)
        return call(path, *args, **options)
    return called


for name in ("stat", "lstat", "readlink"):
    setattr(os, name, refusing(getattr(os, name)))
sys.addaudithook(lambda event, args: refuse(args[0]) if event in ("open", "os.listdir", "os.scandir") else None)


class WithoutOneDNN:  # which torch for a Mac lacks
    def find_spec(self, name, path=None, target=None):
        if name != "torch":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec("torch")
        load = spec.loader.exec_module

        def loaded(module):
            load(module)
            module._C._set_mkldnn_enabled(False)

        spec.loader.exec_module = loaded
        return spec


sys.meta_path.insert(0, WithoutOneDNN())
"""


def programs(folder: Path) -> Path:
    """Write macOS's sysctl, ps and cc into `folder`/bin, which is to stand first in PATH, and return it. What cc is called
    with is kept in cc.log there."""
    answers = "".join(f'  {name}) echo "{answer}" ;;\n' for name, answer in FACTS.items())
    texts = {
        "sysctl": f'#!/bin/sh\n[ "$1" = -n ] || exit 64\ncase "$2" in\n{answers}  *) echo "unknown oid" >&2; exit 1 ;;\nesac\n',
        "ps": PS,
        "cc": CC.replace("{compiler}", shutil.which("cc") or "false"),
    }
    bin = folder / "bin"
    bin.mkdir()
    for name, text in texts.items():
        (bin / name).write_text(text)
        (bin / name).chmod(0o755)
    return bin


def environment(folder: Path, *importable: Path, processor: str = "arm64") -> dict[str, str]:
    """Return the environment of a Python process that believes to be on a Mac, and of the processes that it starts."""
    (site := folder / "site").mkdir()
    (site / "sitecustomize.py").write_text(f"PROCESSOR = {processor!r}\n{SITE}")
    (site / "_scproxy.py").write_text("_get_proxy_settings = _get_proxies = dict\n")  # of macOS's own Python
    return {
        **os.environ,
        "PATH": f"{programs(folder)}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(map(str, (site, *importable))),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "_PYTHON_SYSCONFIGDATA_NAME": sysconfig._get_sysconfigdata_name(),  # else looked for under a Mac's name
    }
