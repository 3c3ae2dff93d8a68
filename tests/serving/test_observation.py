"""What a running server tells about itself: its metrics and its log."""

import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from lenet.models.stored import read_stored
from lenet.serving.drift import BOUNDS, expect_images, expect_readings
from lenet.serving.limits import Limits
from lenet.serving.metrics import Metrics
from lenet.uncertainty.reading_rejection import CARD_KEY

PENCIL = Path(__file__).parents[2] / "examples/pictures/9-pencil.jpg"


@pytest.fixture(scope="module")
def client(ready: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=ready.address, timeout=60) as client:
        yield client


def read_metrics(client: httpx.Client) -> dict[tuple[str, ...], float]:
    """Every value by its name and the values of its labels, in the order of the names of the labels."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_requests_and_readings_are_counted(client: httpx.Client):
    before = read_metrics(client)
    files = [("pictures", ("nine", PENCIL.read_bytes())), ("pictures", ("bad", b"no picture"))]
    rows = client.post("/v1/predict", files=files).json()
    assert rows[0]["rejected"] is False
    image = np.zeros((1, 1, 28, 28), int).tolist()
    tensor = {"name": "images", "datatype": "UINT8", "shape": [1, 1, 28, 28], "data": image}
    assert client.post("/v2/models/reader/infer", json={"inputs": [tensor]}).status_code == 200
    after = read_metrics(client)
    grown = {key: value - before.get(key, 0) for key, value in after.items() if value != before.get(key, 0)}
    assert grown["lenet_requests_total", "POST", "/v1/predict", "200"] == 1
    assert grown["lenet_requests_total", "POST", "/v2/models/{name}/infer", "200"] == 1
    assert grown["lenet_request_seconds_count", "/v1/predict"] == 1
    assert grown["lenet_readings_total", "accepted"] == 1
    assert grown["lenet_readings_total", "unreadable"] == 1
    assert grown["lenet_images_total",] == 1
    assert grown["lenet_confidence_count", "1"] == grown["lenet_confidence_count", "image"] == 1
    assert grown["lenet_confidence_sum", "1"] == pytest.approx(rows[0]["confidence"])
    assert after["lenet_waiting", "images"] == after["lenet_waiting", "pictures"] == 0
    version = client.get("/v1/model").json()["version"]
    assert after["lenet_model", "reader", version] == 1
    assert after["lenet_reloads_total", "refused"] == after["lenet_reloads_total", "swapped"] == 0


def test_what_clients_choose_is_no_label(client: httpx.Client):
    """A client cannot make the server keep more: the number of labels does not grow with its ideas."""
    seen = []
    for number in range(3):
        client.get(f"/nowhere/{number}")
        client.get(f"/v2/models/{number}")
        client.request(f"WHAT{number}", "/live")
        seen.append(read_metrics(client))
    assert seen[0].keys() == seen[1].keys() == seen[2].keys()
    assert seen[2]["lenet_requests_total", "GET", "other", "404"] >= 3
    assert seen[2]["lenet_requests_total", "GET", "/v2/models/{name}", "404"] >= 3


def test_the_how_to_names_the_metrics(client: httpx.Client):
    text = (Path(__file__).parents[2] / "docs/how-to.md").read_text("utf-8")
    (section,) = re.findall(r"^## Watch a server$(.*?)^## ", text, re.M | re.S)
    assert f"beyond the limit of {Limits().connections} are refused" in section
    table, rules = section.split("```yaml")
    kind = {"Content-Type": "application/octet-stream"}
    assert client.post("/v1/classify", content=bytes(784), headers=kind).status_code == 200
    names = {key[0] for key in read_metrics(client)}
    listed = set(re.findall(r"^\| `(lenet_\w+)`", table, re.M))
    plain = {re.sub("_(bucket|sum|count|created)$", "", name) for name in names}
    assert listed == plain - {"lenet_requests", "lenet_images", "lenet_readings", "lenet_reloads"}
    assert set(re.findall(r"lenet_\w+", rules)) <= names


def test_what_the_cards_expect_stands_beside_what_is_served(client: httpx.Client):
    metrics = read_metrics(client)
    expected = expect_readings(read_stored("line").card) | expect_images(read_stored("reader").card)
    assert expected.keys() == {"1", "2-4", "5-7", "8+", "image"}
    for group, shares in expected.items():
        assert shares == sorted(shares)
        for bound, share in zip(BOUNDS, shares, strict=True):
            assert metrics["lenet_expected_confidence", group, str(bound)] == pytest.approx(share)


def test_confidences_are_counted_up_to_each_bound():
    metrics = Metrics()
    metrics.count_images(np.array([[0.5, 0.5], [0.9, 0.1], [0.0, 0.95001], [1.0, 0.0]], np.float64))
    metrics.count_images(np.array([[0.2, 0.1]]))
    text = metrics.render().decode()
    counts = dict(re.findall(r'^lenet_confidence_bucket\{digits="image",le="(\S+)"\} (\S+)$', text, re.M))
    assert counts == {
        "0.5": "2.0", "0.8": "2.0", "0.9": "3.0", "0.95": "3.0", "0.99": "4.0", "0.999": "4.0", "+Inf": "5.0",
    }  # fmt: skip
    assert 'lenet_confidence_count{digits="image"} 5.0' in text
    assert float(re.findall(r"^lenet_confidence_sum\S+ (\S+)$", text, re.M)[0]) == pytest.approx(3.55001)


def test_the_shares_are_those_of_the_curve():
    points = [[0.0, 0.0, 0.1], [0.5, 0.2, 0.05], [0.9, 0.6, 0.0]]
    card = {"rejection": {"validation_count": 100, "curve": points}}
    (shares,) = expect_images(card).values()
    assert dict(zip(BOUNDS, shares, strict=True)) == pytest.approx(
        {0.5: 0.2, 0.8: 0.5, 0.9: 0.6, 0.95: 0.8, 0.99: 0.96, 0.999: 0.996}
    )
    for damaged in ({}, {"rejection": 1}, {"rejection": {"validation_count": 1, "curve": [[2, 0, 0]]}}):
        assert expect_images(damaged) == {}
    assert expect_readings({CARD_KEY: {"1": card["rejection"], "2-4": "x"}}) == {"1": shares}
    assert expect_readings({CARD_KEY: []}) == {}


def test_the_log_has_one_line_a_request(ready: Any, client: httpx.Client):
    log = ready.kept.parent / "log"
    before = len(log.read_text().splitlines())
    key = "not-a-key-but-secret"
    answer = client.post(
        "/v1/predict?length=1",
        files=[("pictures", ("name-of-a-file", PENCIL.read_bytes()))],
        headers={"X-Request-ID": "trace-7.a", "X-API-Key": key},
    )
    assert answer.headers["x-request-id"] == "trace-7.a"
    client.get("/nowhere", headers={"X-Request-ID": "two words"})
    client.get("/live")  # when it is answered, the lines of the others are written
    text = log.read_text()
    one, two, *_ = (json.loads(line) for line in text.splitlines()[before:])
    assert one.keys() == {"time", "level", "method", "path", "status", "ms", "images", "id"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", one["time"])
    assert (one["method"], one["path"], one["status"], one["images"]) == ("POST", "/v1/predict", 200, 1)
    assert one["ms"] > 0
    assert one["id"] == "trace-7.a"
    assert re.fullmatch("[0-9a-f]{32}", two["id"])
    assert key not in text
    assert "name-of-a-file" not in text


def test_a_client_that_left_is_no_damaged_request(ready: Any, client: httpx.Client):
    log = ready.kept.parent / "log"
    before = len(log.read_text().splitlines())
    place = urlsplit(ready.address)
    with socket.create_connection((place.hostname, place.port)) as connection:
        head = "POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"
        connection.sendall(f"{head}Content-Length: 784\r\n\r\nabc".encode())
    end = time.monotonic() + 20
    while len(lines := log.read_text().splitlines()[before:]) < 1 and time.monotonic() < end:
        time.sleep(0.02)
    assert json.loads(lines[0])["status"] == 499


def test_hostile_paths_stay_in_their_line(ready: Any):
    log = ready.kept.parent / "log"
    before = len(log.read_text().splitlines())
    for path in ("/%0a%7b%22level%22:1", "/%1b[2J", "/%e2%80%a8", "/" + "x" * 5000, "/%ff"):
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert ready.send(head.encode()).startswith(b"HTTP/1.1 404 ")
    ready.send(b"GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    lines = log.read_bytes().decode("ascii").split("\n")[before:][:5]
    for line in lines:
        assert line.isprintable()
        assert json.loads(line)["status"] == 404
        assert len(line) < 600


def test_a_fault_is_logged_in_one_line(ready: Any):
    """Each line of the log is one JSON object, whatever it tells."""
    for line in (ready.kept.parent / "log").read_text().splitlines():
        assert json.loads(line)["level"] in ("info", "warning")
