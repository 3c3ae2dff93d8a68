# Every target sets up what it needs in .venv, on a machine that has Python 3.11 or newer and nothing else.
PYTHON ?= python3
BIN := .venv/bin
BUILT_FROM := pyproject.toml constraints.txt setup.py $(wildcard src/lenet/kernels/*.cpp src/lenet/kernels/*.h src/lenet/kernels/*.inc)

.PHONY: demo test fuzz lint format docs clean

demo: .venv/demo
	$(BIN)/python examples/demo.py

test: .venv/dev
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

fuzz: .venv/dev
	LENET_FUZZ_SECONDS=120 $(BIN)/python -m pytest tests/fuzz --timeout 900

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/dev
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/draw_reading.py
	$(BIN)/python benchmarks/studies.py --page
	$(BIN)/python benchmarks/table.py
	$(BIN)/properdocs build

clean:
	rm -rf .venv runs build *.egg-info src/*.egg-info

.venv/demo: $(BUILT_FROM)
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt -e .
	touch $@

.venv/dev: $(BUILT_FROM)
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	touch $@ .venv/demo
