"""`python -m tests.fuzz.guided TARGET [libFuzzer's options] [directories]`: one target, led by what it reaches.

Only the modules that the targets are about are watched: to prepare one takes a while.
"""

import sys

import atheris

import hubbub.transports.accelerator  # noqa: F401 - and with it all else, as it is

for _name in [name for name in sys.modules if name.startswith("hubbub.protocol")]:
    del sys.modules[_name]
with atheris.instrument_imports(include=["hubbub.protocol"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    target = TARGETS[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
