"""Builds the accelerator where it can be built; everything else about the package stands in pyproject.toml.

Without a compiler the installation succeeds with a warning, and the wheel is the pure one: its tag says what is in it.
setuptools alone would call it a platform's as soon as an extension is asked for. The stable ABI makes one wheel serve
every Python from 3.11 on, except where the GIL can be left out: those have none before 3.15.
"""

import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

STABLE_ABI = sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED")

ACCELERATOR = Extension(
    "hubbub._accelerator",
    ["src/hubbub/_accelerator.c"],
    define_macros=[("Py_LIMITED_API", "0x030B0000")] if STABLE_ABI else [],
    py_limited_api=STABLE_ABI,
    optional=True,
)


class BuildExtension(build_ext):
    """Takes an extension that cannot be built off the list, by which the other commands go."""

    def build_extension(self, ext: Extension) -> None:
        try:
            super().build_extension(ext)
        except Exception:
            self.distribution.ext_modules = [each for each in self.distribution.ext_modules if each is not ext]
            # One of an earlier build would be taken for this one.
            Path(self.get_ext_fullpath(ext.name)).unlink(missing_ok=True)
            if self.editable_mode:
                Path("src", self.get_ext_filename(ext.name)).unlink(missing_ok=True)
            raise


class BuildWheel(bdist_wheel):
    """Decides what the wheel is when that is known."""

    def run(self) -> None:
        self.run_command("build_ext")
        self.root_is_pure = not self.distribution.has_ext_modules()
        super().run()


setup(
    # Its write loops are for systems where a socket is a descriptor, which on Windows it is not.
    ext_modules=[] if sys.platform == "win32" else [ACCELERATOR],
    cmdclass={"build_ext": BuildExtension, "bdist_wheel": BuildWheel},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if STABLE_ABI else {},
)
