#!/usr/bin/env bash
# Runs one suite of the application's tests: ./run-tests.sh NAME FILE… The tests are in ../../tests, for the
# repository's own runs; the suite's JUnit XML and its coverage go to $REPORTS.
set -euo pipefail
suite=$1; shift
reports=${REPORTS:-reports}
cd ../..
exec bun test --timeout 120000 \
  --reporter=junit --reporter-outfile="$reports/$suite.xml" \
  --coverage --coverage-reporter=lcov --coverage-dir="$reports/$suite" \
  "${@/#/tests/examples/chatbot-platform/}"
