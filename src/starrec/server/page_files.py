"""What a browser gets that is no API: the page, its files, and the run's report.

The page is built from `web/` into the folder `page` beside this module (`make web`), so serving needs no Node.
Its files carry a hash of their content in their names and may be kept for ever; index.html names them and is
asked for anew each time. All are read once, so no path of a request is ever looked up on the disk.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, HTTPException, Response
from fastapi import Path as InPath
from fastapi.responses import FileResponse

from starrec.server.access import ASSETS, PAGE, REPORT

FOLDER: Final = Path(__file__).parent / "page"
_KINDS: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_KEPT: Final = {"cache-control": "public, max-age=31536000, immutable"}
_ASKED_FOR_ANEW: Final = {"cache-control": "no-cache"}
_NO_REPORT: Final = (
    "This run has no report yet: it was not evaluated. `starrec evaluate` (or `starrec run`) writes one."
)


def page_files(run: Path) -> APIRouter:
    """Routes of the page, its files and a run's report; none of them is in the OpenAPI document."""
    router = APIRouter(include_in_schema=False)

    @router.api_route(PAGE, methods=["GET", "HEAD"])
    async def page() -> Response:
        return Response(_index(), headers=_ASKED_FOR_ANEW, media_type="text/html")

    @router.api_route(ASSETS + "{name}", methods=["GET", "HEAD"])
    async def asset(name: Annotated[str, InPath()]) -> Response:
        found = _assets().get(name)
        if found is None:
            raise HTTPException(404, "The page has no such file. Load it again.")
        content, kind = found
        return Response(content, headers=_KEPT, media_type=kind)

    @router.api_route(REPORT, methods=["GET", "HEAD"])
    async def report() -> Response:
        if not has_report(run):
            raise HTTPException(404, _NO_REPORT)
        return FileResponse(_report(run), media_type="text/html", headers={"cache-control": "no-store"})

    return router


def has_report(run: Path) -> bool:
    """Whether a run was evaluated and its report written."""
    return _report(run).is_file()


def _report(run: Path) -> Path:
    return run / "report.html"


@cache
def _index() -> bytes:
    return (FOLDER / "index.html").read_bytes()


@cache
def _assets() -> dict[str, tuple[bytes, str]]:
    """Content and media type of each file by its name."""
    return {path.name: (path.read_bytes(), _KINDS[path.suffix]) for path in (FOLDER / "assets").iterdir()}
