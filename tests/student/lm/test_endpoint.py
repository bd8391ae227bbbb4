"""Think mode over HTTP: a server on loopback that answers as a student would, or as none should."""

import asyncio

import llguidance.hf
import pytest
from llguidance.gbnf_to_lark import gbnf_to_lark

from starrec.errors import StarrecError
from starrec.llm import LimitsConfig, ModelConfig
from starrec.llm.models import Models
from starrec.student.lm.endpoint import EndpointThinker
from starrec.trajectories import linear, parse


@pytest.fixture
def thinker(chat, short_world, endpoint):
    """A thinker at a server with this rule."""

    def made(answer, **options):
        server = endpoint(answer)
        model = ModelConfig(model="student", base_url=server.url)
        models = Models(LimitsConfig(attempts=1))
        return EndpointThinker(models.of(model).model, chat, short_world, **options), server

    return made


def turns_of(chat, run):
    return [m["content"] for m in chat.conversation(run).messages if m["role"] == "assistant"]


def test_a_trace_is_written_turn_by_turn_and_tools_answer_here(chat, thinker, short):
    task, run = short[0][0], short[2][0]
    turns = turns_of(chat, run)

    def student(body):
        return turns[sum(message["role"] == "assistant" for message in body["messages"])]

    at_endpoint, server = thinker(student)
    thought = asyncio.run(at_endpoint.think(task))
    assert thought.text == linear(run) and not thought.repairs
    sent = [body["messages"] for _, _, body in server.requests]
    assert len(sent) == len(turns)
    messages = chat.conversation(run).messages
    assert [m["role"] for m in sent[-1][:4]] == ["system", "user", "assistant", "user"]
    assert sent[-1][1]["content"] == messages[1]["content"]
    assert sent[-1][3]["content"] == f"<tool_response>\n{messages[3]['content']}\n</tool_response>"
    assert all("tools" not in body and "grammar" not in body for _, _, body in server.requests)


def test_what_is_no_turn_ends_the_trace_and_the_ranking_is_repaired(thinker, short):
    task = short[0][0]
    for text, appended in (("I would watch B.", 3), ("<plan>x</plan>\n<recommend> C C Q</recommend>", 2)):
        at_endpoint, _ = thinker(lambda body, text=text: text)
        (thought,) = asyncio.run(at_endpoint.think_many([task]))
        assert sorted(thought.ranking.items) == sorted(task.candidates.tolist())
        assert any(repair.startswith(f"appended {appended} of 3") for repair in thought.repairs)
        with pytest.raises(ValueError):
            parse(thought.text, thought.labels)


def test_a_model_that_would_ask_for_ever_is_stopped(thinker, short):
    call = '<tool_call>{"name":"profile","arguments":{}}</tool_call>'

    def asks(body):
        return call if any(m["role"] == "assistant" for m in body["messages"]) else f"<plan>x</plan>\n{call}"

    at_endpoint, server = thinker(asks)
    thought = asyncio.run(at_endpoint.think(short[0][0]))
    assert thought.repairs[0] == "stopped after 16 calls: no more are answered"
    assert len(server.requests) == 17


def test_a_server_with_grammars_is_sent_the_form_of_each_turn(chat, thinker, short):
    turns = turns_of(chat, short[2][0])
    tokens = llguidance.hf.from_tokenizer(chat.tokenizer)
    for grammars in ("grammar", "structured_outputs"):
        at_endpoint, server = thinker(
            lambda body: turns[sum(message["role"] == "assistant" for message in body["messages"])],
            grammars=grammars,
        )
        asyncio.run(at_endpoint.think(short[0][0]))
        for turn, (_, _, body) in zip(turns, server.requests, strict=True):
            form = body["grammar"] if grammars == "grammar" else body["structured_outputs"]["grammar"]
            matcher = llguidance.LLMatcher(tokens, gbnf_to_lark(form))
            assert not matcher.is_error(), matcher.get_error()
            assert matcher.consume_tokens(chat.encode_text(turn)) and matcher.is_accepting()
            matcher.reset()
            assert matcher.try_consume_tokens(chat.encode_text("I would")) == 0


def test_an_endpoint_that_fails_is_an_error_that_says_so(thinker, short):
    at_endpoint, _ = thinker(lambda body: (400, b'{"error": {"message": "no such model"}}'))
    with pytest.raises(StarrecError, match=r"could not be asked for a trace: .*no such model"):
        asyncio.run(at_endpoint.think(short[0][0]))
