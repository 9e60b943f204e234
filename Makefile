# Two commands: `make demo` and `make test`. Each sets up all it needs in .venv/ and is quick the second time.
# For developers: `make lint`, `make types`, `make coverage`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --no-warn-conflicts -c constraints.txt
CSRC := $(wildcard csrc/*.cpp csrc/*.h csrc/*.cu csrc/*/*.h)
DEMO := out/demo
CONSENT := The demo person is synthetic; nobody's likeness is used.

.PHONY: demo test coverage browser lint types install clean

demo: $(VENV)/.runtime
	$(BIN)/gtalk train data/demo/clip.mp4 -o $(DEMO) --person "gtalk demo person" --consent "$(CONSENT)"
	$(BIN)/gtalk dub $(DEMO) data/demo/speech.wav -o $(DEMO)/dub.mp4 --overwrite
	$(BIN)/gtalk eval $(DEMO) --json $(DEMO)/eval.json --html $(DEMO)/eval.html
	@echo
	@echo "Dubbed video, in a voice that the avatar never heard:  $(DEMO)/dub.mp4"
	@echo "Evaluation:                                            $(DEMO)/eval.html"
	@echo "See it live:                                           $(BIN)/gtalk view $(DEMO)"

test: $(VENV)/.develop browser
	$(BIN)/python -m pytest

coverage: $(VENV)/.develop browser
	rm -f .coverage .coverage.*
	$(BIN)/python -m coverage run -m pytest --timeout=1200
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

lint: $(VENV)/.develop
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.develop
	$(BIN)/pyright

install: $(VENV)/.runtime

# mediapipe asks for opencv-contrib-python (which needs libGL), jax and sounddevice, and imports none of
# them for what gtalk uses; without its dependencies one OpenCV wheel, the headless one, wins.
$(VENV)/.packages: constraints.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) torch setuptools wheel ninja
	$(INSTALL) --no-deps mediapipe
	$(INSTALL) absl-py attrs flatbuffers protobuf matplotlib pocketsphinx pyworld numpy \
	    opencv-python-headless librosa tyro viser gsplat av safetensors jaxtyping rich scipy PyYAML
	touch $@

$(VENV)/.runtime: $(VENV)/.packages setup.py $(CSRC)
	$(PIP) install --quiet --no-build-isolation --no-deps -e .
	touch $@

$(VENV)/.develop: $(VENV)/.runtime
	$(INSTALL) pytest pytest-timeout pytest-cov hypothesis beartype ruff pyright pre-commit plyfile \
	    onnxruntime ray c2pa-python websockets espeakng-loader
	touch $@

# The viewer's tests drive a real Chromium; without one they are skipped, and the run says so.
browser:
	@command -v chromium chromium-browser google-chrome >/dev/null 2>&1 || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o DPkg::Lock::Timeout=300 --no-install-recommends chromium >/dev/null; \
	else echo "No Chromium found: install it to run the viewer's browser tests."; fi

clean:
	rm -rf $(VENV) out build *.egg-info gtalk/*.so
