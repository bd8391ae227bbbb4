"""A two-layer Llama through SFT and GRPO on trajectories, and think mode: the same tokens in all three."""

import peft
import pytest
import torch
from transformers import LlamaForCausalLM

from starrec.errors import StarrecError
from starrec.student.config import TrajectoryGRPOConfig, TrajectorySFTConfig
from starrec.student.lm.chat import Chat
from starrec.student.lm.environment import Scene, environment_factory
from starrec.student.lm.rollouts import Rewards, read_rollout
from starrec.student.lm.think import Thinker
from starrec.student.lm.trajectory_grpo import reinforce_trajectories, target_labels, trajectory_trainer
from starrec.student.lm.trajectory_sft import labels_of, make_lessons, supervise_trajectories
from starrec.trajectories import judge, linear, parse, target_columns

PRACTICE = TrajectoryGRPOConfig(
    steps=1, tasks=1, group=2, learning_rate=1e-2, temperature=1.0, trace_tokens=1000, turn_tokens=120
)


@pytest.fixture(scope="module")
def scene(chat, short_world, short):
    task = short[0][0]
    return Scene(chat, short_world, {task.task_id: task})


@pytest.fixture(scope="module")
def thinker(by_heart, chat, short_world):
    return Thinker(by_heart, chat, short_world)


def practice(**changes):
    return PRACTICE.model_copy(update=changes)


def with_adapter(model):
    """The model with a fresh adapter; its own weights stay as they are."""
    return peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules="all-linear"))


def test_what_was_learned_by_heart_is_thought_with_and_without_grammar(thinker, short):
    task, run = short[0][0], short[2][0]
    thought = thinker.think(task)
    assert thought.text == linear(run) and not thought.repairs
    assert thinker.think(task, free=True) == thought
    column = {label: int(item) for label, item in zip(thought.labels, task.candidates, strict=True)}
    assert list(thought.ranking.items) == [column[label] for label in run.ranking]
    assert [step.written for step in thought.steps] == [step.tag != "tool_response" for step in thought.steps]
    assert len(thought.facts) == sum(len(step.facts) for step in thought.steps) > 0


def test_the_engine_reads_and_writes_the_tokens_of_sft(thinker, by_heart, chat, short):
    ids = []

    def before(_, given, named):
        ids.extend(named.get("input_ids", given[0] if given else None)[0].tolist())

    hook = by_heart.model.register_forward_pre_hook(before, with_kwargs=True)
    try:
        thought = thinker.think(short[0][0])
    finally:
        hook.remove()
    (sample,) = make_lessons(chat, short[2][:1], 2048).samples
    # Nothing is read behind the last token that was chosen.
    assert ids == sample.ids[: len(ids)].tolist() and len(sample.ids) - len(ids) < 12
    assert thought.tokens_written == sample.learn.sum()
    assert thought.tokens_read == len(sample.ids) - 1 - sample.learn.sum()


@pytest.mark.parametrize("seed", range(2))
def test_under_grammar_an_untrained_model_writes_a_trace_that_parses(
    newborn_lm, chat, short_world, short, seed
):
    model = newborn_lm(seed)
    with torch.no_grad():
        model.model.embed_tokens.weight.mul_(20)
    thinker = Thinker(model, chat, short_world)
    for task in short[0][:1]:
        thought = thinker.think(task)
        assert set(parse(thought.text, thought.labels).ranking) == set(thought.labels)
        assert sorted(thought.ranking.items) == sorted(task.candidates.tolist()) and not thought.repairs


def test_what_an_untrained_model_writes_freely_is_repaired(newborn_lm, chat, short_world, short):
    thought = Thinker(newborn_lm(), chat, short_world, turn_tokens=40).think(short[0][0], free=True)
    assert sorted(thought.ranking.items) == sorted(short[0][0].candidates.tolist())
    assert thought.repairs[0].startswith("stopped after 0 calls")
    with pytest.raises(ValueError):
        parse(thought.text, thought.labels)


def test_an_edited_answer_is_what_is_read(thinker, short):
    edited = thinker.think(short[0][0], edit=lambda answer: "Nothing is known.")
    answers = [step.text for step in edited.steps if step.tag == "tool_response"]
    assert answers and set(answers) == {"Nothing is known."}


