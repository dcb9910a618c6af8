#!/usr/bin/env bash
# Runs the suite in a pipeline from variables, writes every report, and leaves with the decision's exit code.
# Works on any runner: GitHub's files are written where they exist.
set -uo pipefail

output=${OUTPUT:-auth-conformance}
mkdir -p -- "$output" || exit 2
arguments=(--fail-on "${FAIL_ON:-low}" --level "${LEVEL:-3}")
arguments+=(--json "$output/run.json" --html "$output/report.html")
arguments+=(--sarif "$output/results.sarif" --markdown "$output/summary.md")
[ -z "${CONFIG:-}" ] || arguments+=(--config "$CONFIG")
[ -z "${BASELINE:-}" ] || arguments+=(--baseline "$BASELINE")
[ "${NEW_ONLY:-false}" != true ] || arguments+=(--new-only)
[ "${STRICT:-false}" != true ] || arguments+=(--strict)
# After "--" nothing is an option, whatever the target is called.
[ -z "${TARGET:-}" ] || arguments+=(-- "$TARGET")

auth-conformance run "${arguments[@]}"
code=$?

if [ -n "${GITHUB_STEP_SUMMARY:-}" ] && [ -f "$output/summary.md" ]; then
  cat -- "$output/summary.md" >>"$GITHUB_STEP_SUMMARY"
fi
if [ -n "${GITHUB_OUTPUT:-}" ]; then
  printf 'exit-code=%s\n' "$code" >>"$GITHUB_OUTPUT"
  [ ! -f "$output/results.sarif" ] || printf 'sarif=%s\n' "$output/results.sarif" >>"$GITHUB_OUTPUT"
fi
if [ -n "${GITHUB_ACTIONS:-}" ] && [ -f "$output/run.json" ]; then
  auth-conformance annotate "$output/run.json"
fi
exit "$code"
