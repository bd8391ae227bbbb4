"""Lines are counted by package, at a commit and not in the working tree."""

import subprocess

import pytest

import sizes


@pytest.fixture
def repository(tmp_path):
    def write(path, text):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    def git(*arguments):
        own = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *own, *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init", "--quiet")
    write("src/starrec/data/a.py", "1\n\n3\n")
    write("src/starrec/data/deep/b.py", "1\n2\n")
    write("src/starrec/cli.py", "1\n")
    write("src/starrec/empty/__init__.py", "")
    write("src/starrec/data/c.md", "1\n")
    write("tests/data/test_a.py", "1\n2\n3\n4\n")
    git("add", ".")
    git("commit", "-qm", "first")
    write("src/starrec/cli.py", "1\n2\n3\n4\n5\n")
    return tmp_path


def test_lines_by_package(repository):
    found = sizes.lines(repository, "HEAD")
    assert found == {"src": {"data": 5, "(modules)": 1}, "tests": {"data": 4}}


def test_an_unknown_commit_is_an_error(repository):
    with pytest.raises(subprocess.CalledProcessError):
        sizes.lines(repository, "nowhere")
