#!/usr/bin/env bash
# hey 0.1.4 (Debian): `-c 5 -q 10` is not 50 requests a second but bursts of five, ten times a second.
#
# One would guess: a rate limit spreads requests over time, so that p50 at a pace far below saturation is what one request
#   takes.
# Behaviour: each of the `-c` workers has a ticker of its own with the same period, and all start at the same moment, so
#   that all of them send within a millisecond or two, and then nobody for the rest of the period.
# Why it matters: a server that answers one at a time makes the third of a burst of five wait for two others, and p50 is
#   that third one: three times the latency of a request at 5% load. A served ranking model measured so looks two to three
#   times slower than it is. One connection with the whole rate (`-c 1 -q 50`) sends evenly, as long as an answer comes
#   before the next request is due.
# Source: hey's requester, `runWorker` (`time.Tick` in each worker).
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download --quiet hey=0.1.4-2+b4 > /dev/null 2>&1
dpkg -x hey_*.deb "$work/hey"
cat > server.py << 'PYTHON'
import asyncio
import subprocess
import sys
import time

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HEY = ["hey/usr/bin/hey", "-z", "5s", "-o", "csv"]


async def main():
    came = []

    async def answer(reader, writer):
        while await reader.readuntil(b"\r\n\r\n"):
            came.append(time.perf_counter())
            writer.write(ANSWER)

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    shares = {}
    for connections, pace in ((5, 10), (1, 50)):
        came.clear()
        command = [*HEY, "-c", str(connections), "-q", str(pace), url]
        await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
        gaps = [later - earlier for earlier, later in zip(came, came[1:])]
        shares[connections] = sum(gap < 0.005 for gap in gaps) / len(gaps)
        print(f"-c {connections} -q {pace}: {len(came)} requests in 5 s, {shares[connections]:.0%} within 5 ms of another")
    return shares


print("hey 0.1.4-2+b4")
shares = asyncio.run(main())
sys.exit(not (shares[5] > 0.6 and shares[1] < 0.2))
PYTHON
"${PYTHON:-python3}" server.py 2> /dev/null
