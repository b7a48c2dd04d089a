# Two commands on a fresh machine: `make demo` runs the main job, `make test` checks everything.
# Both make .venv and install what they need; nothing but Python 3.11+ and pip's network is expected.

VENV   ?= .venv
PORT   ?= 8080
SERVE  ?= 1
OUT    ?= demo
BIN     = $(VENV)/bin

# The first interpreter that is new enough; override with `make demo PYTHON=/path/to/python3.12`.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

# The folder of FracAtlas, for `make reference`.
DATA   ?=

# Extra options for pip, for example PyTorch's own index of CPU builds (see README).
PIP_OPTIONS ?=
PIP = $(BIN)/python -m pip --disable-pip-version-check install --quiet $(PIP_OPTIONS)

.PHONY: demo test wheels reference lint types architecture check clean help

help:  ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

demo: $(VENV)/.demo  ## from synthetic radiographs to a kiosk that reads one (SERVE=0: without the kiosk)
	$(BIN)/ulna run --recipe demo --out $(OUT)
	$(BIN)/ulna verify --bundle $(OUT)/bundle
	$(BIN)/ulna doctor --bundle $(OUT)/bundle
	@if [ "$(SERVE)" = 1 ]; then exec $(BIN)/ulna serve --bundle $(OUT)/bundle --port $(PORT); \
	else echo "bundle: $(OUT)/bundle   report: $(OUT)/report.html"; fi

test: $(VENV)/.dev browser pango senders  ## every test
	$(BIN)/python -m pytest -n auto --dist loadfile $(PYTEST_OPTIONS)

wheels: $(BIN)/python  ## what a box without network installs, in dist/box
	rm -rf dist/box
	$(BIN)/python -m pip --disable-pip-version-check wheel --quiet $(PIP_OPTIONS) --wheel-dir dist/box \
	'.[kiosk,openvino,dicom]'

# The key that signs is made for this one bundle and thrown away: its public half is all that anyone needs.
reference: $(VENV)/.demo  ## train the reference model (DATA=folder of FracAtlas) and put it into the package
	@test -n "$(DATA)" || { echo "error: say where FracAtlas is: make reference DATA=path/to/fracatlas"; exit 2; }
	mkdir -p runs/reference/signing
	HOME=$(CURDIR)/runs/reference/signing $(BIN)/ulna run --recipe reference --data $(DATA) --out runs/reference
	rm -rf runtime/reference/bundle
	cp -R runs/reference/bundle runtime/reference/bundle
	cp runs/reference/bundle/signer.pem runtime/reference/signer.pem
	cp runs/reference/MODEL_CARD.md runtime/reference/MODEL_CARD.md
	rm -rf runs/reference/signing

lint: $(VENV)/.dev  ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev  ## strict type check
	$(BIN)/mypy

architecture: $(VENV)/.dev  ## one-way dependencies
	$(BIN)/lint-imports

check: lint types architecture test  ## all of the above

clean:  ## forget environments and what the commands made
	rm -rf $(VENV) demo runs build dist *.egg-info

# The browser tests drive Debian's Chromium; where it cannot be installed they skip and say so.
.PHONY: browser
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "installing Chromium for the browser tests" \
	&& apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } \
	|| echo "no Chromium here: the browser tests will be skipped (install the package 'chromium')"

# Reports as PDF are drawn with Pango; Chromium brings it, a machine without Chromium may lack it.
.PHONY: pango
pango:
	@ldconfig -p 2>/dev/null | grep -q libpangoft2 \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "installing Pango for the report's tests" \
	&& apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq libpangoft2-1.0-0 >/dev/null; } \
	|| echo "no Pango here: the tests of PDF reports will be skipped (install the package 'libpangoft2-1.0-0')"

# The tests of the DICOM receiver also send with dcmtk; where it cannot be installed they skip and say so.
.PHONY: senders
senders:
	@command -v storescu >/dev/null \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "installing dcmtk for the DICOM tests" \
	&& apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq dcmtk >/dev/null; } \
	|| echo "no dcmtk here: its tests will be skipped (install the package 'dcmtk')"

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or newer was not found; install python3 and python3-venv"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq \
	&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null; } \
	|| { echo "error: $(PYTHON) has no venv module; run: sudo apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	@echo "installing Ulna with what the demo needs into $(VENV) (a few minutes the first time)"
	$(PIP) -e '.[compress,openvino,tensorrt,dicom,kiosk,bench]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "installing Ulna with what its tests need into $(VENV) (a few minutes the first time)"
	$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.demo
