# `make` alone lists the targets. Two matter to a newcomer: dev and test.
#
# Everything is plain go; the targets only spare you the flags. Variables you may set:
#   PORTS=free      make dev on free ports instead of the ones people know (app 3000, MailHog 8025, …)
#   RUN=TestName    run only these tests, in test and e2e
#   FUZZTIME=1m     how long make fuzz spends on each fuzz test
#   BURST=2000      how many requests make faults creates at once
#   ROUNDS=30       how often make soak runs the tests under each load
#   LOAD=both       under which: idle, busy, or both

SHELL       := /bin/sh
.DEFAULT_GOAL := help

PORTS ?= fixed
RUN   ?= .
FUZZTIME ?= 1m
BURST    ?= 2000
ROUNDS   ?= 30
LOAD     ?= both

STATICCHECK := v0.8.2
ACTIONLINT  := v1.7.12

MODULES   := app e2e fixtures harness harness/cmd/harness harness/containers
PUBLISHED := harness harness/cmd/harness harness/containers
BIN       := bin

help: ## print this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

dev: build ## start the stack and the app with the sample world; reload on change
	@$(BIN)/harness up --ports $(PORTS) --watch app \
	  --samples fixtures/requests/typical --samples-to 'POST /api/requests' -- sh -c '\
	  go build -o $(BIN)/app ./app/cmd/app && \
	  $(BIN)/app seed fixtures/world.json && \
	  exec $(BIN)/app'

demo: ## beside a running `make dev`: create the typical requests, print where to look
	@go run ./e2e/cmd/demo

test: tools ## every test that needs no Docker; HARNESS_BACKENDS=local,containers adds that
	@sh scripts/test.sh '$(RUN)'

e2e: tools ## the end-to-end tests alone
	go test -count=1 -run '$(RUN)' ./e2e/...

golden: tools ## rewrite the golden emails from what the app sends now
	HARNESS_UPDATE=1 go test -count=1 -run TestEveryTypicalRequest ./e2e

bench: tools ## measure: stack start, event to email, dashboard, report, beside their floors
	go run ./e2e/cmd/bench

compose-up: ## the compose project: the app and its servers, kept up
	@sh scripts/compose.sh up --wait

compose-down: ## stop the compose project; its data stays
	@sh scripts/compose.sh down

images: ## build images of the servers and the app from source, for machines without a registry
	@go run ./harness/containers/cmd/images -app ./app/cmd/app

faults: tools ## the fault matrix, with a burst of BURST requests, printed as a table
	cd e2e/faults && HARNESS_TABLE=1 FAULTS_BURST=$(BURST) go test -count=1 -timeout 40m -run TestFaultMatrix

mutants: tools ## plant defects in a copy of the app; each must be caught by a test
	go run ./e2e/cmd/mutants

soak: tools ## the end-to-end tests but those of the documents ROUNDS times, with the machine idle and with it busy
	go run ./e2e/cmd/soak -n $(ROUNDS) -load $(LOAD)

review: build ## send every fixture, write a report of the emails before and after, leave MailHog up
	@go build -o $(BIN)/review ./e2e/cmd/review
	@exec $(BIN)/review

report: tools ## run all tests; report/report.html, junit.xml and summary.md say what they saw
	@rm -rf report
	HARNESS_REPORT=$(CURDIR)/report go test -count=1 -timeout 20m -run '$(RUN)' work

fuzz: ## fuzz every fuzz test for FUZZTIME each (1m)
	@sh scripts/fuzz.sh $(FUZZTIME)

browser: tools ## what a browser shows of the pages and emails (needs Chromium)
	go test -count=1 -tags browser ./e2e/browser ./e2e/cmd/review ./e2e/cmd/screenshots

languages: tools ## the command line with apps in other languages (needs node and python3)
	go test -count=1 -tags languages -run TestLanguages ./harness/cmd/harness

containers: tools ## the command line with containers (needs Docker)
	go test -count=1 -tags containers -run TestContainers ./harness/cmd/harness

dependency: ## the harness as others use it: a dependency, a go install (needs git)
	go test -count=1 -tags dependency -run Dependency ./e2e/workspace

lint: ## gofmt, vet, staticcheck, actionlint, tidy go.mod files
	@test -z "$$(gofmt -l .)" || { echo "not gofmt-ed:"; gofmt -l .; exit 1; }
	go vet work
	go run honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK) $(addsuffix /...,$(addprefix ./,$(MODULES)))
	@# By itself: with shellcheck or pyflakes it would depend on what the machine happens to have.
	go run github.com/rhysd/actionlint/cmd/actionlint@$(ACTIONLINT) -shellcheck= -pyflakes=
	@sh scripts/tidy.sh -check

check: lint cross dependency ## lint, race detector (needs a C compiler), cross-compilation, use as a dependency
	go test -count=1 -timeout 30m -race $$(go list work | grep -v /e2e/faults)
	go test -count=1 -timeout 30m -race ./e2e/faults

cross: ## compile for the systems that CI does not run
	GOOS=darwin GOARCH=arm64 go vet work
	GOOS=windows GOARCH=amd64 go vet work

tidy: ## tidy the go.mod files
	@sh scripts/tidy.sh

build: tools ## build the harness command and the app into bin/
	@go build -o $(BIN)/ ./harness/cmd/harness ./app/cmd/app

tools: ## build the servers that the tests run, once, into your cache
	@go run ./harness/cmd/harness tools build

screenshots: tools ## make the pictures in README.md (needs Chromium)
	go run ./e2e/cmd/screenshots docs/images

clean: ## remove what the targets made here (the cache of servers stays)
	rm -rf $(BIN) .harness dist report

.PHONY: help dev demo test e2e golden bench compose-up compose-down images faults mutants soak review report fuzz browser languages containers dependency lint check cross tidy build tools screenshots clean
