"""libsdformat, by the C functions that `gz sdf` calls: they need neither its headers nor Ruby.

As a program, `sdformat.py LIBRARY cmdCheck|cmdPrint FILE`, so that its errors and its libraries are its own.
"""

import ctypes
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

# Installed, or as scripts/install-test-tools.sh unpacks it.
PLACES = (Path("/usr/lib"), Path(__file__).resolve().parents[2] / ".tools" / "libsdformat-dev" / "usr" / "lib")
# In the home directory, where it tells what it passes over.
LOG = ".sdformat/sdformat.log"
FAILED, UNUSABLE = 1, 2


class Unusable(Exception):
    """Why there is no libsdformat to ask."""


class Invalid(Exception):
    """What libsdformat does not like."""


@dataclass(frozen=True)
class Sdformat:
    """The library that was found. It takes URDF too, as Gazebo does: it makes SDF of it."""

    library: Path

    def check(self, file: Path) -> None:
        """Raises where the file is invalid, where there is a warning, and where SDF does not know what it says."""
        self._call("cmdCheck", file)
        log = (file.parent / LOG).read_text()
        if unknown := [line for line in log.splitlines() if "not defined in SDF" in line]:
            raise Invalid(unknown[0])

    def convert(self, file: Path) -> ElementTree.Element:
        return ElementTree.fromstring(self._call("cmdPrint", file))

    def _call(self, function: str, file: Path) -> str:
        paths = [str(self.library.parent), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
        environment = {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(paths), "HOME": str(file.parent)}
        command = [sys.executable, __file__, str(self.library), function, str(file)]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True)
        if ended.returncode == UNUSABLE:
            raise Unusable(ended.stderr)
        if ended.returncode != 0 or ended.stderr:
            raise Invalid(f"{ended.returncode}: {ended.stderr}")
        return ended.stdout


def find() -> Sdformat:
    libraries = [library for place in PLACES for library in sorted(place.glob("*/libsdformat*.so.*"))]
    if not libraries:
        raise Unusable("no libsdformat here: scripts/install-test-tools.sh gets it where apt has it")
    return Sdformat(libraries[0])


def call(library: str, name: str, file: str) -> int:
    try:
        function = getattr(ctypes.CDLL(library), name)
    except (OSError, AttributeError) as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    # What cmdPrint takes after the path, all of it off: degrees, snapping to them, its tolerance, includes, digits,
    # inertia from shapes. Older ones take less.
    result = function(ctypes.c_char_p(os.fsencode(file)), 0, 0, ctypes.c_float(0.0), 0, 0, 0)
    return FAILED if result else 0


if __name__ == "__main__":
    sys.exit(call(*sys.argv[1:]))
