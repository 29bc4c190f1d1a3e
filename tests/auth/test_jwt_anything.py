import time

from hypothesis import given
from hypothesis import strategies as st

from hubbub.auth.jwt import JWTAuth
from hubbub.errors import CredentialError
from tests.auth.tokens import HEADER, KEY, ask, claims, forge, refused

NUMBERS = st.one_of(st.integers(), st.floats(), st.integers(10**9, 10**11), st.integers(10**300, 10**320))
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=10), st.sampled_from(["4102444800", "HS256"]))
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))
NO_NUMBER = JSON.filter(lambda value: isinstance(value, bool) or not isinstance(value, int | float))
NO_USER = JSON.filter(lambda value: not isinstance(value, str) and (type(value) is not int or not 0 <= value < 2**63))
HYPOTHETICAL = JWTAuth(KEY)
WITH_AUDIENCE = JWTAuth(KEY, audience="shop", issuer="id", leeway=60)


class TestAnything:
    @given(st.sampled_from(["exp", "nbf", "iat"]), NO_NUMBER)
    def test_no_date_that_is_no_number(self, claim: str, value: object) -> None:
        refused(HYPOTHETICAL, forge(HEADER, claims(**{claim: value})))

    @given(NO_USER)
    def test_no_user_that_is_neither_a_string_nor_a_rows_number(self, value: object) -> None:
        refused(HYPOTHETICAL, forge(HEADER, claims(sub=value)))

    @given(NUMBERS)
    def test_an_end_is_believed_only_where_it_is_a_date_to_come(self, end: float) -> None:
        before = time.time()
        try:
            user = ask(HYPOTHETICAL, forge(HEADER, claims(exp=end)))
        except CredentialError:
            assert not time.time() + 1 < end < 2**37
        else:
            assert user.expires == end
            assert before < end < 253_402_300_800

    @given(JSON, JSON, JSON)
    def test_no_audience_or_issuer_but_ours(self, audience: object, issuer: object, sub: object) -> None:
        refused(WITH_AUDIENCE, forge(HEADER, claims(aud=audience, iss=issuer, sub=sub)))

    @given(st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "b64", "cty", "jwk", "x5u"]), JSON))
    def test_headers(self, header: dict[str, object]) -> None:
        refused(HYPOTHETICAL, forge(header, claims(), b"x" * 32))

    @given(JSON)
    def test_payloads(self, payload: object) -> None:
        refused(HYPOTHETICAL, forge(HEADER, payload))

    def test_nothing_but_brackets(self) -> None:
        """Deeper than Python's own parser of JSON goes."""
        for part in (b"[" * 6000, b'{"alg":' + b"[" * 6000, b'{"alg":' * 1500):
            refused(HYPOTHETICAL, forge(part, claims()))
            refused(HYPOTHETICAL, forge(HEADER, part))

    @given(st.text() | st.from_regex(r"[\w=-]*\.[\w=-]*\.[\w=-]*", fullmatch=True))
    def test_tokens(self, token: str) -> None:
        refused(HYPOTHETICAL, token)
