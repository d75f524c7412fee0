# The commands of this project. `make help` lists them; each sets up what it needs, once.

PYTHON ?= python3
# A Python that every user of the machine can run: as root, Patroni and PostgreSQL run as another user.
SYSTEM_PYTHON ?= /usr/bin/python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Python keeps compiled modules: otherwise each process that the tests start compiles all of them.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run install upgrade quick test test-modes test-slow proof fuzz clients failover audit release bench overload format screenshots documents texts lock migrate clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

run: $(VENV)/run.stamp .env migrate ## Set up, migrate and serve (PORT=8000, DATABASE_URL=sqlite:///course_management.db)
	@$(BIN)/course-management demo --if-new
	@exec $(BIN)/course-management serve

install: $(VENV)/run.stamp ## Set up only: the service and what it needs, in .venv

upgrade: migrate ## After new code: install what it needs, migrate and verify (first read docs/upgrading.md)
	$(BIN)/course-management verify

quick: $(VENV)/test.stamp ## Check while you work: ruff, mypy, and two cases of each test on SQLite that starts no process (a minute)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest --quick -rfE --numprocesses=auto --maxprocesses=4 --dist=worksteal $(ARGS)

test: $(VENV)/test.stamp ## Set up and run ruff, mypy, and pytest on SQLite and PostgreSQL
	@echo "Running the checks: about six minutes on two idle cores, longer on a busy machine ..."
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest --numprocesses=auto --maxprocesses=4 --dist=worksteal -m "not greenlets" --cov --cov-report=
	$(BIN)/pytest --numprocesses=auto --maxprocesses=4 -m greenlets --cov --cov-append --cov-config=tests/greenlets.coveragerc --cov-report=
	$(BIN)/coverage report --fail-under=90
	$(BIN)/coverage report --include='*/services/*,*/access/*,*/api/enrollment.py' --fail-under=100

test-modes: $(VENV)/test.stamp ## Run the tests without groups of requests, with them, and with each request as a group (twenty minutes)
	@for mode in off on always; do \
	    echo "TEST_GROUPS=$$mode ..."; \
	    TEST_GROUPS=$$mode $(BIN)/pytest --numprocesses=auto --maxprocesses=4 --dist=worksteal $(ARGS) || exit 1; \
	done

test-slow: $(VENV)/test.stamp ## Run the tests that need minutes, processes or new environments (package index needed; ARGS=-k NAME)
	@echo "Running the slow tests, two at a time: about ten minutes on two idle cores ..."
	$(BIN)/pytest tests/slow --numprocesses=2 --dist=worksteal $(ARGS)

proof: $(VENV)/test.stamp ## Prove the promises under load and faults, on both databases (an hour; ARGS=--help lists options)
	$(BIN)/python -m tests.proof --json proof.json $(ARGS)

fuzz: $(VENV)/test.stamp ## Fuzz the running service as each kind of caller (hours; ARGS=--help lists options)
	$(BIN)/python -m tests.fuzz $(ARGS)

clients: $(VENV)/clients.stamp ## Generate clients from the OpenAPI document and call the service with each (a minute; needs node)
	$(BIN)/pytest tests/slow/test_clients.py $(ARGS)

failover: $(VENV)/failover.stamp ## Lose machines of a PostgreSQL cluster under load (half an hour; needs etcd, haproxy; ARGS=--help)
	$(BIN)/python -m tests.failover $(ARGS)

bench: $(VENV)/bench.stamp ## Measure speed beside pgbench, Express, FastAPI and Flask (ten minutes; needs wrk and node; ARGS=--help)
	$(BIN)/python -m benchmarks.comparison --json bench.json $(ARGS)

overload: $(VENV)/production.stamp ## Measure slow, idle and too many clients (three minutes; needs wrk; ARGS=--help)
	$(BIN)/python -m benchmarks.overload $(ARGS)

format: $(VENV)/test.stamp ## Format the code and fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

screenshots: $(VENV)/test.stamp ## Take the screenshots of docs/pages (needs Chromium: apt install chromium)
	$(BIN)/python -m tests.web.screenshots

documents: $(VENV)/test.stamp ## Write what the documentation repeats from the code: docs/access.md, docs/architecture.md, docs/rules.md, .env.example
	$(BIN)/python -m tests.docs.generated

audit: $(VENV)/release.stamp ## Look for known vulnerabilities of the locked packages (needs the advisory service of the package index)
	@$(VENV)/release/bin/python -m release.audit

release: $(VENV)/release.stamp ## Build what is published into dist: wheel, bill of materials, licenses (docs/releasing.md)
	@$(VENV)/release/bin/python -m release

migrate: $(VENV)/run.stamp .env ## Bring the database of DATABASE_URL to the newest schema
	@$(BIN)/course-management migrate

texts: $(VENV)/test.stamp ## Write the texts of the pages for translators: src/course_management/web/translations/messages.pot
	$(BIN)/python -m tests.web.texts

