"""A language-model student as a folder for others: weights, tokenizer, what they belong to, and a model card.

Merged, the folder needs nothing else: `transformers` loads it, and so does `[student] base` or a run's student;
a GGUF file beside it is for llama.cpp. As an adapter it is a few megabytes and needs its base. The card says
what results.json says, and no more.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from starrec.errors import RunError
from starrec.runs import write_atomic
from starrec.student.fast import LANGUAGE_MODEL
from starrec.student.lm.gguf_file import base_file, write_gguf
from starrec.student.lm.model import Belongs, LanguageModel

GGUF: Final = "student.gguf"
"""File of an exported folder, for llama.cpp."""
_SYSTEMS: Final = ("star", "star_sft", "teacher", "teacher_v1", "popularity", "random")


def export_language_model(
    student: Path,
    into: Path,
    results: Mapping[str, Any] | None,
    *,
    adapter: bool = False,
    gguf: bool = False,
) -> Path:
    """Write a saved student to a new folder, which is returned.

    Args:
        student: as `LanguageModel.save` wrote it.
        results: the content of results.json; None where the run was not evaluated.
        adapter: leave low-rank adapters as they are.
        gguf: also write `student.gguf`; of a merged student.

    Raises:
        RunError: the folder exists, or the student cannot be read, or has no adapter where one is asked for, or
            no GGUF file can be made of it.
    """
    if into.exists():
        raise RunError(f"{into} exists already. Name a new folder.")
    if not (student / LANGUAGE_MODEL).exists():
        raise RunError(f"{student} holds a nano student, which is exported as it lies there: copy that folder.")
    belongs = Belongs.read(student)
    if adapter and not belongs.adapter:
        raise RunError(f"The student in {student} has no adapter: all its weights were trained.")
    if adapter and gguf:
        raise RunError("A GGUF file holds whole weights: export either --adapter or --gguf.")
    base = base_file(belongs) if gguf else None
    into.mkdir(parents=True)
    try:
        if adapter:
            shutil.copytree(student, into, dirs_exist_ok=True)
        else:
            model = LanguageModel.load(student, None)
            model.belongs = belongs = replace(belongs, adapter=False)
            model.save(into)
            if base is not None:
                write_gguf(model.lm, into.name, base, into / GGUF)
        write_atomic(into / "README.md", model_card(belongs, results))
    except BaseException:
        shutil.rmtree(into)  # half a student is none
        raise
    return into


def model_card(belongs: Belongs, results: Mapping[str, Any] | None) -> str:
    """The card of a student, as Markdown with the hub's front matter."""
    # A folder of this machine is nobody else's business.
    base = Path(belongs.base).name if Path(belongs.base).is_absolute() else belongs.base
    lines = [
        "---",
        "library_name: " + ("peft" if belongs.adapter else "transformers"),
        "pipeline_tag: text-generation",
        "tags: [recommendation, ranking, starrec]",
        f"base_model: {base}",
        "---",
        "",
        "# A recommender that starrec distilled",
        "",
        f"{base} ({'an adapter' if belongs.adapter else 'whole weights'}), which ranks candidates "
        "by the logits of their labels at one position.",
        "",
        f"It reads a row a candidate: letters for {len(belongs.signals)} signals ({', '.join(belongs.signals)})"
        f"{' behind its title' if belongs.titles else ''}, and a label. Signals are counted in an interaction "
        "graph, which this folder does not hold; `starrec` counts them for your data.",
        "",
        "    from starrec.student import load_student",
        "",
        "    star = load_student(folder, world)",
        "    star.rank(task)",
    ]
    if results is not None:
        lines += ["", *_measured(results)]
    return "\n".join(lines) + "\n"


def _measured(results: Mapping[str, Any]) -> list[str]:
    evaluation = results["evaluations"][0]
    rows = [
        "## Measured",
        "",
        f"{evaluation['dataset']}, {evaluation['scenario']}, {evaluation['split']}, {evaluation['negatives']} "
        f"random negatives (commit {results['commit'][:12]}, data {results['data_sha256'][:12]}).",
        "",
        "| system | avg_hr | 95% interval | users |",
        "| --- | --- | --- | --- |",
    ]
    for name in _SYSTEMS:
        if (found := evaluation["systems"].get(name)) is not None:
            low, high = found["avg_hr_ci95"]
            rows.append(f"| {name} | {found['avg_hr']:.3f} | {low:.3f} to {high:.3f} | {found['n_users']} |")
    for compared in evaluation["comparisons"]:
        if compared["a"] == "star":
            low, high = compared["ci95"]
            rows += ["", f"star over {compared['b']}: {compared['ratio']:.3f} [{low:.3f}, {high:.3f}]."]
    return rows
