# voxplain: `make demo` and `make test` set everything up by themselves.
VENV   := .venv
PY     := $(VENV)/bin/python
LOWEST := .venv-lowest
DOCS   := .venv-docs
# Two stamps: the demo needs the package only, everything else its development tools too.
CORE   := $(VENV)/.core
DEV    := $(VENV)/.installed
# uv does not read pip's configuration: hand it the find-links pip is set up with.
LINKS  := $(or $(UV_FIND_LINKS),$(PIP_FIND_LINKS),$(shell python3 -m pip config get global.find-links 2>/dev/null || true))

# $(call install,WHAT): WHAT into $(VENV), or with $(call install,WHAT,DIR) into DIR, with uv where it is installed, else with pip.
# Byte code is made at the first import, of what is imported: pip would compile all of it.
define install
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv -q --allow-existing $(or $(2),$(VENV)) && UV_FIND_LINKS="$(LINKS)" uv pip install -q -p $(or $(2),$(VENV))/bin/python -c constraints.txt -e '$(1)'; \
	else \
	  python3 -m venv $(or $(2),$(VENV)) && $(or $(2),$(VENV))/bin/python -m pip install -q --no-compile -c constraints.txt -e '$(1)'; \
	fi
endef

.PHONY: demo demo-improve test coverage test-slow test-lowest test-machines lint format docs bench weights clean

$(CORE): pyproject.toml constraints.txt
	$(call install,.)
	@touch $@

$(DEV): pyproject.toml constraints.txt
	$(call install,.[dev])
	@touch $(CORE) $@

demo: $(CORE)
	$(VENV)/bin/voxplain demo

# A network that relies on a planted defect, the concept that shows it, and the correction.
demo-improve: $(CORE)
	$(VENV)/bin/voxplain demo-improve

# Files of tests side by side, each on one thread (tests/conftest.py).
test: $(DEV) lint
	$(PY) -m pytest -n auto --maxprocesses 4 --dist loadfile

# The share of lines that the tests of `make test` run, by file; the lines themselves in build/coverage/index.html.
coverage: $(DEV)
	$(PY) -m pytest -n auto --maxprocesses 4 --dist loadfile --cov=voxplain --cov-report=term --cov-report=html:build/coverage

test-slow: $(DEV)
	$(PY) -m pytest -m slow

# The lowest versions that pyproject.toml declares, in an environment of their own. What they depend on is newest, so old
# versions may call what newer ones deprecate: that is not an error here.
test-lowest: $(LOWEST)/.installed
	$(LOWEST)/bin/python -m pytest -p no:cacheprovider -W ignore::DeprecationWarning -W ignore::PendingDeprecationWarning $(ARGS)

$(LOWEST)/.installed: pyproject.toml constraints.txt
	python3 -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python -m pip install -q uv
	UV_FIND_LINKS="$(LINKS)" $(LOWEST)/bin/uv pip install -q -p $(LOWEST)/bin/python --resolution lowest-direct -c constraints.txt -e '.[dev]'
	@touch $@

# Processors and numbers of threads emulated one after the other, on the tests that depend on them.
test-machines: $(DEV)
	$(PY) tests/machines.py

lint: $(DEV)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

format: $(DEV)
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

# The documentation site, in build/docs/html; a warning is an error.
docs: $(DOCS)/.installed
	$(DOCS)/bin/python docs/site/build.py build/docs

$(DOCS)/.installed: pyproject.toml constraints.txt
	$(call install,.[docs],$(DOCS))
	@touch $@

bench: $(DEV)
	$(PY) benchmarks/truth.py

weights: $(DEV)
	$(VENV)/bin/voxplain planted runs/weights/videos --train 500 --test 60 --unrelated 0 --seed 1
	$(VENV)/bin/voxplain train runs/weights/videos --net tiny --epochs 20 --lr 0.1 --lr-step 15 --batch 32 --weight-decay 0.0005 --flip 0 --seed 1 -o runs/weights
	cp runs/weights/weights.safetensors src/voxplain/nets/planted.safetensors

clean:
	rm -rf $(VENV) $(LOWEST) $(DOCS) .pytest_cache .mypy_cache .ruff_cache dist build