@pytest.mark.parametrize("adapted", [False, True])
def test_sft_learns_what_agents_wrote(newborn_lm, chat, short, tmp_path, adapted):
    lessons = make_lessons(chat, short[2][:2], 2048)
    assert not lessons.too_long and not lessons.cut
    model = with_adapter(newborn_lm()) if adapted else newborn_lm()
    (name, weight), *_ = [(n, w) for n, w in model.named_parameters() if "up_proj" in n and "lora_A" not in n][
        adapted:
    ]
    before = weight.detach().clone()
    config = TrajectorySFTConfig(epochs=2, batch=2, parts=2, learning_rate=1e-2, warmup=0)
    taught = supervise_trajectories(model, chat, lessons, config, tmp_path)
    assert taught.samples == 2 and len(taught.losses) == 2
    assert taught.losses[1] < taught.losses[0]
    # The first loss is the mean over what is learned, and over nothing else.
    fresh = newborn_lm()
    total = 0.0
    with torch.no_grad():
        for sample in lessons.samples:
            labels = torch.from_numpy(labels_of(sample))[None]
            loss = fresh(input_ids=torch.from_numpy(sample.ids)[None], labels=labels).loss
            total += float(loss) * int(sample.learn[1:].sum())
    assert taught.losses[0] == pytest.approx(total / lessons.learned, rel=1e-3)
    assert name.endswith("lora_B.default.weight") == adapted and not torch.equal(before, weight)


def test_sft_trains_on_no_less_than_it_was_given(newborn_lm, chat, short, tmp_path):
    longest = max(len(sample.ids) for sample in make_lessons(chat, short[2][:3], 2048).samples)
    lessons = make_lessons(chat, short[2][:3], longest - 1)
    assert lessons.too_long >= 1
    with pytest.raises(StarrecError, match="do not fit the base's context"):
        supervise_trajectories(newborn_lm(), chat, lessons, TrajectorySFTConfig(), tmp_path)
    with pytest.raises(StarrecError, match="None of 3 runs fits"):
        supervise_trajectories(
            newborn_lm(), chat, make_lessons(chat, short[2][:3], 9), TrajectorySFTConfig(), tmp_path
        )
    with pytest.raises(StarrecError, match="No kept runs"):
        supervise_trajectories(newborn_lm(), chat, make_lessons(chat, [], 9), TrajectorySFTConfig(), tmp_path)


def test_grpo_with_tools_moves_the_adapter_and_counts(by_heart, scene, short, tmp_path):
    model = with_adapter(by_heart)
    try:
        done = reinforce_trajectories(model, scene, target_labels(scene, short[1]), PRACTICE, tmp_path)
        assert set(model.peft_config) == {"default"}
    finally:
        model.unload()
    counts = done.counts
    assert counts.rollouts == 2 and len(done.rewards) == 1
    assert counts.calls > 0 and counts.tool_tokens > 0 and counts.written_tokens > 0
    if done.equal_groups == (0.0,):
        assert done.moved > 0.4  # of the two matrices of an adapter one begins as zero


def test_the_reference_is_the_model_before_the_stage(newborn_lm, scene, short, tmp_path):
    """Where all weights are trained, TRL reads the reference from where the model came from."""
    newborn_lm().save_pretrained(tmp_path / "base")
    model = LlamaForCausalLM.from_pretrained(tmp_path / "base", dtype=torch.float32)
    with torch.no_grad():
        model.model.norm.weight.mul_(2)
    rewards = Rewards(scene, target_labels(scene, short[1]))
    trainer = trajectory_trainer(model, scene, rewards, PRACTICE, tmp_path)
    reference = trainer.ref_model.state_dict()
    assert all(torch.equal(weight, reference[name]) for name, weight in model.state_dict().items())


def test_a_rollout_has_the_tokens_and_the_mask_of_sft(by_heart, chat, scene, short, tmp_path):
    """Greedily, the model writes what it knows by heart; TRL calls the tools and masks their answers."""
    run, task = short[2][0], short[0][0]
    rewards = Rewards(scene, target_labels(scene, short[1]))
    model = with_adapter(by_heart)
    try:
        sure = practice(temperature=0.01, kl=0.0)
        trainer = trajectory_trainer(model, scene, rewards, sure, tmp_path)
        rows = [trainer.train_dataset[0]] * 2
        made = trainer._generate_and_score_completions(rows)
    finally:
        model.unload()
    (sample,) = make_lessons(chat, short[2][:1], 2048).samples
    for row in range(2):
        prompt = made["prompt_ids"][row][made["prompt_mask"][row].bool()].tolist()
        there = made["completion_mask"][row].bool()
        completion = made["completion_ids"][row][there].tolist()
        mask = made["tool_mask"][row][there].bool().tolist()
        assert [*prompt, *completion] == sample.ids[:-1].tolist()
        assert [*[False] * len(prompt), *mask] == sample.learn[:-1].tolist()
    counts = rewards.counts
    assert (counts.rollouts, counts.valid, counts.truncated, counts.ended_at_call) == (2, 2, 0, 0)
    columns = target_columns([task], short[1])
    (judged,) = judge([run], columns)
    assert counts.first == 2 * (judged.outcome == 1)
    assert counts.tool_tokens == 2 * (len(completion) - sum(mask))
    assert counts.holding == counts.citations > 0


