"""`POST /login`: a name is enough, in development only. And who is calling, for the other examples."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from pydantic import AfterValidator, BaseModel, ValidationError

from hubbub import Carrier, Credential, CredentialError, InvalidMessage, JWTAuth, Limits, User
from hubbub.auth.origin import OriginRules
from hubbub.integrations.bodies import read_object, unprocessable
from hubbub.protocol.messages import check_name

_TWELVE_HOURS = 12 * 3600
_BODY = 4096
_SCHEMA = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}


def _name(name: str) -> str:
    try:
        return check_name(name.strip(), limit=Limits().name, field="name")
    except InvalidMessage as error:
        raise ValueError(error.message) from None


class Login(BaseModel):
    name: Annotated[str, AfterValidator(_name)]


async def _login(request: Request) -> Login:
    """Not by the signature: FastAPI reads a body whole, and its refusal repeats it, where it can."""
    fields = await read_object(request, limit=_BODY, what=f"a log-in has at most {_BODY} bytes", depth=2)
    try:
        return Login.model_validate(fields)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        raise unprocessable("body", ".".join(map(str, fault["loc"])), fault["msg"]) from None


class Token(BaseModel):
    token: str


def routes(auth: JWTAuth, *, development: bool) -> APIRouter:
    router = APIRouter()

    @router.post("/login", openapi_extra=_SCHEMA)
    async def login(login: Annotated[Login, Depends(_login)], request: Request, response: Response) -> Token:
        """Log in as anyone: sets the cookie, and answers with the same token for clients that keep it themselves."""
        if not development:
            raise HTTPException(403, "logging in by name alone is for development: start with --dev")
        token = auth.sign(login.name, expires_in=_TWELVE_HOURS)
        response.set_cookie(
            auth.cookie or "",
            token,
            max_age=_TWELVE_HOURS,
            path="/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )
        return Token(token=token)

    return router


def caller(auth: JWTAuth) -> Callable[[Request], Awaitable[User]]:
    """A dependency: whose token or cookie the request shows. Answers 401 where it shows none that is valid."""

    async def authenticated(request: Request) -> User:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        carrier = Carrier.MESSAGE
        if scheme.lower() != "bearer":
            carrier, token = Carrier.COOKIE, request.cookies.get(auth.cookie or "", "")
            # A browser sends the cookie for whatever page asks, and SameSite counts every port of a host as the same.
            if OriginRules().refusal(request.scope, required=True) is not None:
                raise HTTPException(403, "this Origin may not use the cookie")
        try:
            return await auth.authenticate(Credential(carrier, token))
        except CredentialError as error:
            raise HTTPException(401, str(error), {"WWW-Authenticate": "Bearer"}) from None

    return authenticated
