"""Run every command of the README's bash blocks, in order, at its smallest size; then every Python block of the
README and of docs/api.md, those of a page in one process; then the notebooks of examples/.

`make demo` becomes the same run with configs/smoke.toml, and the user's own files become a small shop. Run
folders are thrown away before and after, so that nothing is skipped because an earlier time had done it.
"""

import csv
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SMOKE = "--config configs/smoke.toml"


def commands(markdown: str) -> list[str]:
    """The commands of all bash blocks, comments left out, continued lines joined."""
    blocks = re.findall(r"^```bash\n(.*?)^```", markdown, re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def program(markdown: str) -> str:
    """All Python blocks as one program."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```", markdown, re.DOTALL | re.MULTILINE))


def smallest(command: str, scratch: Path) -> str:
    """The command with a small configuration, in run folders of its own, on files that exist."""
    command = command.replace("make demo", f".venv/bin/starrec run {SMOKE} --run runs/demo")
    if "--interactions" in command and " update " not in command:
        command = f"{command} {SMOKE}"
    command = re.sub(r"\bruns/", f"{shlex.quote(str(scratch))}/runs/", command)
    return re.sub(r"\b(my\w*\.(?:csv|jsonl))\b", f"{shlex.quote(str(scratch))}/\\1", command)


def write_shop(folder: Path) -> None:
    """60 people and 60 things; most people stay with one of three kinds of things."""
    draw = random.Random(7)
    kinds = ("mug", "lamp", "book")
    colours = ("Blue", "Red", "Green", "Grey", "White")
    shapes = ("", " small", " large", " old")
    titles = [f"{colour}{shape} {kind}" for kind in kinds for shape in shapes for colour in colours]
    with (folder / "my_items.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["item_id", "title", "categories"])
        writer.writerows([f"i{at}", title, title.split()[-1]] for at, title in enumerate(titles))
    with (folder / "my.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "item_id", "timestamp"])
        for user in range(60):
            own = [at for at, title in enumerate(titles) if title.endswith(kinds[user % 3])]
            taken = draw.sample(own, 12) + draw.sample(range(len(titles)), 4)
            for time_, item in enumerate(dict.fromkeys(taken)):
                writer.writerow([f"u{user}", f"i{item}", 1_700_000_000 + 60 * time_])
    with (folder / "my_new.csv").open("w", newline="") as file:
        # A person comes back, and one comes for the first time.
        rows = [["user_id", "item_id", "timestamp"], ["u0", "i1", 1_800_000_000], ["u99", "i2", 1_800_000_060]]
        csv.writer(file).writerows(rows)


def execute(notebook: Path, scratch: Path) -> None:
    """Run a notebook from top to bottom in a kernel of its own, in the scratch folder; a cell that fails is
    raised."""
    # Read by tests without these, which only look at what commands there are.
    import nbformat
    from nbclient import NotebookClient

    place = {"metadata": {"path": str(scratch)}}
    NotebookClient(nbformat.read(notebook, 4), timeout=300, kernel_name="python3", resources=place).execute()


def main() -> int:
    scratch = Path(tempfile.mkdtemp(prefix="starrec-readme-"))
    try:
        write_shop(scratch)
        for written in commands((ROOT / "README.md").read_text(encoding="utf-8")):
            command = smallest(written, scratch)
            print(f"\n$ {written}\n  as: {command}", flush=True)
            started = time.monotonic()
            code = subprocess.run(command, shell=True, cwd=ROOT, check=False).returncode
            print(f"  exit code {code}, {time.monotonic() - started:.1f} s", flush=True)
            if code:
                return code
        for page in ("README.md", "docs/api.md"):
            print(f"\n$ the Python of {page}", flush=True)
            code = subprocess.run(
                [str(ROOT / ".venv/bin/python"), "-c", program((ROOT / page).read_text(encoding="utf-8"))],
                cwd=scratch,
                check=False,
            ).returncode
            if code:
                return code
        for path in sorted((ROOT / "examples").glob("*.ipynb")):
            print(f"\n$ the notebook {path.relative_to(ROOT)}", flush=True)
            started = time.monotonic()
            execute(path, scratch)
            print(f"  {time.monotonic() - started:.1f} s", flush=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