@pytest.fixture
def environment(scene, short):
    made = environment_factory(scene)()
    made.reset(prompt=[], task_id=short[0][0].task_id)
    return made


def rollout_of(chat, environment, run, stop=None):
    """Ids and messages as TRL makes them of a run, up to a message."""
    ids, messages = [], []
    for message in chat.conversation(run).messages[2:stop]:
        if message["role"] == "tool":
            ids += chat.between([message["content"]])
            messages.append({"role": "tool", "name": "x", "content": message["content"]})
            continue
        ids += chat.encode_text(f"{message['content']}<|im_end|>")
        called = [{}] if message["content"].endswith("</tool_call>") else None
        messages.append({"role": "assistant", "content": "", "tool_calls": called})
    asked = [message.tool_call for message in run.messages if message.tool_call is not None]
    for call in asked[: sum(message["role"] == "tool" for message in messages)]:
        getattr(environment, call.name)(**call.arguments)
    return ids, messages


def test_tools_of_the_environment_answer_as_the_teacher_s_and_a_rollout_is_read(chat, environment, short):
    run = short[2][0]
    ids, messages = rollout_of(chat, environment, run)
    rollout = read_rollout(chat, environment, ids, messages)
    assert rollout.text == linear(run)
    assert not rollout.truncated and not rollout.ended_at_call and not rollout.broken_call
    assert None not in rollout.answers


def test_what_trl_does_not_show_is_seen(chat, scene, environment, short):
    run, task = short[2][0], short[0][0]
    ids, messages = rollout_of(chat, environment, run, stop=-2)
    assert messages[-1]["tool_calls"]
    rewards = Rewards(scene, target_labels(scene, short[1]))
    broken = chat.encode_text('<plan>x</plan>\n<tool_call>{"name":</tool_call><|im_end|>')
    plain = [{"role": "assistant", "content": "…"}]
    values = rewards.trajectory(
        completions=[messages, plain, plain],
        completion_ids=[ids, broken, chat.encode_text("<plan>x")],
        environments=[environment] * 3,
        task_id=[task.task_id] * 3,
    )
    assert values == [-1.0] * 3
    counts = rewards.counts
    assert (counts.ended_at_call, counts.broken_calls, counts.truncated, counts.valid) == (1, 1, 1, 0)
    assert rewards.citations(environments=[environment] * 3) == [0.0] * 3


def test_an_environment_refuses_in_words(environment):
    assert environment.ease(candidates=["Q"]).startswith("error: There is no candidate")
    assert environment.item_cf(window="old").startswith("error: `window` of item_cf")
    assert not hasattr(environment, "fast_order")


def test_a_fast_order_is_a_tool_where_the_student_has_one(smollm2, short_world, short):
    chat = Chat(smollm2, fast_order=True)
    task = short[0][0]
    scene = Scene(chat, short_world, {task.task_id: task}, lambda toolbox: f"star {''.join(toolbox.labels)}.")
    environment = environment_factory(scene)()
    environment.reset(task_id=task.task_id)
    assert environment.fast_order() == "star  A B C."


def test_grpo_says_what_is_wrong(newborn_lm, scene, short, tmp_path):
    targets = target_labels(scene, short[1])
    with pytest.raises(StarrecError, match="Load it in float32"):
        reinforce_trajectories(newborn_lm().to(torch.bfloat16), scene, targets, PRACTICE, tmp_path)
    with pytest.raises(StarrecError, match=r"leaves .* for a trace"):
        reinforce_trajectories(newborn_lm(), scene, targets, practice(turn_tokens=3000), tmp_path)


def test_titles_can_be_left_out(smollm2, short):
    shown, hidden = (
        Chat(smollm2, titles=titles).conversation(short[2][0]).messages[1]["content"]
        for titles in (True, False)
    )
    assert "[1 Title" in shown and "Title" not in hidden
    assert "[1][2]" in hidden
