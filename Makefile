# Every verb sets up what it needs by itself. Where there is no make, `sh setup.sh demo` and `sh setup.sh test` are the same.
# ARGS goes to the program behind the verb: make test ARGS='tests/unit -x', make demo ARGS=--fast, make bench ONLY=A2.
SHELL = /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory

RUN = @sh setup.sh run
WITH_EXTRAS = @LIMEN_EXTRAS=required sh setup.sh run

.PHONY: help
help: ## print these lines
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r verb says; do printf '  make %-12s %s\n' "$$verb" "$$says"; done

.PHONY: demo
demo: ## five states and an auditor on this machine: narrated, checked, report.html
	@sh setup.sh demo $(ARGS)

.PHONY: test
test: ## all tests but the slow ones
	@sh setup.sh test $(ARGS)

.PHONY: slow
slow: ## the tests that take more than 20 s each
	$(RUN) pytest -m slow $(ARGS)

.PHONY: lint
lint: ## ruff: errors, style, order of imports, form
	@sh setup.sh dev
	@.venv/bin/ruff check .; checked=$$?; .venv/bin/ruff format --check . && exit $$checked

.PHONY: types
types: ## mypy, strict
	$(RUN) mypy $(wildcard gateway adapters/gateway_adapters tests bench examples docs policies)

.PHONY: imports
imports: ## the import contracts: who may know whom
	$(RUN) lint-imports

.PHONY: proto
proto: ## generate gateway/wire/v1 from the contract
	@sh setup.sh dev
	@sh proto/generate.sh

.PHONY: proto-check
proto-check: ## the contract: drift, comments and style (buf lint), nothing broken since the release (buf breaking)
	$(WITH_EXTRAS) pytest tests/docs/test_contract.py $(ARGS)

.PHONY: policies
policies: ## the rules under the reference engine: opa check --strict, fmt, test, and every decision compared
	$(WITH_EXTRAS) pytest tests/policies $(ARGS)

.PHONY: extra-tests
extra-tests: ## every test that needs opa, buf, pysdmx, limen-interop or postgres; a missing one is an error
	$(WITH_EXTRAS) pytest -m "extra and not slow" $(ARGS)

.PHONY: vectors
vectors: ## published and own test vectors; each generator run again with --check
	$(RUN) pytest tests/vectors $(ARGS)

.PHONY: docs
docs: ## links, glossary, error catalogue, decisions: what the documents say is so
	$(RUN) pytest tests/docs $(ARGS)

.PHONY: bench
bench: ## every figure with its goal; ONLY=A2 for one
	$(RUN) python -m bench $(if $(ONLY),--only $(ONLY)) $(ARGS)

.PHONY: bench-smoke
bench-smoke: ## the benches' short form: do they still work
	$(RUN) python -m bench --smoke $(ARGS)

.PHONY: extras
extras: ## install opa, buf, pysdmx, limen-interop and postgres into .cache/bin
	@sh setup.sh dev
	@sh .ci/extras

.PHONY: clean
clean: ## remove what verbs made, the environment included
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist demo-out report.html
	find . -name __pycache__ -prune -exec rm -rf {} +
