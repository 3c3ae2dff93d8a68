"""What networks there can be, and what their layers are: checked against tables worked out by hand."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenet.errors import ModelError
from lenet.models.config import MODELS, LeNetConfig, find_model, name_model
from lenet.models.layers import ACTIVATION_KINDS

D2L = [
    ("conv1", "Conv2d", (6, 28, 28), 156, 117_600),
    ("sigmoid1", "Sigmoid", (6, 28, 28), 0, 0),
    ("pool1", "AvgPool2d", (6, 14, 14), 0, 0),
    ("conv2", "Conv2d", (16, 10, 10), 2_416, 240_000),
    ("sigmoid2", "Sigmoid", (16, 10, 10), 0, 0),
    ("pool2", "AvgPool2d", (16, 5, 5), 0, 0),
    ("flatten", "Flatten", (400,), 0, 0),
    ("dense1", "Linear", (120,), 48_120, 48_000),
    ("sigmoid3", "Sigmoid", (120,), 0, 0),
    ("dense2", "Linear", (84,), 10_164, 10_080),
    ("sigmoid4", "Sigmoid", (84,), 0, 0),
    ("output", "Linear", (10,), 850, 840),
]
# C1 S2 C3 S4 C5 F6 of 1998, all maps of C3 connected to all of S2, and a plain output layer.
TANH = [
    ("conv1", "Conv2d", (6, 28, 28), 156, 117_600),
    ("tanh1", "Tanh", (6, 28, 28), 0, 0),
    ("pool1", "AvgPool2d", (6, 14, 14), 0, 0),
    ("conv2", "Conv2d", (16, 10, 10), 2_416, 240_000),
    ("tanh2", "Tanh", (16, 10, 10), 0, 0),
    ("pool2", "AvgPool2d", (16, 5, 5), 0, 0),
    ("conv3", "Conv2d", (120, 1, 1), 48_120, 48_000),
    ("tanh3", "Tanh", (120, 1, 1), 0, 0),
    ("flatten", "Flatten", (120,), 0, 0),
    ("dense1", "Linear", (84,), 10_164, 10_080),
    ("tanh4", "Tanh", (84,), 0, 0),
    ("output", "Linear", (10,), 850, 840),
]


def with_names(activation: str, pooling: str) -> list[tuple[Any, ...]]:
    """The table of d2l for another activation and pooling."""
    return [
        (
            name.replace("sigmoid", activation),
            {"Sigmoid": ACTIVATION_KINDS[activation], "AvgPool2d": pooling}.get(kind, kind),
            *rest,
        )
        for name, kind, *rest in D2L
    ]


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("lenet5-sigmoid", D2L),
        ("lenet5-relu", with_names("relu", "MaxPool2d")),
        ("lenet5-relu-avg", with_names("relu", "AvgPool2d")),
        ("lenet5-tanh", TANH),
        ("lenet5-textbook", D2L),
    ],
)
def test_layers_are_those_of_the_literature(name: str, table: list[tuple[Any, ...]]):
    config = find_model(name)
    rows = [(la.name, la.kind, la.output_shape, la.parameters, la.multiply_adds) for la in config.layers()]
    assert rows == table
    assert config.parameters == 61_706
    assert config.multiply_adds == 416_520


def test_the_tiny_network_has_fewer_than_8_000_parameters():
    shapes = {name: shape for name, shape in find_model("tiny").find_shapes().items() if "weight" in name}
    assert shapes == {
        "conv1.weight": (10, 1, 3, 3),
        "conv2.weight": (20, 10, 3, 3),
        "conv3.weight": (26, 20, 3, 3),
        "output.weight": (10, 26 * 2 * 2),
    }
    assert find_model("tiny").parameters == 7_676


def test_every_model_has_a_table_above():
    assert set(MODELS) == {
        "lenet5-sigmoid",
        "lenet5-relu",
        "lenet5-relu-avg",
        "lenet5-tanh",
        "lenet5-textbook",
        "tiny",
        "lenet-1989",  # these are in test_classic.py
        "lenet1-1998",
        "lenet4-1998",
        "lenet5-1998",
    }


def test_dropout_is_a_layer_of_its_own():
    names = [layer.name for layer in LeNetConfig(dropout=0.5).layers()]
    assert names[-7:] == ["dense1", "relu3", "dropout1", "dense2", "relu4", "dropout2", "output"]


def test_what_cannot_be_pooled_is_not():
    """A 1×1 map has no 2×2 to pool: it goes on as it is, and 3×3 loses its last row and column."""
    config = LeNetConfig(input_size=3, channels=(2, 2), kernel_size=1, padding=0)
    shapes = [(layer.name, layer.output_shape) for layer in config.layers()[:5]]
    assert shapes == [
        ("conv1", (2, 3, 3)),
        ("relu1", (2, 3, 3)),
        ("pool1", (2, 1, 1)),
        ("conv2", (2, 1, 1)),
        ("relu2", (2, 1, 1)),
    ]
    assert config.layers()[5].name == "flatten"


@pytest.mark.parametrize(
    ("values", "layer"),
    [
        ({"kernel_size": 40}, "conv1"),
        ({"kernel_size": 14}, "conv2"),
        ({"channels": (6, 16, 120, 120)}, "conv4"),
        ({"input_size": 4, "padding": 0}, "conv1"),
    ],
)
def test_a_layer_without_room_is_named(values: dict[str, Any], layer: str):
    with pytest.raises(ModelError, match=f"^{layer}: .* does not fit"):
        LeNetConfig(**values)


@pytest.mark.parametrize(
    "values",
    [
        {"channels": ()},
        {"channels": (0,)},
        {"channels": (True,)},
        {"channels": (6.0,)},
        {"channels": 6},
        {"channels": "6,16"},
        {"channels": None},
        {"channels": (10**30,)},
        {"channels": (1,) * 101},
        {"hidden": (-1,)},
        {"hidden": {"a": 1}},
        {"kernel_size": 0},
        {"kernel_size": "5"},
        {"kernel_size": 5.0},
        {"kernel_size": None},
        {"padding": -1},
        {"padding": 10**9},
        {"input_size": 0},
        {"input_size": 10**9},
        {"input_size": float("nan")},
        {"classes": 1},
        {"classes": 10**9},
        {"activation": "softmax"},
        {"activation": ["relu"]},
        {"activation": None},
        {"pooling": "median"},
        {"wiring": "lenet5", "channels": (6, 15)},
        {"wiring": "lenet4", "channels": (4, 16), "pooling": "avg"},
        {"wiring": "some"},
        {"output": "rbf", "hidden": (120, 83)},
        {"output": "rbf", "hidden": ()},
        {"output": "rbf", "classes": 11},
        {"margin": 14},
        {"margin": -1},
        {"pooling": {}},
        {"fit": "crop"},
        {"initialisation": "zeros"},
        {"dropout": 1.0},
        {"dropout": -0.1},
        {"dropout": float("nan")},
        {"dropout": "half"},
        {"pixel_std": 0},
        {"pixel_std": float("inf")},
        {"pixel_mean": float("nan")},
        {"pixel_mean": True},
        {"channels": (8192, 8192)},
        {"hidden": (8192, 8192)},
    ],
    ids=str,
)
def test_a_card_from_a_stranger_is_refused_in_one_line(values: dict[str, Any]):
    with pytest.raises(ModelError) as refused:
        LeNetConfig.from_dict(LeNetConfig().to_dict() | values)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 1000


def test_maps_that_fill_the_memory_are_refused():
    """Few weights, but 77 GB of maps for one image."""
    with pytest.raises(ModelError, match="conv1"):
        LeNetConfig(input_size=512, padding=512, kernel_size=1, channels=(8192, *(1,) * 9), hidden=())


def test_an_unknown_setting_is_named_with_its_neighbour():
    with pytest.raises(ModelError, match=r"no setting 'poolng'; did you mean 'pooling'\?"):
        LeNetConfig.from_dict({"poolng": "max"})
    with pytest.raises(ModelError, match=r"no setting 'zzz'$"):
        LeNetConfig.from_dict({"zzz": 1})


def test_an_unknown_model_is_named_with_its_neighbour():
    with pytest.raises(ModelError, match=r"did you mean 'lenet5-tanh'\?"):
        find_model("lenet-tanh")
    with pytest.raises(ModelError, match="there are lenet5-sigmoid, "):
        find_model("zzz")


@given(
    classes=st.integers(2, 50),
    mean=st.floats(-1, 1),
    std=st.floats(0.1, 2),
    name=st.sampled_from(list(MODELS)),
)
def test_a_network_keeps_its_name_whatever_it_reads(classes: int, mean: float, std: float, name: str):
    classes = min(classes, 10) if name == "lenet5-1998" else classes  # which has ten bitmaps
    values = MODELS[name].to_dict() | {"classes": classes, "pixel_mean": mean, "pixel_std": std}
    config = LeNetConfig.from_dict(values)
    assert name_model(config) == name
    assert LeNetConfig.from_dict(config.to_dict()) == config


def test_another_network_is_custom():
    assert name_model(LeNetConfig(channels=(7, 16))) == "custom"


def test_a_background_is_true_or_false_and_changes_no_layer():
    assert LeNetConfig(reject_class=True).layers() == LeNetConfig().layers()
    assert name_model(LeNetConfig(reject_class=True)) == name_model(LeNetConfig())
    with pytest.raises(ModelError, match="reject_class is 1; it must be true or false"):
        LeNetConfig(reject_class=1)  # type: ignore[arg-type]


def test_cards_from_before_the_background_are_still_read():
    values = LeNetConfig().to_dict()
    del values["reject_class"]
    assert LeNetConfig.from_dict(values) == LeNetConfig()
