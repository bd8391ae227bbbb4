"""A browser window for whoever started a server on the machine before them."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import webbrowser
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

_LOOK_SECONDS: Final = 0.3


def open_when_loaded(url: str) -> None:
    """Open a server's page as soon as its run is loaded, or cannot be, which the page says; does not wait.

    Without a screen nothing is opened: a browser for terminals would take the place of the log.

    Args:
        url: of the server, without a path.
    """
    if _has_screen():
        threading.Thread(target=_open, args=(url,), name="starrec-browser", daemon=True).start()


def _has_screen() -> bool:
    if sys.platform in ("darwin", "win32"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


def _open(url: str) -> None:
    # An address that stands for all of the machine's is none that a browser can go to.
    url = url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
    while _loading(url):
        time.sleep(_LOOK_SECONDS)
    webbrowser.open(url)


def _loading(url: str) -> bool:
    try:
        with urlopen(f"{url}/readyz", timeout=10):
            return False
    except HTTPError as error:
        return bool(json.load(error)["parts"]["run"] == "loading")
    except URLError:
        return True  # it does not answer yet
