import sys
import time
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hubbub.auth.jwt import JWTAuth
from hubbub.errors import ConfigurationError
from tests.auth.tokens import FORMS, HEADER, KEY, Rsa, ask, claims, forge, refused


class TestSetUp:
    def test_what_it_reads(self) -> None:
        assert JWTAuth(KEY).bearer is True
        assert (JWTAuth(KEY).cookie, JWTAuth(KEY, cookie="token").cookie) == (None, "token")

    def test_the_key_is_in_no_repr(self) -> None:
        assert repr(JWTAuth(KEY)) == "JWTAuth(algorithms=('HS256',), key=…)"

    def test_the_variable_is_read_where_no_key_is_given(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HUBBUB_SECRET", "v" * 43)
        auth = JWTAuth()
        monkeypatch.setenv("HUBBUB_SECRET", "w" * 43)
        assert ask(auth, forge(HEADER, claims(), b"v" * 43)).id == "alice"
        refused(JWTAuth(KEY), forge(HEADER, claims(), b"w" * 43))

    @pytest.mark.parametrize("value", [None, ""])
    def test_no_key_at_all_says_how_to_make_one(self, monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
        monkeypatch.delenv("HUBBUB_SECRET", raising=False)
        if value is not None:
            monkeypatch.setenv("HUBBUB_SECRET", value)
        with pytest.raises(ConfigurationError) as raised:
            JWTAuth()
        assert 'export HUBBUB_SECRET=$(python -c "import secrets; print(secrets.token_urlsafe(32))")' in str(
            raised.value
        )

    def test_without_pyjwt_it_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "jwt", None)
        with pytest.raises(ConfigurationError, match=r'pip install "hubbub\[jwt\]"'):
            JWTAuth(KEY)

    @pytest.mark.parametrize(
        ("algorithm", "length"), [("HS256", 0), ("HS256", 1), ("HS256", 31), ("HS384", 47), ("HS512", 63)]
    )
    def test_a_short_key(self, algorithm: str, length: int) -> None:
        with pytest.raises(ConfigurationError, match="key") as raised:
            JWTAuth("q" * length, algorithms=[algorithm])
        assert length < 2 or "q" * length not in str(raised.value)
        JWTAuth("q" * (length + 1) if length > 1 else KEY, algorithms=[algorithm])

    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize("algorithm", ["HS256", "HS512"])
    def test_a_key_that_is_known_to_others_is_no_hmac_secret(self, rsa_key: Rsa, form: str, algorithm: str) -> None:
        key = rsa_key.forms[form]
        with pytest.raises(ConfigurationError, match=algorithm) as raised:
            JWTAuth(key, algorithms=[algorithm])
        assert key.decode("latin-1") not in str(raised.value)
        if not form.endswith("DER"):
            with pytest.raises(ConfigurationError, match=algorithm):
                JWTAuth(key.decode(), algorithms=[algorithm])

    def test_every_form_is_tried(self, rsa_key: Rsa) -> None:
        assert sorted(rsa_key.forms) == sorted(FORMS)

    @pytest.mark.parametrize(
        "key", ["0123456789abcdef" * 4, "A" * 44, "x" * 31 + "\u00e9", '"' * 32, "1" * 64, "[" * 9999]
    )
    def test_odd_secrets_are_secrets(self, key: str) -> None:
        auth = JWTAuth(key)
        assert ask(auth, auth.sign("alice")).id == "alice"

    @pytest.mark.parametrize(
        "algorithms",
        [
            [],
            ["none"],
            ["None"],
            ["HS256", "none"],
            ["HS257"],
            ["HS256", "RS256"],
            ["ES256", "HS256"],
            ["EdDSA", "HS512"],
        ],
    )
    def test_algorithms_that_are_none_or_do_not_go_together(self, algorithms: list[str]) -> None:
        with pytest.raises(ConfigurationError, match="algorithms"):
            JWTAuth(KEY, algorithms=algorithms)

    def test_one_algorithm_may_stand_alone(self) -> None:
        assert ask(JWTAuth(KEY, algorithms="HS256"), forge(HEADER, claims())).id == "alice"
        refused(JWTAuth("k" * 64, algorithms="HS512"), forge(HEADER, claims(), b"k" * 64))

    def test_a_key_of_another_kind(self, rsa_key: Rsa) -> None:
        for key, algorithm in ((rsa_key.forms["SPKI"], "ES256"), (rsa_key.forms["SPKI"], "EdDSA"), (KEY, "RS256")):
            with pytest.raises(ConfigurationError, match=algorithm):
                JWTAuth(key, algorithms=[algorithm])
        with pytest.raises(ConfigurationError, match="a str or bytes, not int"):
            JWTAuth(7)  # type: ignore[arg-type]

    def test_a_weak_public_key(self) -> None:
        weak = rsa.generate_private_key(65537, 1024).public_key()  # noqa: S505  # what is to be refused
        with pytest.raises(ConfigurationError, match="too short for RS256"):
            JWTAuth(weak.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), algorithms=["RS256"])

    @pytest.mark.parametrize("leeway", [-1, 60.1, float("nan"), float("inf")])
    def test_leeway_is_a_minute_at_most(self, leeway: float) -> None:
        with pytest.raises(ConfigurationError, match="leeway"):
            JWTAuth(KEY, leeway=leeway)

    @pytest.mark.parametrize("accepted", ["", [], ["shop", ""]])
    def test_an_empty_audience_or_issuer(self, accepted: Any) -> None:
        with pytest.raises(ConfigurationError, match="audience"):
            JWTAuth(KEY, audience=accepted)
        with pytest.raises(ConfigurationError, match="issuer"):
            JWTAuth(KEY, issuer=accepted)


