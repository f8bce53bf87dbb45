# voxplain: `make demo` and `make test` set everything up by themselves.
VENV   := .venv
PY     := $(VENV)/bin/python
STAMP  := $(VENV)/.installed
# uv does not read pip's configuration: hand it the find-links pip is set up with.
LINKS  := $(or $(UV_FIND_LINKS),$(PIP_FIND_LINKS),$(shell python3 -m pip config get global.find-links 2>/dev/null || true))

.PHONY: demo test test-slow test-machines lint format bench weights clean

$(STAMP): pyproject.toml constraints.txt
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv -q --allow-existing $(VENV) && UV_FIND_LINKS="$(LINKS)" uv pip install -q -p $(PY) -c constraints.txt -e '.[dev]'; \
	else \
	  python3 -m venv $(VENV) && $(PY) -m pip install -q -c constraints.txt -e '.[dev]'; \
	fi
	@touch $(STAMP)

demo: $(STAMP)
	$(VENV)/bin/voxplain demo

# Files of tests side by side, each on one thread (tests/conftest.py).
test: $(STAMP) lint
	$(PY) -m pytest -n auto --maxprocesses 4 --dist loadfile

test-slow: $(STAMP)
	$(PY) -m pytest -m slow

test-machines: $(STAMP)
	$(PY) tests/machines.py

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

format: $(STAMP)
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: $(STAMP)
	$(PY) benchmarks/truth.py

weights: $(STAMP)
	$(VENV)/bin/voxplain planted runs/weights/videos --train 500 --test 60 --unrelated 0 --seed 1
	$(VENV)/bin/voxplain train runs/weights/videos --net tiny --epochs 20 --lr 0.1 --lr-step 15 --batch 32 --weight-decay 0.0005 --flip 0 --seed 1 -o runs/weights
	cp runs/weights/weights.safetensors src/voxplain/nets/planted.safetensors

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache dist build
