# Two commands: `make demo` and `make test`. Each sets up all it needs in .venv/ and is quick the second time.
# For developers: `make quick`, `make lint`, `make types`, `make coverage`, and `make lock` (see CONTRIBUTING.md).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --no-warn-conflicts
CSRC := $(wildcard csrc/*.cpp csrc/*.h csrc/*.cu csrc/*/*.h csrc/*/*.cpp csrc/*/*.inl)
DEMO := out/demo
CONSENT := The demo person is synthetic; nobody's likeness is used.

.PHONY: demo test quick coverage browser lint types lock install clean docs

demo: $(VENV)/.runtime
	$(BIN)/gtalk train data/demo/clip.mp4 -o $(DEMO) --person "gtalk demo person" --consent "$(CONSENT)"
	$(BIN)/gtalk dub $(DEMO) data/demo/speech.wav -o $(DEMO)/dub.mp4 --overwrite
	$(BIN)/gtalk eval $(DEMO) --json $(DEMO)/eval.json --html $(DEMO)/eval.html
	@echo
	@echo "Dubbed video, in a voice that the avatar never heard:  $(DEMO)/dub.mp4"
	@echo "Evaluation:                                            $(DEMO)/eval.html"
	@echo "See it live:                                           $(BIN)/gtalk view $(DEMO)"

# One worker more than there are cores, each computing on its share of them (tests/conftest.py). PYTEST="tests/dub -x" runs some.
test: $(VENV)/.develop browser
	$(BIN)/python -m pytest -n auto $(PYTEST)

quick: $(VENV)/.develop
	$(BIN)/python -m pytest -n auto -m "not slow" $(PYTEST)

coverage: $(VENV)/.develop browser
	rm -f .coverage .coverage.*
	$(BIN)/python -m coverage run -m pytest -n auto --timeout=1200 $(PYTEST)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

# Pages that are made: docs/api.md from docstrings, the arrows of docs/architecture.md from the test.
docs: $(VENV)/.develop
	$(BIN)/python tools/make/api_docs.py

lint: $(VENV)/.develop
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/deptry gtalk
	$(BIN)/deptry tools tests demo_person examples --exclude '^$$' --ignore DEP002,DEP004

types: $(VENV)/.develop
	$(BIN)/pyright

install: $(VENV)/.runtime

# Everything in exact versions, with hashes, and nothing else: the locks are complete (`make lock`). torch comes in a
# step of its own, so that pip's settings choose its build: for the CPU, or for one CUDA or another.
$(VENV)/.packages: requirements/run.lock requirements/torch.txt
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; v = sys.version_info[:2]; v in {(3, 11), (3, 12)} or sys.exit( \
	    f"Expected Python 3.11 or 3.12, got {v[0]}.{v[1]}: mediapipe has no wheel for it. Set one: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) --no-deps --require-hashes -r requirements/run.lock
	$(INSTALL) -r requirements/torch.txt
	touch $@

$(VENV)/.runtime: $(VENV)/.packages setup.py pyproject.toml $(CSRC)
	$(INSTALL) --no-build-isolation --no-deps -e .
	touch $@

$(VENV)/.develop: $(VENV)/.runtime requirements/dev.lock
	$(INSTALL) --no-deps --require-hashes -r requirements/dev.lock
	touch $@

# Renews the locks and what follows from them. `make lock UPGRADE=1` takes the newest of everything.
lock: $(VENV)/.develop
	$(BIN)/python tools/make/lock.py $(if $(UPGRADE),--upgrade)
	$(MAKE) $(VENV)/.develop
	$(BIN)/python tools/check/licences.py

# The viewer's tests drive a real Chromium; without one they are skipped, and the run says so.
browser:
	@command -v chromium chromium-browser google-chrome >/dev/null 2>&1 || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o DPkg::Lock::Timeout=300 --no-install-recommends chromium >/dev/null; \
	else echo "No Chromium found: install it to run the viewer's browser tests."; fi

clean:
	rm -rf $(VENV) out build *.egg-info gtalk/*.so
