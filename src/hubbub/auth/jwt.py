"""JSON Web Tokens (RFC 7519), by PyJWT, with what it leaves open closed as RFC 8725 asks.

Guarantees: the algorithms are the application's and never the token's; a key that anybody may know is never an HMAC
secret; a token without an end is refused, and so is one made for another audience, issuer or purpose (`typ`). PyJWT
verifies signature, audience and issuer; here stand the rules it does not have: claims that are dates must be numbers
(it takes strings and booleans), a name must be one, and an `aud` nobody asked for is refused even when it is empty.

PyJWT is imported when a JWTAuth is made, because it is an optional extra. Its error texts quote the token, so none of
them is passed on.
"""

import math
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

from hubbub.auth.jwks import FetchedKeys
from hubbub.auth.keys import INSTALL, Key, KeysByName, KeySource, OneKey, all_symmetric, secret_of_environment
from hubbub.errors import ConfigurationError, CredentialFault, ExpiredCredential, InvalidCredential, InvalidMessage
from hubbub.options import Limits
from hubbub.ports.auth import Credential
from hubbub.protocol.messages import check_name
from hubbub.types import User, UserId

MAX_LEEWAY = 60.0

# The last second of the year 9999. Beyond it somebody counted in milliseconds, and the token would live for ever.
_LAST_DATE = 253_402_300_799
_DATES = ("exp", "nbf", "iat")
# What a row's number can be.
_LAST_NUMBER = 2**63
# RFC 8725 section 3.11: a logout or id token for the same user is signed by the same key. These two are for access.
_TYPES = {"jwt", "at+jwt", "application/at+jwt"}


