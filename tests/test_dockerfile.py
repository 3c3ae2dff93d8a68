"""The Dockerfile, and the unit for systemd, as far as they can be tested without either."""

import json
import re
import shlex
from configparser import ConfigParser
from inspect import signature
from pathlib import Path, PurePosixPath

from lenet.cli.app import register_verbs
from lenet.cli.serve import serve
from lenet.serving.limits import Limits

ROOT = Path(__file__).parents[1]


def read_instructions() -> list[tuple[str, str]]:
    """Instructions and what follows them, with lines joined."""
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    pairs = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    return [(pair[0], pair[1]) for pair in pairs]


INSTRUCTIONS = read_instructions()


def find(instruction: str) -> list[str]:
    return [rest for name, rest in INSTRUCTIONS if name == instruction]


def is_sent(path: str) -> bool:
    """Whether .dockerignore lets a path of the top folder through: the last line that fits decides."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        if line and not line.startswith("#") and PurePosixPath(path).match(line.removeprefix("!")):
            sent = line.startswith("!")
    return sent


def test_what_is_copied_is_there_and_is_sent_to_the_builder():
    copied = [words for words in map(shlex.split, find("COPY")) if not words[0].startswith("--from")]
    sources = [source for *some, _ in copied for source in some]
    assert {"pyproject.toml", "setup.py", "src", "constraints.txt", "README.md"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
        assert is_sent(source), source
    assert not is_sent(".git")
    assert not is_sent("runs")
    assert not is_sent("src/lenet.egg-info")


def test_the_build_has_everything_that_it_reads():
    """A build from what is copied would otherwise fail, or lack its licence."""
    copied = " ".join(find("COPY"))
    setup = (ROOT / "setup.py").read_text("utf-8")
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    for name in re.findall(r'"(\w+\.(?:md|txt|in))"', setup + project):
        assert name in copied or name.startswith("constraints"), name


def test_every_installation_is_pinned():
    installs = [part for rest in find("RUN") for part in rest.split("&&") if "pip install" in part]
    assert len(installs) == 2
    assert all("-c constraints.txt" in part for part in installs)
    assert all(re.fullmatch(r"python:3\.\d+-slim-\w+( AS \w+)?", image) for image in find("FROM"))


def test_the_last_stage_has_no_compiler_and_no_root():
    last = len(INSTRUCTIONS) - [name for name, _ in INSTRUCTIONS][::-1].index("FROM")
    stage = INSTRUCTIONS[last:]
    assert not [rest for name, rest in stage if name == "RUN" and ("apt" in rest or "pip" in rest)]
    users = [rest for name, rest in stage if name == "USER"]
    assert users
    assert users[-1].isdecimal()
    assert int(users[-1]) > 0


def test_the_command_is_one_of_lenet():
    words = json.loads(find("ENTRYPOINT")[0]) + json.loads(find("CMD")[0])
    assert words[0] == "lenet"
    _, bound, _ = register_verbs().parse_args(words[1:], exit_on_error=False, print_error=False)
    assert bound.arguments == {"host": "0.0.0.0"}
    (port,) = find("EXPOSE")
    (check,) = find("HEALTHCHECK")
    command = json.loads(check[check.index("CMD") + 3 :])
    assert f"http://127.0.0.1:{port}/live" in command[-1]
    compile(command[-1], "<health check>", "exec")
    assert int(port) == signature(serve).parameters["port"].default


def test_the_unit_for_systemd_starts_lenet():
    text = (ROOT / "docs/how-to.md").read_text("utf-8")
    (unit,) = re.findall(r"^```ini\n(.*?)^```$", text, re.M | re.S)
    parser = ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[method-assign, assignment]
    parser.read_string(unit)
    words = shlex.split(parser["Service"]["ExecStart"])
    assert words[0].endswith("/lenet")
    app = register_verbs()
    _, bound, _ = app.parse_args(words[1:], exit_on_error=False, print_error=False)
    assert bound.arguments["allow_origin"] == ["https://digits.example.org"]
    limits = Limits()
    assert limits.finish_seconds >= limits.receive_seconds + limits.answer_seconds
    assert int(parser["Service"]["TimeoutStopSec"]) > limits.drain_seconds + limits.finish_seconds
