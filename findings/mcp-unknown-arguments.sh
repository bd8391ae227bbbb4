#!/usr/bin/env bash
# mcp 2.3.0: a tool of `MCPServer` takes arguments that it does not have, drops them and answers as if all was well.
#
# One would guess: a call that does not fit the tool's schema is a tool error, as it is for a wrong type; an agent reads
#   it and mends its call.
# Behaviour: the schema that is listed for a function has no `additionalProperties: false`, and neither server nor client
#   refuses a name that is not in it: the argument is left out and the default takes its place. (A wrong type is refused,
#   but a list that is written as a JSON string is read as the list.)
# Why it matters: language models misspell arguments. Asked with `excluded` in place of `exclude`, a recommender's tool
#   recommends what the user must not see, and neither the agent nor the log can tell. A server that must not do so checks
#   names of arguments itself, on the low-level `Server`.
# Source: mcp/server/mcpserver/utilities/func_metadata.py, `func_metadata` (the arguments' model ignores extras).
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" --disable-pip-version-check --quiet install mcp==2.3.0 pydantic==2.14.0
cd "$work"
cat > server.py << 'PYTHON'
from mcp.server.mcpserver import MCPServer

server = MCPServer("shop")


@server.tool()
def recommend(history: list[str], exclude: list[str] | None = None) -> str:
    """Recommend from the catalogue."""
    return ", ".join(item for item in ("knife", "mug") if item not in (exclude or []))


server.run("stdio")
PYTHON
"$work/venv/bin/python" - << 'PYTHON'
import asyncio
import sys
from importlib.metadata import version

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

CALLS = (
    {"history": ["pan"], "exclude": ["knife"]},
    {"history": ["pan"], "excluded": ["knife"]},
    {"history": "pan"},
    {"history": '["pan"]'},
)


async def main():
    found = []
    async with stdio_client(StdioServerParameters(command=sys.executable, args=["server.py"])) as streams:
        async with ClientSession(*streams) as session:
            await session.initialize()
            (tool,) = (await session.list_tools()).tools
            print("mcp", version("mcp"), "| additionalProperties:", tool.input_schema.get("additionalProperties"))
            for arguments in CALLS:
                answer = await session.call_tool("recommend", arguments)
                text = answer.content[0].text.partition("\n")[0]
                print(f"{arguments}: {'error: ' if answer.is_error else ''}{text}")
                found.append("error" if answer.is_error else text)
    return found


sys.exit(asyncio.run(main()) != ["mug", "knife, mug", "error", "knife, mug"])
PYTHON
