from tests.cli.conftest import here, hubbub

__all__ = ["here", "hubbub"]
