import asyncio
import base64
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt as pyjwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from hubbub.auth.jwt import JWTAuth
from hubbub.errors import ConfigurationError, CredentialError, ExpiredCredential, InvalidCredential
from hubbub.ports.auth import Carrier, Credential
from hubbub.types import User

KEY = "k" * 32
SECRET = "S3CRET-"
HOUR = 3600


def ask(auth: JWTAuth, token: str) -> User:
    return asyncio.run(auth.authenticate(Credential(Carrier.QUERY, token)))


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forge(header: object, payload: object, key: bytes = KEY.encode()) -> str:
    """A token signed with HMAC-SHA256 whatever its header says, and with whatever JSON Python can write."""
    head, body = (part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload))
    signed = f"{b64(head)}.{b64(body)}"
    mac = hmac.HMAC(key or b"\0", hashes.SHA256())
    mac.update(signed.encode())
    return f"{signed}.{b64(mac.finalize())}"


HEADER = {"alg": "HS256", "typ": "JWT"}


def claims(**changes: Any) -> dict[str, Any]:
    """A payload that is accepted, with changes; `...` takes a claim away."""
    whole = {"sub": "alice", "exp": int(time.time()) + HOUR, **changes}
    return {name: value for name, value in whole.items() if value is not ...}


def refused(auth: JWTAuth, token: str) -> CredentialError:
    with pytest.raises(CredentialError) as raised:
        ask(auth, token)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    return raised.value


@dataclass
class Rsa:
    private: rsa.RSAPrivateKey
    forms: dict[str, bytes]

    @property
    def private_pem(self) -> str:
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture(scope="module")
def rsa_key() -> Rsa:
    private = rsa.generate_private_key(65537, 2048)
    public = private.public_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(private, hashes.SHA256())
    )
    spki, pkcs1 = PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1
    forms = {
        "SPKI": public.public_bytes(Encoding.PEM, spki),
        "PKCS1": public.public_bytes(Encoding.PEM, pkcs1),
        "SSH": public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        "X509": certificate.public_bytes(Encoding.PEM),
        "SPKI DER": public.public_bytes(Encoding.DER, spki),
        "X509 DER": certificate.public_bytes(Encoding.DER),
        "SPKI DER in base64": base64.b64encode(public.public_bytes(Encoding.DER, spki)),
        "SPKI DER in base64 with lines": base64.encodebytes(public.public_bytes(Encoding.DER, spki)),
        "X509 DER in base64": base64.b64encode(certificate.public_bytes(Encoding.DER)),
        "JWK": pyjwt.algorithms.RSAAlgorithm.to_jwk(public).encode(),
        "private": private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
    }
    forms |= {
        "SPKI indented": b"\n  " + forms["SPKI"],
        "SPKI cut": forms["SPKI"].rpartition(b"-----END")[0],
        "SSH after a line break": b"\n" + forms["SSH"],
        "SSH of a security key": b"sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t",
    }
    return Rsa(private, forms)


FORMS = (
    "SPKI",
    "PKCS1",
    "SSH",
    "X509",
    "SPKI DER",
    "X509 DER",
    "SPKI DER in base64",
    "SPKI DER in base64 with lines",
    "X509 DER in base64",
    "JWK",
    "private",
    "SPKI indented",
    "SPKI cut",
    "SSH after a line break",
    "SSH of a security key",
)


