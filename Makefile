# Every target sets up what it needs: a virtual environment made with `python3 -m venv`,
# filled by uv from requirements.lock, compiled so that programs start in seconds even where Python may
# write no bytecode. The first run takes about a minute; later ones start at once.
PYTHON ?= python3
VENV   := .venv
READY  := $(VENV)/.ready
RUN    := $(VENV)/bin
PROFILE ?= toy
ARGS   ?=
N      ?= 1000
SEED   ?= 0
KIND   ?=

.PHONY: figures test test-fast fuzz lab explore page site lint bench lock wheel help
help:      ## show this list
	@grep -hE '^[a-z-]+: .*##|^[a-z-]+:  *##' Makefile | sed -E 's/:[^#]*##/\t/' | expand -t 12

figures: $(READY)  ## draw every figure: make figures [PROFILE=toy|osie|paper] [ARGS="--jobs 2 --check"]
	$(RUN)/saliencykit figures --profile $(PROFILE) $(ARGS)

# Files of tests side by side, each process in one thread. They start a hundred others that import the
# package: what is compiled of it is kept, also where the environment says that none be.
test test-fast: export OMP_NUM_THREADS := 1
test test-fast: export PYTHONDONTWRITEBYTECODE :=
test: $(READY)     ## run all tests: make test [ARGS="-k region_nss"]
	$(RUN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

test-fast: override ARGS += -m "not slow"
test-fast: test    ## run the tests that take no training and no notebook, in some minutes

fuzz: export OMP_NUM_THREADS := 1
fuzz: $(READY)     ## odd and hostile inputs to whatever reads: make fuzz [N=10000] [SEED=0] [KIND=tables]
	$(RUN)/python -m tests.fuzz $(N) --seed $(SEED) $(addprefix --kind ,$(KIND)) $(ARGS)

lab: $(READY)      ## open the notebooks in JupyterLab
	$(RUN)/jupyter lab notebooks

explore: $(READY)  ## the unit explorer as a page without code: make explore [PROFILE=osie]
	$(RUN)/saliencykit explore --profile $(PROFILE) $(ARGS)

page: $(READY)     ## the unit explorer to click without a kernel: open build/explorer/index.html
	$(RUN)/saliencykit explore --profile $(PROFILE) --export build/explorer $(ARGS)

site: $(READY)     ## README, docs, notebooks, figures, API (and what `make page` made) as pages: open site/index.html
	NO_MKDOCS_2_WARNING=1 $(RUN)/mkdocs build --strict --quiet
	@echo "All pages: site/index.html"

lint: $(READY)     ## ruff over package, tests and notebooks, pyright over what others import
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/pyright --pythonpath $(RUN)/python

bench: $(READY)    ## speed ratios, measured side by side in one run: make bench [ARGS="metrics"]
	$(RUN)/python -m benchmarks $(ARGS)

lock: $(READY)     ## refresh requirements.lock from pyproject.toml
	$(RUN)/uv pip compile --universal --python-version 3.11 --all-extras --no-header --no-annotate -q pyproject.toml -o requirements.lock

wheel: $(READY)    ## build the package into dist/
	$(RUN)/uv build --quiet --wheel --out-dir dist

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN)/pip install --quiet --disable-pip-version-check uv
	VIRTUAL_ENV=$(VENV) $(RUN)/uv pip install --quiet --compile-bytecode -r requirements.lock
	VIRTUAL_ENV=$(VENV) $(RUN)/uv pip install --quiet --no-deps --editable .
	touch $@
