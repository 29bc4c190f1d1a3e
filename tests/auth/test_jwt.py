import json
import time
from collections.abc import Callable
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from hubbub.auth.jwt import JWTAuth
from hubbub.errors import CredentialError, ExpiredCredential, InvalidCredential
from hubbub.types import User
from tests.auth.tokens import HEADER, HOUR, KEY, SECRET, Rsa, ask, b64, claims, forge, refused


class TestAccepted:
    def test_the_user_the_claims_and_the_end(self) -> None:
        end = int(time.time()) + HOUR
        user = ask(JWTAuth(KEY, leeway=30), forge(HEADER, claims(exp=end, role="admin")))
        assert user == User(user.id)
        assert (user.id, user.expires) == ("alice", end + 30)
        assert user.claims == {"sub": "alice", "exp": end, "role": "admin"}

    def test_what_it_is_revoked_by(self) -> None:
        auth = JWTAuth(KEY, leeway=30)
        user = ask(auth, forge(HEADER, claims(jti="t", sid="s", iat=1_000.5)))
        assert (user.token_id, user.session, user.issued) == ("t", "s", 970.5)
        user = ask(auth, forge(HEADER, claims(sid=7)))
        # Without a time of its own it is older than whatever is revoked.
        assert (user.token_id, user.session, user.issued) == (None, None, 0.0)
        assert not {"'t'", "'s'"} & {*repr(ask(auth, forge(HEADER, claims(jti="t", sid="s")))).split()}

    def test_what_was_signed_before_and_after_within_a_second_can_be_told_apart(self) -> None:
        auth = JWTAuth(KEY)
        first = ask(auth, auth.sign("alice")).issued
        between = time.time()
        second = ask(auth, auth.sign("alice")).issued
        assert first is not None
        assert second is not None
        assert first <= between + 1e-6
        assert between <= second + 1e-6

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

    @pytest.mark.parametrize("id", [0, 7, 2**63 - 1])
    def test_numbers_are_their_decimals(self, id: int) -> None:
        assert ask(JWTAuth(KEY), forge(HEADER, claims(sub=id))).id == str(id)
        assert ask(JWTAuth(KEY, user_claim="user_id"), forge(HEADER, claims(sub=..., user_id=id))).id == str(id)

    def test_the_subject_need_not_be_a_name_where_it_is_not_the_user(self) -> None:
        assert ask(JWTAuth(KEY, user_claim="name"), forge(HEADER, claims(sub=-7, name="ann"))).id == "ann"

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
        for user in (
            ...,
            None,
            "",
            7.0,
            -7,
            2**63,
            True,
            ["alice"],
            {"id": 7},
            "a" * 129,
            "a\nb",
            "a\x00",
            "\x7f",
            "\ud800",
        )
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

    @pytest.mark.parametrize(
        ("changes", "fault", "said"),
        [
            ({"sub": ...}, "claim", "the token has no sub"),
            ({"sub": 7.5}, "claim", "sub is a string, or an integer from 0 to 2^63 - 1"),
            ({"sub": "a\nb"}, "claim", "sub has no control characters"),
            ({"sub": "a" * 129}, "claim", "sub has 1 to 128 bytes"),
            ({"exp": ...}, "claim", "the token has no exp"),
            ({"exp": "4102444800"}, "claim", "exp is not a date in seconds since 1970"),
            ({"exp": "soon"}, "claim", "exp is not a date in seconds since 1970"),
            ({"nbf": [0]}, "claim", "nbf is not a date in seconds since 1970"),
            ({"iat": "now"}, "claim", "iat is not a date in seconds since 1970"),
            ({"iat": True}, "claim", "iat is not a date in seconds since 1970"),
            ({"jti": 7}, "claim", "jti is a string"),
            ({"exp": 1}, "expired", "the token has expired"),
            ({"nbf": 4_102_444_800}, "not_yet_valid", "the token is not valid yet"),
            ({"aud": "other"}, "audience", "the token is for another audience"),
        ],
    )
    def test_what_is_wrong_is_named(self, changes: dict[str, Any], fault: str, said: str) -> None:
        error = refused(JWTAuth(KEY), forge(HEADER, claims(**changes)))
        assert (error.fault, str(error)) == (fault, said)

    def test_by_what_it_is_counted(self) -> None:
        auth = JWTAuth(KEY, issuer="one")
        assert refused(auth, forge(HEADER, claims(iss="two"))).fault == "issuer"
        assert refused(auth, forge(HEADER, claims(iss="one"), b"x" * 32)).fault == "signature"
        assert refused(auth, forge({**HEADER, "alg": "HS512"}, claims())).fault == "algorithm"
        assert refused(auth, forge({**HEADER, "typ": "refresh"}, claims(iss="one"))).fault == "claim"
        for garbage in ("a.b.c", "\ud800", ""):
            assert refused(auth, garbage).fault == "malformed"

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
