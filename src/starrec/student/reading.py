"""Traces read side by side: one key-value cache, one pass for what all of them have to read next.

A trace is a coroutine (`trace`): it yields what its model is to read (`Read`), and is sent what the model says
after it. Whoever runs coroutines decides how many are read together: one for a person who waits, dozens where
traces are sampled or evaluated. A pass over 64 tokens of 64 traces takes little longer than one over one token,
as most of a small pass is not arithmetic.

Traces are of different lengths and read different things at a time: one token, or an answer of a hundred.
Single tokens of all traces are read in one pass; what is longer, in passes of about equal lengths.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from starrec.student.nano import Keep, Nano

_T = TypeVar("_T")
_SHARE: Final = 0.5
"""Slots that wait for a longer read before it is made, while others go on token by token."""
_CELLS: Final = 1024
"""Cells of a trace by which the cache grows; few traces are longer. Memory is taken where cells are written."""


@dataclass(frozen=True, slots=True)
class Read:
    """What a model is to read next in a trace."""

    ids: Sequence[int]
    """Tokens, at least one."""
    rows: torch.Tensor | None = None
    """`(c, width)` candidates behind them, all at one place, which see all that was read and each other."""

    @property
    def size(self) -> int:
        """Positions."""
        return len(self.ids) + (0 if self.rows is None else len(self.rows))


Reading: TypeAlias = Generator[Read, NDArray[np.float32], _T]
"""Yields what is to be read; is sent the logits of the next token `(vocabulary,)`, or scores `(c,)` of the rows
that it gave."""


class Reader:
    """A model with the keys and values of what it has read in each of some slots."""

    def __init__(self, model: Nano, slots: int) -> None:
        config = model.lm.config
        self._model = model
        self._lengths = np.zeros(slots, dtype=np.int64)
        heads = config.num_attention_heads
        shape = (config.num_hidden_layers, 2, slots, heads, 0, config.hidden_size // heads)
        self._cache = torch.empty(shape)
        """`(layers, 2, slots, heads, cells, size)` keys and values. A head's cells lie side by side: otherwise
        attention over many slots takes twice as long."""

    def begin(self, slot: int) -> None:
        """Forget what was read in a slot."""
        self._lengths[slot] = 0

    def read(self, asked: Mapping[int, Read]) -> dict[int, NDArray[np.float32]]:
        """What the model says after some of these, by slot: single tokens at once, what is longer when enough
        of it has come together."""
        found: dict[int, NDArray[np.float32]] = {}
        single = {slot for slot, read in asked.items() if read.size == 1}
        every = list(range(len(self._lengths)))
        if 2 * len(single) >= len(every):
            # Slots as they lie: what the others read now is read again in its place.
            nothing = Read([0])
            said = self._together(every, [asked[slot] if slot in single else nothing for slot in every])
            found |= {slot: said[slot] for slot in single}
            self._lengths[list(single)] += 1
        elif single:
            self._read(sorted(single), asked, found)
        longer = sorted((slot for slot, read in asked.items() if read.size > 1), key=lambda s: asked[s].size)
        if single and len(longer) < _SHARE * len(every):
            return found
        for group in _alike(longer, [asked[slot].size for slot in longer]):
            self._read(group, asked, found)
        return found

    def _read(self, slots: list[int], asked: Mapping[int, Read], found: dict[int, NDArray[np.float32]]) -> None:
        reads = [asked[slot] for slot in slots]
        found |= dict(zip(slots, self._together(slots, reads), strict=True))
        self._lengths[slots] += [read.size for read in reads]

    def _together(self, slots: list[int], reads: Sequence[Read]) -> list[NDArray[np.float32]]:
        """One pass. What is written behind the end of a slot is overwritten by what it reads next."""
        before, model = self._lengths[slots], self._model
        texts, sizes = (np.array(of) for of in ([len(r.ids) for r in reads], [r.size for r in reads]))
        columns = np.arange(sizes.max())
        cells = before[:, None] + columns
        self._grow(int(cells.max()) + 1)
        ids = np.zeros(cells.shape, dtype=np.int64)
        for row, read in enumerate(reads):
            ids[row, : texts[row]] = read.ids
        hidden = model.lm.get_input_embeddings()(torch.from_numpy(ids))
        for row, read in enumerate(reads):
            if read.rows is not None:
                hidden[row, texts[row] : sizes[row]] = read.rows
        # Text sees what stands before it; candidates also see each other.
        sees = np.where(columns < texts[:, None], cells, (before + sizes - 1)[:, None])
        upto = int(cells.max()) + 1
        mask = torch.from_numpy((np.arange(upto) <= sees[:, :, None])[:, None])
        places = torch.from_numpy(before[:, None] + np.minimum(columns, texts[:, None]))
        # What is said after a text is read off its last position, scores off the candidates.
        said = sizes - np.where(sizes > texts, texts, sizes - 1)
        wanted = (sizes - said)[:, None] + np.minimum(np.arange(said.max()), said[:, None] - 1)
        last = torch.from_numpy(wanted) if len(columns) > 1 else None
        hidden = model.hidden_states(hidden, mask, places, self._keep(slots, cells), read=last)
        logits = model.lm.get_output_embeddings()(hidden[:, 0]).float().numpy()
        return [
            logits[row] if read.rows is None else model.scores(hidden[row, : said[row]]).float().numpy()
            for row, read in enumerate(reads)
        ]

    def _keep(self, slots: list[int], cells: NDArray[np.int64]) -> Keep:
        """What takes keys and values of these slots' cells `(n, length)` in, and gives those up to the last."""
        rows, upto = torch.tensor(slots), int(cells.max()) + 1
        heads = torch.arange(self._cache.shape[3])[:, None]
        to = (rows[:, None, None], heads, torch.from_numpy(cells)[:, None])
        # Slots that lie side by side are read where they are; of others the cache is copied.
        start, n = slots[0], len(slots)
        side_by_side = slots == list(range(start, start + n))

        def chosen(cache: torch.Tensor) -> torch.Tensor:
            seen = cache[:, :, :upto]
            return seen[start : start + n] if side_by_side else seen.index_select(0, rows)

        def keep(layer: int, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            keys, values = self._cache[layer]
            keys[to], values[to] = key, value
            return chosen(keys), chosen(values)

        return keep

    def _grow(self, cells: int) -> None:
        """Have so many cells in each slot, at least."""
        have = self._cache.shape[4]
        if cells <= have:
            return
        more = -(-cells // _CELLS) * _CELLS
        shape = list(self._cache.shape)
        shape[4] = more - have
        # Zeros of NumPy, which writes none of them: PyTorch would fill the memory.
        fresh = torch.from_numpy(np.zeros(shape, dtype=np.float32))
        self._cache = torch.cat([self._cache, fresh], dim=4) if have else fresh


def _alike(slots: Sequence[int], sizes: Sequence[int]) -> Iterator[list[int]]:
    """Slots in groups of ascending sizes, of which padding is a fifth at most."""
    group: list[int] = []
    total = 0
    for slot, size in zip(slots, sizes, strict=True):
        if group and (len(group) + 1) * size > 1.25 * (total + size):
            yield group
            group, total = [], 0
        group.append(slot)
        total += size
    if group:
        yield group


def read_alone(model: Nano, reading: Reading[_T]) -> Generator[None, None, _T]:
    """Run one coroutine; yields after each pass, so that what it has written can be looked at."""
    reader = Reader(model, 1)
    try:
        read = next(reading)
        while True:
            read = reading.send(reader.read({0: read})[0])
            yield
    except StopIteration as ended:
        found: _T = ended.value
        return found


def read_together(
    model: Nano, readings: Iterable[tuple[int, Reading[_T]]], slots: int
) -> Iterator[tuple[int, _T]]:
    """Run numbered coroutines, so many at a time: the number of each and its result, when it has ended."""
    reader, coming = Reader(model, slots), iter(readings)
    running: dict[int, tuple[int, Reading[_T]]] = {}
    asked: dict[int, Read] = {}
    free = list(range(slots))[::-1]
    while True:
        while free and (following := next(coming, None)) is not None:
            slot = free.pop()
            running[slot] = following
            reader.begin(slot)
            asked[slot] = next(following[1])
        if not running:
            return
        for slot, logits in reader.read(asked).items():
            number, reading = running[slot]
            del asked[slot]
            try:
                asked[slot] = reading.send(logits)
            except StopIteration as ended:
                del running[slot]
                free.append(slot)
                yield number, ended.value
