"""The command `hubbub`.

Kept light on purpose: every spawned worker imports this file again, because it is what the console script names.
Exit codes: 0 ended as asked, 2 refused before anything was served, the others stand in `hubbub.cli.serve`.
"""

import sys

from hubbub.errors import ConfigurationError

_EXTRA = {"click", "dotenv", "httpx", "pydantic_settings", "rich", "typer"}


def main() -> None:
    """Run the command line and exit."""
    try:
        from hubbub.cli.commands import app

        app(prog_name="hubbub")
    except ConfigurationError as refusal:
        _refuse(str(refusal))
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in _EXTRA:
            raise
        _refuse(f'The command line needs "{missing.name}", which is not installed: pip install "hubbub[cli]"')


def _refuse(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")
    raise SystemExit(2)