class TestAccepted:
    def test_the_user_the_claims_and_the_end(self) -> None:
        end = int(time.time()) + HOUR
        user = ask(JWTAuth(KEY, leeway=30), forge(HEADER, claims(exp=end, role="admin")))
        assert user == User(user.id)
        assert (user.id, user.expires) == ("alice", end + 30)
        assert user.claims == {"sub": "alice", "exp": end, "role": "admin"}

    def test_another_claim_may_be_the_user(self) -> None:
        auth = JWTAuth(KEY, user_claim="email")
        assert ask(auth, forge(HEADER, claims(sub=..., email="a@b.example"))).id == "a@b.example"
        refused(auth, forge(HEADER, claims()))

    @pytest.mark.parametrize("typ", [..., "JWT", "jwt", "at+jwt", "application/at+jwt"])
    def test_types_that_give_access(self, typ: Any) -> None:
        header = {"alg": "HS256"} if typ is ... else {"alg": "HS256", "typ": typ}
        assert ask(JWTAuth(KEY), forge(header, claims())).id == "alice"

    def test_audience_and_issuer(self) -> None:
        auth = JWTAuth(KEY, audience=("shop", "admin"), issuer=("one", "two"))
        assert ask(auth, forge(HEADER, claims(aud="admin", iss="two"))).id == "alice"
        assert ask(auth, forge(HEADER, claims(aud=["other", "shop"], iss="one"))).id == "alice"

    def test_dates_in_the_past_and_within_the_leeway(self) -> None:
        now = time.time()
        assert ask(JWTAuth(KEY), forge(HEADER, claims(nbf=0, iat=now - 1.5))).id == "alice"
        late = forge(HEADER, claims(exp=int(now) - 20, nbf=int(now) + 20, iat=int(now) + 20))
        assert ask(JWTAuth(KEY, leeway=60), late).id == "alice"
        assert isinstance(refused(JWTAuth(KEY), late), CredentialError)

    @pytest.mark.parametrize("id", ["a", "\u00e9" * 64, "a" * 128, "auth0|5f7c8ec7c33c6c004bbafe82", "\u674e"])
    def test_names(self, id: str) -> None:
        assert ask(JWTAuth(KEY), forge(HEADER, claims(sub=id))).id == id

    def test_public_keys(self, rsa_key: Rsa) -> None:
        curve, edwards = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
        keys: list[tuple[str, Any]] = [("RS256", rsa_key.private), ("PS512", rsa_key.private)]
        for algorithm, private in [*keys, ("ES256", curve), ("EdDSA", edwards)]:
            public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            whole = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            token = pyjwt.encode(claims(), private, algorithm=algorithm)
            for key in (public, public.decode(), whole):
                assert ask(JWTAuth(key, algorithms=[algorithm]), token).id == "alice"

    def test_several_algorithms_of_one_key(self, rsa_key: Rsa) -> None:
        auth = JWTAuth(rsa_key.forms["SPKI"], algorithms=["RS256", "RS512"])
        for algorithm in ("RS256", "RS512"):
            assert ask(auth, pyjwt.encode(claims(), rsa_key.private, algorithm=algorithm)).id == "alice"
        refused(auth, pyjwt.encode(claims(), rsa_key.private, algorithm="RS384"))


