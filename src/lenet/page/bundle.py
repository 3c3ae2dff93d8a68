"""Makes the page: one self-contained HTML text."""

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

PAGE = Markup(
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; connect-src {}">
<title>LeNet-5</title>
</head>
<body><h1>LeNet-5: {}</h1></body>
</html>
"""
)


def make_page(checkpoints: Sequence[str | Path], *, api: bool = False) -> str:
    """The page for some checkpoints; with `api`, it may call the server that sends it."""
    names = ", ".join(Path(checkpoint).name for checkpoint in checkpoints)
    return str(PAGE.format(Markup("'self'") if api else Markup("'none'"), names))
