"""The help of every command, as the pages of the reference show it."""

import io
import re
from inspect import cleandoc

from catalogue import Say
from cyclopts import App
from cyclopts.help import HelpPanel
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.text import Text

from lenet.cli.app import register_verbs
from lenet.cli.flags import describe_setting, list_more_settings
from lenet.training.recipe import SETTINGS

app = register_verbs()

WIDTH = 100  # of a terminal
LONGEST = 110  # line of a code block, in cells, of which a Chinese character takes two
EXAMPLE = "Example: "
# What may not be torn apart: a Latin word, and punctuation from the character that it belongs to.
UNIT = re.compile(r" *[（“《]*(?:[^\s\u2e80-\uffef，。；：！？、（）“”《》]+|\S)[，。；：！？、）”》]*")


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


def translate_help(verb: str, say: Say) -> str:
    """The help of a command in another language, without boxes, whose right sides no font aligns."""
    words, command = verb.split()[1:], app
    for word in words:
        command = command[word]
    formatter = TranslatedHelp(say)
    app.help_formatter, usual = formatter, app.help_formatter
    app.help_print(words, console=Console(file=io.StringIO()))
    app.help_formatter = usual
    paragraphs = map(formatter.translate, cleandoc(command.help).split("\n\n"))
    more = [list_more_settings(say)] * (command.help_epilogue is not None)
    return "\n\n".join([formatter.usage, *map(wrap, paragraphs), *formatter.panels, *map(wrap, more)])


class TranslatedHelp:
    """Collects the help of one command: cyclopts passes its parts, which are translated."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.usage = ""
        self.panels: list[str] = []
        self.settings = {describe_setting(name).replace("`", ""): name for name in SETTINGS}

    def translate(self, text: str) -> str:
        """A paragraph or a description; settings are described by their parts, examples stay as they are."""
        if text.startswith(EXAMPLE):
            return text.replace(EXAMPLE, self.say(EXAMPLE))
        if text in self.settings:
            return describe_setting(self.settings[text], self.say).replace("`", "")
        return self.say(text)

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Text) -> None:
        """The usage, of which only its name is translated."""
        self.usage = self.say("Usage: {usage}").format(usage=usage.plain.strip())

    def render_description(self, console: Console, options: ConsoleOptions, description: object) -> None:
        """The description is read from the docstring instead, where its paragraphs are whole."""

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """A panel: one line for each argument, flag or command."""
        say, lines = self.say, []
        for entry in panel.entries:
            text = self.translate(entry.description.primary_renderable.plain)
            if entry.choices:
                text += " " + say("[choices: {choices}]").format(choices=say(", ").join(entry.choices))
            if entry.default is not None:
                text += " " + say("[default: {default}]").format(default=entry.default)
            if entry.required:
                text += " " + say("[required]")
            names = [entry.positional_label, *entry.positive_names, *entry.negative_names]
            label = " ".join(filter(None, [*names, None if entry.positional_label else entry.metavar]))
            lines.append(wrap(f"  {label}  {text}", hang=4))
        if lines:
            title = say("{title}:").format(title=say(str(panel.title)))
            self.panels.append("\n".join([title, *lines]))


def wrap(text: str, hang: int = 0) -> str:
    """Text in lines of at most LONGEST cells; a line that continues another is indented by `hang` more."""
    lines = []
    for line in text.split("\n"):
        indent = " " * (len(line) - len(line.lstrip()))
        current = indent
        for unit in UNIT.findall(line.strip()):
            if cell_len(current + unit) > LONGEST and current.strip():
                lines.append(current)
                current = indent + " " * hang + unit.lstrip()
            else:
                current += unit
        lines.append(current)
    return "\n".join(lines)
