# The pipeline's face: a recipe line calls one script; what it does is in the script.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Bun comes from its npm package into .tools; nothing is installed outside this folder.
BUN_VERSION := $(shell sed -n 's/.*"bun": "\([0-9.]*\)".*/\1/p' package.json | head -1)
export PATH := $(CURDIR)/.tools/node_modules/.bin:$(CURDIR)/node_modules/.bin:$(PATH)

# make deploy-prod YES=1; make deploy-prod VERSION=1.4.2 YES=1
CONFIG ?= deploy.yaml
FLAGS = --config $(CONFIG) $(if $(CONTEXT),--context $(CONTEXT)) $(if $(YES),--yes)
REASON_FLAG = $(if $(REASON),--reason "$$REASON")
OVERRIDE_FLAG = $(if $(OVERRIDE),--override "$$OVERRIDE")
ACK_FLAG = $(if $(ACK),--ack "$$ACK")
export REASON OVERRIDE ACK

.PHONY: help
help: ## this list
	@grep -hE '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-16s %s\n", $$1, $$2 }'
	@echo
	@echo "  deploy-… and rollback-… take VERSION=, REASON=, CONTEXT=, CONFIG=, YES=1; deploy-… IMAGE=, OVERRIDE= and ACK=\"BOX,BOX: why\" too"

.PHONY: install
install: node_modules/.installed ## Bun and the packages, into this folder

.tools/.bun-$(BUN_VERSION):
	@command -v npm > /dev/null || { echo "npm is not on PATH. Install Node.js: https://nodejs.org (Debian: apt-get install npm)"; exit 2; }
	npm install --prefix .tools --no-save --no-audit --no-fund --loglevel=error bun@$(BUN_VERSION)
	@# Where npm does not run the package's own install step, it is run here.
	@bun --version > /dev/null 2>&1 || { cd .tools/node_modules/bun && node install.js; }
	@touch $@

# The example application has its own packages: typescript-eslint does not take the TypeScript of these scripts.
EXAMPLE := examples/chatbot-platform
node_modules/.installed: .tools/.bun-$(BUN_VERSION) package.json bun.lock $(EXAMPLE)/package.json $(EXAMPLE)/bun.lock
	bun install --frozen-lockfile
	bun install --frozen-lockfile --cwd $(EXAMPLE)
	@touch $@

# What installs kubectl, by the programs that this system has; Debian's own may be too old.
KUBECTL_BY := "brew install kubectl" "snap install kubectl --classic" "dnf install kubernetes-client" \
  "pacman -S kubectl" "apk add kubectl" "zypper install kubernetes-client" \
  "curl -fL --create-dirs -o ~/.local/bin/kubectl https://dl.k8s.io/release/v1.32.0/bin/linux/$$(uname -m | \
  sed 's/x86_64/amd64/; s/aarch64/arm64/')/kubectl && chmod +x ~/.local/bin/kubectl"
.PHONY: kubectl
kubectl:
	@command -v kubectl > /dev/null || { \
	  for by in $(KUBECTL_BY); do command -v $${by%% *} > /dev/null && break; done; \
	  echo "kubectl is not on PATH. Install it: $$by"; exit 2; }

.PHONY: browser
browser: install ## where there is no Chromium or Chrome, one from npm, into this folder
	@bun verify/fetch-browser.ts

.PHONY: demo
demo: install kubectl ## deploy a real application blue/green on a cluster of its own, and watch it
	@bun verify/fetch-browser.ts || true # without one the demo says what it leaves out
	bun examples/rehearsal/demo.ts

.PHONY: sandbox
sandbox: install ## start the embedded cluster; prints its KUBECONFIG
	bun sandbox/start.ts

.PHONY: check
check: install ## formatter, type-aware linter, types
	oxfmt --check
	oxlint --type-aware --deny-warnings
	tsc

# Every test file is in one of these; tests/house.test.ts sees to it. Quick: no cluster, no browser, nothing measured.
QUICK := tests/house.test.ts tests/makefile.test.ts tests/docs tests/examples tests/k8s tests/lib tests/scripts tests/workflows \
  $(patsubst %,tests/verify/%.test.ts,fetch-browser gates kept-results performance-comparison performance-connections \
    performance-load performance-verdicts redact results security-address security-alarms security-example \
    security-judges security-nginx security-refused security smoke ui-report)
