"""Command-line flags for every setting of a recipe, made from the dataclasses that define them.

A setting is named, typed and explained in one place, its field; the flag, its help and its check follow.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, fields, make_dataclass
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from cyclopts import Group, Parameter, Token

from lenet.errors import RecipeError
from lenet.models.config import LeNetConfig
from lenet.synthesis.distortions import Distortions
from lenet.training.recipe import RANGES, SETTINGS, Recipe

PARTS: dict[str, tuple[type, str]] = {
    "own": (Recipe, "Training"),
    "model": (LeNetConfig, "Network"),
    "distortions": (Distortions, "Distortions of the training images"),
}
ELSEWHERE = {"data"}  # has its own flag on the command line
# What people change first: the help of `lenet train` explains these, and lists the rest by name.
FIRST = frozenset(
    ("epochs", "batch_size", "optimizer", "lr", "weight_decay", "schedule", "initialisation", "loss",
     "label_smoothing", "class_weights", "distillation", "shuffle", "validation", "patience", "channels",
     "kernel_size", "activation", "pooling", "hidden", "dropout", "degrees", "scale", "shift")
)  # fmt: skip


ALIASES = {"lr": "--learning-rate"}
SHORT = {"mse": "mean-squared-error", "ce": "cross-entropy", "average": "avg", "maximum": "max"}  # of choices
ELSEWHERE_CALLED = {  # flags that other programs have, and what does the same here
    "--resize": "--input-size 32 --fit resize",
    "--dataset": "--data",
    "--num-epochs": "--epochs",
    "--criterion": "--loss",
}


@cache
def field_docs(kind: type) -> Mapping[str, str]:
    """What each field of a dataclass means: the text beside its type."""
    hints = get_type_hints(kind, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items() if get_origin(hint) is Annotated}


@cache
def field_types(kind: type) -> Mapping[str, Any]:
    """The type of each field, resolved."""
    return get_type_hints(kind)


def describe_setting(name: str, say: Callable[[str], str] = str) -> str:
    """What a setting means, and its choices where it has some; `say` translates messages."""
    kind = PARTS[SETTINGS[name]][0]
    hint, doc = field_types(kind)[name], say(field_docs(kind)[name])
    if _is_list(hint):
        return f"{doc} {say('Numbers separated by commas.')}"
    if get_origin(hint) is Literal:
        return f"{doc} {say('One of {choices}.').format(choices=say(', ').join(get_args(hint)))}"
    return doc


def describe_range(name: str, say: Callable[[str], str] = str) -> str:
    """The numbers that a setting accepts; '' where it has no range."""
    message = "From {lowest:,.10g} to {highest:,.10g}."
    lowest, highest = RANGES.get(name, (0, 0))
    return f" {say(message).format(lowest=lowest, highest=highest)}" if name in RANGES else ""


def read_setting(recipe: Recipe, name: str) -> Any:
    """The value of a setting, in whichever part of the recipe it is."""
    part = SETTINGS[name]
    return getattr(recipe if part == "own" else getattr(recipe, part), name)


def list_more_settings(say: Callable[[str], str] = str) -> str:
    """The settings that the help of `lenet train` does not explain, and where they are explained."""
    flags = (f"--{name.replace('_', '-')}" for name in SETTINGS if name not in FIRST | ELSEWHERE)
    message = "More settings, which `lenet recipes RECIPE` explains: {flags}."
    return say(message).format(flags=say(", ").join(flags))


def make_flags() -> type:
    """A dataclass with one optional field for each setting of a recipe; None keeps the recipe's value."""
    flags: list[Any] = []
    for name, part in SETTINGS.items():
        if name in ELSEWHERE:
            continue
        kind, title = PARTS[part]
        hint = field_types(kind)[name]
        if _is_list(hint):
            hint = str
        parameter = Parameter(
            name=[f"--{name.replace('_', '-')}", ALIASES[name]] if name in ALIASES else None,
            help=describe_setting(name).replace("`", ""),
            group=Group(title, sort_key=list(PARTS).index(part) + 1),
            show=name in FIRST,
            show_choices=False,
            converter=read_whole if hint is int else read_choice if get_origin(hint) is Literal else None,
        )
        flags.append((name, Annotated[hint | None, parameter], field(default=None)))
    kind = make_dataclass("Flags", flags, frozen=True)
    kind.__module__ = __name__  # "types" otherwise, which looks like a builtin
    return kind


def read_changes(flags: object) -> dict[str, Any]:
    """The settings that were given, as `Recipe.override` takes them. Raises RecipeError on a bad list."""
    changes: dict[str, Any] = {}
    for flag in fields(flags):  # type: ignore[arg-type]
        value = getattr(flags, flag.name)
        if value is None:
            continue
        hint = field_types(PARTS[SETTINGS[flag.name]][0])[flag.name]
        changes[flag.name] = _read_list(flag.name, value, hint) if _is_list(hint) else value
    return changes


def read_whole(_: type, tokens: Sequence[Token]) -> int:
    """A whole number; cyclopts itself would round 1.5 to 2."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f"{tokens[0].value!r} is not a whole number") from None


def read_choice(kind: Any, tokens: Sequence[Token]) -> str:
    """One of the words of a Literal, which may be written short: mse."""
    text = tokens[0].value
    choices = [
        word for part in (kind, *get_args(kind)) if get_origin(part) is Literal for word in get_args(part)
    ]
    word = SHORT.get(text.casefold(), text.casefold().replace("_", "-"))
    if word not in choices:
        raise ValueError(f"{text!r} is none of {', '.join(choices)}")
    return word


def read_share(_: type, tokens: Sequence[Token]) -> float:
    """A share between 0 and 1, written as 0.5% or 0.005."""
    text = tokens[0].value
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1
    if not 0 < share < 1:
        raise ValueError(f"{text!r} is not a share above 0 and below 1; write it as 0.5% or 0.005")
    return share


def _is_list(hint: Any) -> bool:
    """True for tuple[int, ...] and for unions with one in them."""
    return get_origin(hint) is tuple or any(get_origin(part) is tuple for part in get_args(hint))


def _read_list(name: str, text: str, hint: Any) -> Any:
    """'6,16' as (6, 16); a word stays a word, which the recipe checks."""
    number = int if hint == tuple[int, ...] else float
    parts = [part.strip() for part in text.split(",") if part.strip()]
    try:
        return tuple(number(part) for part in parts)
    except ValueError:
        if number is float and len(parts) == 1:
            return text
        raise RecipeError(f"{name} is {text!r}; give numbers separated by commas, such as 6,16") from None
