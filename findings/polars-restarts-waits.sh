#!/usr/bin/env bash
# What one would guess: importing a data frame library changes nothing of how Python is interrupted: SIGINT raises
# KeyboardInterrupt in the main thread, also while that waits for a lock, an event, a queue or a future.
#
# What it does (polars 2.1.0, Linux): polars puts a handler of its own before Python's. Python asks the system to end
# the call that a signal interrupts, the new handler asks to start it again. So a wait without a timeout goes on, and
# the exception is raised when whatever was waited for has come. One with a timeout is ended as ever.
# `signal.getsignal` shows Python's handler as before.
#
# Why it matters: trainers and evaluators read with polars and then wait for workers (`Future.result()` of a process
# pool, `queue.get()`). What is waited for may take minutes, or never come: a worker that Ctrl-C killed within a result
# leaves its pool reading the rest. Then nothing but another signal ends the program. starrec waits for workers in
# steps of a fraction of a second, and no worker ends within a result (src/starrec/engines/processes.py).
#
# Source: a run of starrec that Ctrl-C left waiting; https://docs.python.org/3/library/threading.html ("lock acquires
# can be interrupted by signals on POSIX"), sigaction(2) on SA_RESTART, signal(7) on which calls it starts again.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0

cat > "$folder/wait.py" <<'PYTHON'
import os
import signal
import sys
import threading
import time

library, timeout = sys.argv[1:]
signal.signal(signal.SIGINT, signal.default_int_handler)  # what is started in the background ignores it else
if library == "polars":
    import polars

    print("polars", polars.__version__)
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
came = threading.Event()
for seconds, call, arguments in ((0.5, os.kill, (os.getpid(), signal.SIGINT)), (4, came.set, ())):
    timer = threading.Timer(seconds, call, arguments)
    timer.daemon = True
    timer.start()
begun = time.monotonic()
try:
    came.wait(None if timeout == "none" else float(timeout))
    raise SystemExit("SIGINT was not seen at all")
except KeyboardInterrupt:
    waited = time.monotonic() - begun
print(f"library {library}, timeout {timeout}: SIGINT after 0.5 s, KeyboardInterrupt after {waited:.1f} s of 4")
if library == "polars" and timeout == "none":
    assert waited > 3.5, "with polars, a wait without a timeout is interrupted now"
else:
    assert waited < 2, "this wait was interrupted at once"
PYTHON
for timeout in none 60; do
    for library in none polars; do
        "$folder/venv/bin/python" "$folder/wait.py" "$library" "$timeout"
    done
done