class JWTAuth:
    """Authenticates by a JWT in the subprotocol, the query, the first message and, where `cookie` names one, a cookie.

    key: the HMAC secret (at least as long as the hash, 32 bytes for HS256), or the public key in PEM for RS, PS, ES
        and EdDSA. None, the default, reads the environment variable HUBBUB_SECRET here and now.
    keys: instead of `key`, several by their `kid`, also certificates in PEM; a token names one of them. Without `kid`
        it is believed where there is one only. `sign` takes the first.
    jwks_url: instead of both, where the issuer publishes its public keys: a JWK Set (RFC 7517) or an object of
        certificates in PEM by `kid`, over https except on loopback. See `jwks.py` for when it is read.
    jwks_lifetime: seconds for which what was read there is used, 1 to 86,400, default an hour.
    algorithms: those accepted, default HS256, with `jwks_url` RS256; HMAC and public-key algorithms cannot be mixed.
    audience, issuer: one that is accepted, or several. Where set, the claim is required. Without `audience` a token
        that has an `aud` is refused: it was made for somebody else (RFC 7519 section 4.1.3). The issuers also say
        which of several JWTAuth a token is for.
    required: other claims that a token must have, each with the value that is accepted, or several of them.
    leeway: seconds by which clocks may differ, 0 to 60, default 0. Applies to `exp`, `nbf` and `iat`.
    user_claim: the claim that is the user's id, default `sub`; a string of 1 to 128 bytes without controls, or an
        integer from 0 to 2^63 - 1, as many issuers write a row's number: then the id is its decimal, "7" for 7.

    Raises ConfigurationError for everything that cannot work or would not protect.
    """

    bearer = True

    def __init__(
        self,
        key: str | bytes | None = None,
        *,
        keys: Mapping[str, str | bytes] | None = None,
        jwks_url: str | None = None,
        jwks_lifetime: float = 3600.0,
        algorithms: Sequence[str] | None = None,
        audience: str | Sequence[str] | None = None,
        issuer: str | Sequence[str] | None = None,
        required: Mapping[str, str | Sequence[str]] | None = None,
        leeway: float = 0.0,
        cookie: str | None = None,
        user_claim: str = "sub",
    ) -> None:
        if not isinstance(leeway, int | float) or not 0 <= leeway <= MAX_LEEWAY:
            raise ConfigurationError(f"leeway is 0 to {MAX_LEEWAY:.0f} seconds, not {leeway!r}")
        self.cookie = cookie
        if not isinstance(user_claim, str):
            raise ConfigurationError(f"user_claim is a str, not {type(user_claim).__name__}")
        if sum(each is not None for each in (key, keys, jwks_url)) > 1:
            raise ConfigurationError("key, keys and jwks_url say the same thing; pass one of them")
        if algorithms is None:
            algorithms = ("HS256",) if jwks_url is None else ("RS256",)
        self._algorithms = _several(algorithms, "algorithms")
        self._audience = None if audience is None else _several(audience, "audience")
        self._issuer = None if issuer is None else _several(issuer, "issuer")
        for name, accepted in (("audience", self._audience), ("issuer", self._issuer)):
            if accepted is not None and not all(accepted or [""]):
                raise ConfigurationError(f"{name} is empty; leave it out where tokens have none")
        self._required = {name: _several(values, f"required[{name!r}]") for name, values in (required or {}).items()}
        self._leeway = leeway
        self._user_claim = user_claim
        self._jwt = _pyjwt()
        self._symmetric = all_symmetric(self._algorithms, self._jwt)
        self._keys: KeySource
        if jwks_url is not None:
            self._keys = FetchedKeys(jwks_url, self._algorithms, self._jwt, lifetime=jwks_lifetime)
        elif keys is not None:
            self._keys = KeysByName(keys, self._algorithms, self._jwt)
        else:
            self._keys = OneKey(secret_of_environment() if key is None else key, self._algorithms, self._jwt)

    def __repr__(self) -> str:
        return f"JWTAuth(algorithms={self._algorithms!r}, {self._keys!r})"

    @property
    def issuers(self) -> tuple[str, ...]:
        """Whose tokens it is for; empty where it does not ask."""
        return self._issuer or ()

    async def authenticate(self, credential: Credential) -> User:
        """The token's user, with the payload as `claims` and `expires` at `exp` plus leeway.

        `token_id` is its `jti`, `session` its `sid`, and `issued` its `iat` less leeway: without one it counts as older
        than any revocation of its user.

        Raises ExpiredCredential, or InvalidCredential for everything else; Unavailable where the issuer's keys are
        not known and cannot be read.
        """
        payload = self._verified(credential.value, await self._keys.find(self._key_name(credential.value)))
        for date in _DATES:
            if date in payload:
                _check_date(date, payload[date])
        if self._audience is None and "aud" in payload:
            raise InvalidCredential("the token is for another audience", fault=CredentialFault.AUDIENCE)
        for name, values in self._required.items():
            if payload.get(name) not in values:
                raise InvalidCredential(f"{name} is not what is asked for here", fault=CredentialFault.CLAIM)
        user = _user(self._user_claim, payload.get(self._user_claim))
        # The names are those of every other token: one of each will do.
        claims = {sys.intern(name): value for name, value in payload.items()}
        session = payload.get("sid")
        return User(
            user,
            claims=claims,
            expires=float(payload["exp"]) + self._leeway,
            token_id=payload.get("jti"),
            session=session if isinstance(session, str) else None,
            issued=float(payload["iat"]) - self._leeway if "iat" in payload else 0.0,
        )

    def sign(self, user: str, *, expires_in: float = 3600.0, **claims: Any) -> str:
        """A token that this instance accepts for `expires_in` seconds, default an hour, rounded up to whole ones.

        Audience and issuer are filled in, the first where there are several. Raises ConfigurationError where the key
        can only verify, ValueError for a name or a time that would be refused, or a claim that is set here.
        """
        key = self._keys.first
        if not self._symmetric or key is None:
            raise ConfigurationError("this JWTAuth has a public key, which verifies and cannot sign")
        if not (math.isfinite(expires_in) and expires_in > 0):
            raise ValueError(f"expires_in is a number of seconds greater than 0, not {expires_in!r}")
        try:
            check_name(user, limit=Limits().name, field="user")
        except InvalidMessage as error:
            raise ValueError(error.message) from None
        now = time.time()
        # To the microsecond: what was signed before a revocation and what was signed after it may be of one second.
        own: dict[str, Any] = {self._user_claim: user, "iat": round(now, 6), "exp": math.ceil(now + expires_in)}
        if self._audience is not None:
            own["aud"] = self._audience[0]
        if self._issuer is not None:
            own["iss"] = self._issuer[0]
        if taken := own.keys() & claims.keys():
            raise ValueError(f"set by sign itself: {', '.join(sorted(taken))}")
        headers = None if key.name is None else {"kid": key.name}
        token: str = self._jwt.encode({**claims, **own}, key.material, algorithm=key.algorithms[0], headers=headers)
        return token

    def _key_name(self, token: str) -> str | None:
        """Which key the token says it is signed with: what it is looked up by, and nothing that is believed."""
        if not self._keys.named:
            return None
        try:
            name: str | None = self._jwt.get_unverified_header(token).get("kid")
        except Exception:  # noqa: BLE001 - as below
            raise InvalidCredential("the token is malformed", fault=CredentialFault.MALFORMED) from None
        return name

    def _verified(self, token: str, key: Key) -> Mapping[str, Any]:
        jwt = self._jwt
        try:
            decoded = jwt.decode_complete(
                token,
                key.material,
                algorithms=list(key.algorithms),
                audience=self._audience,
                issuer=self._issuer,
                leeway=self._leeway,
                # `sub` need not be the user, and may be a number where it is.
                options={"require": ["exp"], "verify_sub": False},
            )
        except jwt.ExpiredSignatureError:
            raise ExpiredCredential("the token has expired") from None
        # All but the token is ours, so whatever is raised is the token's doing: a lone surrogate, nothing but brackets,
        # and in some releases of PyJWT a date that is a list, or beyond what an integer can be.
        except Exception as error:  # noqa: BLE001
            fault, reason = _reason(error, token, jwt)
            raise InvalidCredential(reason, fault=fault) from None
        type = decoded["header"].get("typ", "JWT")
        if not (isinstance(type, str) and type.lower() in _TYPES):
            raise InvalidCredential("the token is of another type (typ)", fault=CredentialFault.CLAIM)
        payload: Mapping[str, Any] = decoded["payload"]
        return payload


