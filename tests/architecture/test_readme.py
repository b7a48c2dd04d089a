from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer

from runtime.main import app
from tests.architecture.tree import ROOT, project_files

PAGES = [name for name in project_files() if name.endswith(".md")]
_FENCE = re.compile(r"^```(?:bash|sh|console|shell)\n(.*?)^```", re.M | re.S)


def commands(text: str) -> list[list[str]]:
    """The commands of a page's shell blocks: continued lines joined, comments and prompts cut."""
    found = []
    for block in _FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if words:
                found.append(words)
    return found


def _all(program: str) -> list[list[str]]:
    """What follows a program's name wherever a page runs it: by path, with variables before it or sudo."""
    found = []
    for page in PAGES:
        for words in commands((ROOT / page).read_text(encoding="utf-8")):
            while words and ("=" in words[0] or words[0] in {"sudo", "exec", "nice", "time"}):
                words.pop(0)
            if words and words[0].rpartition("/")[2] == program:
                found.append(words[1:])
    return found


def test_the_readme_shows_commands() -> None:
    readme = commands((ROOT / "README.md").read_text(encoding="utf-8"))
    assert any(words[0].endswith("ulna") for words in readme)
    assert ["make", "demo"] in [words[:2] for words in readme]


@pytest.mark.parametrize("words", _all("ulna"), ids=" ".join)
def test_every_command_shown_exists_with_its_options(words: list[str]) -> None:
    command: Any = typer.main.get_command(app)
    rest = list(words)
    while rest and not rest[0].startswith("-") and hasattr(command, "list_commands"):
        name = rest.pop(0)
        command = command.get_command(None, name)
        assert command is not None, f"ulna has no verb {name}"
    known = {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
    for word in _until_the_pipe(rest):
        if word.startswith("--"):
            assert word.partition("=")[0] in known | {"--help"}, f"{word} is no option of it"


@pytest.mark.parametrize("words", _all("make"), ids=" ".join)
def test_every_make_target_shown_exists(words: list[str]) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    assert {word for word in words if "=" not in word and not word.startswith("-")} <= targets


def test_every_link_between_the_pages_leads_somewhere() -> None:
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", (ROOT / page).read_text(encoding="utf-8")):
            if "://" not in target and not ((ROOT / page).parent / target).exists():
                broken.append(f"{page}: {target}")
    assert not broken


def _until_the_pipe(words: list[str]) -> list[str]:
    ends = [index for index, word in enumerate(words) if word in {"|", ">", ">>", "&&", ";", "&"}]
    return words[: ends[0]] if ends else words
