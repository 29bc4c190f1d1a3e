"""The keys that tokens are signed with: which one a token names, and with which algorithms each may be used.

Guarantees: a key that anybody may know is never an HMAC secret, a weak one is refused, and each key verifies with the
algorithms it is made for and the application has named, whatever a token says. `kid` is a name to look up by, never
trust; `jku`, `x5u`, `jwk` and `x5c` of a token are not read at all.
"""

import base64
import binascii
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import ModuleType
from typing import Any, Protocol

from hubbub.errors import ConfigurationError, CredentialFault, InvalidCredential

SECRET_VARIABLE = "HUBBUB_SECRET"  # noqa: S105  # the variable's name
INSTALL = 'pip install "hubbub[jwt]"'

_PUBLIC_KEY_MARKS = (b"---- BEGIN", b"ssh-", b"ecdsa-sha2-", b"sk-ssh-", b"sk-ecdsa-")
_CERTIFICATE_MARK = b"-----BEGIN CERTIFICATE-----"
# RFC 7518 section 3.4 and RFC 8812: an algorithm's curve is one.
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "ES521": "P-521", "ES256K": "secp256k1"}


#: Bytes of a secret that signs by HS256 (RFC 7518 section 3.2).
SHORTEST = 32
#: In what people copy, or mean to change before they go live.
_EXAMPLES = ("change", "secret", "password", "example", "hubbub", "default", "test", "development")
#: Characters: a random one of 32, in hexadecimal, has fewer once in a thousand.
_FEWEST_DIFFERENT = 10
#: Bytes beside words of an example.
_FEWEST_ELSE = 24


