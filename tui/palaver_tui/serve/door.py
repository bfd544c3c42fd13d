"""Who may come in: only this machine, only with the token, only from the page that we served ourselves.

A web site that the user visits can send requests to 127.0.0.1, and can give its own name that address. So the token is
demanded of every request, and the names that the browser puts into Host and Origin must be ours.
"""

from __future__ import annotations

import hmac
import secrets

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

HOST = "127.0.0.1"
TOKEN = "token"
"""Name of the parameter in the address."""


class Door:
    """The token of one server, and the check that every request passes."""

    def __init__(self, port: int) -> None:
        self.origin = f"http://{HOST}:{port}"
        self._host = f"{HOST}:{port}"
        self._token = secrets.token_urlsafe(32)
        self._cookie = f"palaver-{port}"  # cookies know no ports: another server's must not be taken for ours

    @property
    def address(self) -> str:
        """What the user opens."""
        return f"{self.origin}/?{TOKEN}={self._token}"

    @property
    def headers(self) -> dict[str, str]:
        """With every answer: nothing is fetched from elsewhere, framed, kept or told to others."""
        own = f"'self' ws://{self._host}"
        return {
            "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; "
            f"font-src 'self' data:; img-src 'self' data:; connect-src {own}; frame-ancestors 'none'; base-uri 'none'; "
            "form-action 'none'",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-store",
        }

    @property
    def middleware(self) -> Middleware:
        """Let in, turn away, or trade the token in the address for a cookie."""

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.host != self._host or not self._is_from_here(request):
                return self._refusal(f"This is another address than the one that was printed: {self.origin}.")
            if self._is_right(request.query.get(TOKEN, "")):
                # Out of the address bar, the history of the browser, and what is sent to others.
                found = web.HTTPSeeOther("/")
                found.set_cookie(self._cookie, self._token, httponly=True, samesite="Strict", path="/")
                raise found
            if not self._is_right(request.cookies.get(self._cookie, "")):
                return self._refusal("Open the whole address that palaver serve has printed, with its token.")
            return await handler(request)

        return check

    async def add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """For aiohttp's `on_response_prepare`."""
        for name, value in self.headers.items():
            response.headers[name] = value

    def _is_from_here(self, request: web.Request) -> bool:
        """A browser names the page that a request comes from; a websocket without a name comes from no browser."""
        origin = request.headers.get("Origin")
        if origin is None:
            return "Upgrade" not in request.headers
        return origin == self.origin

    def _is_right(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), self._token.encode())

    def _refusal(self, sentence: str) -> web.Response:
        return web.Response(status=403, text=f"{sentence}\n")