FORGED: dict[str, Callable[[], str]] = {
    **{
        f"algorithm {name!r}": lambda name=name: forge({"alg": name, "typ": "JWT"}, claims())  # type: ignore[misc]
        for name in ("none", "None", "NONE", "nOnE", "", "HS512", "hs256", "RS256", None, True, 7, ["HS256"], {"a": 1})
    },
    "no signature": lambda: forge({"alg": "none"}, claims()).rpartition(".")[0] + ".",
    "the right algorithm and no signature": lambda: forge(HEADER, claims()).rpartition(".")[0] + ".",
    "no algorithm": lambda: forge({"typ": "JWT"}, claims()),
    "another key": lambda: forge(HEADER, claims(), b"x" * 32),
    "an empty key": lambda: forge(HEADER, claims(), b""),
    "a changed payload": lambda: ".".join(
        part or b64(json.dumps(claims(sub="bob")).encode())
        for part in (forge(HEADER, claims()).split(".")[0], "", forge(HEADER, claims()).split(".")[2])
    ),
    **{
        f"type {typ!r}": lambda typ=typ: forge({"alg": "HS256", "typ": typ}, claims())  # type: ignore[misc]
        for typ in ("logout+jwt", "secevent+jwt", "dpop+jwt", "JWE", "refresh", "", "JWT ", None, 7, ["JWT"])
    },
    "a key in the header": lambda: forge(
        {**HEADER, "jwk": {"kty": "oct", "k": b64(b"x" * 32)}, "jku": "https://evil.example"}, claims(), b"x" * 32
    ),
    "a kid that is no string": lambda: forge({**HEADER, "kid": {"a": 1}}, claims()),
    "an unknown critical extension": lambda: forge({**HEADER, "crit": ["x"], "x": 1}, claims()),
    "a detached payload": lambda: forge({**HEADER, "b64": False, "crit": ["b64"]}, claims()),
    "a header that is no object": lambda: forge(["HS256"], claims()),
    "a header that is no JSON": lambda: forge(b"{", claims()),
    **{
        f"payload {payload!r}": lambda payload=payload: forge(HEADER, payload)  # type: ignore[misc]
        for payload in ([], "alice", 7, None, True, b"", b"{", b"\xff", b"[" * 100_000)
    },
    "no end": lambda: forge(HEADER, claims(exp=...)),
    **{
        f"end {end!r}": lambda end=end: forge(HEADER, claims(exp=end))  # type: ignore[misc]
        for end in (None, True, False, "4102444800", "soon", "", 0, -1, -1e300, 1e300, [4102444800], {"a": 1})
    },
    "an end of another world": lambda: forge(HEADER, b'{"sub":"alice","exp":1e400}'),
    "an end that is not a number": lambda: forge(HEADER, b'{"sub":"alice","exp":NaN}'),
    "an end at infinity": lambda: forge(HEADER, b'{"sub":"alice","exp":Infinity}'),
    "an end with 400 digits": lambda: forge(HEADER, b'{"sub":"alice","exp":1' + b"0" * 400 + b"}"),
    "an end with 5,000 digits": lambda: forge(HEADER, b'{"sub":"alice","exp":1' + b"0" * 5_000 + b"}"),
    "an end in milliseconds": lambda: forge(HEADER, claims(exp=int(time.time() + HOUR) * 1000)),
    "an end that was": lambda: forge(HEADER, claims(exp=int(time.time()) - 1)),
    "an end that is now": lambda: forge(HEADER, claims(exp=int(time.time()))),
    **{
        f"{claim} {date!r}": lambda claim=claim, date=date: forge(HEADER, claims(**{claim: date}))  # type: ignore[misc]
        for claim in ("nbf", "iat")
        for date in (4_102_444_800, 1e300, None, True, False, "0", "soon", -1, [0])
    },
    **{
        f"user {user!r}": lambda user=user: forge(HEADER, claims(sub=user))  # type: ignore[misc]
        for user in (..., None, "", 7, True, ["alice"], {"id": "alice"}, "a" * 129, "a\nb", "a\x00", "\x7f", "\ud800")
    },
    **{
        f"audience nobody asked for {audience!r}": lambda audience=audience: forge(HEADER, claims(aud=audience))  # type: ignore[misc]
        for audience in ("shop", ["shop"], "", [], None, 0, {"a": 1})
    },
    **{
        f"garbage {token!r}": lambda token=token: token  # type: ignore[misc]
        for token in ("", ".", "..", "...", "a.b.c", "\u00e9.\u00e9.\u00e9", "\ud800", " ", "null", "." * 1000)
    },
    "a space in front": lambda: " " + forge(HEADER, claims()),
    "a fourth part": lambda: forge(HEADER, claims()) + ".x",
}


