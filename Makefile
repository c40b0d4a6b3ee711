# make demo    search a space on real images and write demo.html
# make test    all tests, the most sensitive ones also as on other processors
# make check   style, types, import layers, documentation, examples; make -j2 check runs two of them at a time
# make bench   what zerocost costs, measured on this machine, into bench/results.json (minutes)
# make ranking TRUTHS=FOLDER IMAGES=npz:FILE   ways of combining scores, over the tables of trained networks there (an hour)
# make reference   every recorded value of the authors' code against ours, into docs/reference.md (minutes)
# make oldest  the tests of the main job with the oldest versions that pyproject.toml allows, in .venv-oldest (Python 3.11)
# make docs    the documentation, into docs/_build/html
# make clean   remove what the above wrote; the environment stays in .venv
#
# Each installs into .venv first when needed. Another interpreter: make PYTHON=python3.12 test

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
PIP = $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt

OLDEST = pyarrow==15 matplotlib==3.8 $(shell python3.11 -c 'import tomllib; \
  print(*[d.replace(">=", "==") for d in tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"]])')

# Networks this small run no faster on two threads, and many times slower where other work shares the cores.
export OMP_NUM_THREADS ?= 1

# Where it is set, each of the many processes that the tests start would compile all it imports again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install demo test check style types examples bench ranking reference oldest docs clean

install: $(INSTALLED)
	@echo "zerocost is in .venv; next: make demo, test, check, bench, ranking, reference, docs or clean"

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "zerocost needs Python 3.11 or newer; '$(PYTHON)' is not. Name one that is: make PYTHON=python3.12" >&2; exit 1; }
	@echo "installing into .venv (a few minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) pip  # Python's own is older and takes three times as long
	@$(PIP) --no-compile -e '.[dev]'
	@$(BIN)/python -m compileall -qq -j 0 -x '/tests/|/testing/_internal/' .venv/lib  # on all cores; pip uses one
	@touch $@

demo: $(INSTALLED)
	$(BIN)/zerocost search --data digits:8 --candidates 100 --trainings 10 --keep 10 --epochs 4 --workers 2 --report demo.html
	@echo "Open it in a browser: $(CURDIR)/demo.html"

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 3 --dist loadfile  # three for two cores, as many wait for processes of their own
	@echo "the reference values most sensitive to rounding, rounded as on other processors"
	ATEN_CPU_CAPABILITY=default MKL_CBWR=COMPATIBLE $(BIN)/python -m pytest -n 2 \
	  tests/proxies/test_reference.py -k 'authors_code and not (skip or pool or none)'

check: docs style types examples

style: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-cache

types: $(INSTALLED)
	$(BIN)/mypy

examples: $(INSTALLED)
	$(BIN)/python -m pytest -q -n 2 --dist load tests/examples

bench: $(INSTALLED)
	$(BIN)/python bench/all.py

ranking: $(INSTALLED)
	$(BIN)/python bench/ranking.py score $(TRUTHS) ranking-scores --images $(IMAGES)
	$(BIN)/python bench/ranking.py table $(TRUTHS) ranking-scores

reference: $(INSTALLED)
	PYTHONPATH=tests $(BIN)/python -m reference.table

oldest:
	python3.11 -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install -qq --disable-pip-version-check $(OLDEST) -e . pytest pytest-xdist hypothesis
	.venv-oldest/bin/python -m pytest -n 2 -o filterwarnings= tests/data tests/combine tests/store tests/tuning \
	  tests/scoring/test_score.py tests/scoring/test_rank.py tests/search/test_pipeline.py tests/cli/test_search.py

docs: $(INSTALLED)
	$(BIN)/python -m sphinx -EWq --keep-going docs docs/_build/html
	@echo "documentation: docs/_build/html/index.html"

clean:
	rm -rf docs/_build docs/proxies build dist demo.html .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