lock: ## Lock the dependencies again, at the locked versions (needs uv; ARGS=--upgrade takes newer ones)
	uv pip compile $(ARGS) --quiet --universal --no-strip-extras --python-version 3.11 --generate-hashes --no-annotate --no-header \
	    pyproject.toml requirements.in -o requirements.txt
	uv pip compile $(ARGS) --quiet --universal --no-strip-extras --python-version 3.11 --generate-hashes --no-annotate --no-header \
	    --extra dev -c requirements.txt pyproject.toml requirements.in -o requirements-dev.txt
	cd benchmarks/reference && uv pip compile $(ARGS) --quiet --universal --no-strip-extras --python-version 3.11 --generate-hashes \
	    --no-annotate --no-header requirements.in -o requirements.txt
	cd release && uv pip compile $(ARGS) --quiet --universal --no-strip-extras --python-version 3.11 --generate-hashes \
	    --no-annotate --no-header requirements.in -o requirements.txt
	cd tests/clients && uv pip compile $(ARGS) --quiet --universal --no-strip-extras --python-version 3.11 --generate-hashes \
	    --no-annotate --no-header requirements.in -o requirements.txt
	cd contrib/patroni && uv pip compile $(ARGS) --quiet --universal --no-strip-extras --python-version 3.11 --generate-hashes \
	    --no-annotate --no-header requirements.in -o requirements.txt

clean: ## Remove the virtual environment and caches; the database stays
	rm -rf $(VENV) .hypothesis .mypy_cache .pytest_cache .ruff_cache .coverage

.env:
	@echo "Writing the default settings to .env ..."
	@install -m 600 .env.example .env

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 ..."; exit 1; }
	@echo "Creating the virtual environment $(VENV) ..."
	@$(PYTHON) -m venv $(VENV) \
	    || { echo "python3-venv is needed: apt install python3-venv"; rm -rf $(VENV); exit 1; }

$(VENV)/run.stamp: requirements.txt pyproject.toml $(VENV)/pyvenv.cfg
	@echo "Installing the dependencies (about a minute, once) ..."
	@$(BIN)/pip install --quiet --require-hashes -r requirements.txt
	@echo "Installing the service ..."
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/test.stamp: requirements-dev.txt $(VENV)/run.stamp
	@echo "Installing the development tools (about a minute, once) ..."
	@$(BIN)/pip install --quiet --require-hashes -r requirements-dev.txt
	@touch $@

# The benchmarks measure the packages of production, without the development tools.
$(VENV)/production.stamp: requirements.txt pyproject.toml $(VENV)/test.stamp
	@echo "Installing the dependencies of production in $(VENV)/production ..."
	@$(BIN)/python -m venv $(VENV)/production
	@$(VENV)/production/bin/pip install --quiet --require-hashes -r requirements.txt
	@$(VENV)/production/bin/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

# The references run on packages of their own, apart from the service's.
$(VENV)/bench.stamp: benchmarks/reference/requirements.txt benchmarks/reference/express/package-lock.json \
    $(VENV)/production.stamp
	@command -v wrk >/dev/null || { echo "wrk puts the load on: apt install wrk"; exit 1; }
	@command -v npm >/dev/null || { echo "One of the references runs on Node.js: apt install nodejs npm"; exit 1; }
	@echo "Installing the references in $(VENV)/reference ..."
	@$(BIN)/python -m venv $(VENV)/reference
	@$(VENV)/reference/bin/pip install --quiet --require-hashes -r benchmarks/reference/requirements.txt
	@npm ci --silent --no-audit --no-fund --prefix benchmarks/reference/express
	@touch $@

# What a release is made with is apart from the packages of the service.
$(VENV)/release.stamp: release/requirements.txt $(VENV)/pyvenv.cfg
	@echo "Installing the tools of a release in $(VENV)/release ..."
	@$(BIN)/python -m venv $(VENV)/release
	@$(VENV)/release/bin/pip install --quiet --require-hashes -r release/requirements.txt
	@touch $@

# The generators of clients need Java, which is among their packages, and Node.js.
$(VENV)/clients.stamp: tests/clients/requirements.txt $(VENV)/test.stamp
	@command -v npm >/dev/null || { echo "One of the clients runs on Node.js: apt install nodejs npm"; exit 1; }
	@echo "Installing the generators in $(VENV)/clients ..."
	@$(BIN)/python -m venv $(VENV)/clients
	@$(VENV)/clients/bin/pip install --quiet --require-hashes -r tests/clients/requirements.txt
	@touch $@

# Patroni is a package of its own; etcd, HAProxy and PostgreSQL 15 are Debian's.
$(VENV)/failover.stamp: contrib/patroni/requirements.txt $(VENV)/test.stamp
	@echo "Installing Patroni in $(VENV)/failover ..."
	@$(SYSTEM_PYTHON) -m venv $(VENV)/failover
	@$(VENV)/failover/bin/pip install --quiet --require-hashes -r contrib/patroni/requirements.txt
	@touch $@
