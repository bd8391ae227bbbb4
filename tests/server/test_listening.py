"""Sockets that applications listen on."""

import asyncio
import socket

import pytest

from starrec.errors import StarrecError
from starrec.server.listening import base_url, listen


def test_small_answers_are_sent_at_once():
    # Without TCP_NODELAY each response waits for an acknowledgement, which comes 40 ms late.
    async def accepted():
        without_delay = asyncio.get_running_loop().create_future()

        def answer(_, writer):
            without_delay.set_result(
                writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            )
            writer.close()

        listening = listen("127.0.0.1", 0)
        async with await asyncio.start_server(answer, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname())
            found = await asyncio.wait_for(without_delay, 10)
            writer.close()
            return found

    assert asyncio.run(accepted())


def test_an_address_that_cannot_be_had_is_named():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert base_url(taken) == f"http://127.0.0.1:{port}/v1"
        with pytest.raises(StarrecError, match=f"Port {port} of 127.0.0.1 is in use"):
            listen("127.0.0.1", port)
    with pytest.raises(StarrecError, match="no address of this machine"):
        listen("no such host", 0)
