"""Write docs/reference.md and docs/reference.zh.md from the code: commands, recipes, networks, data, names.

    make docs

A test generates the pages again and compares them with the committed ones.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import MISSING, fields, is_dataclass
from functools import partial
from inspect import Parameter, cleandoc, getdoc, isclass, isfunction, signature
from pathlib import Path

from catalogue import Say, translate
from command_help import WIDTH, list_verbs, show_help, translate_help, wrap

import lenet
from lenet import errors
from lenet.cli.flags import PARTS, describe_range, describe_setting, field_docs, field_types, read_setting
from lenet.cli.tables import show_network
from lenet.data.fonts import list_fonts
from lenet.data.sources import SOURCES
from lenet.models.config import MODELS, name_model
from lenet.training import run_folder as folder
from lenet.training.recipe import SETTINGS
from lenet.training.recipes import RECIPES

PAGE = Path(__file__).with_name("reference.md")
MODULES = r"\b[a-z_]+(\.[a-z_]+)*\.(?=[A-Za-z])"


def write_page(say: Say = str) -> str:
    """The whole page as Markdown."""
    parts = (
        f"# {say('Reference')}",
        say("`make docs` generates this page from the code. To change it, change the code."),
        *write_commands(say),
        *write_recipes(say),
        *write_networks(say),
        *write_data(say),
        *write_names(say),
        f"## {say('Files of a run')}",
        fence(wrap(say(paragraphs(folder.__doc__)[1]))),
        f"## {say('Exceptions')}",
        say("Every message is one line: what happened and what to do. The exit code is 2."),
        fence(wrap(say(paragraphs(errors.__doc__)[1]))),
    )
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def write_commands(say: Say) -> list[str]:
    """The help of every command: in English as it is printed."""
    show = show_help if say is str else partial(translate_help, say=say)
    return [f"## {say('Commands')}", *(f"### {verb}\n\n{fence(show(verb))}" for verb in list_verbs())]


def write_recipes(say: Say) -> list[str]:
    """Where each recipe comes from, and every setting of every recipe."""
    sources = []
    for recipe in RECIPES.values():
        printed = [
            f"{name} {say(value) if isinstance(value, str) else value}"
            for name, value in recipe.published.items()
        ]
        cells = [f"`{recipe.name}`", name_model(recipe.model), recipe.data, say(recipe.source)]
        sources.append([*cells, say("; ").join(printed) or "–"])
    meanings, values = [], []
    for setting, part in SETTINGS.items():
        kind, _ = PARTS[part]
        meaning = describe_setting(setting, say) + describe_range(setting, say)
        default = next(field.default for field in fields(kind) if field.name == setting)
        meanings.append([f"`{setting}`", meaning, "" if default is MISSING else show(default)])
        chosen = [read_setting(recipe, setting) for recipe in RECIPES.values()]
        values.append([f"`{setting}`", *("·" if value == default else show(value) for value in chosen)])
    return [
        f"## {say('Recipes')}",
        table(map(say, ("recipe", "network", "data", "source", "printed by the source")), sources),
        f"### {say('Settings of a recipe')}",
        say("The flag of the setting `batch_size` is `--batch-size`."),
        table(map(say, ("setting", "meaning", "default")), meanings),
        f"### {say('Values of every recipe')}",
        say("A dot is the default."),
        table([say("setting"), *(f"`{name}`" for name in RECIPES)], values),
    ]


def write_networks(say: Say) -> list[str]:
    """The layer table of every named network, as `lenet summary` prints it."""
    tables = (f"### {name}\n\n{fence(show_network(config))}" for name, config in MODELS.items())
    return [f"## {say('Networks')}", *tables]


def write_data(say: Say) -> list[str]:
    """Every named data set and every handwriting font."""
    rows = [
        [f"`{name}`", f"{source.train:,}", f"{source.test:,}", len(source.classes), say(source.licence)]
        for name, source in SOURCES.items()
    ]
    fonts = [[f"`{font.name}`", font.version, font.licence] for font in list_fonts().values()]
    return [
        f"## {say('Data sets')}",
        table(map(say, ("name", "training", "test", "classes", "licence")), rows),
        f"## {say('Handwriting fonts')}",
        say(
            "Recipes can draw characters from these fonts while they train. Each is a file of the npm "
            "package `@fontsource/NAME`. The fonts are not part of this package."
        ),
        table(map(say, ("name", "version", "licence")), fonts),
    ]


def write_names(say: Say) -> list[str]:
    """Every public name of the package, its signature and its docstring."""
    parts = ["## Python"]
    for name in lenet.__all__:
        thing = getattr(lenet, name)
        parts.append(f"### lenet.{name}")
        if callable(thing):
            explained = (wrap(say(paragraph)) for paragraph in paragraphs(getdoc(thing)))
            parts.append(fence("\n\n".join((write_signature(name, thing, say), *explained))))
            parts += write_methods(thing, say)
        else:
            names = say(", ").join(f"`{key}`" for key in thing)
            parts.append(say("The named recipes: {names}.").format(names=names))
    return parts


def write_methods(thing: object, say: Say) -> list[str]:
    """The first sentences of a class's own methods; nothing for a function."""
    rows = []
    for name, part in vars(thing).items():
        method = part.__func__ if isinstance(part, classmethod) else part
        if not name.startswith("_") and isfunction(method):
            rows.append([f"`{name}`", say(paragraphs(method.__doc__)[0])])
    return [table(map(say, ("method", "what it does")), rows)] if rows else []


def write_signature(name: str, thing: Callable[..., object], say: Say) -> str:
    """How a thing is called, without the modules that the types come from; fields with their meanings."""
    if isclass(thing) and issubclass(thing, Exception):
        return name
    called = signature(thing).parameters.values()
    meanings = field_docs(thing) if is_dataclass(thing) else {}
    if meanings:  # stand beside the fields, not in their types
        called = [part.replace(annotation=field_types(thing)[part.name]) for part in called]
    parts = [(write_parameter(part), meanings.get(part.name)) for part in called]
    if named := [place for place, part in enumerate(called) if part.kind is part.KEYWORD_ONLY]:
        parts.insert(named[0], ("*", None))
    line = f"{name}({', '.join(text for text, _ in parts)})"
    if meanings or len(line) > WIDTH:
        lines = (f"    {text}," + (f"  # {say(meaning)}" if meaning else "") for text, meaning in parts)
        line = "\n".join((f"{name}(", *lines, ")"))
    gives = "" if isclass(thing) else str(signature(thing)).rpartition(" -> ")[2].strip("'")
    return f"{line} -> {re.sub(MODULES, '', gives)}" if gives else line


def write_parameter(part: Parameter) -> str:
    """A parameter with its type and default."""
    return re.sub(MODULES, "", re.sub(r": (['\"])(.*?)\1(?= =|$)", r": \2", str(part)))


def paragraphs(text: str | None) -> list[str]:
    """The paragraphs of a docstring."""
    return cleandoc(text or "").split("\n\n")


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


def table(head: Iterable[str], rows: list[list[object]]) -> str:
    """A Markdown table."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    cells = ([" ".join(str(cell).split()).replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


if __name__ == "__main__":
    PAGE.write_text(write_page(), "utf-8")
    PAGE.with_suffix(".zh.md").write_text(translate("docs/reference.md", write_page), "utf-8")