class TestSign:
    def test_what_it_signs_it_accepts(self) -> None:
        auth = JWTAuth(KEY, audience=["shop", "admin"], issuer="id", user_claim="name")
        before = time.time()
        user = ask(auth, auth.sign("alice", expires_in=90, role="admin"))
        assert user.id == "alice"
        assert user.expires is not None
        assert before + 90 <= user.expires <= time.time() + 91
        assert {name: user.claims[name] for name in ("aud", "iss", "role")} == {
            "aud": "shop",
            "iss": "id",
            "role": "admin",
        }

    def test_an_hour_unless_told(self) -> None:
        expires = ask(JWTAuth(KEY), JWTAuth(KEY).sign("alice")).expires
        assert expires is not None
        assert 3599 < expires - time.time() <= 3601

    def test_the_first_algorithm_signs(self) -> None:
        auth = JWTAuth("k" * 64, algorithms=["HS512", "HS256"])
        token = auth.sign("alice", expires_in=0.1)
        assert pyjwt.get_unverified_header(token) == {"alg": "HS512", "typ": "JWT"}
        assert ask(JWTAuth("k" * 64, algorithms=["HS512"]), auth.sign("alice")).id == "alice"

    @pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
    def test_a_time_that_is_none(self, seconds: float) -> None:
        with pytest.raises(ValueError, match="expires_in"):
            JWTAuth(KEY).sign("alice", expires_in=seconds)

    @pytest.mark.parametrize("user", ["", "a" * 129, "a\nb", 7])
    def test_a_name_that_would_be_refused(self, user: Any) -> None:
        with pytest.raises(ValueError, match="user"):
            JWTAuth(KEY).sign(user)

    @pytest.mark.parametrize("claim", ["sub", "exp", "iat", "aud"])
    def test_a_claim_that_is_set_here(self, claim: str) -> None:
        with pytest.raises(ValueError, match=claim):
            JWTAuth(KEY, audience="shop").sign("alice", **{claim: 1})

    def test_a_public_key_cannot(self, rsa_key: Rsa) -> None:
        for key in (rsa_key.forms["SPKI"], rsa_key.private_pem):
            with pytest.raises(ConfigurationError, match="cannot sign"):
                JWTAuth(key, algorithms=["RS256"]).sign("alice")
