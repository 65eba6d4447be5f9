"""The aiohttp application: every route, behind the middlewares."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from utd_rx.engine.media_reports import WEBHOOK_PATH, MediaReports
from utd_rx.engine.page.site import Page
from utd_rx.engine.routes import signal
from utd_rx.engine.routes.http import Context
from utd_rx.engine.routes.middleware import errors, rate_limit
from utd_rx.engine.routes.served import served
from utd_rx.engine.routes.table import ROUTES


def make_app(
    context: Context, reports: MediaReports, page: Page | None, *, per_minute: int | None
) -> web.Application:
    """Return the application that serves `context`; `per_minute` None is no rate limit."""
    middlewares: list[Middleware] = [errors]
    if per_minute is not None:
        middlewares.append(rate_limit(per_minute, context.core.clock))
    app = web.Application(middlewares=middlewares)
    routes: list[tuple[str, str, Handler]] = [
        ("POST", WEBHOOK_PATH, reports.receive),
        ("GET", signal.PATH, signal.connect(context)),
        *(() if page is None else page.routes()),
        *((method, path, served(context, answer)) for method, path, answer in ROUTES),
    ]
    for method, path, handler in routes:
        app.router.add_route(method, path, handler)
        # A trailing slash is accepted, without the redirect that would lose a client's body.
        if path != "/":
            app.router.add_route(method, f"{path}/", handler)
    return app
