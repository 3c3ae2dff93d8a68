"""The language of figures and reports: English, or Chinese from one catalogue.

The command line and JSON stay English. The catalogue, texts.json, gives the Chinese of every English template
and of the class names of the data sets that are known by name.
"""

from __future__ import annotations

import json
import locale
import os
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from lenet.phrases import ClassName, Phrase

Language = Literal["en", "zh"]
VARIABLES = ("LENET_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
"""Environment variables that name the language; the first one that is set decides."""


def choose_language(asked: str | None = None) -> Language:
    """Chinese where the first of these that is given begins with `zh`: `asked`, one of VARIABLES, the locale.

    Otherwise English. Windows sets none of the variables; its locale is called `Chinese (Simplified)_China`.
    """
    given = [asked, *map(os.environ.get, VARIABLES)]
    name = next(filter(None, given), None) or _read_locale()
    return "zh" if name.lower().startswith(("zh", "chinese")) else "en"


def _read_locale() -> str:
    try:
        return locale.getlocale()[0] or ""
    except ValueError:  # a name that Python does not know
        return ""


def translate_text(text: str, language: Language | None = None) -> str:
    """A phrase or the name of a class in a language, by default the one of `choose_language`.

    Other strings come back as they are: they are names that somebody gave.
    """
    if (language or choose_language()) == "en":
        return str(text)
    if isinstance(text, ClassName):
        return read_catalogue()["classes"].get(text, str(text))
    if not isinstance(text, Phrase):
        return text
    template = read_catalogue()["texts"].get(text.template, text.template)
    return template.format(**translate_values(text.values, "zh")) if text.values else template


def translate_values(values: dict[str, Any], language: Language) -> dict[str, Any]:
    """The values of a template, with those that are texts translated."""
    return {
        name: translate_text(value, language) if isinstance(value, str) else value
        for name, value in values.items()
    }


def say(template: str, /, **values: Any) -> str:
    """A text of a figure, in the language of figures."""
    return translate_text(Phrase(template, **values))


@cache
def read_catalogue() -> dict[str, dict[str, str]]:
    """The Chinese by the English: `texts` are templates, `classes` are names of classes."""
    text = files("lenet.insight").joinpath("texts.json").read_text("utf-8")
    catalogue: dict[str, dict[str, str]] = json.loads(text)
    return catalogue
