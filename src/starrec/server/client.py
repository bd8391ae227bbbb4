"""The client of a server: the Python API's calls over HTTP, with the same answers and errors.

    client = starrec.Client("http://127.0.0.1:8000", key="starrec_...")
    client.recommend(history=["Star Wars", "Fargo"])

Whatever may be asked again is: after a lost connection, an overload (429, when the server says to come again)
and a server that is loading or stopping (502, 503, 504). An event is sent again with its key, so it is stored
once.

Needs the extra `client` (httpx, tenacity).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter
from pydantic_core import from_json
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from starrec.data import UnknownItem
from starrec.errors import StarrecError
from starrec.recommender import FilterLeavesNothing, Item, Recommendations, Row, UnknownUser

_AGAIN: Final = (429, 502, 503, 504)
_FIRST_WAIT: Final = 0.25
"""Seconds before the second attempt; doubled for each further one, unless the server says."""
_LONGEST_WAIT: Final = 30.0
_ROWS: Final = TypeAdapter(tuple[Row, ...])


class ServerError(StarrecError):
    """A server refused, failed, or cannot be reached."""

    def __init__(self, message: str, status: int = 0, code: str = "", request_id: str = "") -> None:
        super().__init__(message)
        self.status = status
        """0 where no server answered."""
        self.code = code
        self.request_id = request_id
        """Stands in the server's log."""


@dataclass(frozen=True, slots=True)
class TraceStep:
    """A step of a trace."""

    tag: str
    """plan, tool_call, tool_response, reflection or recommend."""
    text: str
    written: bool
    """Whether the model wrote it (a tool response it did not)."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What deleting a user did."""

    events: int
    """Events that were removed."""
    rebuild: int
    """Number of the rebuild that takes the user out of the counts."""
    notes: tuple[str, ...]


class Client:
    """A server at an address. Close it, or use it as a context. May be used from several threads."""

    def __init__(
        self, url: str = "http://127.0.0.1:8000", key: str = "", *, timeout: float = 30.0, attempts: int = 4
    ) -> None:
        """Args:
        key: an API key; empty for a server without keys.
        timeout: seconds that one attempt may take.
        attempts: at one request.
        """
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=timeout)
        self._attempts = attempts

    def rank(
        self,
        candidates: Sequence[str],
        *,
        user: str | None = None,
        history: Sequence[str] | None = None,
        reasons: bool = False,
    ) -> Recommendations:
        """As `Recommender.rank`."""
        asked = {"candidates": [*candidates], "user": user, "history": _listed(history), "reasons": reasons}
        return _recommendations(self._json("POST", "/v1/rank", asked))

    def recommend(
        self,
        user: str | None = None,
        history: Sequence[str] | None = None,
        n: int = 10,
        *,
        where: Mapping[str, Any] | None = None,
        exclude: Sequence[str] = (),
        reasons: bool = True,
    ) -> Recommendations:
        """As `Recommender.recommend`."""
        asked = {
            "user": user,
            "history": _listed(history),
            "n": n,
            "where": dict(where or {}),
            "exclude": [*exclude],
            "reasons": reasons,
        }
        return _recommendations(self._json("POST", "/v1/recommend", asked))

    def similar(
        self, item: str, n: int = 10, *, where: Mapping[str, Any] | None = None, exclude: Sequence[str] = ()
    ) -> Recommendations:
        """As `Recommender.similar`."""
        asked = {"item": item, "n": n, "where": dict(where or {}), "exclude": [*exclude]}
        return _recommendations(self._json("POST", "/v1/similar", asked))

    def items(self, query: str, n: int = 10) -> list[Item]:
        """As `Recommender.items`."""
        found = self._json("GET", "/v1/items", params={"query": query, "n": n})
        return [Item(**item) for item in found["items"]]

    def evidence(self, item: str, n: int = 5) -> dict[str, Any]:
        """What is counted of an item, as the server's OpenAPI document describes it."""
        found: dict[str, Any] = self._json("GET", f"/v1/items/{quote(item, safe='')}/evidence", params={"n": n})
        return found

    def explain(
        self,
        candidates: Sequence[str] | None = None,
        *,
        user: str | None = None,
        history: Sequence[str] | None = None,
        by: str = "star",
    ) -> Iterator[TraceStep]:
        """The steps of a trace as they are written, by `star` or `teacher`; asked once.

        Raises:
            StarrecError: as `Recommender.explain`.
            ServerError: the server failed, or the stream was cut off.
        """
        if by not in ("star", "teacher"):
            raise StarrecError(f"{by!r} does not think. Ask `star` or `teacher`.")
        asked = {"candidates": _listed(candidates), "user": user, "history": _listed(history)}
        path = "/v1/explain" if by == "star" else "/v1/teach"
        try:
            with self._http.stream("POST", path, json=asked) as answer:
                if answer.status_code != 200:
                    answer.read()
                    raise _error(answer)
                for event, content in _events(answer.iter_lines()):
                    if event == "end":
                        return
                    if event == "error":
                        raise _refused(content["error"], 200)
                    if event == "task":
                        continue
                    yield TraceStep(event, content["text"], content["written"])
        except httpx.HTTPError as error:
            raise _unreached(error) from error
        raise ServerError("The trace was cut off before its end. Ask again.")

    def add_event(self, user: str, item: str, time: datetime | None = None, *, key: str | None = None) -> str:
        """Tell that a user took an item; returns once it is on the server's disk.

        Args:
            time: with a time zone; now if left out.
            key: another one for each event, by which the server knows it; made up if left out.

        Returns:
            The key.
        """
        key = key or uuid.uuid4().hex
        asked = {"user": user, "item": item, "time": None if time is None else time.isoformat()}
        self._json("POST", "/v1/events", asked, headers={"Idempotency-Key": key})
        return key

    def forget(self, user: str) -> Forgotten:
        """Delete a user's events and have her left out of the counts.

        Raises:
            UnknownUser: the server does not know her.
        """
        found = self._json("DELETE", f"/v1/users/{quote(user, safe='')}")
        return Forgotten(found["events"], found["rebuild"], tuple(found["notes"]))

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _json(self, method: str, path: str, body: Any = None, **how: Any) -> Any:
        def attempt() -> Any:
            try:
                answer = self._http.request(method, path, json=body, **how)
            except httpx.HTTPError as error:
                raise _Again(_unreached(error)) from error
            if answer.is_success:
                return from_json(answer.content)
            refused = _error(answer)
            if answer.status_code in _AGAIN:
                raise _Again(refused, answer.headers.get("retry-after", ""))
            raise refused

        retrying = Retrying(
            stop=stop_after_attempt(self._attempts),
            retry=retry_if_exception(lambda error: isinstance(error, _Again) and error.worth),
            wait=_wait,
            reraise=True,
        )
        try:
            return retrying(attempt)
        except _Again as given_up:
            raise given_up.error from given_up


