# `make` alone lists the targets. Two matter to a newcomer: dev and test.
#
# Everything is plain go; the targets only spare you the flags. What only CI runs is in .ci/run. Variables you may set:
#   PORTS=free      make dev on free ports instead of the well-known ones (app 3000, MailHog 8025, …)
#   INNGEST=server  make dev waits for the dev server, instead of starting on sim while that is built
#   DOCKER=yes      make dev builds the command with Docker's client where none is found, too; DOCKER= builds it without
#   RUN=TestName    run only these tests, in test and report
#   BURST=2000      how many requests make faults creates at once
#   ROUNDS=30       how often make soak runs the tests under each load
#   REQUESTS=1000   how many requests make production creates over its faults
#   LOAD=both       under which: idle, busy, or both

SHELL       := /bin/sh
.DEFAULT_GOAL := help

PORTS  ?= fixed
INNGEST ?= auto
RUN    ?= .
BURST  ?= 2000
ROUNDS ?= 30
REQUESTS ?= 1000
LOAD   ?= both
BIN    := bin

# All targets, all clones and the builds of the servers share what they compile. It has no debugging data, which would add a fifth
# to the time.
export GOFLAGS := -trimpath -gcflags=all=-dwarf=false -ldflags=-w $(GOFLAGS)
export CGO_ENABLED ?= 0

help:
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Docker's client is much of what is compiled at first: where there is no Docker, make dev builds the command without it. The tag is
# in GOFLAGS, so that the build below, which repeats that of the app, links nothing anew. The database, whose largest package takes
# long by itself, has the processors first.
DOCKER ?= $(shell command -v docker; echo $$DOCKER_HOST; \
	ls /var/run/docker.sock "$$XDG_RUNTIME_DIR"/docker.sock "$$HOME"/.docker/*/docker.sock 2>/dev/null)

dev: GOFLAGS += $(if $(strip $(DOCKER)),,-tags=nodocker)
dev: ## start the stack and the app with the sample world; reload on change
	@go build -o $(BIN)/ ./harness/internal/toolchain/cmd/prebuild
	@$(BIN)/prebuild & \
	  nice -n 5 go build -o $(BIN)/ ./harness/cmd/harness ./app/cmd/app || failed=$$?; wait; exit $${failed:-0}
	@$(BIN)/harness up --ports $(PORTS) --inngest $(INNGEST) --watch app \
	  --samples fixtures/requests/typical --samples-to 'POST /api/requests' -- sh -c '\
	  go build -o $(BIN)/app ./app/cmd/app && \
	  $(BIN)/app seed fixtures/world.json && \
	  exec $(BIN)/app'

demo: ## beside a running `make dev`: create the typical requests, print where to look
	@go run ./e2e/cmd/demo

test: tools ## every test that needs no Docker; HARNESS_BACKENDS=local,containers adds that
	@sh scripts/test.sh '$(RUN)'

golden: tools ## rewrite the golden emails from what the app sends now
	HARNESS_UPDATE=1 go test -count=1 -run TestEveryTypicalRequest ./e2e

review: tools ## send every fixture, write a report of the emails before and after, leave MailHog up
	@go build -o $(BIN)/review ./e2e/cmd/review
	@exec $(BIN)/review

report: tools ## run all tests; report/report.html, junit.xml and summary.md say what they saw
	@rm -rf report
	HARNESS_REPORT=$(CURDIR)/report go test -count=1 -timeout 20m -run '$(RUN)' work

check: ## before you push: linters, other systems, use as a dependency, race detector (needs a C compiler)
	@sh scripts/lint.sh
	go test -count=1 -tags dependency -run Dependency ./e2e/workspace
	go test -count=1 -tags nodocker -run TestCommand_SaysThatItHasNoDockerClient ./harness/cmd/harness
	CGO_ENABLED=1 go test -count=1 -timeout 30m -race -skip TestDecode_TakesTimeThatGrowsWithSizeOnly $$(go list work | grep -v -e /e2e/faults -e /e2e/workspace -e /e2e/cmd/ -e /e2e/property -e /e2e/explore \
	  -e /e2e/api$$ -e /harness/explore$$ -e /harness/report$$ -e /harness/mailcheck$$)
	CGO_ENABLED=1 go test -count=1 -timeout 30m -race -run 'TestServer|TestExplore_|TestConfirm_|LastWriter|Resolver' ./e2e/api ./harness/explore ./harness/report ./harness/mailcheck
	CGO_ENABLED=1 go test -count=1 -timeout 30m -race ./e2e/faults

browser: tools ## what a browser shows of the pages and emails, and to whom (needs Chromium, Node and npm)
	@go run ./harness/cmd/harness tools build page
	go test -count=1 -timeout 20m -tags browser ./e2e/browser ./e2e/internal/accessibility ./e2e/cmd/review ./e2e/cmd/screenshots

faults: tools ## the fault matrix, with a burst of BURST requests, printed as a table
	cd e2e/faults && HARNESS_TABLE=1 FAULTS_BURST=$(BURST) go test -count=1 -timeout 40m -run TestFaultMatrix

mutants: tools ## plant defects in the app; each must be caught by a test
	go run ./e2e/cmd/mutants

production: tools ## production mode on Redis and PostgreSQL: faults under load, by HTTP and by Connect; rates
	go test -count=1 -tags production -timeout 40m -v -run TestLoad ./e2e/production -requests $(REQUESTS)
	go test -count=1 -tags production -timeout 20m -v -run TestRate ./e2e/production

soak: tools ## the end-to-end tests ROUNDS times, with the machine idle and with it busy
	ROUNDS=$(ROUNDS) LOAD=$(LOAD) sh scripts/soak.sh

bench: tools ## measure: first minute, tests, stack start, event to email, load, dashboard, sim, report, inbox, exploration
	go run ./e2e/cmd/bench
	go test -run '^$$' -bench 'ThreeSteps|MonthAndLadder|Write500|10000' ./harness/sim ./harness/report ./harness/inbox
	go test -run '^$$' -bench Explore ./e2e/explore

images: ## build images of the servers and the app from source, for machines without a registry
	@go run ./harness/containers/cmd/images -app ./app/cmd/app

tools: ## build the servers that the tests run, once, into your cache
	@go run ./harness/cmd/harness tools build inngest mongo mailhog mailpit

clean: ## remove what the targets made here (the cache of servers stays)
	rm -rf $(BIN) .harness dist report

.PHONY: help dev demo test golden review report check browser faults mutants production soak bench images tools clean
