from tests.integration.cli.conftest import here, hubbub

__all__ = ["here", "hubbub"]
