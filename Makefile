# make run    set everything up and serve http://127.0.0.1:5000
#             HTTPS=1 serves the local network over HTTPS, which cameras of other machines need
# make test   set everything up and run the quick tests, browser included
# make test-all  every test: the slow ones, and those that need data or services where they are
# make bench  measure the pipeline and the live path; prints JSON
# make faults break things on purpose in a running server and write docs/faults.md
# make audit  look for known weaknesses in the pinned packages (needs the network)
# make train  train and publish a model from DATA=<folder> (FERPLUS=<csv> if you have it)
# make lint   formatter, linter and the type checkers of the Python and the browser code

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUN    ?= runs/mien
NAME   ?= mien-new
# one more than cores: tests with a browser or a server wait much of their time
JOBS   ?= 3

.PHONY: run test test-slow test-all bench faults audit train lint vendor browser clean

run: $(VENV)/.runtime static/vendor/.done
	$(BIN)/python wsgi.py $(if $(HTTPS),--https)

test: $(VENV)/.dev static/vendor/.done node_modules/.dev browser
	$(BIN)/python tools/node.py --test --test-reporter=dot tests/js/*.test.mjs
	$(BIN)/python -m pytest -m "not slow" -n $(JOBS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

test-slow: $(VENV)/.dev static/vendor/.done node_modules/.dev browser
	$(BIN)/python -m pytest -m slow -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

test-all: test test-slow

lint: $(VENV)/.dev node_modules/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python tools/node.py node_modules/typescript/bin/tsc -p .

bench: $(VENV)/.dev
	$(BIN)/python -m bench.pipeline --json -
	$(BIN)/python -m bench.live --clients 8 --fps 15 --seconds 30 --json -

faults: $(VENV)/.dev
	$(BIN)/python -m bench.faults --json - --markdown docs/faults.md

audit: $(VENV)/.dev
	$(BIN)/python tools/audit.py

train: $(VENV)/.train
	@test -n "$(DATA)" || { echo "Say where the labelled faces are: make train DATA=path/to/fer2013"; exit 2; }
	$(BIN)/python -m training.train --data "$(DATA)" $(if $(FERPLUS),--ferplus "$(FERPLUS)") --out "$(RUN)" --resume
	$(BIN)/python -m training.publish "$(RUN)" --name "$(NAME)" --data "$(DATA)" $(if $(FERPLUS),--ferplus "$(FERPLUS)")

vendor: static/vendor/.done
browser: $(VENV)/.dev
	sh tools/ensure-chromium.sh

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "Mien needs Python 3.10 or newer; $$($(PYTHON) --version) found. Set PYTHON=path/to/python3."; exit 2; }
	$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing; on Debian: apt-get install python3-venv"; exit 2; }
	touch $@

$(VENV)/.runtime: requirements.txt | $(VENV)/.made
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements.txt
	touch $@

$(VENV)/.train: requirements-train.txt $(VENV)/.runtime
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements-train.txt
	touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.train
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements-dev.txt
	touch $@

static/vendor/.done: package.json package-lock.json tools/vendor.mjs | $(VENV)/.runtime
	$(BIN)/python tools/node.py --npm ci --omit=dev --no-audit --no-fund --silent
	$(BIN)/python tools/node.py tools/vendor.mjs
	touch $@

# axe-core and TypeScript, which only tests and linting need
node_modules/.dev: package.json package-lock.json | static/vendor/.done
	$(BIN)/python tools/node.py --npm ci --no-audit --no-fund --silent
	touch $@

clean:
	rm -rf $(VENV) node_modules static/vendor webapp/vision/weights
