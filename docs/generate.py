"""Write docs/reference.md from the code: every command, recipe, network, data set and public name.

    make docs

A test generates the page again and compares it with the committed one.
"""

import io
import re
from collections.abc import Callable
from dataclasses import MISSING, fields
from inspect import cleandoc, getdoc, isclass, isfunction, signature
from pathlib import Path

from cyclopts import App
from rich.console import Console

import lenet
from lenet import errors
from lenet.cli.app import register_verbs
from lenet.cli.flags import PARTS, describe_range, describe_setting, read_setting
from lenet.cli.tables import show_network
from lenet.data.fonts import list_fonts
from lenet.data.sources import SOURCES
from lenet.models.config import MODELS, name_model
from lenet.training import run_folder as folder
from lenet.training.recipe import SETTINGS
from lenet.training.recipes import RECIPES

app = register_verbs()

PAGE = Path(__file__).with_name("reference.md")
WIDTH = 100
MODULES = r"\b[a-z_]+(\.[a-z_]+)*\.(?=[A-Za-z])"


def write_page() -> str:
    """The whole page as Markdown."""
    parts = (
        "# Reference\n\n`make docs` generates this page from the code. To change it, change the code.",
        *write_commands(),
        *write_recipes(),
        *write_networks(),
        *write_data(),
        *write_names(),
        "## Files of a run\n\n" + fence(paragraphs(folder.__doc__, 1)),
        "## Exceptions\n\nEvery message is one line: what happened and what to do. The exit code is 2.\n\n"
        + fence(re.findall(r"LeNetError\n.*?\n\n", errors.__doc__ or "", re.DOTALL)[0]),
    )
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def write_commands() -> list[str]:
    """The help text of every command."""
    return ["## Commands", *(f"### {verb}\n\n{fence(show_help(verb))}" for verb in list_verbs())]


def list_verbs(parent: App = app, words: tuple[str, ...] = ()) -> list[str]:
    """Every command, such as 'lenet data fetch'; groups of commands are left out."""
    verbs = []
    for name in sorted(parent):
        if not name.startswith("-"):
            child = parent[name]
            if child.default_command is not None:
                verbs.append(" ".join(("lenet", *words, name)))
            verbs += list_verbs(child, (*words, name))
    return verbs


def show_help(verb: str) -> str:
    """What `VERB --help` prints on a terminal that is WIDTH wide."""
    console = Console(file=io.StringIO(), width=WIDTH, color_system=None, force_terminal=False)
    app.help_print(verb.split()[1:], console=console)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines())


def write_recipes() -> list[str]:
    """Where each recipe comes from, and every setting of every recipe."""
    sources = []
    for recipe in RECIPES.values():
        printed = "; ".join(f"{name} {value}" for name, value in recipe.published.items()) or "–"
        sources.append([f"`{recipe.name}`", name_model(recipe.model), recipe.data, recipe.source, printed])
    meanings, values = [], []
    for setting, part in SETTINGS.items():
        kind, _ = PARTS[part]
        meaning = describe_setting(setting) + describe_range(setting)
        default = next(field.default for field in fields(kind) if field.name == setting)
        meanings.append([f"`{setting}`", meaning, "" if default is MISSING else show(default)])
        chosen = [read_setting(recipe, setting) for recipe in RECIPES.values()]
        values.append([f"`{setting}`", *("·" if value == default else show(value) for value in chosen)])
    return [
        "## Recipes",
        table(["recipe", "network", "data", "source", "printed by the source"], sources),
        "### Settings of a recipe\n\nThe flag of the setting `batch_size` is `--batch-size`.",
        table(["setting", "meaning", "default"], meanings),
        "### Values of every recipe\n\nA dot is the default.",
        table(["setting", *(f"`{name}`" for name in RECIPES)], values),
    ]


def write_networks() -> list[str]:
    """The layer table of every named network."""
    return [
        "## Networks",
        *(f"### {name}\n\n{fence(show_network(config))}" for name, config in MODELS.items()),
    ]


def write_data() -> list[str]:
    """Every named data set and every handwriting font."""
    rows = [
        [f"`{source.name}`", f"{source.train:,}", f"{source.test:,}", len(source.classes), source.licence]
        for source in SOURCES.values()
    ]
    fonts = [[f"`{font.name}`", font.version, font.licence] for font in list_fonts().values()]
    return [
        "## Data sets",
        table(["name", "training", "test", "classes", "licence"], rows),
        "## Handwriting fonts",
        "Recipes can draw characters from these fonts while they train. Each is a file of the npm package "
        "`@fontsource/NAME`. The fonts are not part of this package.",
        table(["name", "version", "licence"], fonts),
    ]


def write_names() -> list[str]:
    """Every public name of the package, its signature and its docstring."""
    parts = ["## Python"]
    for name in lenet.__all__:
        thing = getattr(lenet, name)
        if callable(thing):
            explained = fence("\n\n".join((write_signature(name, thing), getdoc(thing) or "")))
            parts.append(f"### lenet.{name}\n\n{explained}")
            parts += write_methods(thing)
        else:
            parts.append(f"### lenet.{name}\n\nThe named recipes: {', '.join(f'`{key}`' for key in thing)}.")
    return parts


def write_methods(thing: object) -> list[str]:
    """The first sentences of a class's own methods; nothing for a function."""
    rows = []
    for name, part in vars(thing).items():
        method = part.__func__ if isinstance(part, classmethod) else part
        if not name.startswith("_") and isfunction(method):
            rows.append([f"`{name}`", paragraphs(method.__doc__, 0)])
    return [table(["method", "what it does"], rows)] if rows else []


def write_signature(name: str, thing: Callable[..., object]) -> str:
    """How a thing is called, without the modules that the types come from."""
    if isclass(thing) and issubclass(thing, Exception):
        return name
    called = signature(thing).parameters.values()
    texts = [re.sub(r": (['\"])(.*?)\1(?= =|$)", r": \2", str(part)) for part in called]
    if named := [place for place, part in enumerate(called) if part.kind is part.KEYWORD_ONLY]:
        texts.insert(named[0], "*")
    texts = [re.sub(MODULES, "", text) for text in texts]
    line = f"{name}({', '.join(texts)})"
    line = line if len(line) <= WIDTH else f"{name}(\n    " + ",\n    ".join(texts) + ",\n)"
    gives = "" if isclass(thing) else str(signature(thing)).rpartition(" -> ")[2].strip("'")
    return f"{line} -> {re.sub(MODULES, '', gives)}" if gives else line


def paragraphs(text: str | None, number: int) -> str:
    """A paragraph of a docstring: 0 is the first."""
    return cleandoc(text or "").split("\n\n")[number]


def show(value: object) -> str:
    """A value as a user types it."""
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def fence(text: str) -> str:
    """Text as a code block, unchanged."""
    return "```text\n" + text.strip("\n") + "\n```"


def table(head: list[str], rows: list[list[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    cells = ([" ".join(str(cell).split()).replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


if __name__ == "__main__":
    PAGE.write_text(write_page(), "utf-8")