class TestRefused:
    @pytest.mark.parametrize("name", FORGED)
    def test_forged_and_odd(self, name: str) -> None:
        refused(JWTAuth(KEY), FORGED[name]())

    def test_what_they_are_forged_from_is_accepted(self) -> None:
        assert ask(JWTAuth(KEY), forge(HEADER, claims())).id == "alice"

    @pytest.mark.parametrize("audience", [..., "other", "sho", "SHOP", "", [], ["other"], [7], {"shop": 1}, 7, None])
    def test_another_audience(self, audience: Any) -> None:
        auth = JWTAuth(KEY, audience="shop")
        assert isinstance(refused(auth, forge(HEADER, claims(aud=audience))), InvalidCredential)
        assert ask(auth, forge(HEADER, claims(aud="shop"))).id == "alice"

    @pytest.mark.parametrize("issuer", [..., "https://evil.example", "https://id.exampl", "", ["x"], 7, None, True])
    def test_another_issuer(self, issuer: Any) -> None:
        auth = JWTAuth(KEY, issuer="https://id.example")
        assert isinstance(refused(auth, forge(HEADER, claims(iss=issuer))), InvalidCredential)
        assert ask(auth, forge(HEADER, claims(iss="https://id.example"))).id == "alice"

    def test_an_expired_one_says_so_and_a_forged_one_does_not(self) -> None:
        past = claims(exp=int(time.time()) - 1)
        assert isinstance(refused(JWTAuth(KEY), forge(HEADER, past)), ExpiredCredential)
        assert isinstance(refused(JWTAuth(KEY), forge(HEADER, past, b"x" * 32)), InvalidCredential)

    @pytest.mark.parametrize("form", ["SPKI", "PKCS1", "SSH", "X509", "SPKI DER", "JWK"])
    def test_hmac_with_the_public_key_as_secret(self, rsa_key: Rsa, form: str) -> None:
        auth = JWTAuth(rsa_key.forms["SPKI"], algorithms=["RS256"])
        for algorithm in ("HS256", "RS256"):
            refused(auth, forge({"alg": algorithm, "typ": "JWT"}, claims(), rsa_key.forms[form]))

    @pytest.mark.parametrize("place", ["sub", "aud", "iss", "exp", "nbf", "typ", "alg", "kid", "crit", "signature"])
    def test_what_is_said_has_nothing_of_the_token(self, place: str) -> None:
        header = {**HEADER, **({place: SECRET} if place in {"typ", "alg", "kid"} else {})}
        if place == "crit":
            header |= {"crit": [SECRET]}
        changes = {place: SECRET + "\n"} if place in {"sub", "aud", "iss", "exp", "nbf"} else {}
        token = forge(header, claims(**changes), b"x" * 32 if place in {"signature", "kid"} else KEY.encode())
        auth = JWTAuth(KEY, issuer="one") if place == "iss" else JWTAuth(KEY)
        error = refused(auth, token)
        said = f"{error!r} {error}"
        assert SECRET not in said
        assert not any(part in said for part in token.split("."))


NUMBERS = st.one_of(st.integers(), st.floats(), st.integers(10**9, 10**11), st.integers(10**300, 10**320))
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=10), st.sampled_from(["4102444800", "HS256"]))
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))
NO_NUMBER = JSON.filter(lambda value: isinstance(value, bool) or not isinstance(value, int | float))
NO_STRING = JSON.filter(lambda value: not isinstance(value, str))
HYPOTHETICAL = JWTAuth(KEY)
WITH_AUDIENCE = JWTAuth(KEY, audience="shop", issuer="id", leeway=60)


class TestAnything:
    @given(st.sampled_from(["exp", "nbf", "iat"]), NO_NUMBER)
    def test_no_date_that_is_no_number(self, claim: str, value: object) -> None:
        refused(HYPOTHETICAL, forge(HEADER, claims(**{claim: value})))

    @given(st.sampled_from(["sub"]), NO_STRING)
    def test_no_user_that_is_no_string(self, claim: str, value: object) -> None:
        refused(HYPOTHETICAL, forge(HEADER, claims(**{claim: value})))

    @given(NUMBERS)
    def test_an_end_is_believed_only_where_it_is_a_date_to_come(self, end: float) -> None:
        before = time.time()
        try:
            user = ask(HYPOTHETICAL, forge(HEADER, claims(exp=end)))
        except CredentialError:
            assert not before + 1 < end < 2**37
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

    @given(st.text() | st.from_regex(r"[\w=-]*\.[\w=-]*\.[\w=-]*", fullmatch=True))
    def test_tokens(self, token: str) -> None:
        refused(HYPOTHETICAL, token)


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