def weakness(secret: str) -> str | None:
    """Why it could be guessed, without a part of it; None where nothing speaks for that.

    Of one that looks random nobody can say how it was made.
    """
    size = len(secret.encode())
    if size < SHORTEST:
        return f"{size} bytes, fewer than {SHORTEST}"
    if len(set(secret)) < _FEWEST_DIFFERENT:
        return "of very few different characters"
    if any(secret == secret[:length] * (len(secret) // length) for length in range(1, len(secret) // 2 + 1)):
        return "the same again and again"
    if sum(ord(after) - ord(char) in (0, 1) for char, after in pairwise(secret)) > len(secret) // 2:
        return "characters in a row"
    rest = secret.lower()
    for word in _EXAMPLES:
        rest = rest.replace(word, "")
    if rest != secret.lower() and len(rest.encode()) < _FEWEST_ELSE:
        return "words of an example"
    return None


@dataclass(frozen=True, slots=True)
class Key:
    """`material` as PyJWT takes it, in no `repr`."""

    name: str | None
    material: Any
    algorithms: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Key({self.algorithms!r}, …)"


class KeySource(Protocol):
    @property
    def named(self) -> bool:
        """Whether a key is looked up by what the token says."""

    @property
    def first(self) -> Key | None:
        """The one that signs, where any can."""

    async def find(self, name: str | None) -> Key:
        """Raises InvalidCredential where there is no such key, Unavailable where that cannot be said."""


class OneKey:
    """The application's only one: whatever a token says."""

    named = False

    def __init__(self, key: str | bytes, algorithms: Sequence[str], jwt: ModuleType) -> None:
        self.first: Key | None = Key(None, usable_key(key, algorithms, jwt), tuple(algorithms))

    def __repr__(self) -> str:
        return "key=…"

    async def find(self, name: str | None) -> Key:
        assert self.first is not None  # noqa: S101 - for the type checker
        return self.first


class KeysByName:
    """Several of the application's own: one that is new beside one that is on its way out."""

    named = True

    def __init__(self, keys: Mapping[str, str | bytes], algorithms: Sequence[str], jwt: ModuleType) -> None:
        if not isinstance(keys, Mapping) or not keys:
            raise ConfigurationError("keys are a mapping of kid to key, at least one")
        if not all(isinstance(name, str) and name for name in keys):
            raise ConfigurationError("keys: each kid is a str that is not empty")
        self._keys = {name: _fitting(name, key, algorithms, jwt) for name, key in keys.items()}
        self.first: Key | None = next(iter(self._keys.values()))

    def __repr__(self) -> str:
        return f"keys of {len(self._keys)}"

    async def find(self, name: str | None) -> Key:
        return choose(self._keys, name)


def choose(keys: Mapping[str, Key], name: str | None) -> Key:
    """The key of this name; a token that names none has the only one. Raises InvalidCredential."""
    key = keys.get(name) if name is not None else next(iter(keys.values())) if len(keys) == 1 else None
    if key is None:
        reason = "the token is signed with a key that is not known here" if name else "the token names no key (kid)"
        raise InvalidCredential(reason, fault=CredentialFault.UNKNOWN)
    return key


def secret_of_environment() -> str:
    secret = os.environ.get(SECRET_VARIABLE)
    if not secret:
        raise ConfigurationError(
            f"JWTAuth has no key. Pass key=, or set {SECRET_VARIABLE}, for example by\n"
            f'  export {SECRET_VARIABLE}=$(python -c "import secrets; print(secrets.token_urlsafe(32))")'
        )
    return secret


def all_symmetric(algorithms: Sequence[str], jwt: ModuleType) -> bool:
    """Whether they are HMAC, all of them. Raises ConfigurationError for none, unknown ones and a mixture."""
    known = jwt.algorithms.get_default_algorithms()
    for algorithm in algorithms:
        if algorithm == "none" or algorithm not in known:
            needed = "" if jwt.algorithms.has_crypto else f"; those with a public key need {INSTALL}"
            raise ConfigurationError(f"algorithms: {algorithm!r} is none that JWTAuth accepts{needed}")
    kinds = {algorithm.startswith("HS") for algorithm in algorithms}
    if len(kinds) != 1:
        # With both, a token "signed" by HMAC with the public key as secret would verify.
        raise ConfigurationError("algorithms: name at least one, and not HS… together with public-key algorithms")
    return kinds == {True}


def usable_key(key: str | bytes, algorithms: Sequence[str], jwt: ModuleType) -> Any:
    """The key as PyJWT takes it. Raises ConfigurationError, without the key, where it does not fit an algorithm."""
    if not isinstance(key, str | bytes):
        raise ConfigurationError(f"key is a str or bytes, not {type(key).__name__}")
    usable: Any = None
    for name in algorithms:
        algorithm = jwt.get_algorithm_by_name(name)
        try:
            if name.startswith("HS"):
                _refuse_public_key(key, algorithm, jwt)
            usable = algorithm.prepare_key(key)
            short = algorithm.check_key_length(usable)
        except (jwt.PyJWTError, ValueError, TypeError):
            raise ConfigurationError(
                f"the key does not fit {name}: HS… takes a secret of its own and never a public key, certificate or "
                "JWK; the others take their public key in PEM"
            ) from None
        if short is not None:
            raise ConfigurationError(f"the key is too short for {name}. {short}")
    # A private key would do for verifying, too, but not every algorithm of PyJWT's verifies with one.
    return usable.public_key() if hasattr(usable, "public_key") else usable


def key_of_certificate(name: str, pem: str | bytes, algorithms: Sequence[str], jwt: ModuleType) -> Key | None:
    """The key an X.509 certificate in PEM is for; None where it is for none of the algorithms, or not to be read."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        public = x509.load_pem_x509_certificate(pem.encode() if isinstance(pem, str) else pem).public_key()
        spki = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return _fitting(name, spki, algorithms, jwt)
    except (ValueError, ConfigurationError):
        return None


def key_of_jwk(jwk: object, algorithms: Sequence[str], jwt: ModuleType) -> Key | None:
    """The public key of a JWK (RFC 7517); None where it is not for verifying with any of the algorithms.

    That is: a secret (`oct`), one for encryption, one with an `alg` of its own that is not among them, a weak one, and
    what cannot be read.
    """
    if not isinstance(jwk, Mapping) or jwk.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return None
    name = jwk.get("kid")
    if name is not None and not isinstance(name, str):
        return None
    fitting = tuple(each for each in algorithms if jwk.get("alg", each) == each and _is_of(each, jwk))
    try:
        material = jwt.get_algorithm_by_name(fitting[0]).from_jwk(dict(jwk))
        material = material.public_key() if hasattr(material, "public_key") else material
        if any(jwt.get_algorithm_by_name(each).check_key_length(material) for each in fitting):
            return None
    except Exception:  # noqa: BLE001 - none fits, or whatever PyJWT and its library make of a stranger's numbers
        return None
    return Key(name, material, fitting)


def _is_of(algorithm: str, jwk: Mapping[str, Any]) -> bool:
    """Whether a key of this type can be one of the algorithm's."""
    match jwk["kty"]:
        case "RSA":
            return algorithm.startswith(("RS", "PS"))
        case "EC":
            return algorithm in _CURVES and jwk.get("crv") == _CURVES[algorithm]
        case _:
            return algorithm == "EdDSA"


def _fitting(name: str, key: str | bytes, algorithms: Sequence[str], jwt: ModuleType) -> Key:
    """With those of the algorithms that it fits. Raises ConfigurationError where that is none."""
    if isinstance(key, str | bytes) and (key.encode() if isinstance(key, str) else key).startswith(_CERTIFICATE_MARK):
        found = key_of_certificate(name, key, algorithms, jwt)
        if found is None:
            raise ConfigurationError(f"the certificate of kid {name!r} is for none of {', '.join(algorithms)}")
        return found
    fitting: list[str] = []
    refusal: ConfigurationError | None = None
    for algorithm in algorithms:
        try:
            material = usable_key(key, (algorithm,), jwt)
            fitting.append(algorithm)
        except ConfigurationError as error:
            refusal = error
    if not fitting:
        raise ConfigurationError(f"kid {name!r}: {refusal}") from None
    return Key(name, material, tuple(fitting))


def _refuse_public_key(key: str | bytes, algorithm: Any, jwt: ModuleType) -> None:
    """PyJWT knows most forms; these are the ones it lets pass: with something before them, and bare base64 of DER."""
    data = (key.encode() if isinstance(key, str) else key).strip()
    if b"-----BEGIN" in data or data.startswith(_PUBLIC_KEY_MARKS):
        raise jwt.InvalidKeyError
    try:
        inner = base64.b64decode(b"".join(data.split()), validate=True)
    except binascii.Error:
        return
    if inner:
        algorithm.prepare_key(inner)
