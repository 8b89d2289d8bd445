"""Starts the program of this package on the libtorch of the installed package torch.

torch is found and read about, but not imported, which would take seconds. The program takes the place of this process, so
that signals and the exit status are its own.
"""

import importlib.util
import os
import sys

# Set where the wheel is made: what the program is linked to, and what it was built for.
TORCH = "@TORCH@"
PLATFORM = "@PLATFORM@"

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bin", "fewstep")


def installed():
    """The folder of the package torch and its release; None where there is none."""
    try:
        spec = importlib.util.find_spec("torch")
    except (ImportError, ValueError):
        spec = None
    # Without an origin it is a folder that happens to have the name.
    if spec is None or not spec.origin:
        return None, None
    folder = os.path.dirname(spec.origin)
    try:
        with open(os.path.join(folder, "version.py"), encoding="utf-8") as lines:
            versions = [line for line in lines if line.startswith("__version__")]
    except OSError:
        versions = []
    return folder, versions[0].partition("=")[2].strip().strip("'\"") if versions else "of no release"


def needs(found):
    return (
        f"fewstep: {found}, and torch {TORCH} is needed: "
        f"`{sys.executable or 'python3'} -m pip install torch=={TORCH}` installs it"
    )


def libraries():
    """The folder with libtorch. Exits with one sentence where the program could not run on it."""
    folder, release = installed()
    if folder is None:
        sys.exit(needs(f"no torch is installed for {sys.executable}"))
    if release.partition("+")[0] != TORCH:
        sys.exit(needs(f"the torch in {folder} is {release}"))
    libraries = os.path.join(folder, "lib")
    if not os.path.isfile(os.path.join(libraries, "libtorch_cpu.so")):
        sys.exit(needs(f"{libraries} has no libtorch_cpu.so"))
    if any(c in libraries for c in ":;$"):
        sys.exit(f"fewstep: {libraries} has a `:`, `;` or `$` in it, which the loader cannot take: move it to another folder")
    return libraries


def main():
    environment = dict(os.environ)
    paths = [libraries(), environment.get("LD_LIBRARY_PATH")]
    environment["LD_LIBRARY_PATH"] = ":".join(path for path in paths if path)
    # Idle OpenMP threads that spin make a shared machine collapse.
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        os.execve(PROGRAM, [PROGRAM, *sys.argv[1:]], environment)
    except OSError as error:
        sys.exit(f"fewstep: {PROGRAM} cannot be started on this machine ({error.strerror}): it was built for {PLATFORM}")
