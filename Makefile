# `make demo` and `make test` do all set-up by themselves; packaging/setup-dev says how.
# PYTHON=... picks an interpreter, ARGS=... goes to pytest: make test ARGS='-k nginx -x'; to the bench
# too: make bench ARGS='--rounds 3 --only bare'

VENV := .venv
RUN := $(VENV)/bin/python -m

# The least share of domain/, store/ and flows/, branches counted, that the tests must run, in
# percent. Empty: not measured. Part of the suite alone cannot reach it, so ARGS switches it off.
COVERAGE_MIN := 95

FAST_TESTS := tests/unit tests/meta

# Where the daemon runs, but in a package.
TORNADO_TESTS := $(addprefix tests/,unit property fuzz api fault acceptance)

BUILD_BOTH = ARCH=amd64 packaging/build-deb >/dev/null & amd64=$$!; \
	ARCH=arm64 packaging/build-deb >/dev/null && wait $$amd64

export PYTHON

.DEFAULT_GOAL := help
.PHONY: help demo test test-tornado check soak fuzz api-check bench deb test-package lock clean

help:
	@echo 'make demo    simulator and daemon on loopback, a few messages, how their status unfolds'
	@echo 'make test    the whole test suite'
	@echo 'make test-tornado   the suite where HTTP is Tornado'"'"'s own, but for the packages: ten minutes'
	@echo 'make check   format, lint, types and the fast tests: a minute and a half, for every commit'
	@echo 'make soak    kill -9, ROUNDS=1000 times: nothing acknowledged is lost, nothing is doubled'
	@echo 'make fuzz    bytes that break something: SEED=... SECONDS_EACH=60 ENGINE=... TARGETS=...'
	@echo 'make api-check   requests that the OpenAPI document allows, and others: SEED=... EXAMPLES=25'
	@echo 'make bench   speed, beside what a user might run instead: bench/RESULTS.md anew (ARGS=--help)'
	@echo 'make deb     dist/plivostatusd_VERSION_amd64.deb, of what is committed (ARCH=arm64: for that)'
	@echo 'make test-package   that one through piuparts, reprotest, and an upgrade of Debian (root, minutes)'
	@echo 'make lock    write requirements/*.txt anew from setup.cfg and requirements/*.in (needs uv)'
	@echo 'make clean   remove all that these have made, the virtual environment included'

demo:
	@packaging/setup-dev demo
	@$(RUN) plivostatusd.demo

# Several processes share the tests (tests/shares.py), most of which wait more than they work. The
# packages are built first, so that none has to wait for one. Part of the suite runs in one process
# and builds what it needs.
test:
	@packaging/setup-dev test
	@$(if $(ARGS),,$(BUILD_BOTH))
	@$(RUN) pytest $(if $(ARGS),$(ARGS),-n auto $(if $(COVERAGE_MIN),--cov --cov-fail-under=$(COVERAGE_MIN)))

# `make test` has the tests of the listeners themselves on either transport; this is all the rest.
test-tornado:
	@packaging/setup-dev test
	@PLIVOSTATUSD_TRANSPORT=tornado $(RUN) pytest $(or $(ARGS),-n auto $(TORNADO_TESTS))

check:
	@packaging/setup-dev check
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy
	$(RUN) pytest -q -n auto $(FAST_TESTS)

# ROUNDS=... how often, SEED=... the same again.
soak:
	@packaging/setup-dev test
	@$(RUN) tests.fault.soak $(or $(ROUNDS),1000) $(SEED)

# What is found lies in build/fuzz/TARGET/ then; mended, it belongs into tests/data/fuzz/TARGET/.
# Smugglers by the hundred thousand: python -m tests.fuzz.volume --straight=300000 --proxied=60000
fuzz:
	@packaging/setup-dev fuzz
	@$(RUN) tests.fuzz $(if $(SEED),--seed=$(SEED)) $(if $(ENGINE),--engine=$(ENGINE)) \
		$(if $(SECONDS_EACH),--seconds-each=$(SECONDS_EACH)) $(TARGETS)

# Schemathesis before a running daemon; EXAMPLES is how many requests of each kind, SEED the same again.
api-check:
	@packaging/setup-dev api-check
	@$(RUN) tests.api $(if $(SEED),--seed=$(SEED)) $(if $(EXAMPLES),--examples=$(EXAMPLES))

bench:
	@packaging/setup-dev bench
	@bench/run $(ARGS)

deb:
	@packaging/build-deb

test-package:
	@packaging/setup-dev test-package
	@packaging/test-package

# One lock holds for every Python from 3.11 on. The test list contains the run-time list, pin for
# pin, so that what is tested is what `make demo` runs; those of `make api-check` and `make bench` agree
# with it.
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-strip-extras --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'
lock:
	$(LOCK) $(UPGRADE) setup.cfg -o requirements/runtime.txt
	$(LOCK) $(UPGRADE) requirements/build.in -o requirements/build.txt
	$(LOCK) $(UPGRADE) -c requirements/runtime.txt -c requirements/build.txt \
		setup.cfg requirements/build.in requirements/test.in -o requirements/test.txt
	$(LOCK) $(UPGRADE) -c requirements/test.txt requirements/api.in -o requirements/api.txt
	$(LOCK) $(UPGRADE) -c requirements/test.txt -c requirements/api.txt \
		requirements/bench.in -o requirements/bench.txt

clean:
	rm -rf $(VENV) bench/peers/fastify/node_modules build dist htmlcov *.egg-info .coverage .coverage.* \
		.hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
