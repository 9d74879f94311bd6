"""The documentation says what the program does: every option, every default, every example."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path

import pytest
import typer.main

from lipgan_cli.cli import app

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
TEXTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
MAIN = typer.main.get_command(app)
COMMANDS = MAIN.commands
ROW = re.compile(
    r"^\| `(?P<names>[^|]+)` \| (?P<default>[^|]+) \| (?P<meaning>.+) \|$", re.MULTILINE
)


def page(command: str) -> str:
    return (DOCS / "commands" / f"{command}.md").read_text("utf-8")


def shown(default: object) -> str:
    """How a page writes a default."""
    if default is None or default is False:
        return "-"
    if default is True:
        return "on"
    value = default.value if isinstance(default, Enum) else default
    return f"`{value}`"


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_page_has_every_option_with_its_default_and_no_other(command):
    options = page(command).split("\n## ")[0]
    promised = {row["names"]: row["default"] for row in ROW.finditer(options)}
    actual = {}
    for parameter in COMMANDS[command].params:
        if parameter.param_type_name == "argument":
            actual[(parameter.metavar or parameter.name).strip("[]")] = "-"
        elif parameter.name != "help":
            names = ", ".join([*parameter.opts, *parameter.secondary_opts])
            actual[names] = "required" if parameter.required else shown(parameter.default)
    assert promised == actual


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_page_belongs_to_the_site_and_to_the_readme(command):
    assert f"commands/{command}.md" in (ROOT / "mkdocs.yml").read_text("utf-8")
    assert f"[`lipgan {command}`](docs/commands/{command}.md)" in (ROOT / "README.md").read_text()


def examples(text: str) -> list[str]:
    """The arguments of every `lipgan` command in the text."""
    return re.findall(r"(?:^\$? ?|&& |`)lipgan ([^`#\n|]+)", text, re.MULTILINE)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_every_example_is_a_command_with_options_that_exist(path):
    for line in examples(path.read_text("utf-8")):
        words = line.split()
        if words[0].startswith("-"):
            known = {
                name for parameter in typer.main.get_command(app).params for name in parameter.opts
            }
        else:
            assert words[0] in COMMANDS, line
            known = {
                name
                for parameter in COMMANDS[words[0]].params
                for name in (*parameter.opts, *parameter.secondary_opts)
            }
        options = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert options <= known | {"--help", "-h"}, line


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_no_place_waits_to_be_filled_in(path):
    assert re.findall(r"\{\{.*?\}\}", path.read_text("utf-8"), re.DOTALL) == []


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text("utf-8")):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target


def test_the_files_that_the_architecture_names_exist():
    text = (DOCS / "architecture.md").read_text("utf-8")
    engine = ROOT / "lipgan_cli" / "engine"
    for row in re.findall(r"^\| `\w+` \|.*\| `([\w/]+\.py)` \|$", text, re.MULTILINE):
        assert (engine / row).is_file(), row
    for name in re.findall(r"\b\w+\.py\b", text.split("```")[1]):
        assert list((ROOT / "lipgan_cli").rglob(name)), name


def test_the_readme_has_a_picture_of_a_result():
    assert re.search(r"!\[[^]]+\]\(docs/images/[^)]+\)", (ROOT / "README.md").read_text("utf-8"))


def test_ci_runs_what_the_readme_says():
    readme, ci = (ROOT / "README.md").read_text("utf-8"), (ROOT / ".ci" / "run").read_text("utf-8")
    command = "pip install '.[dev]' && pytest"
    assert f"\n{command}\n" in readme
    assert f'check bash -c "{command}"' in ci