class _Again(Exception):
    """An attempt that may be made again."""

    def __init__(self, error: StarrecError, after: str = "") -> None:
        super().__init__(str(error))
        self.error = error
        self.after = float(after) if after.isdecimal() else 0.0

    @property
    def worth(self) -> bool:
        return self.after <= _LONGEST_WAIT


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.after if isinstance(error, _Again) else 0.0
    return asked or min(_FIRST_WAIT * 2.0 ** (state.attempt_number - 1), _LONGEST_WAIT)


def _listed(names: Sequence[str] | None) -> list[str] | None:
    return None if names is None else [*names]


def _recommendations(found: Any) -> Recommendations:
    rows = _ROWS.validate_python(found["rows"])
    history = tuple(Item(**item) for item in found["history"])
    return Recommendations(rows, history, found["system"], tuple(found["notes"]))


def _events(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    """Events of a stream, each with its content."""
    event = ""
    for line in lines:
        if line.startswith("event: "):
            event = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield event, from_json(line.removeprefix("data: "))


def _error(answer: httpx.Response) -> StarrecError:
    try:
        problem = from_json(answer.content)["error"]
        return _refused(problem, answer.status_code)
    except (ValueError, KeyError, TypeError):
        return ServerError(
            f"The server answered {answer.status_code}, and not as a server of starrec does. Is the address "
            "right?",
            answer.status_code,
        )


def _refused(problem: Mapping[str, Any], status: int) -> StarrecError:
    code, message = problem["code"], problem["message"]
    if code == "unknown_item":
        return UnknownItem(message, "", tuple((item["item_id"], item["title"]) for item in problem["near"]))
    if code == "unknown_user":
        return UnknownUser(message)
    if code == "nothing_left":
        return FilterLeavesNothing(message)
    return ServerError(message, status, code, problem["request_id"])


def _unreached(error: httpx.HTTPError) -> ServerError:
    return ServerError(f"The server cannot be reached ({type(error).__name__}: {error}). Does it run?")
