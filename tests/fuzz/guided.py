"""`python -m tests.fuzz.guided TARGET [libFuzzer's options] [directories]`: one target, led by what it reaches."""

import sys

import atheris

with atheris.instrument_imports(include=["hubbub.protocol"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    target = TARGETS[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
