import pytest

from tests.auth.tokens import Rsa, make_rsa


@pytest.fixture(scope="session")
def rsa_key() -> Rsa:
    return make_rsa()