def _several(value: Any, name: str) -> tuple[str, ...]:
    values = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Iterable) else (value,)
    if not all(isinstance(each, str) for each in values):
        raise ConfigurationError(f"{name} is a str, or several, not {type(value).__name__}")
    return values


def _pyjwt() -> ModuleType:
    try:
        import jwt
    except ImportError:
        raise ConfigurationError(f"JWTAuth needs PyJWT: {INSTALL}") from None
    return jwt


def _check_date(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LAST_DATE:
        raise InvalidCredential(f"{name} is not a date in seconds since 1970", fault=CredentialFault.CLAIM)


def _user(claim: str, value: object) -> UserId:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LAST_NUMBER:
        value = str(value)
    try:
        return UserId(check_name(value, limit=Limits().name, field=claim))
    except InvalidMessage as error:
        reason = error.message
        if not isinstance(value, str):
            reason = f"the token has no {claim}" if value is None else f"{reason}, or an integer from 0 to 2^63 - 1"
        raise InvalidCredential(reason, fault=CredentialFault.CLAIM) from None


def _reason(error: Exception, token: str, jwt: ModuleType) -> tuple[CredentialFault, str]:
    match error:
        case jwt.InvalidSignatureError():
            return CredentialFault.SIGNATURE, "the signature does not match"
        case jwt.InvalidAlgorithmError():
            return CredentialFault.ALGORITHM, "the algorithm is not one that is accepted here"
        case jwt.MissingRequiredClaimError():
            return CredentialFault.CLAIM, f"the token has no {error.claim}"
        case jwt.InvalidAudienceError():
            return CredentialFault.AUDIENCE, "the token is for another audience"
        case jwt.InvalidIssuerError():
            return CredentialFault.ISSUER, "the token is by another issuer"
        case jwt.ImmatureSignatureError():
            return CredentialFault.NOT_YET_VALID, "the token is not valid yet"
        case _:
            return _wrong_claim(token, jwt) or (CredentialFault.MALFORMED, "the token is malformed")


def _wrong_claim(token: str, jwt: ModuleType) -> tuple[CredentialFault, str] | None:
    """Which claim is of a wrong type: PyJWT raises the same for one as for what is no token at all."""
    try:
        payload = jwt.decode(token, options={"verify_signature": False})
        for date in _DATES:
            if date in payload:
                _check_date(date, payload[date])
    except InvalidCredential as wrong:
        return wrong.fault, str(wrong)
    except Exception:  # noqa: BLE001 - as above
        return None
    if "jti" in payload and not isinstance(payload["jti"], str):
        return CredentialFault.CLAIM, "jti is a string"
    return None