# With a cluster (the sandbox), a browser or a Prometheus of its own.
SLOW := tests/e2e tests/monitoring tests/report tests/sandbox $(patsubst %,tests/verify/%.test.ts,browser faults secrets ui)
# What measures the machine has it for itself; these are taken out of the folders above.
ALONE := tests/e2e/gates.test.ts $(patsubst %,tests/verify/%.test.ts,page-quality performance)

# A file for each core at a time (JOBS=3 for more), those that took longest last time first.
# Files share what they import, which saves a fifth of the time. Where nothing is known yet, what is in tests/times.json.
JOBS ?= $(shell nproc)
TIMES := node_modules/.test-times.json
TEST := bun test --timeout 300000
BESIDE = $(TEST) --parallel=$(JOBS) --no-isolate --timings=$(TIMES) --update-timings \
  $(addprefix --path-ignore-patterns=,$(ALONE) $(LEAVE_OUT))

# LEAVE_OUT="FILE FILE": for who has no time for all, as .ci/run on a slow machine.
.PHONY: test
test: check kubectl browser ## everything that needs no cluster but the sandbox
	@[ -e $(TIMES) ] || cp tests/times.json $(TIMES)
	@# What fails in the first is no reason not to say what fails in the second.
	$(BESIDE) $(QUICK) $(SLOW) || failed=$$?; $(TEST) $(ALONE) && exit $${failed:-0}

.PHONY: test-quick
test-quick: install kubectl ## what needs neither a cluster nor a browser: to run while working
	$(BESIDE) $(QUICK)

# Of these a real cluster tells no more than the sandbox, so only make test runs them (SANDBOX_IS_ENOUGH= for all):
#   usage               flags, deploy.yaml and kubeconfig, refused before anything is written
#   promotion           the registry and the records decide; docker-build and pipeline push to a real registry
#   two-commands        the record decides; starting, switching and locking are as in every deployment
#   interrupt           the signal goes to the script; kill and moments leave more behind, in more places
#   automatic-rollback  refused digests are the record's; way-back goes back from the same fault, capacity restores bounds
#   notify, checklist   receivers, records and manifests decide; of a cluster they read what status and rollback read
#   guides, guide-commands  what the guides tell a newcomer to type, who has the sandbox
SANDBOX_IS_ENOUGH := $(patsubst %,tests/e2e/%.test.ts,usage promotion two-commands interrupt automatic-rollback notify checklist \
  guides guide-commands)

