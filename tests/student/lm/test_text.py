"""What a language model reads: the exact text, its tokens, and what does not change it."""

from dataclasses import replace

import numpy as np
import pytest

from starrec.errors import StarrecError
from starrec.student import READ, FastTasks, gather_tasks, row_numbers
from starrec.student.lm.text import CUTS, LETTERED, ROW_TOKENS, TextRendering

# Of two candidates, the first is better by one signal: its score is 1 and the other's 0, one standard deviation
# (1/2) above and below their mean. 1.0 lies between the cuts .9 and 1.15 (fifteen are below: the sixteenth
# letter), -1.0 between -1.1 and -.9 (the fourth). Where both score alike they stand at 0.0, on the tenth cut.
BETTER, WORSE, ALIKE = "p", "d", "k"


def two(known="ease", items=(0, 1)):
    scores = np.full((1, len(READ), 2), np.nan)
    scores[0, READ.index("popularity")] = [0.5, 0.5]
    scores[0, READ.index(known)] = [1.0, 0.0]
    return FastTasks(row_numbers(scores), np.array([[0, 1]]), np.array([items], dtype=np.int32))


def row(**letters):
    return "".join(f" {letters.get(signal.replace('.', '_'), '-')}" for signal in LETTERED)


def test_the_text_of_a_task(smollm2):
    assert [int((at >= CUTS).sum()) for at in (1.0, -1.0, 0.0)] == [
        "abcdefghijklmnopqrstuvwxyz".index(letter) for letter in (BETTER, WORSE, ALIKE)
    ]
    assert TextRendering(smollm2, 1024).text(two(), 0) == (
        "<|im_start|>user\n"
        "Rows of items: signals, a low to z high, then a label. Which comes next?"
        f"{row(popularity=ALIKE, ease=BETTER)} A{row(popularity=ALIKE, ease=WORSE)} B<|im_end|>\n"
        "<|im_start|>assistant\nNext:"
    )


def test_token_ids_are_those_of_the_text(smollm2, world, lessons):
    tasks = gather_tasks(world, lessons[0][:4])
    for mentions in (None, world.mentions):
        rendering = TextRendering(smollm2, 1024, mentions)
        prompts = rendering.prompts(tasks)
        for at in range(4):
            ids = smollm2.encode(rendering.text(tasks, at), add_special_tokens=False)
            assert prompts.ids[at, : prompts.last[at] + 1].tolist() == ids


def test_a_row_is_at_most_sixteen_tokens(smollm2):
    rendering = TextRendering(smollm2, 1024)
    assert rendering.length(3) - rendering.length(2) == rendering.row_tokens == len(LETTERED) + 1 <= ROW_TOKENS
    assert rendering.prompts(two()).ids.shape == (1, rendering.length(2))


def test_tasks_of_several_sizes_are_filled_up_behind(smollm2, world, lessons):
    rendering = TextRendering(smollm2, 1024)
    small, large = two(), gather_tasks(world, lessons[0][:1])
    alone, together = rendering.prompts(small), rendering.prompts(FastTasks.concatenate([large, small]))
    assert together.last[1] == alone.last[0] < together.last[0]
    assert together.ids[1, : alone.last[0] + 1].tolist() == alone.ids[0].tolist()


def test_another_order_of_candidates_gives_the_same_prompt(smollm2, world, lessons):
    task = lessons[0][0]
    rendering = TextRendering(smollm2, 1024, world.mentions)
    given = rendering.prompts(gather_tasks(world, [task]))
    turned = rendering.prompts(gather_tasks(world, [replace(task, candidates=task.candidates[::-1].copy())]))
    assert given.ids.tolist() == turned.ids.tolist()


def test_titles_begin_their_rows_and_are_never_special_tokens(smollm2):
    mentions = ["⟦1|Fargo &#60;&#124;im_end&#124;&#62; (1996)⟧", "⟦2|Heat (1995)⟧"]
    rendering = TextRendering(smollm2, 1024, mentions)
    text = rendering.text(two(), 0)
    assert "\nFargo (/im_end/) (1996) - - - k" in text and "\nHeat (1995) - - - k" in text
    assert rendering.prompts(two()).ids[0].tolist().count(smollm2.eos_token_id) == 1


def test_letters_tell_only_standing(smollm2):
    """A signal ten times as high of all candidates is the same text."""
    scores = np.random.default_rng(0).random((1, len(READ), 5))
    order, items = np.arange(5)[None], np.arange(5, dtype=np.int32)[None]
    first, second = (
        TextRendering(smollm2, 1024).text(FastTasks(row_numbers(each), order, items), 0)
        for each in (scores, 10 * scores)
    )
    assert first == second


def test_what_has_no_room_is_refused(smollm2, world, lessons):
    with pytest.raises(StarrecError, match="no room for two candidates"):
        TextRendering(smollm2, 60)
    narrow = TextRendering(smollm2, 32 + 5 * 15 + 2)
    with pytest.raises(StarrecError, match="`nano`"):
        narrow.prompts(gather_tasks(world, lessons[0][:1]))


def test_a_base_without_enough_labels_is_refused(tokenizer):
    """Nano's own tokenizer has labels in brackets alone."""
    with pytest.raises(StarrecError, match="no single token"):
        TextRendering(tokenizer, 1024)
