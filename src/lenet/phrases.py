"""English texts that remember how they were made, so that figures and reports can show them in Chinese."""

from __future__ import annotations

from typing import Any, Self


class Phrase(str):
    """A text made of a template, as `str.format` reads it, and values.

    It is an ordinary English string in errors, in JSON and on the terminal. `lenet.insight.language`
    translates the template and puts the same values into it; values that are phrases are translated first.
    """

    template: str
    values: dict[str, Any]

    def __new__(cls, template: str, /, **values: Any) -> Self:
        phrase = super().__new__(cls, template.format(**values) if values else template)
        phrase.template, phrase.values = template, values
        return phrase


class ClassName(str):
    """The name of a class of a data set, which is translated only where the catalogue of classes has it."""