# What tells most of a cluster comes first, for who has no time for all (.ci/run on a slow machine).
TELLING := $(patsubst %,tests/e2e/%.test.ts,switch kill behind moments fenced lock gradual bake way-back diagnose)
CLUSTER_SUITE := $(TELLING) $(filter-out $(TELLING) $(SANDBOX_IS_ENOUGH),$(wildcard tests/e2e/*.test.ts))

.PHONY: test-cluster
test-cluster: install kubectl ## the end-to-end suite on the cluster of KUBECONFIG
	E2E_CLUSTER=real bun test --timeout 600000 $(CLUSTER_SUITE)

.PHONY: cluster-suite
cluster-suite: # its files; test-cluster takes some of them as CLUSTER_SUITE=
	@echo $(CLUSTER_SUITE)

.PHONY: bench
bench: install kubectl ## times and ratios, into bench/
	bun bench/run.ts

.PHONY: bench-load
bench-load: install ## the load generator beside hey and wrk, into bench/
	bun bench/load.ts

.PHONY: bench-bake
bench-bake: install ## how often judges of a release are wrong, over simulated bakes, into bench/
	bun bench/bake.ts

.PHONY: bench-alarms
bench-alarms: install browser ## how often the whole gate stops what is healthy (an hour and a half), into bench/
	bun bench/alarms.ts

.PHONY: format
format: install ## let the formatter write
	oxfmt

.PHONY: lint test-app scan build docker
lint: install ## the application's linter
	bun scripts/lint-app.ts --config $(CONFIG)
test-app: install ## the application's tests, and how much of it they cover
	bun scripts/test-app.ts --config $(CONFIG)
scan: install ## known vulnerabilities in what the application is made of
	bun scripts/security-scan.ts --config $(CONFIG)
build: install ## the application, for production
	bun scripts/build-app.ts --config $(CONFIG)
docker: install ## its image, pushed, with the results of what ran before
	bun scripts/docker-build.ts --config $(CONFIG)

# From a commit to its image: lines of a recipe, since prerequisites lose their order under -j. The first stage
# that fails stops the rest; what each took is said then, too. What an earlier run left is not this one's.
OR_STOP = || bun scripts/stage-times.ts --exit $$?
define commit-to-image
@rm -rf $(addprefix reports/,lint test security-scan build docker release.json)
bun scripts/lint-app.ts --config $(CONFIG) $(OR_STOP)
bun scripts/test-app.ts --config $(CONFIG) $(OR_STOP)
bun scripts/security-scan.ts --config $(CONFIG) $(OR_STOP)
bun scripts/build-app.ts --config $(CONFIG) $(OR_STOP)
bun scripts/docker-build.ts --config $(CONFIG) $(OR_STOP)
endef

.PHONY: ci
ci: install ## lint, test, scan, build, image: each only if the one before has passed
	$(commit-to-image)
	@bun scripts/stage-times.ts

# VERSION= or IMAGE= names an image that is there already: then nothing runs but the deployment.
deploy = bun scripts/deploy.ts --env $(1) $(RELEASE) $(FLAGS) $(REASON_FLAG) $(OVERRIDE_FLAG) $(ACK_FLAG)
ifneq ($(VERSION)$(IMAGE),)
RELEASE = $(if $(VERSION),--version $(VERSION)) $(if $(IMAGE),--image $(IMAGE))
commit-to = $(deploy)
else
RELEASE = --release reports/release.json
define commit-to
$(commit-to-image)
$(deploy) $(OR_STOP)
@bun scripts/stage-times.ts
endef
endif

.PHONY: deploy-dev deploy-staging deploy-prod
deploy-dev: install ## all of ci, then deploy to development; with VERSION= deploy that
	$(call commit-to,development)
deploy-staging: install ## the same for staging
	$(call commit-to,staging)
deploy-prod: install ## the same for production
	$(call commit-to,production)

.PHONY: rollback-dev rollback-staging rollback-prod
rollback-dev: install ## bring back what was live before (or VERSION)
	bun scripts/rollback-deployment.ts --env development $(FLAGS) $(if $(VERSION),--to-version $(VERSION)) $(REASON_FLAG)
rollback-staging: install
	bun scripts/rollback-deployment.ts --env staging $(FLAGS) $(if $(VERSION),--to-version $(VERSION)) $(REASON_FLAG)
rollback-prod: install
	bun scripts/rollback-deployment.ts --env production $(FLAGS) $(if $(VERSION),--to-version $(VERSION)) $(REASON_FLAG)

.PHONY: preflight
preflight: install ## the checklist before a deployment to ENV (of the last image built here, or VERSION)
	bun scripts/preflight.ts --env $(ENV) --config $(CONFIG) $(if $(VERSION),--version $(VERSION)) $(ACK_FLAG)

.PHONY: drill
drill: install ## go back to the release before in ENV and return: shows that a rollback works
	bun scripts/rollback-drill.ts --env $(ENV) $(FLAGS) $(REASON_FLAG)

.PHONY: verify
verify: install ## check what is live in ENV
	bun scripts/verify-deployment.ts --env $(ENV) --config $(CONFIG)

.PHONY: status
status: install ## what is live in ENV, who holds the lock, what a rollback would take
	bun scripts/deployment-status.ts --env $(ENV) --config $(CONFIG)

.PHONY: monitor
monitor: install ## both colors of ENV side by side: health, and every metric, for ten minutes
	bun scripts/monitor-deployment.ts --env $(ENV) --config $(CONFIG) --for 10m

.PHONY: history
history: install ## what was deployed to ENV, by whom, and what users met
	bun scripts/deployment-history.ts --env $(ENV) --config $(CONFIG)

.PHONY: report trends
report: install ## the report of ENV's newest deployment, or of ID=, into reports/
	bun scripts/deployment-report.ts --env $(ENV) --config $(CONFIG) $(if $(ID),--id $(ID))
trends: install ## what the records of ENV=staging,production say all together
	bun scripts/deployment-trends.ts --env $(ENV) --config $(CONFIG)

.PHONY: monitoring
monitoring: install ## write the alert rules and the dashboard of production, into k8s/monitoring
	bun scripts/monitoring.ts --env production --config $(CONFIG)

.PHONY: schema
schema: install ## write deploy.schema.json, which editors check deploy.yaml with
	bun scripts/config-schema.ts > deploy.schema.json
